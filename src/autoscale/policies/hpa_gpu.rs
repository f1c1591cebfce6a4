use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::time::SimDuration;

/// Every role by its own utilisation, as a horizontal pod autoscaler on a GPU metric would.
///
/// The ratio of a role is its utilisation over the target. If any role's ratio is above 1.1, those
/// above 1 grow to current × ratio; only if all are below 0.9 do they shrink to it. Utilisation is
/// memory in use, which hardly falls with the load: a decode pool never shrinks under it. Nor does it say how
/// many wait: they hold none.
///
/// | | |
/// |---|---|
/// | inputs | memory in use and memory of the active instances |
/// | window | the instant of the decision |
/// | current | starting up and active; those that start up count with a utilisation of 0 |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: the version that fleetsim carries over, a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559).
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HpaGpu {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The utilisation to keep. Default 0.7.
    #[schemars(range(min = 0.01, max = 1))]
    pub target: f64,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
}

impl Default for HpaGpu {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            target: 0.7,
            min: 1,
            max: 100,
        }
    }
}

impl Policy for HpaGpu {
    const NAME: &'static str = "HpaGpu";
    const SUMMARY: &'static str = "each role by its memory in use, as a pod autoscaler would";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let wanted =
            |of: &RoleSnapshot| f64::from(of.active) * of.load.memory_share() / self.target;
        let above = |of: &RoleSnapshot| wanted(of) > 1.1 * f64::from(of.current());
        let below = |of: &RoleSnapshot| wanted(of) < 0.9 * f64::from(of.current());
        let out = signals.roles().any(above);
        let shrink = signals.roles().all(below);
        for of in signals.roles() {
            let reason = format!("{:.2} instances at the target", wanted(of));
            let current = of.current();
            let count = round_up(wanted(of));
            let count = match (out, shrink) {
                (true, _) => count.max(current),
                (_, true) => count.min(current),
                _ => current,
            };
            desired.exactly(of.role, count.clamp(self.min, self.max), reason);
        }
    }
}
