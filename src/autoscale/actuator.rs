//! The rules by which what a policy wants is carried out: limits, cool-downs, steps.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::scenario;
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// How an application's desires are carried out, and when its roles last changed.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Actuator {
    pub(super) settings: scenario::Actuator,
    pub(super) changed: BTreeMap<Role, Changed>,
}

/// When a role was last changed by the actuator.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Changed {
    pub(super) up: Option<SimTime>,
    pub(super) any: Option<SimTime>,
}

impl Actuator {
    /// One that has done nothing yet.
    #[must_use]
    pub const fn new(settings: scenario::Actuator) -> Self {
        Self {
            settings,
            changed: BTreeMap::new(),
        }
    }
}

/// The change of a role's instances, after every rule was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) up: u32,
    pub(super) down: u32,
    pub(super) refused: u32,
    pub(super) because: Option<&'static str>,
}

impl Plan {
    const NOTHING: Self = Self {
        up: 0,
        down: 0,
        refused: 0,
        because: None,
    };
}

/// A change of a role on one SKU.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) sku: usize,
    pub(super) by: i32,
}

impl Actuator {
    /// The plans for changes on several SKUs: all additions together are one change of the role, and then all
    /// removals are.
    pub(super) fn plan_on_skus(
        &self,
        role: Role,
        current: u32,
        changes: &[Change],
        now: SimTime,
    ) -> Vec<(Option<usize>, Plan)> {
        let sum = |way: fn(i32) -> bool| {
            let some = changes.iter().map(|it| it.by).filter(|&by| way(by));
            some.fold(0, i32::saturating_add)
        };
        let more = current.saturating_add_signed(sum(i32::is_positive));
        let up = self.plan(role, current, more, now);
        let there = current.saturating_add(up.up);
        let fewer = there.saturating_add_signed(sum(i32::is_negative));
        let down = self.plan(role, there, fewer, now);
        let mut steps = Vec::new();
        let (mut up_left, mut down_left) = (up.up, down.down);
        for &Change { sku, by } in changes {
            let step = Plan {
                up: up_left.min(by.max(0).unsigned_abs()),
                down: down_left.min(by.min(0).unsigned_abs()),
                ..Plan::NOTHING
            };
            up_left -= step.up;
            down_left -= step.down;
            steps.push((Some(sku), step));
        }
        let refusals = [up, down].map(|it| Plan {
            up: 0,
            down: 0,
            ..it
        });
        steps.extend(refusals.map(|it| (None, it)));
        steps
    }

    pub(super) fn plan(&self, role: Role, current: u32, desired: u32, now: SimTime) -> Plan {
        let limits = self.settings.limits(role);
        let most = limits.max.unwrap_or(u32::MAX);
        let changed = self.changed.get(&role).copied().unwrap_or_default();
        let resting = |since: Option<SimTime>, cooldown: SimDuration| {
            since.is_some_and(|since| now < since + cooldown)
        };
        // A limit never turns a wish for more into fewer, or the other way round.
        let allowed = desired.clamp(limits.min, most);
        let (wanted, allowed, step, rests, limit, cooling) = if desired > current {
            (
                desired - current,
                allowed.saturating_sub(current),
                self.settings.max_up,
                resting(changed.up, self.settings.up_cooldown),
                "at the maximum",
                "cooling down after an addition",
            )
        } else {
            (
                current - desired,
                current.saturating_sub(allowed),
                self.settings.max_down,
                resting(changed.any, self.settings.down_cooldown),
                "at the minimum",
                "cooling down after a change",
            )
        };
        let (done, because) = if rests {
            (0, Some(cooling))
        } else if step.is_some_and(|step| step < allowed) {
            (step.unwrap_or(allowed), Some("one step at a time"))
        } else {
            (allowed, Some(limit))
        };
        // What is missing from the minimum waits for nothing.
        let missing = limits.min.min(desired).saturating_sub(current);
        let done = done.max(missing);
        let refused = wanted - done.min(wanted);
        let (up, down) = if desired > current {
            (done, 0)
        } else {
            (0, done)
        };
        Plan {
            up,
            down,
            refused,
            because: because.filter(|_| refused > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(settings: scenario::Actuator, current: u32, desired: u32) -> (u32, u32, u32) {
        let plan = Actuator::new(settings).plan(Role::Mixed, current, desired, SimTime::ZERO);
        (plan.up, plan.down, plan.refused)
    }

    fn limits(min: u32, max: u32) -> scenario::Actuator {
        let max = Some(max);
        scenario::Actuator {
            mixed: scenario::Limits { min, max },
            ..scenario::Actuator::default()
        }
    }

    #[test]
    fn limits_cut_what_is_wanted_and_never_turn_it_round() {
        assert_eq!(plan(limits(2, 5), 3, 9), (2, 0, 4));
        assert_eq!(plan(limits(2, 5), 3, 0), (0, 1, 2));
        assert_eq!(plan(limits(2, 5), 7, 9), (0, 0, 2));
        assert_eq!(plan(limits(2, 5), 1, 0), (0, 0, 1));
        assert_eq!(plan(limits(0, 5), 1, 0), (0, 1, 0));
        assert_eq!(plan(limits(2, 5), 1, 1), (0, 0, 0));
    }

    #[test]
    fn a_decision_changes_no_more_than_a_step() {
        let steps = scenario::Actuator {
            max_up: Some(2),
            max_down: Some(1),
            ..scenario::Actuator::default()
        };
        assert_eq!(plan(steps.clone(), 3, 9), (2, 0, 4));
        assert_eq!(plan(steps.clone(), 9, 3), (0, 1, 5));
        assert_eq!(plan(steps, 3, 5), (2, 0, 0));
    }

    #[test]
    fn the_minimum_waits_for_no_step_and_no_cooldown() {
        let mut settings = limits(3, 9);
        settings.max_up = Some(1);
        settings.up_cooldown = SimDuration::saturating(60.0);
        assert_eq!(plan(settings.clone(), 0, 5), (3, 0, 2));
        let mut actuator = Actuator::new(settings);
        actuator.changed.entry(Role::Mixed).or_default().up = Some(SimTime::ZERO);
        let plan = actuator.plan(Role::Mixed, 1, 3, SimTime::ZERO);
        assert_eq!((plan.up, plan.refused), (2, 0));
    }
}
