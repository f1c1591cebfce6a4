//! What a scenario says, as plain data. Every field has its unit and its default beside it.

mod application;
mod calendar;
mod frontend;
mod hazards;
mod instances;
mod limits;
mod market;
mod open;
mod pool;
mod power;
mod presets;
mod region;
mod scheduler;
mod script;
mod slo;
mod stages;
mod start_up_failure;
mod start_ups;
mod stopped;
mod vllm;
mod vllm_config;
mod workload;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Delay;
use crate::time::{SimDuration, SimTime};

pub use application::{AllReduceTimes, Application, Performance, RawPolicy, ServerKind};
pub(crate) use calendar::Calendar;
pub use calendar::{Event, Weekday};
pub use frontend::Frontend;
pub use hazards::{CrashPolicy, Hazard, Strike};
pub use instances::{Drain, Engine, Role, Scaling, SchedulingPolicy, Start, Template};
pub use limits::{EngineLimits, KvMemory};
pub use market::{Availability, Purchase, PurchaseOption, Quota};
#[cfg(feature = "cli")]
pub(crate) use open::own_definitions;
pub use open::{OpenTerms, Term};
pub use pool::{Consolidation, Disruption, Pool, Preemption, ServerScaling};
pub use power::{BeyondPower, PowerCap};
pub use region::{Region, RegionLatency, RegionRouting, RegionalApplication};
pub use scheduler::Scheduler;
pub use script::{Action, Fault, FaultKind, Verb};
pub use slo::{Limit, Objective, Slo};
pub use stages::{Stage, StageKind, WeightSource};
pub use start_up_failure::{BackOff, StartUpFailure};
pub use start_ups::StartUpPreset;
pub use stopped::StoppedServers;
pub use vllm::{EngineHardware, vllm_defaults};
pub use vllm_config::{InvalidConfig, Misfit, VllmConfig};
pub use workload::{
    Arrivals, Lengths, Origin, Resample, Shape, SystemPrompts, TimeUnit, TraceFormat, Workload,
};

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
    /// The longest tick, in seconds, 0.001 or more. Default: unlimited, ticks end where something is due.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_tick: Option<SimDuration>,
    /// Seconds between two rows of `timeline.csv`. Default 10: fine enough to see a scale-up
    /// delay of 10 s, coarse enough that a day stays under 10,000 rows a role.
    #[serde(default = "default_sample_interval")]
    #[schemars(range(min = 0.001))]
    pub sample_interval: SimDuration,
    /// Percentiles of latencies in the table of a run and of a comparison and in `percentiles` of
    /// `summary.json`, at most five, rising. Default [50, 95, 99].
    #[serde(default = "default_percentiles")]
    #[schemars(length(min = 1))]
    pub percentiles: Vec<f64>,
    /// Catalog files on top of the built-in one, relative to the scenario file. Default none.
    #[serde(default)]
    pub catalog: Vec<PathBuf>,
    /// The servers there are and may be; the first SKU is the default for scale-up. Required, unless there are
    /// `regions`. Default none.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub fleet: Vec<FleetEntry>,
    /// The applications that requests target. Required.
    #[schemars(length(min = 1))]
    pub applications: Vec<Application>,
    /// How applications share servers. Default: each on its own; an instance that fits nowhere is refused.
    #[serde(default)]
    pub pool: Option<Pool>,
    /// Scripted control-plane actions. Default none.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Scripted faults. Default none.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What goes wrong at random. Default nothing.
    #[serde(default)]
    pub hazards: Vec<Hazard>,
    /// The most processors that servers of several SKUs may have together. Default: no quota.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// The most power that the servers may draw together. Default: no cap.
    #[serde(default)]
    pub power_cap: Option<PowerCap>,
    /// Regions instead of one `fleet`: in each, every application is served on servers of its own, and has users of
    /// its own. Default none.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// Which region serves a request. Default `Nearest`.
    #[serde(default)]
    pub region_routing: RegionRouting,
    /// How far regions are from each other; every two of them. Default none.
    #[serde(default)]
    pub region_latency: Vec<RegionLatency>,
}

impl Scenario {
    /// Whether faults are scripted, or come at random.
    pub(crate) const fn may_break(&self) -> bool {
        !self.faults.is_empty() || !self.hazards.is_empty()
    }

    /// Whether there may be something to write into `faults.csv`: faults, and start-ups that fail.
    pub(crate) fn tells_of_faults(&self) -> bool {
        let fails = |it: &Application| it.scaling.start_up_failure.is_some();
        self.may_break() || self.applications.iter().any(fails)
    }
}

/// The median, and what objectives are mostly about.
pub(crate) fn default_percentiles() -> Vec<f64> {
    vec![50.0, 95.0, 99.0]
}

fn default_sample_interval() -> SimDuration {
    SimDuration::saturating(10.0)
}

/// Servers of one SKU.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
    /// Whether its servers at time zero have everything on disk that start-ups of any application would fetch or
    /// make there; only with `stages`. A server that carries an instance then has what that needs. Default false.
    #[serde(default)]
    pub cached: bool,
    /// How many servers of it can be had at most from given seconds on, `[(from, at most), ..]`: a stock-out is
    /// `[(600, 2), (1800, 32)]`. What is there stays. Default: as many as the limit says.
    #[serde(default)]
    pub available: Vec<(SimTime, u32)>,
    /// Its zones: each new server goes to the one with the fewest of this SKU that is not out, the first of these.
    /// Default: none.
    #[serde(default)]
    pub zones: Vec<String>,
    /// How its servers are bought: a new server is bought in the first way with room, and gives that back when it
    /// goes. Those at time zero go by `most` alone. Default: at the price of the SKU in the catalog, any number.
    #[serde(default)]
    pub purchase: Vec<Purchase>,
    /// How many servers of it can be had at most in a zone or in one way to buy them, beside `available`. Default:
    /// as many as the rest allows.
    #[serde(default)]
    pub available_of: Vec<Availability>,
    /// Servers of it that are kept ready and empty, beside `count` and those in use: the next `ScaleUpFull` on the SKU takes
    /// one of them, and another is ordered in its place at once; so it is with one that an instance is placed on. They
    /// are paid for and count against the limit. Where none can be had, it is tried again each minute, and when a
    /// server of the SKU goes. Default 0.
    #[serde(default)]
    pub warm: u32,
    /// Servers that are removed are stopped with their disks instead, and not paid for. Default: they are gone.
    #[serde(default)]
    pub stopped: Option<StoppedServers>,
    /// Seconds that each server is paid for at least, from the order on; one that comes back from repair counts anew.
    /// Default 0: for its life.
    #[serde(default)]
    pub minimum_billing: SimDuration,
    /// Each server is paid for in whole steps of these seconds. Default 0: to the instant.
    #[serde(default)]
    pub billing_step: SimDuration,
}
