//! Instances that a policy wants fewer.

use std::cmp::Reverse;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::placement::{sku_of, victims};
use super::pool::{self, keeps_empty_servers};
use super::{Actuator, Decision};
use crate::fleet::{HostedOn, Instance, InstanceStatus, MadeWithInstance, ScalingExt, is_empty};

/// Gives up start-ups, the newest first, and only then drains what is active; on this SKU, if one is given.
pub(super) fn take_away(
    world: &mut World,
    application: Entity,
    row: &mut Decision,
    count: u32,
    sku: Option<usize>,
) {
    let (mut left, before) = (count, (row.cancelled, row.drained));
    let given_up = pool::give_up(world, application, (row.role, sku), left);
    row.cancelled += given_up;
    let mut starting = world.instances_in(application, row.role, InstanceStatus::ScalingUp);
    if sku.is_some() {
        starting.retain(|&it| sku_of(world, it) == sku);
    }
    starting.sort_by_key(|&it| Reverse(world.get::<Instance>(it).map(Instance::number)));
    let starting = starting.into_iter().take((left - given_up) as usize);
    for instance in starting {
        let server = world.get::<HostedOn>(instance).map(HostedOn::server);
        match world.cancel_scale_up(instance) {
            Ok(()) => row.cancelled += 1,
            Err(error) => row.reason = format!("{}; {error}", row.reason),
        }
        if let Some(server) = server {
            take_empty_away(world, server);
        }
    }
    left -= row.cancelled - before.0;
    let keeps = keeps_empty_servers(world, application);
    let victim = world
        .get::<Actuator>(application)
        .map(|actuator| actuator.settings.victim);
    if left > 0
        && let Some(victim) = victim
    {
        for instance in victims(world, application, row.role, victim, sku, left as usize) {
            let result = if keeps {
                world.scale_down_instance(instance)
            } else {
                world.scale_down_full(instance)
            };
            match result {
                Ok(()) => row.drained += 1,
                Err(error) => row.reason = format!("{}; {error}", row.reason),
            }
        }
    }
    row.refused += left - (row.drained - before.1);
}

/// Removes a server that came for an instance and carries none any more.
fn take_empty_away(world: &mut World, server: Entity) {
    let came_for_one = world.get::<MadeWithInstance>(server).is_some();
    if came_for_one
        && is_empty(world, server)
        && let Err(error) = world.scale_down_server(server)
    {
        tracing::debug!(target: "fleetsim::autoscale", %error, "the server stays");
    }
}
