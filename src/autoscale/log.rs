use std::sync::Arc;

use bevy_ecs::prelude::{Component, Query, Res};
use serde::{Deserialize, Serialize};

use crate::fleet::Retention;
use crate::serving::Role;
use crate::snapshot::name::Name;
use crate::time::SimTime;

/// One row of `decisions.csv`: what a policy wanted of a role, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub time: SimTime,
    /// The application's name.
    pub application: Arc<str>,
    /// The policy's name.
    #[serde(with = "crate::snapshot::name")]
    pub policy: Name,
    /// The role.
    pub role: Role,
    /// Instances that started up, before it was carried out.
    pub scaling_up: u32,
    /// Instances that were active, before it was carried out.
    pub active: u32,
    /// Instances that drained, before it was carried out.
    pub draining: u32,
    /// How many the policy wanted to start up or be active; the minimum where there were fewer and it
    /// wanted no more.
    pub desired: u32,
    /// Start-ups begun.
    pub started: u32,
    /// Start-ups given up.
    pub cancelled: u32,
    /// Drains begun.
    pub drained: u32,
    /// Instances wanted, or wanted away, that were neither: by a limit, a cool-down, a fault.
    pub refused: u32,
    /// Why the policy wanted it; where something was refused, why, after a semicolon.
    pub reason: String,
}

/// What the policies of a fleet decided, in order, until somebody drains it.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct DecisionLog {
    decisions: Vec<Decision>,
}

impl DecisionLog {
    /// What has not been drained.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Takes what there is, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Decision> {
        self.decisions.drain(..)
    }

    /// Drops the decisions of the tick before, where they are kept no longer.
    pub(super) fn forget(retention: Res<'_, Retention>, mut logs: Query<'_, '_, &mut Self>) {
        if *retention == Retention::OneTick {
            for mut log in &mut logs {
                log.decisions.clear();
            }
        }
    }

    pub(super) fn push(&mut self, decision: Decision) {
        self.decisions.push(decision);
    }
}
