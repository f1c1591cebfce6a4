//! What a scenario says, as plain data. Every field has its unit and its default beside it.

use std::path::PathBuf;

use ron::value::RawValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actuator, Signals};
use crate::random::Delay;
use crate::time::{SimDuration, SimTime};

/// A whole scenario: hardware, applications, what happens to them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Names the results directory. Required.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Seeds every random stream. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// When the run ends, in seconds. Default: when nothing is left to do.
    #[serde(default)]
    pub end: Option<SimTime>,
    /// The longest tick, in seconds. Default: unlimited, ticks end where something is due.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_tick: Option<SimDuration>,
    /// Seconds between two rows of `timeline.csv`. Default 10: fine enough to see a scale-up
    /// delay of 10 s, coarse enough that a day stays under 10,000 rows a role.
    #[serde(default = "default_sample_interval")]
    #[schemars(range(min = 0.001))]
    pub sample_interval: SimDuration,
    /// Catalog files on top of the built-in one, relative to the scenario file. Default none.
    #[serde(default)]
    pub catalog: Vec<PathBuf>,
    /// The servers there are and may be; the first SKU is the default for scale-up. Required.
    #[schemars(length(min = 1))]
    pub fleet: Vec<FleetEntry>,
    /// The applications that requests target. Required.
    #[schemars(length(min = 1))]
    pub applications: Vec<Application>,
    /// Scripted control-plane actions. Default none.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Scripted faults. Default none.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn default_sample_interval() -> SimDuration {
    SimDuration::saturating(10.0)
}

/// Servers of one SKU.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetEntry {
    /// A SKU of the catalog. Required.
    pub sku: String,
    /// Servers at time zero. Default 0.
    #[serde(default)]
    pub count: u32,
    /// The most servers of this SKU at any time. Default: unlimited.
    #[serde(default)]
    pub limit: Option<u32>,
    /// From the request for a server until it is there. Default `Constant(0.0)`.
    #[serde(default)]
    pub provision_delay: Delay,
}

/// An application: a model behind an endpoint, its instances, its work.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Unique in the scenario. Required.
    #[schemars(length(min = 1))]
    pub name: String,
    /// A model of the catalog. Required.
    pub model: String,
    /// How long an iteration takes. Default `Profile`.
    #[serde(default)]
    pub performance: Performance,
    /// Which instance serves a request. Default `TokenJsq`.
    #[serde(default)]
    pub scheduler: Scheduler,
    /// Instance templates; scale-up uses the first of the role that is asked for. Required.
    #[schemars(length(min = 1))]
    pub instances: Vec<Template>,
    /// Delays and drain rules. Every field has a default.
    #[serde(default)]
    pub scaling: Scaling,
    /// The autoscaling policy, kept as written until the policy that it names reads it. Default
    /// none.
    #[serde(default)]
    pub autoscaler: Option<RawPolicy>,
    /// How old what the policy sees is. Default: fresh at each decision.
    #[serde(default)]
    pub signals: Signals,
    /// How what the policy wants is carried out. Every field has a default.
    #[serde(default)]
    pub actuator: Actuator,
    /// What users were promised. Default: no objective.
    #[serde(default)]
    pub slo: Slo,
    /// Where requests come from. Required.
    pub workload: Workload,
}

/// A policy term such as `HeteroScale(max: 50)`, not yet read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawPolicy(pub Box<RawValue>);

impl RawPolicy {
    /// The policy's name: what stands before the parenthesis.
    #[must_use]
    pub fn name(&self) -> &str {
        let term = self.0.get_ron().trim_start();
        let end = term.find(|c: char| c != '_' && !c.is_alphanumeric());
        &term[..end.unwrap_or(term.len())]
    }
}

impl JsonSchema for RawPolicy {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// How long an iteration takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Performance {
    /// The measured profile of the catalog for this model, processor and tensor parallelism.
    #[default]
    Profile,
    /// The same time for every iteration.
    Constant {
        /// Seconds of an iteration that has a prompt in it.
        #[schemars(extend("exclusiveMinimum" = 0))]
        prompt_time: SimDuration,
        /// Seconds of an iteration of tokens alone.
        #[schemars(extend("exclusiveMinimum" = 0))]
        token_time: SimDuration,
    },
}

