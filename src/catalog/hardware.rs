use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sku {
    /// Unique in the catalog.
    pub name: String,
    /// The kind of its processors.
    pub processor: String,
    /// How many processors it has, at most 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub processors: u32,
    /// Machines that it is made of, which start, are paid for and go together, so that an instance may span
    /// them. Processors, power and price are those of all. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub machines: u32,
    /// Power drawn by the server itself, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
    /// The most power that it draws as a whole, in watts, as its maker says. Default: its own power and the most that
    /// its processors draw.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub max_power_w: Option<f64>,
    /// Price of an hour, in dollars. Default: no price, and then no cost is reported.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub price_per_hour: Option<f64>,
    /// What that price is. Default: not said.
    #[serde(default)]
    pub price: Option<PriceSource>,
    /// Who offers it. Default: not said.
    #[serde(default)]
    pub provider: Option<String>,
    /// Virtual processors of the host. Default: not said.
    #[serde(default)]
    pub vcpus: Option<u32>,
    /// Memory of the host, in GiB. Default: not said.
    #[serde(default)]
    pub host_memory_gib: Option<u32>,
    /// Processors that reach each other over the fast links, also of other servers. Default: those of a
    /// machine.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub link_domain: Option<u32>,
    /// Speed of a machine's network, in gigabits a second. Default: not said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub network_gbit_per_s: Option<f64>,
    /// What else a reader should know. Default: nothing.
    #[serde(default)]
    pub notes: Option<String>,
}

/// Bytes of a GiB.
pub(crate) const GIB: f64 = 1_073_741_824.0;

const fn one() -> u32 {
    1
}

impl Sku {
    /// How many of its processors one machine has.
    #[must_use]
    pub const fn processors_a_machine(&self) -> u32 {
        match self.machines {
            0 | 1 => self.processors,
            several => self.processors / several,
        }
    }

    /// How many machines share the layers of a model: 1 where `tensor` processors fit on one. `None` where they
    /// do not fill machines evenly.
    ///
    /// ```
    /// let catalog = fleetsim::catalog::Catalog::built_in();
    /// let two = &catalog.skus["2x-dgx-h100"];
    /// assert_eq!([4, 8, 16].map(|tensor| two.machines_of(tensor)), [Some(1), Some(1), Some(2)]);
    /// assert_eq!([3, 12].map(|tensor| two.machines_of(tensor)), [None, None]);
    /// ```
    #[must_use]
    pub const fn machines_of(&self, tensor: u32) -> Option<u32> {
        let there = self.processors_a_machine();
        if self.machines <= 1 || tensor == 0 {
            Some(1)
        } else if tensor <= there {
            if there.is_multiple_of(tensor) {
                Some(1)
            } else {
                None
            }
        } else if tensor.is_multiple_of(there) {
            Some(tensor / there)
        } else {
            None
        }
    }

    /// The most power that it draws as a whole, in watts: as stated, or its own and the most of its processors; `None`
    /// where neither is known.
    ///
    /// ```
    /// let catalog = fleetsim::catalog::Catalog::built_in();
    /// let of = |sku: &str| {
    ///     let sku = &catalog.skus[sku];
    ///     sku.most_power(&catalog.processors[&sku.processor])
    /// };
    /// assert_eq!(of("dgx-h100"), Some(10_200.0));
    /// assert_eq!(of("p5.48xlarge"), Some(8.0 * 700.0));
    /// ```
    #[must_use]
    pub fn most_power(&self, processor: &Processor) -> Option<f64> {
        self.max_power_w.or_else(|| {
            let steps = processor.step_power().map(|it| it.prompt_w.max(it.token_w));
            let each = processor.power_limit_w.or(steps)?;
            Some(self.idle_power_w + f64::from(self.processors) * each)
        })
    }

    /// Bytes a second over a machine's network, where they are known.
    #[must_use]
    pub fn network_bytes_per_s(&self) -> Option<f64> {
        self.network_gbit_per_s
            .filter(|&it| it > 0.0)
            .map(|it| it * 1e9 / 8.0)
    }
}

/// Where a price comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSource {
    /// What is paid so: on demand, spot, reserved.
    pub kind: String,
    /// When it held: a year, perhaps with a month.
    pub date: String,
    /// Who says so.
    pub source: String,
}

