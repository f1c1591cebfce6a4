//! The entities of fleets with what they are by nature, by number: what their twins are spawned from.

use bevy_ecs::bundle::{Bundle, NoBundleEffect};
use bevy_ecs::entity::{Entity, EntityHashMap};
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::parts::Parts;
use super::{
    Application, Fleet, FleetsExt, FromTemplate, HostedOn, Hosts, Instance, InstanceRole,
    InstanceStatus, OfApplication, OfFleet, OnServer, Processor, Processors, Roster, Server,
    ServerSku, ServerStatus, Stock, UsedBy, Uses,
};

/// An instance with the position of its fleet, and the number of its application.
type InstanceNature = (
    Instance,
    usize,
    InstanceStatus,
    InstanceRole,
    FromTemplate,
    u32,
);

/// The entities of fleets. They are numbered through: fleets, servers, applications, processors, instances, others.
///
/// What an entity is linked to keeps its order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Natures {
    fleets: Vec<FleetNature>,
    /// Each with the position of its fleet, and of its SKU there.
    servers: Vec<(Server, usize, usize, ServerStatus)>,
    /// Each with the number of its server.
    processors: Vec<(Processor, u32)>,
    instances: Vec<InstanceNature>,
    /// The number of each instance, and that of its server.
    hosted: Vec<(u32, u32)>,
    /// The number of each processor that is in use, and that of the instance.
    used: Vec<(u32, u32)>,
    /// How many others have a part of the fleet.
    others: u32,
}

/// What a fleet is by nature.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FleetNature {
    number: u32,
    pub(super) name: String,
    /// The names of its SKUs.
    pub(super) skus: Vec<String>,
    /// The names of the applications of its roster; none of one that is gone.
    pub(super) applications: Vec<Option<String>>,
}

impl FleetNature {
    fn of(world: &World, fleet: Entity) -> Option<Self> {
        let of = world.get::<Fleet>(fleet)?;
        let kinds = world.get::<Stock>(fleet)?.kinds().iter();
        let applications = world.get::<Roster>(fleet)?.applications().iter();
        let name = |it: &Entity| Some(world.get::<Application>(*it)?.name().to_string());
        Some(Self {
            number: of.number(),
            name: of.name().to_string(),
            skus: kinds.map(|kind| kind.sku().name.clone()).collect(),
            applications: applications.map(name).collect(),
        })
    }
}

impl Natures {
    /// Those of a world with fleets, and the entities in the order of their numbers.
    pub(super) fn of(world: &World, parts: &Parts) -> (Self, Vec<Entity>) {
        let mut natures = Self::default();
        let mut found = Found::default();
        let fleets = world.fleets();
        let rosters = || fleets.iter().filter_map(|&it| world.get::<Roster>(it));
        for &fleet in fleets {
            found.add(fleet);
            natures.fleets.extend(FleetNature::of(world, fleet));
        }
        for (position, roster) in rosters().enumerate() {
            for entity in roster.servers() {
                if let (Some(&server), Some(sku), Some(&status)) = (
                    world.get::<Server>(entity),
                    world.get::<ServerSku>(entity),
                    world.get::<ServerStatus>(entity),
                ) {
                    found.add(entity);
                    let nature = (server, position, sku.position(), status);
                    natures.servers.push(nature);
                }
            }
        }
        for &entity in rosters().flat_map(Roster::applications) {
            if world.get::<Application>(entity).is_some() {
                found.add(entity);
            }
        }
        for entity in rosters().flat_map(Roster::servers) {
            let there = world.get::<Processors>(entity).into_iter();
            for processor in there.flat_map(Processors::iter) {
                if let (Some(&it), Some(server)) = (world.get(processor), found.number(entity)) {
                    found.add(processor);
                    natures.processors.push((it, server));
                }
            }
        }
        for (position, roster) in rosters().enumerate() {
            for entity in roster.instances() {
                if let Some(instance) = instance(world, entity, position, &found) {
                    found.add(entity);
                    natures.instances.push(instance);
                }
            }
        }
        for entity in rosters().flat_map(Roster::servers) {
            for instance in world.get::<Hosts>(entity).into_iter().flat_map(Hosts::iter) {
                natures.hosted.extend(found.pair(instance, entity));
            }
        }
        for entity in rosters().flat_map(Roster::instances) {
            for processor in world.get::<Uses>(entity).into_iter().flat_map(Uses::iter) {
                natures.used.extend(found.pair(processor, entity));
            }
        }
        let of_parts = found.order.len();
        parts.owners(world).for_each(|owner| found.add(owner));
        natures.others = (found.order.len() - of_parts) as u32;
        (natures, found.order)
    }

