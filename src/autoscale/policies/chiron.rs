use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::carried_over::Rules;
use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InstanceSnapshot, InvalidParameter, Policy, Signals};
use crate::fleet::InstanceStatus;
use crate::time::SimDuration;

/// Keeps a share of a role's instances without requests, as room for what comes: Chiron's global
/// autoscaler for interactive requests.
///
/// The interactive backpressure is the share of the active instances that have requests. Above
/// `backpressure`, one more; otherwise one fewer, at every decision: it takes one away and adds it again
/// without end. With `rules: Mended` one fewer only where its removal would not exceed the threshold.
/// While an instance starts up, nothing changes.
///
/// | | |
/// |---|---|
/// | inputs | which of the active instances have a request |
/// | window | the instant of the decision |
/// | current | active; while one starts up, nothing changes |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: "Chiron" (arXiv 2501.08090), in the form of code that follows the paper: `ChironArbiter` in
/// `arbiter.py` of shashwatj07/SageServe, commit 0b95ca2d of June 2026.
///
/// What is simplified: fleetsim has no batch requests, so all are interactive and there are no batch
/// instances to add for a deadline. Interactive and mixed instances are those of one role, each role by
/// itself. The local autoscaler, which sets the size of the batch by the backpressure of latency, is
/// not there: a batch is as large as the instance's engine has it. A scheduler that spreads requests
/// over all instances makes every one of them busy; the share is only telling under one that packs
/// them, or with few requests for each instance.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chiron {
    /// Seconds between decisions. Default 5: the code decides on every arrival, the paper gives none.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The share of instances with requests to stay below. Default 0.6, of the code.
    #[schemars(range(min = 0.01, max = 1))]
    pub backpressure: f64,
    /// Which form of the rule holds. Default `AsPublished`.
    pub rules: Rules,
    /// Minimum number of instances of a role. Default 2, below which the code never goes.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
}

impl Default for Chiron {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            backpressure: 0.6,
            rules: Rules::AsPublished,
            min: 2,
            max: 100,
        }
    }
}

impl Policy for Chiron {
    const NAME: &'static str = "Chiron";
    const SUMMARY: &'static str = "a share of the instances without requests, as room";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let busy = |it: &&InstanceSnapshot| {
                it.status == InstanceStatus::Active && it.load.assigned > 0
            };
            let busy = of.instances.iter().filter(busy).count() as f64;
            let measured = of.measured;
            let exceeded = |count: u32| busy / f64::from(count) > self.backpressure;
            let by = if of.scaling_up() > 0 {
                0
            } else if measured > 0 && exceeded(measured) {
                1
            } else if measured == 0 || self.rules == Rules::Mended && exceeded(measured - 1) {
                0
            } else {
                -1
            };
            let count = of.current().saturating_add_signed(by);
            let reason = format!("{busy} of {measured} have requests");
            desired.exactly(of.role, self.bounds().clamp(count), reason);
        }
    }
}
