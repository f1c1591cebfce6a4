use bevy_ecs::component::Component;
use bevy_ecs::prelude::{EntityWorldMut, Query, Res};

use super::grid::next_on_grid;
use super::{Desire, DesiredInstances, InstanceCounts, Policy, Signals};
use crate::fleet::{
    Agenda, Application, Clock, InstanceRole, Instances, Ledger, StartUp, Templates,
};
use crate::time::{SimDuration, SimTime};

/// The purpose for which an application is woken when its policy decides.
pub(super) struct Deciding;

/// When an application's policy decides, and what it decided last.
#[derive(Component, Debug)]
pub struct Decider {
    pub(super) policy: &'static str,
    interval: SimDuration,
    next: SimTime,
    /// What was decided in this tick.
    pub(super) decided: Option<DesiredInstances>,
    /// Takes the policy off the application.
    remove: fn(&mut EntityWorldMut<'_>),
}

impl Decider {
    pub(super) fn new<P: Policy>(interval: SimDuration) -> Self {
        Self {
            policy: P::NAME,
            interval,
            next: SimTime::ZERO + interval,
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
    pub const fn next(&self) -> SimTime {
        self.next
    }

    /// Notes that the decision due by `now` has been taken.
    pub(super) fn pass(&mut self, now: SimTime) {
        if self.next <= now {
            let next = next_on_grid(self.interval, SimDuration::ZERO, now);
            self.next = next.unwrap_or(SimTime::MAX);
        }
    }
}

/// The system of a policy: asks it to decide for each of its applications that is due.
pub(super) fn decide<P: Policy>(
    (clock, ledger): (Res<'_, Clock>, Res<'_, Ledger>),
    agenda: Res<'_, Agenda>,
    mut applications: Query<'_, '_, (&mut P, &mut Signals, &mut Decider, Members)>,
    starting: Query<'_, '_, (&InstanceRole, &StartUp)>,
) {
    for entity in agenda.awake_for::<Deciding>() {
        let Ok((mut policy, mut signals, mut decider, members)) = applications.get_mut(entity)
        else {
            continue;
        };
        let now = clock.now();
        if decider.next() <= now && signals.look(now) {
            count(&mut signals, members, &ledger, &starting);
            let mut desired = DesiredInstances::default();
            policy.decide(&signals, &mut desired);
            if P::WAKES {
                serve_the_waiting(&signals, &mut desired);
            }
            decider.decided = Some(desired);
        }
    }
}

type Members = (&'static Application, &'static Templates, &'static Instances);

/// Tells the signals how many instances there are now.
fn count(
    signals: &mut Signals,
    (application, templates, members): (&Application, &Templates, &Instances),
    ledger: &Ledger,
    starting: &Query<'_, '_, (&InstanceRole, &StartUp)>,
) {
    for role in templates.roles() {
        let counts = ledger.counts_of(application.index(), role);
        let mut activations = Vec::new();
        if counts.scaling_up > 0 {
            let of = members.iter().flat_map(|it| starting.get(it));
            let of = of.filter(|(of, _)| of.role() == role);
            activations.extend(of.map(|(_, start)| start.activates));
            activations.sort_unstable();
        }
        signals.count(InstanceCounts {
            role,
            starting: activations,
            active: counts.active,
            draining: counts.draining,
        });
    }
}

/// While requests wait and a role has no active instance, at least one is wanted: a policy that may
/// go to zero cannot see a load where nothing runs.
fn serve_the_waiting(signals: &Signals, desired: &mut DesiredInstances) {
    let waiting = signals.snapshot().waiting;
    if waiting == 0 {
        return;
    }
    for of in signals.roles().filter(|of| of.active == 0) {
        let current = of.current();
        let (wanted, reason) = match desired.of(of.role) {
            None => (current, None),
            Some((Desire::Keep, reason)) => (current, Some(reason)),
            Some((Desire::Exactly(count), reason)) => (count, Some(reason)),
            Some((Desire::Change(by), reason)) => (current.saturating_add_signed(by), Some(reason)),
        };
        if wanted == 0 {
            let reason = match reason {
                Some(reason) => format!("{reason}; {waiting} wait and none is active"),
                None => format!("{waiting} wait and none is active"),
            };
            desired.exactly(of.role, 1, reason);
        }
    }
}