/// Which instance serves a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Scheduler {
    /// Instances in turn. Needs `Mixed` instances.
    RoundRobin,
    /// Any instance, equally likely. Needs `Mixed` instances.
    Random,
    /// The instance with the fewest requests. Needs `Mixed` instances.
    Jsq,
    /// The instance with the fewest pending tokens. Needs `Mixed` instances.
    #[default]
    TokenJsq,
    /// A prompt and a token instance, each in turn. Needs `Prompt` and `Token` instances.
    KvRoundRobin {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200, InfiniBand in Splitwise.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// A prompt and a token instance, each with the fewest requests.
    KvJsq {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// A prompt and a token instance by pending tokens, as the reference counts them.
    KvTokenJsq {
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
    /// Prompt, token and mixed pools that lend each other instances.
    MixedPool {
        /// A prompt queue longer than this many tokens borrows. Default 8192, as in Splitwise.
        #[serde(default = "default_prompt_max_pending_tokens")]
        prompt_max_pending_tokens: u64,
        /// Bandwidth of a KV-cache transfer in GiB/s. Default 200.
        #[serde(default = "default_transfer")]
        #[schemars(range(min = 1e-6))]
        transfer_gib_per_s: f64,
    },
}

fn default_transfer() -> f64 {
    200.0
}

fn default_prompt_max_pending_tokens() -> u64 {
    8192
}

/// What an instance may serve.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Role {
    /// The prompt phase (prefill).
    Prompt,
    /// The token phase (decode).
    Token,
    /// Both phases.
    Mixed,
}

/// An instance template.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What its instances serve. Required.
    pub role: Role,
    /// How its instances batch. Default `Splitwise` with its defaults.
    #[serde(default)]
    pub engine: Engine,
    /// Processors that share each layer. Default 8, a full server of the built-in SKUs.
    #[serde(default = "default_tensor_parallelism")]
    #[schemars(range(min = 1))]
    pub tensor_parallelism: u32,
    /// Groups of processors that share the layers out. Default 1.
    #[serde(default = "default_pipeline_parallelism")]
    #[schemars(range(min = 1))]
    pub pipeline_parallelism: u32,
    /// What is there, already active, at time zero. Default `None`.
    #[serde(default)]
    pub start: Start,
}

impl Template {
    /// Processors that one instance takes.
    #[must_use]
    pub const fn processors(&self) -> u32 {
        self.tensor_parallelism
            .saturating_mul(self.pipeline_parallelism)
    }
}

fn default_tensor_parallelism() -> u32 {
    8
}

fn default_pipeline_parallelism() -> u32 {
    1
}

/// How an instance batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Engine {
    /// Prompts first within a token budget; token tasks that fall out are preempted.
    Splitwise {
        /// The most tasks in a batch. Default 512, as in Splitwise.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
        /// The most tokens in an iteration. Default 2048, as in Splitwise.
        #[serde(default = "default_max_batch_tokens")]
        #[schemars(range(min = 1))]
        max_batch_tokens: u64,
        /// A task preempted this often goes first. Default 4, as in Splitwise.
        #[serde(default = "default_max_preemptions")]
        max_preemptions: u32,
    },
    /// Iteration-level batching in arrival order, without preemption.
    Orca {
        /// The most tasks in a batch. Default 512.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
    },
    /// One task at a time, first come first served, without a memory limit.
    Fcfs,
}

impl Default for Engine {
    fn default() -> Self {
        Self::Splitwise {
            max_batch_size: default_max_batch_size(),
            max_batch_tokens: default_max_batch_tokens(),
            max_preemptions: default_max_preemptions(),
        }
    }
}

fn default_max_batch_size() -> u32 {
    512
}

fn default_max_batch_tokens() -> u64 {
    2048
}

fn default_max_preemptions() -> u32 {
    4
}

/// What of a template is there at time zero, already active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Start {
    /// Nothing.
    #[default]
    None,
    /// The next so many servers with room for one, in fleet order.
    Servers(u32),
    /// Every server.
    AllServers,
    /// Every server of this SKU.
    Sku(String),
}

/// How an application's instances come and go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scaling {
    /// The allocator's overhead before an instance joins. Default `Constant(0.0)`.
    pub spin_up: Delay,
    /// Seconds from the server being ready until a new instance is active. Default 10, the
    /// value of the scaling manager that fleetsim carries over.
    pub scale_up_delay: SimDuration,
    /// When a draining instance is looked at. Default `Poll(1.0)`, its `drain_check_interval`.
    pub drain: Drain,
    /// After so many seconds of draining the work left is put back. Default: never.
    pub drain_timeout: Option<SimDuration>,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            spin_up: Delay::ZERO,
            scale_up_delay: SimDuration::saturating(10.0),
            drain: Drain::default(),
            drain_timeout: None,
        }
    }
}

