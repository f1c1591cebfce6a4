//! Regions: fleets in several places that serve the same applications.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Fault, FleetEntry, Hazard, PowerCap, Quota, RawPolicy, Scaling, Template, Workload,
};
use crate::time::SimDuration;

/// A region: servers of its own, on which every application of the scenario is served, and users of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Unique in the scenario, without slashes. Required.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its SKUs, as the `fleet` of a scenario without regions. Required.
    #[schemars(length(min = 1))]
    pub fleet: Vec<FleetEntry>,
    /// Requests of its users, as a multiple of each workload: of a generator's rate; of a trace, the probability
    /// with which its users send a request, at most 1. Default 1.
    #[serde(default = "whole")]
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub share: f64,
    /// Seconds by which the day of its users is later than in each workload; earlier, if negative. It moves the shape
    /// of a generator. Default 0.
    #[serde(default)]
    pub shift: f64,
    /// What is different here about applications of the scenario. Default: nothing.
    #[serde(default)]
    pub applications: Vec<RegionalApplication>,
    /// Scripted actions in this region. Default none.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Scripted faults in this region. Default none.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What goes wrong at random in this region. Default nothing.
    #[serde(default)]
    pub hazards: Vec<Hazard>,
    /// The most processors that servers of several SKUs may have together in this region. Default: no quota.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// The most power that the servers of this region may draw together. Default: no cap.
    #[serde(default)]
    pub power_cap: Option<PowerCap>,
}

/// What is different about an application in a region. What is not named is as in the scenario.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionalApplication {
    /// Which application of the scenario. Required.
    pub name: String,
    /// Its instance templates here. Default: those of the scenario.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub instances: Option<Vec<Template>>,
    /// Its delays and drain rules here. Default: those of the scenario.
    #[serde(default)]
    pub scaling: Option<Scaling>,
    /// Its policy here, kept as written. Default: that of the scenario.
    #[serde(default)]
    pub autoscaler: Option<RawPolicy>,
    /// The requests of its users here; `share` and `shift` do not apply to it. Default: that of the scenario.
    #[serde(default)]
    pub workload: Option<Workload>,
}

/// Which region serves a request: chosen at the instant at which its user sends it, with every region as it
/// is at that instant. A region counts as far as it has an active instance of the application; where none has,
/// the request waits in the region of its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum RegionRouting {
    /// The nearest: that of the user, unless it has no active instance.
    #[default]
    Nearest,
    /// That with the fewest requests for each active instance; of equal ones, the nearest. Requests that wait and
    /// those on their way count.
    LeastLoaded,
    /// The nearest with fewer requests for each active instance than the threshold; where none has, the nearest.
    Spill {
        /// Requests for each active instance. Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        threshold: f64,
    },
}

/// How far two regions are from each other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionLatency {
    /// The names of the two. Required.
    pub between: (String, String),
    /// Seconds one way, the same in both directions: a request takes it on its way to the region that serves it, and
    /// so does each token on its way back. Required.
    pub one_way: SimDuration,
}

const fn whole() -> f64 {
    1.0
}
