//! The one place where the status of an instance is replaced.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::time::SimTime;

use super::log::record;
use super::{FleetsExt, Instance, InstanceStatus, Ledger, OfFleet, ScalingAction, Target};

/// Replaces an instance's status and writes it into its account. False where an observer of the status
/// has taken the instance away.
pub(super) fn set_status(
    world: &mut World,
    instance: Entity,
    status: InstanceStatus,
    at: SimTime,
) -> bool {
    let Ok(entity) = world.get_entity(instance) else {
        return false;
    };
    debug_assert!(
        entity
            .get::<InstanceStatus>()
            .is_some_and(|before| before.precedes(status)),
        "{:?} cannot become {status:?}",
        entity.get::<InstanceStatus>(),
    );
    if let Some(&Instance { number }) = entity.get() {
        let fleet = entity.get::<OfFleet>().map(OfFleet::fleet);
        if let Some(mut ledger) = fleet.and_then(|it| world.get_mut::<Ledger>(it)) {
            ledger.enter(number, status, at);
        }
    }
    world.entity_mut(instance).insert(status);
    world.flush();
    world.get_entity(instance).is_ok()
}

/// Writes a line about an instance, with the status that it has.
pub(super) fn log_instance(
    world: &mut World,
    instance: Entity,
    action: ScalingAction,
    time: SimTime,
) {
    let (target, status) = instance_target(world, instance);
    if let Some(fleet) = world.fleet_of(instance) {
        record(&mut world.into(), fleet, time, (action, target, status));
    }
}

/// The log target of an instance, or `NoInstance`.
pub(super) fn instance_target(world: &World, instance: Entity) -> (Target, &'static str) {
    match (world.get(instance), world.get::<InstanceStatus>(instance)) {
        (Some(&Instance { number }), Some(status)) => (Target::Instance(number), status.name()),
        _ => (Target::NoInstance, "gone"),
    }
}
