//! How applications share the servers of a fleet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

/// How applications share servers. An instance that a policy wants and that fits nowhere waits for a place; it
/// counts as one that starts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Who adds and removes servers. Default `WithInstances()`.
    pub servers: ServerScaling,
    /// What an instance that fits nowhere does to those of applications with a lower `priority`. Default `Never`.
    pub preemption: Preemption,
    /// The most processors of all instances together. What policies want beyond it is cut: minima first, then by
    /// priority, within one in proportion to what is wanted. Default: no limit.
    pub budget: Option<u32>,
}

/// Who adds and removes servers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum ServerScaling {
    /// Servers come and go with instances: one that fits nowhere brings a server, the last one takes it along.
    WithInstances {
        /// Seconds after which a server that could not be had is asked for again. Default 10.
        #[serde(default = "ten")]
        #[schemars(range(min = 0.001))]
        retry: SimDuration,
    },
    /// Nobody: the servers at time zero are those there are.
    Fixed,
    /// As the Kubernetes cluster-autoscaler: looks at each interval, adds servers for instances that wait, and removes
    /// servers that were not needed for a while.
    ClusterAutoscaler {
        /// Seconds between two looks. Default 10.
        #[serde(default = "ten")]
        #[schemars(range(min = 0.001))]
        scan_interval: SimDuration,
        /// A server is not needed when less than this share of its processors is in use and its instances fit
        /// elsewhere. Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(min = 0, max = 1))]
        utilization_threshold: f64,
        /// Seconds for which a server must not have been needed. Default 600.
        #[serde(default = "ten_minutes")]
        unneeded_time: SimDuration,
        /// Seconds after an addition without removals. Default 600.
        #[serde(default = "ten_minutes")]
        delay_after_add: SimDuration,
        /// Seconds after which a server that is still not there is given up. Default 900.
        #[serde(default = "quarter_hour")]
        max_provision_time: SimDuration,
        /// Seconds for which a SKU is left alone after a server of it could not be had. Twice as many after each
        /// further failure. Default 300.
        #[serde(default = "five_minutes")]
        initial_backoff: SimDuration,
        /// The most of them. Default 1800.
        #[serde(default = "half_hour")]
        max_backoff: SimDuration,
        /// Seconds without a failure after which it begins anew. Default 10800.
        #[serde(default = "three_hours")]
        backoff_reset: SimDuration,
        /// The most empty servers that one look removes. Default 10.
        #[serde(default = "ten_servers")]
        #[schemars(range(min = 1))]
        max_empty_removals: u32,
        /// The most seconds that a removed server's instances drain. Default 600.
        #[serde(default = "ten_minutes")]
        termination: SimDuration,
        /// Servers of each SKU that always stay. Default 0.
        #[serde(default)]
        min_servers: u32,
    },
    /// As Karpenter: adds servers for instances that wait, a batch at a time, and consolidates: removes servers whose
    /// instances fit elsewhere, and replaces them by cheaper ones.
    Karpenter {
        /// Seconds without another instance that waits, after which a batch is served. Default 1.
        #[serde(default = "one_second")]
        batch_idle: SimDuration,
        /// The most seconds that a batch waits. Default 10.
        #[serde(default = "ten")]
        batch_max: SimDuration,
        /// Which servers are consolidated. Default `WhenEmptyOrUnderutilized`.
        #[serde(default)]
        consolidation: Consolidation,
        /// Seconds from the last instance that came to a server or left it, until the server is consolidated. Default 0.
        #[serde(default)]
        consolidate_after: SimDuration,
        /// Seconds between two looks. Default 10.
        #[serde(default = "ten")]
        #[schemars(range(min = 0.001))]
        poll_interval: SimDuration,
        /// The most servers that may be on their way out at once. Default `Share(0.1)`.
        #[serde(default)]
        budget: Disruption,
    },
}

impl Default for ServerScaling {
    fn default() -> Self {
        Self::WithInstances { retry: ten() }
    }
}

/// Which servers Karpenter consolidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Consolidation {
    /// Those without instances.
    WhenEmpty,
    /// Those without instances, and those whose instances fit elsewhere.
    #[default]
    WhenEmptyOrUnderutilized,
}

/// How many servers may be on their way out at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Disruption {
    /// This share of all servers, rounded up.
    Share(#[schemars(range(min = 0, max = 1))] f64),
    /// This many.
    Servers(u32),
}

impl Default for Disruption {
    fn default() -> Self {
        Self::Share(0.1)
    }
}

/// What an instance that fits nowhere does to those of applications with a lower priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Preemption {
    /// Nothing.
    #[default]
    Never,
    /// They drain on the server where that costs the least: lowest priority first, then fewest, then newest.
    Drain {
        /// The most seconds that they drain; with 0 their work is put back at once. Default: as long as their
        /// application's rules say.
        #[serde(default)]
        within: Option<SimDuration>,
    },
}

const fn one_second() -> SimDuration {
    SimDuration::saturating(1.0)
}

const fn ten() -> SimDuration {
    SimDuration::saturating(10.0)
}

const fn five_minutes() -> SimDuration {
    SimDuration::saturating(300.0)
}

const fn ten_minutes() -> SimDuration {
    SimDuration::saturating(600.0)
}

const fn quarter_hour() -> SimDuration {
    SimDuration::saturating(900.0)
}

const fn half_hour() -> SimDuration {
    SimDuration::saturating(1800.0)
}

const fn three_hours() -> SimDuration {
    SimDuration::saturating(10_800.0)
}

const fn ten_servers() -> u32 {
    10
}

const fn half() -> f64 {
    0.5
}
