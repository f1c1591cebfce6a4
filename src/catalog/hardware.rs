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
    /// Power drawn by the server itself, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
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
    /// Processors that reach each other over the fast links, also of other servers. Default: its own.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub link_domain: Option<u32>,
    /// Speed of its network, in gigabits a second. Default: not said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub network_gbit_per_s: Option<f64>,
    /// What else a reader should know. Default: nothing.
    #[serde(default)]
    pub notes: Option<String>,
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
    /// Power when idle, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
    /// Power in iterations that have a prompt, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub prompt_power_w: f64,
    /// Power in iterations of tokens alone, in watts. Default 0.
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
