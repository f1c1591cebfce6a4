//! What goes wrong at random, again and again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PurchaseOption;
use crate::random::Delay;
use crate::time::{SimDuration, SimTime};

/// Something that goes wrong at random, again and again. Each target has a clock and random numbers of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hazard {
    /// What happens. Required.
    pub strikes: Strike,
    /// Seconds from a target being up, or having been struck, until it is struck. A target is a server, an
    /// instance or a zone, as `strikes` says. Required.
    pub every: Delay,
    /// Servers of this SKU alone, and instances on them. Default: any.
    #[serde(default)]
    pub sku: Option<String>,
    /// Servers of this zone alone, and instances on them; the zone itself. Default: any.
    #[serde(default)]
    pub zone: Option<String>,
    /// Servers that are bought so alone, and instances on them. Default: any.
    #[serde(default)]
    pub purchase: Option<PurchaseOption>,
    /// Instances of this application alone. Default: any.
    #[serde(default)]
    pub application: Option<String>,
    /// When the clocks begin, in seconds. Default 0.
    #[serde(default)]
    pub from: SimTime,
    /// When it is over, in seconds. Default: never.
    #[serde(default)]
    pub until: Option<SimTime>,
}

/// What a hazard does to its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Strike {
    /// A server is gone at once, with every instance on it.
    ServerCrash {
        /// Seconds until a server with its disk and its instances comes back in its place. Default: never.
        #[serde(default)]
        repair: Option<Delay>,
    },
    /// A processor of a server is lost, chosen at random: its instance is gone at once. It starts again on free
    /// processors of the server, now or after the repair.
    ProcessorLost {
        /// Seconds until the processor can be used again. Default: never.
        #[serde(default)]
        repair: Option<Delay>,
    },
    /// An instance is gone at once.
    InstanceCrash {
        /// Whether it starts up again on its processors. Default true.
        #[serde(default = "yes")]
        restart: bool,
    },
    /// The steps of every instance on a server take longer for a while.
    SlowServer {
        /// By what they are multiplied, more than 1. Required.
        #[schemars(extend("exclusiveMinimum" = 1))]
        factor: f64,
        /// For how many seconds. Required.
        duration: Delay,
    },
    /// A processor of a server is slow for a while, chosen at random: the steps of its instance take longer.
    SlowProcessor {
        /// By what they are multiplied, more than 1. Required.
        #[schemars(extend("exclusiveMinimum" = 1))]
        factor: f64,
        /// For how many seconds. Required.
        duration: Delay,
    },
    /// A server is taken back: its instances drain until then, and then it is gone.
    SpotReclaim {
        /// Seconds from the notice until it is gone. Required.
        notice: SimDuration,
    },
    /// Every server of a zone is gone at once, and none can be created there for a while. They come back then,
    /// with their disks and their instances.
    ZoneOutage {
        /// For how many seconds. Required.
        duration: Delay,
    },
}

impl Strike {
    /// The name of the fault in `faults.csv`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ServerCrash { .. } => "server_crash",
            Self::ProcessorLost { .. } => "processor_lost",
            Self::InstanceCrash { .. } => "instance_crash",
            Self::SlowServer { .. } => "slow_server",
            Self::SlowProcessor { .. } => "slow_processor",
            Self::SpotReclaim { .. } => "spot_reclaim",
            Self::ZoneOutage { .. } => "zone_outage",
        }
    }
}

/// What becomes of requests whose instance is lost to a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum CrashPolicy {
    /// They begin again elsewhere, from the prompt.
    #[default]
    Retry,
    /// They have failed.
    Fail,
    /// They begin again unless they have begun again that often, for any reason; then they have failed.
    RetryAtMost(u32),
}

impl CrashPolicy {
    /// How often a request begins again at most; without end for `None`.
    #[must_use]
    pub const fn retries(self) -> Option<u32> {
        match self {
            Self::Retry => None,
            Self::Fail => Some(0),
            Self::RetryAtMost(most) => Some(most),
        }
    }
}

fn yes() -> bool {
    true
}