/// When a draining instance is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Drain {
    /// At once and then every so many seconds.
    Poll(#[schemars(range(min = 0.001))] SimDuration),
    /// At the exact instant at which its work is done.
    OnIdle,
}

impl Default for Drain {
    fn default() -> Self {
        Self::Poll(SimDuration::saturating(1.0))
    }
}

/// What users were promised. A request meets the objective when it meets every limit given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// The longest time to first token, in seconds. Default: no limit.
    pub ttft: Option<SimDuration>,
    /// The longest mean time between tokens, in seconds. Default: no limit.
    pub tbt: Option<SimDuration>,
    /// The longest time from arrival to the last token, in seconds. Default: no limit.
    pub e2e: Option<SimDuration>,
}

/// Where requests come from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Workload {
    /// A recorded trace.
    Trace {
        /// The file, relative to the scenario file. Required.
        path: PathBuf,
        /// Its format. Required.
        format: TraceFormat,
        /// Rows may be out of time order by at most so many rows. Default 10,000.
        #[serde(default = "default_reorder_window")]
        #[schemars(range(min = 1))]
        reorder_window: usize,
        /// Plays the trace so many times, end to end. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        repeat: u32,
        /// Arrivals come this many times as fast. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 1e-9))]
        rate_scale: f64,
        /// Only arrivals from the first second (kept) to the second (left out), before scaling;
        /// time zero becomes the first. Default: all.
        #[serde(default)]
        window: Option<(SimTime, SimTime)>,
        /// At most so many requests. Default: all.
        #[serde(default)]
        requests: Option<u64>,
    },
    /// A generator.
    Synthetic {
        /// When requests come. Required.
        arrivals: Arrivals,
        /// How the rate changes over time. Default `Constant`.
        #[serde(default)]
        shape: Shape,
        /// Lengths of prompts, in tokens. Required.
        prompt_tokens: Lengths,
        /// Lengths of outputs, in tokens. Required.
        output_tokens: Lengths,
        /// Arrivals come this many times as fast. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 1e-9))]
        rate_scale: f64,
        /// Only arrivals from the first second (kept) to the second (left out), before scaling;
        /// time zero becomes the first. Default: all.
        #[serde(default)]
        window: Option<(SimTime, SimTime)>,
        /// At most so many requests. Default: no limit; then `window` or `end` must give one.
        #[serde(default)]
        requests: Option<u64>,
    },
}

fn default_reorder_window() -> usize {
    10_000
}

fn one() -> u32 {
    1
}

fn unit_scale() -> f64 {
    1.0
}

/// The columns of a recorded trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TraceFormat {
    /// `request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size`
    Splitwise,
    /// `TIMESTAMP,ContextTokens,GeneratedTokens`; time zero is the first row.
    Azure,
}

/// When generated requests come. Rates are requests a second, before `shape`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Arrivals {
    /// Independent of each other.
    Poisson {
        /// Requests a second.
        #[schemars(range(min = 1e-9))]
        rate: f64,
    },
    /// Gamma-distributed gaps: burstier than Poisson for `cv` above 1.
    Gamma {
        /// Requests a second.
        #[schemars(range(min = 1e-9))]
        rate: f64,
        /// Standard deviation of the gaps over their mean.
        #[schemars(range(min = 0.01))]
        cv: f64,
    },
    /// Equal gaps.
    Constant {
        /// Requests a second.
        #[schemars(range(min = 1e-9))]
        rate: f64,
    },
}

/// How the rate changes over time: a factor on the rate of [`Arrivals`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Shape {
    /// The factor 1, always.
    #[default]
    Constant,
    /// `(from, factor)`: from each instant on, that factor; before the first, the first.
    Piecewise(#[schemars(length(min = 1))] Vec<(SimTime, f64)>),
    /// The factor 1 for `on` seconds, then `low` for `off` seconds, again and again.
    OnOff {
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        on: f64,
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        off: f64,
        /// The factor in between. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0))]
        low: f64,
    },
    /// `1 + amplitude × sin(2π (t + phase) / period)`.
    Sinusoidal {
        /// Between 0 and 1.
        #[schemars(range(min = 0, max = 1))]
        amplitude: f64,
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        period: f64,
        /// Seconds. Default 0.
        #[serde(default)]
        phase: f64,
    },
}

