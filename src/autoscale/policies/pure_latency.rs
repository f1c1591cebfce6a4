use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_limits;
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::time::SimDuration;

/// Two more of every role when tokens come too slowly, one fewer when they come fast enough.
///
/// Above 1.1 × the objective of the mean time between tokens, +2; below 0.8 × the objective, −1. It
/// flaps: latency says nothing of how far away the cliff is.
///
/// | | |
/// |---|---|
/// | inputs | mean TBT of the requests completed; with none, nothing changes |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | none: whole steps |
/// | first decision | one interval after the start |
///
/// Source: the version that fleetsim carries over, a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559).
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PureLatency {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The objective of the mean time between tokens, in seconds. Default 0.04.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
}

impl Default for PureLatency {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            tbt: 0.04,
            min: 1,
            max: 100,
        }
    }
}

impl Policy for PureLatency {
    const NAME: &'static str = "PureLatency";
    const SUMMARY: &'static str = "two more or one fewer as the time between tokens leaves a band";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let tbt = signals.mean(Latency::Tbt, self.interval);
        let (by, reason) = match tbt {
            Some(tbt) if tbt > 1.1 * self.tbt => (2, format!("TBT {tbt:.4} s")),
            Some(tbt) if tbt < 0.8 * self.tbt => (-1, format!("TBT {tbt:.4} s")),
            Some(tbt) => (0, format!("TBT {tbt:.4} s")),
            None => (0, "nothing completed".to_owned()),
        };
        for of in signals.roles() {
            let count = of.current().saturating_add_signed(by);
            desired.exactly(of.role, count.clamp(self.min, self.max), reason.clone());
        }
    }
}
