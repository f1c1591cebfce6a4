//! When an application's policy decides, and what it decided.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{EntityWorldMut, World};
use serde::{Deserialize, Serialize};

use super::grid::next_on_grid;
use super::{DesiredInstances, Policy};
use crate::serving::Role;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::{SimDuration, SimTime};

/// The purpose for which an application is woken when its policy decides.
pub(super) struct Deciding;

/// When an application's policy decides, and what it decided last.
#[derive(Component, Clone, Debug)]
pub struct Decider {
    pub(super) policy: &'static str,
    pub(super) interval: SimDuration,
    pub(super) next: SimTime,
    /// What was decided in this tick.
    pub(super) decided: Option<DesiredInstances>,
    /// What a host lets come of it.
    bounds: BTreeMap<Role, Bound>,
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
            bounds: BTreeMap::new(),
            remove: |application| {
                application.remove::<P>();
            },
        }
    }

    /// Writes all of it into a snapshot but what takes the policy off.
    pub(super) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            policy,
            interval,
            next,
            decided,
            bounds,
            remove: _,
        } = self;
        to.put(&(policy, interval, next, decided, bounds))
    }

    /// Lays the state over that of an application with the same policy.
    pub(super) fn restore(
        world: &mut World,
        entity: Entity,
        from: &mut StateReader<'_>,
    ) -> Result<(), RestoreError> {
        let (policy, interval, next, decided, bounds): (String, _, _, _, _) = from.take()?;
        let own = world.get_mut::<Self>(entity);
        let Some(mut own) = own.filter(|own| own.policy == policy) else {
            return Err(RestoreError::Unknown(format!("the policy {policy}")));
        };
        (own.interval, own.next) = (interval, next);
        (own.decided, own.bounds) = (decided, bounds);
        Ok(())
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

    /// What was decided in this tick: between [`Decided`](super::Decided) and
    /// [`Actuated`](super::Actuated), where a decision was due.
    #[must_use]
    pub const fn decided(&self) -> Option<&DesiredInstances> {
        self.decided.as_ref()
    }

    /// Lets this decision add no instance of a role beyond `most` that start up or are active. It never takes
    /// any away. The reason follows the policy's in `decisions.csv` where it makes a difference. Nothing is done where no
    /// decision was due.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use fleetsim::autoscale::{Decided, Decider};
    /// use fleetsim::fleet::{Tick, TickSet};
    /// use fleetsim::serving::Role;
    ///
    /// #[derive(Resource)]
    /// struct PowerBudget {
    ///     instances: u32,
    /// }
    ///
    /// fn cap(power: Res<PowerBudget>, mut wishes: Query<&mut Decider>) {
    ///     for mut wish in &mut wishes {
    ///         wish.at_most(Role::Mixed, power.instances, "power cap");
    ///     }
    /// }
    ///
    /// let mut schedules = Schedules::default();
    /// schedules.add_systems(Tick, cap.in_set(TickSet::Decide).after(Decided));
    /// ```
    pub fn at_most(&mut self, role: Role, most: u32, reason: impl Into<Cow<'static, str>>) {
        if self.decided.is_none() {
            return;
        }
        let bound = self.bounds.entry(role).or_default();
        if bound.most.as_ref().is_none_or(|(before, _)| most < *before) {
            bound.most = Some((most, reason.into()));
        }
    }

    /// Lets this decision take no instance of a role away below `least` that start up or are active. It never
    /// adds any. As [`Self::at_most`] else.
    pub fn at_least(&mut self, role: Role, least: u32, reason: impl Into<Cow<'static, str>>) {
        if self.decided.is_none() {
            return;
        }
        let bound = self.bounds.entry(role).or_default();
        if bound
            .least
            .as_ref()
            .is_none_or(|(before, _)| least > *before)
        {
            bound.least = Some((least, reason.into()));
        }
    }

    /// Lets this decision change nothing about a role, save that what is missing from its minimum is restored.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use fleetsim::autoscale::{Decided, Decider};
    /// use fleetsim::fleet::{Clock, Tick, TickSet};
    /// use fleetsim::serving::Role;
    ///
    /// fn freeze(clock: Res<Clock>, mut wishes: Query<&mut Decider>) {
    ///     let hour = clock.now().seconds() / 3600.0;
    ///     for mut wish in &mut wishes {
    ///         if (9.0..10.0).contains(&hour) {
    ///             wish.veto(Role::Mixed, "change freeze");
    ///         }
    ///     }
    /// }
    ///
    /// let mut schedules = Schedules::default();
    /// schedules.add_systems(Tick, freeze.in_set(TickSet::Decide).after(Decided));
    /// ```
    pub fn veto(&mut self, role: Role, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        self.at_most(role, 0, reason.clone());
        self.at_least(role, u32::MAX, reason);
    }

    /// Takes what a host lets come of this decision.
    pub(super) fn take_bounds(&mut self) -> BTreeMap<Role, Bound> {
        std::mem::take(&mut self.bounds)
    }

    /// Notes that the decision due by `now` has been taken.
    pub(super) fn pass(&mut self, now: SimTime) {
        if self.next <= now {
            self.set_out(now);
        }
    }

    /// The next decision is the first after `now`.
    pub(super) fn set_out(&mut self, now: SimTime) {
        let next = next_on_grid(self.interval, SimDuration::ZERO, now);
        self.next = next.unwrap_or(SimTime::MAX);
    }
}

/// How few and how many instances of a role a host lets come of a decision, and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bound {
    least: Option<(u32, Cow<'static, str>)>,
    most: Option<(u32, Cow<'static, str>)>,
}

impl Bound {
    /// As much of a wish as is allowed, and why it is not all, if it is not. A wish for more is never turned into fewer,
    /// or the other way round.
    pub(super) fn apply(&self, current: u32, desired: u32) -> (u32, Option<&str>) {
        let bound = if desired > current {
            self.most
                .as_ref()
                .map(|(most, why)| (desired.min((*most).max(current)), why))
        } else {
            self.least
                .as_ref()
                .map(|(least, why)| (desired.max((*least).min(current)), why))
        };
        match bound {
            Some((left, why)) if left != desired => (left, Some(why)),
            _ => (desired, None),
        }
    }
}
