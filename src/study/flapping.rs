use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::autoscale::Decision;
use crate::scenario::Role;
use crate::time::SimTime;

/// How often the scaling of one role of an application turned round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleFlapping {
    /// The application's name.
    pub application: String,
    /// The role.
    pub role: Role,
    /// Decisions that took away after additions, or added after removals, each counted once. A
    /// decision's direction is that of what was done: start-ups begun − start-ups given up − drains
    /// begun. Decisions that did nothing do not count and do not interrupt.
    pub direction_changes: u64,
    /// The same per hour of the run.
    pub per_hour: f64,
}

/// How often the scaling turned round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flapping {
    /// Direction changes per hour of the role that had the most; 0 without decisions. A sum over
    /// roles would count a policy twice that moves two of them together.
    pub per_hour: f64,
    /// Each role of which something was decided, by application and role.
    pub roles: Vec<RoleFlapping>,
}

/// The direction in which each role was last changed, and how often that turned.
#[derive(Clone, Debug, Default)]
pub(super) struct Directions(BTreeMap<(Arc<str>, Role), (Option<Ordering>, u64)>);

impl Directions {
    /// Takes in what was decided, in order.
    pub(super) fn note(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            let key = (Arc::clone(&decision.application), decision.role);
            let (last, changes) = self.0.entry(key).or_default();
            let direction = decision
                .started
                .cmp(&(decision.cancelled + decision.drained));
            if direction == Ordering::Equal {
                continue;
            }
            *changes += u64::from(last.is_some_and(|last| last != direction));
            *last = Some(direction);
        }
    }

    /// Sums up a run that ended at this instant.
    pub(super) fn flapping(self, end: SimTime) -> Flapping {
        let per_hour = |changes: u64| match end.seconds() {
            0.0 => 0.0,
            seconds => changes as f64 * 3600.0 / seconds,
        };
        let roles = self.0.into_iter();
        let roles: Vec<_> = roles
            .map(|((application, role), (_, changes))| RoleFlapping {
                application: application.to_string(),
                role,
                direction_changes: changes,
                per_hour: per_hour(changes),
            })
            .collect();
        Flapping {
            per_hour: roles.iter().map(|of| of.per_hour).fold(0.0, f64::max),
            roles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(role: Role, started: u32, cancelled: u32, drained: u32) -> Decision {
        Decision {
            time: SimTime::ZERO,
            application: "chat".into(),
            policy: "Test",
            role,
            scaling_up: 0,
            active: 0,
            draining: 0,
            desired: 0,
            started,
            cancelled,
            drained,
            refused: 0,
            reason: String::new(),
        }
    }

    #[test]
    fn a_change_of_direction_is_counted_by_role_and_idle_decisions_are_not() {
        let mut directions = Directions::default();
        directions.note(&[
            decision(Role::Token, 2, 0, 0),
            decision(Role::Prompt, 0, 0, 0),
            decision(Role::Token, 0, 0, 0),
            decision(Role::Token, 1, 0, 0),
            decision(Role::Prompt, 0, 0, 1),
            decision(Role::Token, 0, 1, 1),
            decision(Role::Token, 0, 0, 0),
        ]);
        directions.note(&[decision(Role::Token, 3, 0, 0)]);
        let flapping = directions.flapping(SimTime::saturating(1800.0));
        let roles: Vec<_> = flapping
            .roles
            .iter()
            .map(|of| (of.role, of.direction_changes, of.per_hour))
            .collect();
        assert_eq!(roles, [(Role::Prompt, 0, 0.0), (Role::Token, 2, 4.0)]);
        assert_eq!(flapping.per_hour, 4.0);
        assert_eq!(Directions::default().flapping(SimTime::ZERO).per_hour, 0.0);
    }
}
