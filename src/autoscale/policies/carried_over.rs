//! What the policies of the version that fleetsim carries over share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscale::{DesiredInstances, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// Which form of its rule a policy follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rules {
    /// As its source has it, faults included.
    #[default]
    AsPublished,
    /// With the faults mended that the policy's page names.
    Mended,
}

/// What a policy by latency does when there is no traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Idle {
    /// It goes to its minimum at once.
    #[default]
    ToMinimum,
    /// As its source has it.
    AsPublished,
}

/// Whether no request arrived within the window, none was completed in it and none is there.
pub(super) fn is_idle(signals: &Signals, window: SimDuration) -> bool {
    let there = |of: &RoleSnapshot| of.load.assigned + of.draining_load.assigned > 0;
    signals.arrivals_per_s(window) <= 0.0
        && signals.completed(window) == 0
        && signals.snapshot().waiting == 0
        && !signals.roles().any(there)
}

/// The number that a role is compared with: one at least, as the source counts a role without any.
pub(super) fn at_least_one(of: &RoleSnapshot) -> f64 {
    f64::from(of.current().max(1))
}

/// Sets every role to what it needs if any needs over `1 + out` times what it has, or if all need under
/// `1 - into` times that, in its whole number nearest to it.
pub(super) struct ByRatios<'a> {
    /// The instances needed by each role.
    pub(super) needed: Vec<(&'a RoleSnapshot, f64)>,
    pub(super) out_threshold: f64,
    pub(super) in_threshold: f64,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl ByRatios<'_> {
    /// Whether any role needs more than the band allows.
    pub(super) fn is_short(&self) -> bool {
        let over = 1.0 + self.out_threshold;
        self.needed
            .iter()
            .any(|(of, it)| it / at_least_one(of) > over)
    }

    /// Whether all roles need less than the band allows.
    pub(super) fn is_ample(&self) -> bool {
        let under = 1.0 - self.in_threshold;
        self.needed
            .iter()
            .all(|(of, it)| it / at_least_one(of) < under)
    }

    /// Sets all roles if `change`, and leaves them as they are otherwise.
    pub(super) fn decide(&self, change: bool, desired: &mut DesiredInstances) {
        for &(of, needed) in &self.needed {
            let reason = format!("{needed:.2} instances at the target");
            let count = if change {
                // Only token instances have a minimum in the source.
                let min = if of.role == Role::Prompt { 0 } else { self.min };
                (needed.round_ties_even() as u32).clamp(min.min(self.max), self.max)
            } else {
                of.current().max(1)
            };
            desired.exactly(of.role, count, reason);
        }
    }
}
