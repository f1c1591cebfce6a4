use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::saved::saved_whole;
use super::{Metric, check_band};
use crate::autoscale::{DesiredInstances, InvalidParameter, Measure, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// One instance more or fewer as the memory in use of a role leaves a band, one action at a time: the
/// reactive policy that SageServe is compared with.
///
/// | | |
/// |---|---|
/// | inputs | memory in use and memory of the active instances, weights included |
/// | window | the instant of the decision |
/// | current | starting up and active; while one starts up, nothing changes |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `arbiter.py` of shashwatj07/SageServe, commit 0b95ca2d of June 2026. There it runs on every
/// arrival, and an action is in flight for as long as it takes: 155 s to spin up, 65 s to reclaim a
/// spot instance, 0 to spin down. Here an addition is in flight while it starts up, however long the
/// scenario makes that, and a removal is over at once. Spot instances are not simulated.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SageServeReactive {
    /// Seconds between decisions. Default 5: there is no figure in the source, which decides on every
    /// arrival.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// One more above this share of the memory. Default 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub up: f64,
    /// One fewer below this share of the memory. Default 0.25.
    #[schemars(range(min = 0, max = 1))]
    pub down: f64,
    /// Minimum number of instances of a role. Default 2, below which the source never goes.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
}

impl Default for SageServeReactive {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            up: 0.5,
            down: 0.25,
            min: 2,
            max: 100,
        }
    }
}

impl Policy for SageServeReactive {
    const NAME: &'static str = "SageServeReactive";
    const SUMMARY: &'static str = "one more or fewer by the memory in use, one action at a time";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_band(("down", self.down), ("up", self.up))?;
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Memory)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let share = of.load.memory_share();
            let (by, flight) = if of.scaling_up() > 0 {
                (0, ", in flight")
            } else if share > self.up {
                (1, "")
            } else if share < self.down {
                (-1, "")
            } else {
                (0, "")
            };
            let count = of.current().saturating_add_signed(by);
            let reason = format!("memory {share:.3}{flight}");
            desired.exactly(of.role, self.bounds().clamp(count), reason);
        }
    }
}
