//! Servers and processors that are slow for a while.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::arm::{arm, disarm};
use super::{
    Clock, EngineHandle, FleetsExt, HostedOn, OfApplication, PowerSlowdown, Service, UsedBy, Uses,
    queries,
};

/// On a server whose instances are slow, or on a processor whose instance is: steps take longer from the next step on.
/// The last one counts. An instance is as slow as the slowest of its server and its processors.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable, on_insert = begins, on_remove = ends)]
pub struct Slow {
    /// By what steps are multiplied, more than 1.
    pub factor: f64,
    /// Until when.
    pub until: SimTime,
}

impl Slow {
    /// A server or a processor is slow from now on.
    pub(super) fn begin(world: &mut World, what: Entity, factor: f64, until: SimTime) {
        if let Ok(mut what) = world.get_entity_mut(what) {
            what.insert(Self { factor, until });
        }
    }
}

/// The hook on the insertion.
fn begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let what = context.entity;
    let Some(&slow) = world.get::<Slow>(what) else {
        return;
    };
    if world.get_resource::<Clock>().is_none() {
        return;
    }
    arm::<Slow>(&mut world, slow.until, what);
    let set = move |world: &mut World| set_paces(world, what);
    world.commands().queue(set);
}

/// The hook on the removal.
fn ends(mut world: DeferredWorld<'_>, context: HookContext) {
    let what = context.entity;
    if world.get_resource::<Clock>().is_some() {
        disarm::<Slow>(&mut world, what);
        let set = move |world: &mut World| set_paces(world, what);
        world.commands().queue(set);
    }
}

/// A server or a processor is no longer slow.
pub(super) fn end(world: &mut World, what: Entity) {
    if let Ok(mut what) = world.get_entity_mut(what) {
        what.remove::<Slow>();
    }
}

/// Sets the pace of every instance of a server, or of that of a processor.
fn set_paces(world: &mut World, what: Entity) {
    let of_processor = world.get::<UsedBy>(what).map(UsedBy::instance);
    let instances = queries::hosted(world, what).into_iter();
    for instance in instances.chain(of_processor) {
        set_pace(world, instance);
    }
}

/// By how much the slowest of the server and the processors of an instance is slower.
fn factor_of(world: &World, instance: Entity) -> f64 {
    let server = world.get::<HostedOn>(instance).map(HostedOn::server);
    let processors = world.get::<Uses>(instance).into_iter().flat_map(Uses::iter);
    let slow = processors
        .chain(server)
        .filter_map(|it| world.get::<Slow>(it));
    slow.map(|it| it.factor).fold(1.0, f64::max)
}

/// Sets the pace of an instance that has joined: that of its server and its processors, and that which the power of the
/// fleet allows.
pub(super) fn set_pace(world: &mut World, instance: Entity) {
    let now = world.resource::<Clock>().now();
    let fleet = world.fleet_of(instance);
    let power = fleet.and_then(|it| world.get::<PowerSlowdown>(it));
    let factor = factor_of(world, instance) * power.map_or(1.0, PowerSlowdown::factor);
    let (Some(&EngineHandle(engine)), Some(&OfApplication(application))) =
        (world.get(instance), world.get(instance))
    else {
        return;
    };
    if let Some(mut service) = world.get_mut::<Service>(application) {
        service.0.set_pace(engine, factor, now);
    }
}
