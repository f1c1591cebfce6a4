//! What a scheduler, a report or a script asks of a fleet.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::serving::Role;

use super::error::nearest;
use super::{
    Application, InstanceRole, InstanceStatus, Instances, Ledger, Roster, ScalingError,
    ServerCounts, StatusCounts, Stock, Templates,
};

/// How many instances and servers there are, in which status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSummary {
    /// Per application and role, in the order of the scenario.
    pub instances: Vec<(Arc<str>, Role, StatusCounts)>,
    /// Per SKU, in the order of the fleet.
    pub servers: Vec<(String, ServerCounts)>,
}

impl StatusSummary {
    pub(super) fn of(world: &World) -> Self {
        let ledger = world.resource::<Ledger>();
        let mut instances = Vec::new();
        for &entity in world.resource::<Roster>().applications() {
            let (Some(application), Some(templates)) = (
                world.get::<Application>(entity),
                world.get::<Templates>(entity),
            ) else {
                continue;
            };
            for role in templates.roles() {
                let counts = ledger.counts_of(application.index(), role);
                instances.push((Arc::clone(application.name()), role, counts));
            }
        }
        let kinds = world.resource::<Stock>().kinds().iter().enumerate();
        Self {
            instances,
            servers: kinds
                .map(|(sku, kind)| (kind.sku().name.clone(), ledger.servers_of(sku)))
                .collect(),
        }
    }
}

/// The application's instances of a role in a status, in the order of creation.
pub(super) fn instances_in(
    world: &World,
    application: Entity,
    role: Role,
    status: InstanceStatus,
) -> Vec<Entity> {
    world
        .get::<Instances>(application)
        .into_iter()
        .flat_map(Instances::iter)
        .filter(|&instance| world.get(instance) == Some(&status))
        .filter(|&instance| world.get(instance) == Some(&InstanceRole(role)))
        .collect()
}

/// The application of this name.
pub(super) fn find_application(world: &World, name: &str) -> Result<Entity, ScalingError> {
    let known = || {
        world
            .resource::<Roster>()
            .applications()
            .iter()
            .filter_map(|&entity| Some((entity, &**world.get::<Application>(entity)?.name())))
    };
    known()
        .find(|&(_, known)| known == name)
        .map(|(entity, _)| entity)
        .ok_or_else(|| ScalingError::UnknownApplication {
            name: name.to_owned(),
            nearest: nearest(name, known().map(|(_, known)| known)),
        })
}
