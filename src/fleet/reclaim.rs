//! Servers that are taken back with notice, as spot capacity is.

use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};

use crate::time::SimTime;

use super::arm::{arm, disarm};
use super::fault_log::FaultLog;
use super::fleet_part::part_mut;
use super::{Clock, FleetsExt, Reclaimed, Server, free_processors, vacate};

pub(super) fn begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(&Reclaimed { at }) = world.get(context.entity) else {
        return;
    };
    free_processors::changed(&mut world, context.entity);
    arm::<Reclaimed>(&mut world, at, context.entity);
}

pub(super) fn ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<Reclaimed>(&mut world, context.entity);
}

/// A server is taken back at an instant: start-ups on it are given up, its instances drain. It goes with the last
/// of them, and then at the latest.
pub(super) fn begin(world: &mut World, server: Entity, at: SimTime) {
    let before = world.get::<Reclaimed>(server);
    if before.is_some_and(|it| it.at <= at) {
        return;
    }
    if let Ok(mut server) = world.get_entity_mut(server) {
        server.insert(Reclaimed { at });
    }
    vacate::clear(world, server, Some(at));
}

/// The time is over: the server goes at once, with all that is still on it.
pub(super) fn end(world: &mut World, server: Entity) {
    let (Some(&Server { number }), Some(fleet)) = (world.get(server), world.fleet_of(server))
    else {
        return;
    };
    let now = world.resource::<Clock>().now();
    part_mut::<FaultLog>(world, fleet).open();
    world.despawn(server);
    world.flush();
    if let Some(mut log) = world.get_mut::<FaultLog>(fleet) {
        log.close(now, "spot_gone", format!("server_{number}"), None);
    }
}
