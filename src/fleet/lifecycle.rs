//! The timers of the lifecycle, and the one place where a status is replaced.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::time::SimTime;

use super::agenda::Timer;
use super::log::record;
use super::{
    Agenda, Clock, Instance, InstanceStatus, Ledger, ScalingAction, ScalingEvent, Target,
    activation, drain,
};

/// Does what the lifecycle has due, then schedules the requests that were waiting for it.
pub(super) fn run(world: &mut World) {
    let now = world.resource::<Clock>().now();
    drain::retire_idle(world);
    if world.resource::<Agenda>().lifecycle.next_due() > now {
        return;
    }
    while let Some((at, timer)) = world.resource_mut::<Agenda>().lifecycle.pop_due(now) {
        match timer {
            Timer::ServerReady(server) => activation::server_ready(world, server, at),
            Timer::Join(instance) => activation::join(world, instance),
            Timer::Activate(instance) => activation::activate(world, instance, at),
            Timer::DrainCheck(instance) => drain::check(world, instance, at),
            Timer::DrainDeadline(instance) => drain::run_out(world, instance, at),
            Timer::Flush => {}
        }
    }
    activation::flush(world, now);
}

/// Replaces an instance's status and writes it into its account.
pub(super) fn set_status(world: &mut World, instance: Entity, status: InstanceStatus, at: SimTime) {
    let mut entity = world.entity_mut(instance);
    debug_assert!(
        entity
            .get::<InstanceStatus>()
            .is_some_and(|before| before.precedes(status)),
        "{:?} cannot become {status:?}",
        entity.get::<InstanceStatus>(),
    );
    entity.insert(status);
    if let Some(&Instance { number }) = entity.get() {
        world.resource_mut::<Ledger>().enter(number, status, at);
    }
}

/// Writes a line about an instance, with the status that it has.
pub(super) fn log_instance(
    world: &mut World,
    instance: Entity,
    action: ScalingAction,
    time: SimTime,
) {
    let (target, status) = instance_target(world, instance);
    record(
        &mut world.into(),
        ScalingEvent {
            time,
            action,
            target,
            status,
        },
    );
}

/// How an instance, or what is none, appears in the log.
pub(super) fn instance_target(world: &World, instance: Entity) -> (Target, &'static str) {
    match (world.get(instance), world.get::<InstanceStatus>(instance)) {
        (Some(&Instance { number }), Some(status)) => (Target::Instance(number), status.name()),
        _ => (Target::NoInstance, "gone"),
    }
}
