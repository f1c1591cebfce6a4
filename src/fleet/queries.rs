//! What a scheduler, a report or a script asks of a fleet.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::serving::Role;

use super::error::nearest;
use super::{
    Application, FleetsExt, Hosts, Instance, InstanceRole, InstanceStatus, Instances, Ledger,
    Roster, ScalingError, ServerCounts, StatusCounts, Stock, Templates,
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
    /// Adds those of a fleet.
    pub(super) fn add(&mut self, world: &World, fleet: Entity) {
        let (Some(ledger), Some(roster), Some(stock)) = (
            world.get::<Ledger>(fleet),
            world.get::<Roster>(fleet),
            world.get::<Stock>(fleet),
        ) else {
            return;
        };
        for &entity in roster.applications() {
            let (Some(application), Some(templates)) = (
                world.get::<Application>(entity),
                world.get::<Templates>(entity),
            ) else {
                continue;
            };
            for role in templates.roles() {
                let counts = ledger.counts_of(application.index(), role);
                let name = Arc::clone(application.name());
                self.instances.push((name, role, counts));
            }
        }
        let kinds = stock.kinds().iter().enumerate();
        let servers = kinds.map(|(sku, kind)| (kind.sku().name.clone(), ledger.servers_of(sku)));
        self.servers.extend(servers);
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

/// The application of this name, in the fleet that has one.
pub(super) fn find_application(world: &World, name: &str) -> Result<Entity, ScalingError> {
    let known = || world.fleets().iter().flat_map(|&it| names(world, it));
    let mut found = known().filter(|&(_, known)| known == name);
    match (found.next(), found.next()) {
        (Some((entity, _)), None) => Ok(entity),
        (Some(_), Some(_)) => Err(several(world)),
        (None, _) => Err(unknown(name, known())),
    }
}

/// The application of this name in a fleet.
pub(super) fn find_application_in(
    world: &World,
    fleet: Entity,
    name: &str,
) -> Result<Entity, ScalingError> {
    let known = || names(world, fleet);
    let found = known().find(|&(_, known)| known == name);
    found
        .map(|(entity, _)| entity)
        .ok_or_else(|| unknown(name, known()))
}

/// The applications of a fleet with their names.
fn names(world: &World, fleet: Entity) -> impl Iterator<Item = (Entity, &str)> {
    let roster = world.get::<Roster>(fleet).into_iter();
    let applications = roster.flat_map(|it| it.applications().iter());
    applications.filter_map(|&it| Some((it, &**world.get::<Application>(it)?.name())))
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = (Entity, &'a str)>) -> ScalingError {
    ScalingError::UnknownApplication {
        name: name.to_owned(),
        nearest: nearest(name, known.map(|(_, known)| known)),
    }
}

fn several(world: &World) -> ScalingError {
    let only = world.only_fleet();
    only.err().unwrap_or(ScalingError::NoFleet)
}

/// Whether a server carries no instance, in any status.
pub(crate) fn is_empty(world: &World, server: Entity) -> bool {
    world.get::<Hosts>(server).is_none_or(Hosts::is_empty)
}

/// The instances of a server, by number.
pub(crate) fn hosted(world: &World, server: Entity) -> Vec<Entity> {
    let hosts = world.get::<Hosts>(server).into_iter();
    let mut hosted: Vec<Entity> = hosts.flat_map(Hosts::iter).collect();
    hosted.sort_by_key(|&it| world.get::<Instance>(it).map(Instance::number));
    hosted
}
