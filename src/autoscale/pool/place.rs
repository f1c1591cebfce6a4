//! Places for the instances that wait: on servers that are there, on new ones, on those where others make room.

use std::collections::BTreeSet;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::add::start_on;
use super::pending::Kind;
use super::preempt::{preempt, takes_new, will_have_room};
use super::{PendingInstance, PendingInstances};
use crate::autoscale::Actuator;
use crate::autoscale::placement::{choice, places, room};
use crate::scenario::{self, Preemption};

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
