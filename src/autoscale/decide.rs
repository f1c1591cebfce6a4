use std::borrow::Cow;
use std::collections::BTreeMap;

use bevy_ecs::change_detection::DetectChanges;
use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{EntityWorldMut, Query, Ref, Res, ResMut, World};
use serde::{Deserialize, Serialize};

use super::grid::next_on_grid;
use super::policies::keep_all;
use super::pool::PendingInstances;
use super::sense::{Scraper, Scraping};
use super::{Desire, DesiredInstances, InstanceCounts, Policy, Signals};
use crate::fleet::{
    Agenda, Application, Clock, HostedOn, InstanceRole, InstanceStatus, Instances, Ledger, OfFleet,
    ServerSku, StartUp, Stock, Templates,
};
use crate::serving::Role;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::{SimDuration, SimTime};

/// The purpose for which an application is woken when its policy decides.
pub(super) struct Deciding;

/// When an application's policy decides, and what it decided last.
#[derive(Component, Clone, Debug)]
pub struct Decider {
    pub(super) policy: &'static str,
    interval: SimDuration,
    next: SimTime,
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
    fn set_out(&mut self, now: SimTime) {
        let next = next_on_grid(self.interval, SimDuration::ZERO, now);
        self.next = next.unwrap_or(SimTime::MAX);
    }
}

/// What a policy's applications have that goes by its interval and its window.
type Followers<P> = (
    Entity,
    Ref<'static, P>,
    &'static mut Decider,
    &'static mut Signals,
    &'static mut Scraper,
);

/// The system that takes over the interval and the window of a policy that was changed or replaced: its next
/// decision is the first whole number of the new intervals that is to come.
pub(super) fn follow<P: Policy>(
    clock: Res<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    mut applications: Query<'_, '_, Followers<P>>,
) {
    for (entity, policy, mut decider, mut signals, mut scraper) in &mut applications {
        if !policy.is_changed() || decider.policy != P::NAME {
            continue;
        }
        signals.keep(policy.window());
        let (interval, now) = (policy.interval(), clock.now());
        if interval == decider.interval || interval == SimDuration::ZERO {
            continue;
        }
        decider.interval = interval;
        decider.set_out(now);
        agenda.wake_for::<Deciding>(decider.next, entity);
        if let Some(next) = scraper.follow(interval, now) {
            agenda.wake_for::<Scraping>(next, entity);
        }
    }
}

/// What is wrong with the parameters of a policy, after a change at run time; none if they can be decided by.
fn fault(policy: &impl Policy) -> Option<String> {
    if policy.interval() == SimDuration::ZERO {
        return Some("interval: a policy cannot decide every 0 seconds".to_owned());
    }
    policy.check().err().map(|wrong| wrong.to_string())
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

/// The system of a policy: asks it to decide for each of its applications that is due.
pub(super) fn decide<P: Policy>(
    (clock, books): (Res<'_, Clock>, Query<'_, '_, OfFleets>),
    agenda: Res<'_, Agenda>,
    mut applications: Query<'_, '_, (&mut P, &mut Signals, &mut Decider, &OfFleet, Members)>,
    (instances, servers): (Query<'_, '_, Counted>, Query<'_, '_, &ServerSku>),
) {
    for entity in agenda.awake_for::<Deciding>() {
        let Ok((mut policy, mut signals, mut decider, of, members)) = applications.get_mut(entity)
        else {
            continue;
        };
        let Ok((ledger, stock, pending)) = books.get(of.fleet()) else {
            continue;
        };
        let now = clock.now();
        let of_this = decider.policy == P::NAME;
        if of_this && decider.next() <= now && signals.look(now) {
            let books = (ledger, stock, pending.map(|it| (it, entity)));
            count(&mut signals, members, (books, now), &instances, &servers);
            let mut desired = DesiredInstances::default();
            match fault(&*policy) {
                None => policy.decide(&signals, &mut desired),
                Some(wrong) => keep_all(&signals, &mut desired, wrong),
            }
            if P::WAKES {
                serve_the_waiting(&signals, &mut desired);
            }
            decider.decided = Some(desired);
        }
    }
}

type Members = (
    &'static Application,
    &'static Templates,
    Option<&'static Instances>,
);

/// What of an instance says where it counts.
type Counted = (
    &'static InstanceRole,
    &'static InstanceStatus,
    &'static HostedOn,
    Option<&'static StartUp>,
);

/// The accounts of a fleet, what can be had, and what waits for a place.
type OfFleets = (
    &'static Ledger,
    &'static Stock,
    Option<&'static PendingInstances>,
);

/// What a fleet has written down: its accounts, what can be had, and what of an application waits for a place.
type Books<'a> = (
    &'a Ledger,
    &'a Stock,
    Option<(&'a PendingInstances, Entity)>,
);

/// Tells the signals how many instances there are now.
fn count(
    signals: &mut Signals,
    (application, templates, members): (&Application, &Templates, Option<&Instances>),
    ((ledger, stock, pending), now): (Books<'_>, SimTime),
    instances: &Query<'_, '_, Counted>,
    servers: &Query<'_, '_, &ServerSku>,
) {
    for role in templates.roles() {
        let counts = ledger.counts_of(application.index(), role);
        let of = || {
            let all = members.into_iter().flat_map(Instances::iter);
            let of = all.flat_map(|it| instances.get(it));
            of.filter(|(of, ..)| of.role() == role)
        };
        let mut activations = Vec::new();
        if counts.scaling_up > 0 {
            activations.extend(of().filter_map(|(.., start)| Some(start?.activates)));
            activations.sort_unstable();
        }
        // One that waits for a place starts up, nobody knows for how long.
        let waiting = pending.map_or(0, |(queue, of)| queue.count(of, role));
        activations.resize(activations.len() + waiting as usize, SimTime::MAX);
        let mut variants = signals.capacity().variants(role);
        for variant in &mut variants {
            let kind = stock.kinds().get(variant.sku);
            // What it costs does not change where there is one price.
            if let Some(kind) = kind.filter(|it| !it.offers().is_empty()) {
                let price = stock.asking_price(variant.sku, ledger, now).unwrap_or(0.0);
                let processors = templates.processors(role, variant.sku).unwrap_or(0);
                let share = f64::from(processors) / f64::from(kind.sku().processors.max(1));
                variant.price_per_hour = price * share;
            }
        }
        if let [only] = &mut variants[..] {
            let starting = counts.scaling_up + waiting;
            (only.starting, only.active) = (starting, counts.active);
        } else {
            for (_, status, server, _) in of() {
                let sku = servers.get(server.server()).ok().map(ServerSku::position);
                let on = variants.iter_mut().find(|it| sku == Some(it.sku));
                match (on, status) {
                    (Some(on), InstanceStatus::ScalingUp) => on.starting += 1,
                    (Some(on), InstanceStatus::Active) => on.active += 1,
                    _ => {}
                }
            }
            if let Some((queue, of)) = pending {
                let waiting = |sku| queue.count_on(of, role, sku);
                variants
                    .iter_mut()
                    .for_each(|it| it.starting += waiting(it.sku));
            }
        }
        signals.count(InstanceCounts {
            role,
            starting: activations,
            active: counts.active,
            draining: counts.draining,
            variants,
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
