//! The power that servers draw.

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::serving::Phase;

use super::{EngineHandle, FleetsExt, Hosts, OfApplication, ServerSku, Service, Stock, Uses};

/// Watts that a server draws now; none where that is not known.
pub(super) fn server_power_w(world: &World, server: Entity) -> Option<f64> {
    let sku = world.get::<ServerSku>(server)?;
    let power = world
        .get::<Stock>(world.fleet_of(server)?)?
        .kinds()
        .get(sku.position())?
        .processor();
    let (steps, idle_w) = (power.step_power()?, power.idle_power()?);
    let processors = f64::from(sku.sku().processors);
    let idle = sku.sku().idle_power_w + processors * idle_w;
    let instances = world.get::<Hosts>(server).into_iter().flat_map(Hosts::iter);
    Some(instances.fold(idle, |watts, instance| {
        let used = world.get::<Uses>(instance).map_or(0, Uses::len) as f64;
        let busy = match phase(world, instance) {
            Phase::Idle => idle_w,
            Phase::Prompt => steps.prompt_w,
            Phase::Token => steps.token_w,
        };
        watts + used * (busy - idle_w)
    }))
}

fn phase(world: &World, instance: Entity) -> Phase {
    let (Some(handle), Some(of)) = (
        world.get::<EngineHandle>(instance),
        world.get::<OfApplication>(instance),
    ) else {
        return Phase::Idle;
    };
    let service = world.get::<Service>(of.application());
    service.map_or(Phase::Idle, |service| service.phase(handle))
}
