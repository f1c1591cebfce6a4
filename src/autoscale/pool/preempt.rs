//! Instances of a lower priority make room.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use super::PendingInstance;
use crate::autoscale::placement::needed;
use crate::fleet::free_processors::free_processors;
use crate::fleet::{
    self, Cordoned, FleetsExt, Instance, InstanceStatus, OfApplication, Reclaimed, Roster, Server,
    ServerSku, ServerStatus, Templates, Uses,
};
use crate::scenario::SkuChoice;
use crate::time::SimDuration;

/// What it costs to make room on a server: the highest priority among those that go, how many they are, its number.
type Cost = (Option<i32>, usize, u64);

/// Lets instances of a lower priority make room on the server where that costs the least, and returns it. Instances
/// that drain there already count as room to come.
pub(super) fn preempt(
    world: &mut World,
    it: &PendingInstance,
    choice: &SkuChoice,
    held: &BTreeSet<Entity>,
    within: Option<SimDuration>,
) -> Option<Entity> {
    let fleet = world.fleet_of(it.application)?;
    let roster = world.get::<Roster>(fleet)?;
    let servers = roster.servers().filter(|server| !held.contains(server));
    let offers = servers.filter_map(|server| {
        let victims = victims(world, it, choice, server)?;
        let highest = victims.iter().map(|victim| priority_of(world, *victim));
        let number = world.get::<Server>(server)?.number();
        let cost: Cost = (highest.max(), victims.len(), number);
        Some((cost, server, victims))
    });
    let (_, server, victims) = offers.min_by_key(|it| it.0)?;
    for victim in victims {
        if let Err(error) = fleet::preempt(world, victim, within) {
            tracing::debug!(target: "fleetsim::autoscale", %error, "an instance makes no room");
        }
    }
    Some(server)
}

/// Those that would have to go from a server; none where that would not be enough.
fn victims(
    world: &World,
    it: &PendingInstance,
    choice: &SkuChoice,
    server: Entity,
) -> Option<Vec<Entity>> {
    if !takes_new(world, server) {
        return None;
    }
    let sku = world.get::<ServerSku>(server)?.position();
    let (_, needed) = needed(world, it.application, it.role, sku, choice)?;
    let mut free = free_processors(world, server);
    let mut candidates = Vec::new();
    for instance in fleet::hosted(world, server) {
        match world.get::<InstanceStatus>(instance)? {
            InstanceStatus::Draining => free += processors_of(world, instance),
            InstanceStatus::ScalingDown => {}
            InstanceStatus::ScalingUp | InstanceStatus::Active => {
                let priority = priority_of(world, instance);
                let number = world.get::<Instance>(instance)?.number();
                candidates.push((priority, Reverse(number), instance));
            }
        }
    }
    candidates.retain(|&(priority, ..)| priority < it.priority);
    candidates.sort_unstable();
    let mut victims = Vec::new();
    let mut candidates = candidates.into_iter();
    while free < needed {
        let (.., instance) = candidates.next()?;
        free += processors_of(world, instance);
        victims.push(instance);
    }
    Some(victims)
}

/// Whether a server is there and takes new instances.
pub(super) fn takes_new(world: &World, server: Entity) -> bool {
    let active = world.get(server) == Some(&ServerStatus::Active);
    let goes = world.get::<Cordoned>(server).is_some() || world.get::<Reclaimed>(server).is_some();
    active && !goes
}

/// Whether a server has room for an instance once all that drains on it is gone.
pub(super) fn will_have_room(world: &World, it: &PendingInstance, server: Entity) -> bool {
    let sku = world.get::<ServerSku>(server).map(ServerSku::position);
    let templates = world.get::<Templates>(it.application);
    let needed = templates.and_then(|templates| templates.processors(it.role, sku?));
    let draining = fleet::hosted(world, server).into_iter();
    let draining = draining.filter(|it| world.get(*it) == Some(&InstanceStatus::Draining));
    let to_come: u32 = draining.map(|it| processors_of(world, it)).sum();
    takes_new(world, server)
        && needed.is_some_and(|needed| free_processors(world, server) + to_come >= needed)
}

fn processors_of(world: &World, instance: Entity) -> u32 {
    world
        .get::<Uses>(instance)
        .map_or(0, |uses| uses.len() as u32)
}

/// The priority of an instance's application.
fn priority_of(world: &World, instance: Entity) -> i32 {
    let of = world.get::<OfApplication>(instance);
    of.map_or(0, |of| super::priority_of(world, of.application()))
}
