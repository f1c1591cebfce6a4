//! Places for the instances that wait: on servers that are there, on new ones, on those where others make room.

use std::collections::BTreeSet;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::add::start_on;
use super::pending::Kind;
use super::preempt::{preempt, takes_new, will_have_room};
use super::{PendingInstance, PendingInstances, Pool, choice, cluster_autoscaler, karpenter};
use crate::autoscale::Actuator;
use crate::autoscale::grid::next_on_grid;
use crate::autoscale::placement::{best_sku, places, room};
use crate::fleet::free_processors::FreeProcessors;
use crate::fleet::{Agenda, Clock, FleetsExt, ScaleUpFull, ScalingExt};
use crate::scenario::{self, Preemption, ServerScaling};
use crate::time::{SimDuration, SimTime};

/// The purpose for which a fleet is woken when servers may be added or removed.
pub(crate) struct Looking;

/// The system of a pool, after the actuator: instances that wait get places where there are some.
pub(in crate::autoscale) fn share(world: &mut World) {
    for fleet in world.fleets().to_vec() {
        if let Some(&Pool { settings }) = world.get(fleet) {
            share_in(world, fleet, &settings);
        }
    }
}

/// When servers are looked at next without being asked.
pub(super) fn next_look(settings: &scenario::Pool, now: SimTime) -> SimTime {
    let interval = match settings.servers {
        ServerScaling::WithInstances { .. } | ServerScaling::Fixed => return SimTime::MAX,
        ServerScaling::ClusterAutoscaler { scan_interval, .. } => scan_interval,
        ServerScaling::Karpenter { poll_interval, .. } => poll_interval,
    };
    next_on_grid(interval, SimDuration::ZERO, now).unwrap_or(SimTime::MAX)
}

fn share_in(world: &mut World, fleet: Entity, settings: &scenario::Pool) {
    let Some(pending) = world.get::<PendingInstances>(fleet) else {
        return;
    };
    let agenda = world.resource::<Agenda>();
    let due = agenda.awake_for::<Looking>().any(|it| it == fleet);
    let changed = world
        .get::<FreeProcessors>(fleet)
        .is_some_and(FreeProcessors::has_changed);
    let news = pending.has_news();
    let waits = !pending.is_empty();
    if !due && !(waits && (news || changed)) {
        return;
    }
    let now = world.resource::<Clock>().now();
    let next = match settings.servers {
        ServerScaling::WithInstances { retry } => {
            let adds = news || due;
            place_all(world, fleet, settings, |world, it| {
                adds && with_server(world, it)
            });
            let waits = world.get::<PendingInstances>(fleet);
            let again = next_on_grid(retry, SimDuration::ZERO, now);
            again.filter(|_| waits.is_some_and(|it| !it.is_empty()))
        }
        ServerScaling::Fixed => {
            place_all(world, fleet, settings, |_, _| false);
            None
        }
        ServerScaling::ClusterAutoscaler { .. } if due => {
            cluster_autoscaler::look(world, fleet, settings);
            Some(next_look(settings, now))
        }
        ServerScaling::ClusterAutoscaler { .. } => {
            place_all(world, fleet, settings, |_, _| false);
            return;
        }
        ServerScaling::Karpenter { .. } => Some(karpenter::look(world, fleet, settings)),
    };
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Looking>(next.unwrap_or(SimTime::MAX), fleet);
}

/// Starts an instance on a server that comes with it.
fn with_server(world: &mut World, it: &PendingInstance) -> bool {
    let choice = choice(world, it.application, it.sku);
    let request = ScaleUpFull {
        sku: best_sku(world, it.application, it.role, &choice).sku,
        ..ScaleUpFull::new(it.application, it.role)
    };
    world.scale_up_full(&request).is_ok()
}

/// Gives each instance that waits a place, if there is one for it; `new_server` may start it on a new server.
pub(super) fn place_all(
    world: &mut World,
    fleet: Entity,
    settings: &scenario::Pool,
    mut new_server: impl FnMut(&mut World, &PendingInstance) -> bool,
) {
    let Some(mut pending) = world.get_mut::<PendingInstances>(fleet) else {
        return;
    };
    let queue = pending.take();
    let mut held: BTreeSet<Entity> = queue.iter().filter_map(|it| it.nominated).collect();
    let (mut hopeless, mut left) = (BTreeSet::<Kind>::new(), Vec::new());
    for mut it in queue {
        if world.get::<Actuator>(it.application).is_none() {
            continue;
        }
        if hopeless.contains(&it.kind()) {
            left.push(it);
            continue;
        }
        if let Some(server) = it.nominated {
            held.remove(&server);
        }
        let has_place = place(world, &mut it, &held)
            || it.nominated.is_none() && new_server(world, &it)
            || gets_room(world, &mut it, settings.preemption, &held);
        if has_place {
            continue;
        }
        match it.nominated {
            Some(server) => {
                held.insert(server);
            }
            None => {
                hopeless.insert(it.kind());
            }
        }
        left.push(it);
    }
    if let Some(mut pending) = world.get_mut::<PendingInstances>(fleet) {
        pending.put_back(left);
    }
}

/// Gives an instance a place on a server that is there or provisioned. Says whether it has one.
fn place(world: &mut World, it: &mut PendingInstance, held: &BTreeSet<Entity>) -> bool {
    if let Some(server) = it.nominated {
        if takes_new(world, server) && room(world, it.application, it.role, server) > 0 {
            return start_on(world, it, server);
        }
        if !will_have_room(world, it, server) {
            it.nominated = None;
        }
    }
    let choice = choice(world, it.application, it.sku);
    let free = |server| !held.contains(&server);
    let found = places(world, it.application, it.role, &choice, 1, free);
    found
        .first()
        .is_some_and(|&server| start_on(world, it, server))
}

/// Lets others make room for an instance. Says whether it has a place by that at once.
fn gets_room(
    world: &mut World,
    it: &mut PendingInstance,
    preemption: Preemption,
    held: &BTreeSet<Entity>,
) -> bool {
    let (Preemption::Drain { within }, None) = (preemption, it.nominated) else {
        return false;
    };
    let choice = choice(world, it.application, it.sku);
    it.nominated = preempt(world, it, &choice, held, within);
    let server = it.nominated;
    let server = server.filter(|&server| room(world, it.application, it.role, server) > 0);
    server.is_some_and(|server| start_on(world, it, server))
}
