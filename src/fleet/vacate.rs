//! Instances make room: all of a server that is to go, or one for an instance that matters more.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::time::{SimDuration, SimTime};

use super::status::log_instance;
use super::{
    Clock, Cordoned, DrainTimer, InstanceStatus, MadeWithServer, ScalingAction, ScalingError,
    TakesServerAlong, drain, queries, servers,
};

/// Cordons a server and drains its instances, for at most a time if there is one. It goes with the last of them; an
/// empty one goes at once.
pub(crate) fn vacate(
    world: &mut World,
    server: Entity,
    within: Option<SimDuration>,
) -> Result<(), ScalingError> {
    let now = world.resource::<Clock>().now();
    if queries::is_empty(world, server) {
        return servers::remove(world, server, now);
    }
    world.entity_mut(server).insert(Cordoned);
    clear(world, server, within.map(|it| now + it));
    Ok(())
}

/// Gives up the start-ups on a server and drains its instances. It goes with the last of them.
pub(super) fn clear(world: &mut World, server: Entity, by: Option<SimTime>) {
    let instances = queries::hosted(world, server);
    instances.iter().for_each(|&it| drain::close(world, it));
    for instance in instances {
        let Some(&status) = world.get::<InstanceStatus>(instance) else {
            continue;
        };
        let result = match status {
            InstanceStatus::ScalingUp => {
                world.entity_mut(instance).insert(TakesServerAlong);
                drain::cancel(world, instance)
            }
            InstanceStatus::Active => drain::begin_by(world, instance, true, by),
            InstanceStatus::Draining => {
                world.entity_mut(instance).insert(TakesServerAlong);
                if let Some(at) = by {
                    shorten(world, instance, at);
                }
                Ok(())
            }
            InstanceStatus::ScalingDown => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(target: "fleetsim::scaling", %error, "an instance of a server that goes");
        }
    }
}

/// A drain under way is over by then.
fn shorten(world: &mut World, instance: Entity, at: SimTime) {
    if let Some(&timer) = world.get::<DrainTimer>(instance)
        && timer.deadline > at
    {
        world.entity_mut(instance).insert(DrainTimer {
            deadline: at,
            ..timer
        });
    }
}

/// Takes the processors of an instance for one of a higher priority: a start-up is given up, an active instance
/// drains, for at most a time if there is one. Its server stays.
pub(crate) fn preempt(
    world: &mut World,
    instance: Entity,
    within: Option<SimDuration>,
) -> Result<(), ScalingError> {
    let now = world.resource::<Clock>().now();
    log_instance(world, instance, ScalingAction::Preempted, now);
    if world.get(instance) == Some(&InstanceStatus::ScalingUp) {
        world
            .entity_mut(instance)
            .remove::<(MadeWithServer, TakesServerAlong)>();
        return drain::cancel(world, instance);
    }
    drain::begin_by(world, instance, false, within.map(|it| now + it))
}
