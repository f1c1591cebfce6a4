use bevy_ecs::component::Component;
use bevy_ecs::prelude::{EntityWorldMut, Query, Res};

use super::{DesiredInstances, Policy, Signals};
use crate::fleet::{Agenda, Clock};
use crate::time::{SimDuration, SimTime};

/// The purpose for which an application is woken when its policy decides.
pub(super) struct Deciding;

/// When an application's policy decides, and what it decided last.
#[derive(Component, Debug)]
pub struct Decider {
    pub(super) policy: &'static str,
    interval: SimDuration,
    /// Decisions whose time has passed.
    passed: u32,
    /// What was decided in this tick.
    pub(super) decided: Option<DesiredInstances>,
    /// Takes the policy off the application.
    remove: fn(&mut EntityWorldMut<'_>),
}

impl Decider {
    pub(super) const fn new<P: Policy>(interval: SimDuration) -> Self {
        Self {
            policy: P::NAME,
            interval,
            passed: 0,
            decided: None,
            remove: |application| {
                application.remove::<P>();
            },
        }
    }

    /// What takes the policy off the application.
    pub(super) const fn remover(&self) -> fn(&mut EntityWorldMut<'_>) {
        self.remove
    }

    /// The policy's name.
    #[must_use]
    pub const fn policy(&self) -> &'static str {
        self.policy
    }

    /// The instant of the next decision: a whole number of intervals after the start.
    #[must_use]
    pub fn next(&self) -> SimTime {
        SimTime::ZERO + self.interval * (f64::from(self.passed) + 1.0)
    }

    /// Notes that the decision due by `now` has been taken.
    pub(super) fn pass(&mut self, now: SimTime) {
        while self.next() <= now {
            self.passed += 1;
        }
    }
}

/// The system of a policy: has it decide for each of its applications that is due.
pub(super) fn decide<P: Policy>(
    clock: Res<'_, Clock>,
    agenda: Res<'_, Agenda>,
    mut applications: Query<'_, '_, (&mut P, &mut Signals, &mut Decider)>,
) {
    for entity in agenda.awake_for::<Deciding>() {
        let Ok((mut policy, mut signals, mut decider)) = applications.get_mut(entity) else {
            continue;
        };
        let now = clock.now();
        if decider.next() <= now && signals.look(now) {
            let mut desired = DesiredInstances::default();
            policy.decide(&signals, &mut desired);
            decider.decided = Some(desired);
        }
    }
}