/// Lengths in tokens, at least 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Lengths {
    /// Always the same.
    Constant(#[schemars(range(min = 1))] u32),
    /// Log-normal, rounded to whole tokens and clamped.
    LogNormal {
        /// Half of all lengths are shorter.
        #[schemars(range(min = 1))]
        median: f64,
        /// Standard deviation of the logarithm of the length.
        #[schemars(range(min = 0))]
        sigma: f64,
        /// The shortest. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        min: u32,
        /// The longest. Default 32,768.
        #[serde(default = "default_max_tokens")]
        #[schemars(range(min = 1))]
        max: u32,
    },
    /// Geometric on 1, 2, 3, …
    Geometric {
        /// The mean, at least 1.
        #[schemars(range(min = 1))]
        mean: f64,
    },
    /// `(length, weight)`: each length in proportion to its weight.
    Empirical(#[schemars(length(min = 1))] Vec<(u32, f64)>),
}

fn default_max_tokens() -> u32 {
    32_768
}

/// A scripted control-plane action.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// When, in seconds. Required.
    pub at: SimTime,
    /// What. Required.
    pub action: Verb,
}

/// A scaling verb with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Verb {
    /// A new server with one new instance on it.
    ScaleUpFull {
        /// Whose instance. Required.
        application: String,
        /// Which template. Required.
        role: Role,
        /// Which SKU. Default: the first of the fleet.
        #[serde(default)]
        sku: Option<String>,
        /// A label kept on the instance. Default none.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Drains an instance, retires it, and removes its server when that is left empty.
    ScaleDownFull {
        /// The instance's number. Required.
        instance: u64,
    },
    /// A new server with nothing on it.
    ScaleUpServer {
        /// Which SKU. Default: the first of the fleet.
        #[serde(default)]
        sku: Option<String>,
    },
    /// Removes an empty server.
    ScaleDownServer {
        /// The server's number. Required.
        server: u64,
    },
    /// A new instance on a server that is there.
    ScaleUpInstance {
        /// Whose instance. Required.
        application: String,
        /// Which template. Required.
        role: Role,
        /// The server's number. Required.
        server: u64,
        /// Positions of the processors on the server. Default: the first that are free.
        #[serde(default)]
        processors: Option<Vec<u32>>,
        /// A label kept on the instance. Default none.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Drains and retires an instance; its server stays.
    ScaleDownInstance {
        /// The instance's number. Required.
        instance: u64,
    },
    /// Gives up an instance that is not up yet.
    CancelScaleUp {
        /// The instance's number. Required.
        instance: u64,
    },
}

/// A scripted fault.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in seconds. Required.
    pub at: SimTime,
    /// What. Required.
    pub fault: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum FaultKind {
    /// No server can be created for a while.
    NoNewServers {
        /// Which SKU. Default: any.
        #[serde(default)]
        sku: Option<String>,
        /// For how many seconds. Required.
        duration: SimDuration,
    },
    /// An instance is gone at once; its work is put back.
    InstanceCrash {
        /// The instance's number. Required.
        instance: u64,
    },
    /// A server is gone at once, with every instance on it.
    ServerCrash {
        /// The server's number. Required.
        server: u64,
    },
}

impl Scheduler {
    /// Bandwidth of KV-cache transfers in GiB/s, where it pairs instances that may differ.
    #[must_use]
    pub const fn transfer_gib_per_s(&self) -> Option<f64> {
        match *self {
            Self::RoundRobin | Self::Random | Self::Jsq | Self::TokenJsq => None,
            Self::KvRoundRobin { transfer_gib_per_s }
            | Self::KvJsq { transfer_gib_per_s }
            | Self::KvTokenJsq { transfer_gib_per_s }
            | Self::MixedPool {
                transfer_gib_per_s, ..
            } => Some(transfer_gib_per_s),
        }
    }

    /// Whether a prompt goes to a `Prompt` instance and its tokens to a `Token` instance, always.
    #[must_use]
    pub const fn pairs_prompt_and_token(&self) -> bool {
        matches!(
            self,
            Self::KvRoundRobin { .. } | Self::KvJsq { .. } | Self::KvTokenJsq { .. }
        )
    }
}
