use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::time::SimDuration;

/// Every role in steps of a factor, by a latency against its target.
///
/// Above 1.2 × the target, × 1.2; above 1.1 ×, × 1.1; below 0.9 ×, × 0.95. Latency says nothing of how far
/// away the cliff is: it takes away until it is over the edge.
///
/// | | |
/// |---|---|
/// | inputs | mean TTFT, TBT or E2E of the requests completed; with none, nothing changes |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | up on the way up, down on the way down |
/// | first decision | one interval after the start |
///
/// Source: the version that fleetsim carries over.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyBased {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The mean of which latency. Default `Ttft`.
    pub metric: Latency,
    /// Its target, in seconds. Default 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
}

impl Default for LatencyBased {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            metric: Latency::Ttft,
            target: 1.0,
            min: 1,
            max: 100,
        }
    }
}

impl Policy for LatencyBased {
    const NAME: &'static str = "LatencyBased";
    const SUMMARY: &'static str = "each role times a factor as a latency leaves its target";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let measured = signals.mean(self.metric, self.interval);
        let reason = match measured {
            Some(value) => format!("{:?} {value:.4} s", self.metric),
            None => "nothing completed".to_owned(),
        };
        let ratio = measured.map_or(1.0, |value| value / self.target);
        for of in signals.roles() {
            let current = f64::from(of.current());
            let count = if ratio > 1.2 {
                round_up(current * 1.2)
            } else if ratio > 1.1 {
                round_up(current * 1.1)
            } else if ratio < 0.9 {
                (current * 0.95) as u32
            } else {
                of.current()
            };
            desired.exactly(of.role, count.clamp(self.min, self.max), reason.clone());
        }
    }
}
