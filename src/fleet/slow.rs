//! Servers that are slow for a while.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::{
    Agenda, Clock, EngineHandle, FleetsExt, HostedOn, OfApplication, PowerSlowdown, Service,
    queries,
};

/// On a server whose instances are slow: their steps take longer from the next step on. The last one counts.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable, on_insert = begins, on_remove = ends)]
pub struct Slow {
    /// By what steps are multiplied, more than 1.
    pub factor: f64,
    /// Until when.
    pub until: SimTime,
}

impl Slow {
    pub(super) fn begin(world: &mut World, server: Entity, factor: f64, until: SimTime) {
        if let Ok(mut server) = world.get_entity_mut(server) {
            server.insert(Self { factor, until });
        }
    }
}

/// The hook on the insertion.
fn begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let server = context.entity;
    let Some(&slow) = world.get::<Slow>(server) else {
        return;
    };
    let Some(now) = world.get_resource::<Clock>().map(Clock::now) else {
        return;
    };
    if let Some(mut agenda) = world.get_resource_mut::<Agenda>() {
        agenda.lifecycle.set::<Slow>(slow.until.max(now), server);
    }
    world
        .commands()
        .queue(move |world: &mut World| set_pace_of(world, server));
}

/// The hook on the removal.
fn ends(mut world: DeferredWorld<'_>, context: HookContext) {
    let server = context.entity;
    if let Some(mut agenda) = world.get_resource_mut::<Agenda>() {
        agenda.lifecycle.clear::<Slow>(server);
        world
            .commands()
            .queue(move |world: &mut World| set_pace_of(world, server));
    }
}

/// A server is no longer slow.
pub(super) fn end(world: &mut World, server: Entity) {
    if let Ok(mut server) = world.get_entity_mut(server) {
        server.remove::<Slow>();
    }
}

/// Sets the pace of every instance of a server.
fn set_pace_of(world: &mut World, server: Entity) {
    for instance in queries::hosted(world, server) {
        set_pace(world, instance);
    }
}

/// Sets the pace of an instance that has joined: that of its server, and that which the power of the fleet allows.
pub(super) fn set_pace(world: &mut World, instance: Entity) {
    let now = world.resource::<Clock>().now();
    let (Some(&EngineHandle(engine)), Some(&OfApplication(application)), Some(&HostedOn(server))) = (
        world.get(instance),
        world.get(instance),
        world.get(instance),
    ) else {
        return;
    };
    let slow = world.get::<Slow>(server).map_or(1.0, |it| it.factor);
    let fleet = world.fleet_of(instance);
    let power = fleet.and_then(|it| world.get::<PowerSlowdown>(it));
    let factor = slow * power.map_or(1.0, PowerSlowdown::factor);
    if let Some(mut service) = world.get_mut::<Service>(application) {
        service.0.set_pace(engine, factor, now);
    }
}