/// A kind of processor (a GPU).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Processor {
    /// Unique in the catalog.
    pub name: String,
    /// Memory, in bytes.
    #[schemars(range(min = 1))]
    pub memory_bytes: u64,
    /// Power when idle, in watts. Default 0; where the two below are not given either, it is not known.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
    /// Power in iterations that have a prompt, in watts. Default 0, for 0.9 of `power_limit_w`, as kernels of
    /// prompts were measured on a B200.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub prompt_power_w: f64,
    /// Power in iterations of tokens alone, in watts. Default 0, for 0.45 of `power_limit_w`, from the
    /// same source.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub token_power_w: f64,
    /// The most power that it draws, in watts. Default: not said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub power_limit_w: Option<f64>,
    /// Its speeds, for the step model `Roofline`. Default: not said, and then there is none.
    #[serde(default)]
    pub speeds: Option<Speeds>,
    /// How long all-reduces between processors of a server take, measured. Default: not known.
    #[serde(default)]
    pub all_reduce: Vec<AllReduce>,
    /// The entry that has its speeds and coefficients, where this is the same GPU. Default: none.
    #[serde(default)]
    pub same_as: Option<String>,
    /// The GPU that lends coefficients for all models where it has none. Default: none.
    #[serde(default)]
    pub coefficients_of: Option<String>,
    /// Who makes it. Default: not said.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Year and month in which it came out. Default: not said.
    #[serde(default)]
    pub released: Option<String>,
    /// Where the figures come from. Default: not said.
    #[serde(default)]
    pub source: Option<String>,
    /// What else a reader should know. Default: nothing.
    #[serde(default)]
    pub notes: Option<String>,
}

/// Shares of the power limit that steps draw: the medians of kernels on a B200, and within a twentieth those of an
/// H100. Steps of tokens alone draw more as batches grow; how much more, no source says.
const PROMPT_SHARE: f64 = 0.9;
const TOKEN_SHARE: f64 = 0.45;

/// The power that a processor draws in steps, in watts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepPower {
    /// In steps that have a prompt.
    pub prompt_w: f64,
    /// In steps of tokens alone.
    pub token_w: f64,
}

impl Processor {
    /// The power that it draws in steps: as stated, or shares of its limit; `None` where neither is known.
    #[must_use]
    pub fn step_power(&self) -> Option<StepPower> {
        if self.has_stated_power() {
            return Some(StepPower {
                prompt_w: self.prompt_power_w,
                token_w: self.token_power_w,
            });
        }
        let limit = self.power_limit_w.filter(|&it| it > 0.0)?;
        Some(StepPower {
            prompt_w: PROMPT_SHARE * limit,
            token_w: TOKEN_SHARE * limit,
        })
    }

    /// The power that it draws when idle, in watts; `None` where no source says.
    ///
    /// ```
    /// let catalog = fleetsim::catalog::Catalog::built_in();
    /// assert_eq!(catalog.processors["h100-sxm"].idle_power(), Some(75.0));
    /// assert_eq!(catalog.processors["b200-sxm"].idle_power(), None);
    /// ```
    #[must_use]
    pub fn idle_power(&self) -> Option<f64> {
        let known = self.idle_power_w > 0.0 || self.has_stated_power();
        known.then_some(self.idle_power_w)
    }

    fn has_stated_power(&self) -> bool {
        self.prompt_power_w > 0.0 && self.token_power_w > 0.0
    }
}

/// How long an all-reduce between some processors of a server takes, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllReduce {
    /// Between how many.
    #[schemars(range(min = 2))]
    pub processors: u32,
    /// `(numbers of two bytes, seconds)`, at least two, numbers rising. Between them it is linear; fewer take
    /// as long as the first.
    #[schemars(length(min = 2))]
    pub times: Vec<(f64, f64)>,
}

impl AllReduce {
    /// Seconds for these many numbers; beyond the last point with the slope of the last two.
    #[must_use]
    pub fn seconds(&self, numbers: f64) -> f64 {
        let after = self.times.partition_point(|&(at, _)| at < numbers);
        match (after, self.times.len()) {
            (_, 0) => 0.0,
            (0, _) | (_, 1) => self.times[0].1,
            (after, count) => {
                let ((a, s), (b, t)) = {
                    let upper = after.min(count - 1);
                    (self.times[upper - 1], self.times[upper])
                };
                s + (numbers - a) * ((t - s) / (b - a))
            }
        }
    }

    /// Whether every message has a time.
    pub(super) fn is_valid(&self) -> bool {
        let rising = self.times.is_sorted_by(|a, b| a.0 < b.0);
        let end = self.times.last_chunk::<2>();
        let grows = end.is_some_and(|[a, b]| a.1 <= b.1);
        let positive = |&(numbers, seconds): &(f64, f64)| {
            numbers.is_finite() && numbers >= 0.0 && seconds.is_finite() && seconds > 0.0
        };
        rising && grows && self.times.iter().all(positive)
    }
}

/// The speeds of a processor's data sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speeds {
    /// Bytes of memory read in a second.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_bandwidth: f64,
    /// Operations a second on bf16, without sparsity.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub bf16_flops: f64,
    /// Operations a second on fp8, without sparsity. Default: none, fp8 runs as bf16.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub fp8_flops: Option<f64>,
    /// Operations a second on fp4, without sparsity. Default: none, fp4 runs as fp8.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub fp4_flops: Option<f64>,
    /// The links between the processors of a server.
    pub link: String,
    /// Bytes a second over those, in one direction.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub link_bandwidth: f64,
    /// Bytes a second to processors of other servers. Default: not said.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub network_bandwidth: Option<f64>,
}