    /// The fleets, in the order of installation.
    pub(super) fn fleets(&self) -> &[FleetNature] {
        &self.fleets
    }

    /// Spawns them, before fleets have books, so that no hook takes it for something that happens. Gives the
    /// entities in the order of their numbers. Fleets that are there already, each with its applications, are taken
    /// instead of new ones. `stocks` are those of the fleets, in their order.
    pub(super) fn spawn(
        &self,
        world: &mut World,
        stocks: &[Stock],
        there: Option<&[(Entity, Vec<Entity>)]>,
    ) -> Vec<Entity> {
        let mut spawned: Vec<Entity> = Vec::new();
        match there {
            Some(there) => spawned.extend(there.iter().map(|&(fleet, _)| fleet)),
            None => {
                let fleets = self.fleets.iter().map(|it| Fleet {
                    number: it.number,
                    name: it.name.as_str().into(),
                });
                spawn(world, &mut spawned, fleets.collect());
            }
        }
        let fleets = spawned.clone();
        let of = |position: usize| {
            let fleet = fleets.get(position).copied();
            OfFleet(fleet.unwrap_or(Entity::PLACEHOLDER))
        };
        let servers = self
            .servers
            .iter()
            .filter_map(|&(server, fleet, position, status)| {
                let sku = Arc::clone(stocks.get(fleet)?.kinds().get(position)?.sku());
                Some((of(fleet), server, ServerSku { position, sku }, status))
            });
        spawn(world, &mut spawned, servers.collect());
        for (position, fleet) in self.fleets.iter().enumerate() {
            match there.and_then(|it| it.get(position)) {
                Some((_, there)) => {
                    let alive = there.iter().zip(&fleet.applications);
                    spawned.extend(alive.filter_map(|(&it, name)| name.as_ref().map(|_| it)));
                }
                None => {
                    let alive = fleet.applications.iter().flatten();
                    spawn(world, &mut spawned, alive.map(|_| of(position)).collect());
                }
            }
        }
        let at = |spawned: &[Entity], number: u32| {
            let entity = spawned.get(number as usize).copied();
            entity.unwrap_or(Entity::PLACEHOLDER)
        };
        let processors = self.processors.iter();
        let processors = processors.map(|&(it, server)| (it, OnServer(at(&spawned, server))));
        let processors: Vec<(Processor, OnServer)> = processors.collect();
        spawn(world, &mut spawned, processors);
        let instances = self.instances.iter();
        let instances = instances.map(|&(it, fleet, status, role, template, application)| {
            let application = OfApplication(at(&spawned, application));
            (of(fleet), it, status, role, template, application)
        });
        let instances: Vec<_> = instances.collect();
        spawn(world, &mut spawned, instances);
        for &(instance, server) in &self.hosted {
            let server = HostedOn(at(&spawned, server));
            if let Ok(mut instance) = world.get_entity_mut(at(&spawned, instance)) {
                instance.insert(server);
            }
        }
        for &(processor, instance) in &self.used {
            let instance = UsedBy(at(&spawned, instance));
            if let Ok(mut processor) = world.get_entity_mut(at(&spawned, processor)) {
                processor.insert(instance);
            }
        }
        spawned.extend((0..self.others).map(|_| world.spawn_empty().id()));
        spawned
    }
}

/// Entities in the order in which they were found, each with its number.
#[derive(Default)]
struct Found {
    order: Vec<Entity>,
    numbers: EntityHashMap<u32>,
}

impl Found {
    fn add(&mut self, entity: Entity) {
        let next = self.order.len() as u32;
        if *self.numbers.entry(entity).or_insert(next) == next {
            self.order.push(entity);
        }
    }

    fn number(&self, entity: Entity) -> Option<u32> {
        self.numbers.get(&entity).copied()
    }

    fn pair(&self, one: Entity, other: Entity) -> Option<(u32, u32)> {
        Some((self.number(one)?, self.number(other)?))
    }
}

fn instance(world: &World, entity: Entity, fleet: usize, found: &Found) -> Option<InstanceNature> {
    let application = world.get::<OfApplication>(entity)?.application();
    Some((
        *world.get::<Instance>(entity)?,
        fleet,
        *world.get::<InstanceStatus>(entity)?,
        *world.get::<InstanceRole>(entity)?,
        *world.get::<FromTemplate>(entity)?,
        found.number(application)?,
    ))
}

fn spawn<B: Bundle<Effect: NoBundleEffect>>(
    world: &mut World,
    spawned: &mut Vec<Entity>,
    bundles: Vec<B>,
) {
    spawned.extend(world.spawn_batch(bundles));
}
