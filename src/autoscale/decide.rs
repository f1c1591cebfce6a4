//! The systems that ask policies.

use bevy_ecs::change_detection::DetectChanges;
use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{Query, Ref, Res, ResMut};

use super::any_policy::AnyPolicy;
use super::decider::Deciding;
use super::policies::keep_all;
use super::pool::PendingInstances;
use super::sense::{Scraper, Scraping};
use super::{Decider, Desire, DesiredInstances, InstanceCounts, Policy, Signals};
use crate::fleet::{
    Agenda, Application, Clock, HostedOn, InstanceRole, InstanceStatus, Instances, Ledger, OfFleet,
    ServerSku, StartUp, Stock, Templates,
};
use crate::time::{SimDuration, SimTime};

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
fn fault(policy: &dyn AnyPolicy) -> Option<String> {
    if policy.interval() == SimDuration::ZERO {
        return Some("interval: a policy cannot decide every 0 seconds".to_owned());
    }
    policy.check().err().map(|wrong| wrong.to_string())
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

/// The accounts of a fleet, its SKUs, and the instances that wait for a place.
type OfFleets = (
    &'static Ledger,
    &'static Stock,
    Option<&'static PendingInstances>,
);

/// The accounts of a fleet, its SKUs, and the instances of an application that wait for a place.
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
