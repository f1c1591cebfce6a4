//! The fleet's entities with what they are by nature, by number: what their twins are spawned from.

use bevy_ecs::bundle::{Bundle, NoBundleEffect};
use bevy_ecs::entity::{Entity, EntityHashMap};
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::parts::Parts;
use super::{
    Application, FromTemplate, HostedOn, Hosts, Instance, InstanceRole, InstanceStatus,
    OfApplication, OnServer, Processor, Processors, Roster, Server, ServerSku, ServerStatus, Stock,
    UsedBy, Uses,
};

/// The entities of a fleet. They are numbered through: servers, applications, processors, instances, others.
///
/// What an entity is linked to keeps its order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Natures {
    /// The names of the SKUs of the fleet.
    skus: Vec<String>,
    /// Each with the position of its SKU.
    servers: Vec<(Server, usize, ServerStatus)>,
    /// The names of the applications of the roster; none of one that is gone.
    applications: Vec<Option<String>>,
    /// Each with the number of its server.
    processors: Vec<(Processor, u32)>,
    /// Each with the number of its application.
    instances: Vec<(Instance, InstanceStatus, InstanceRole, FromTemplate, u32)>,
    /// The number of each instance, and that of its server.
    hosted: Vec<(u32, u32)>,
    /// The number of each processor that is in use, and that of the instance.
    used: Vec<(u32, u32)>,
    /// How many others have a part of the fleet.
    others: u32,
}

impl Natures {
    /// Those of a world with a fleet, and the entities in the order of their numbers.
    pub(super) fn of(world: &World, parts: &Parts) -> (Self, Vec<Entity>) {
        let mut natures = Self::default();
        let mut found = Found::default();
        let kinds = world.resource::<Stock>().kinds().iter();
        natures.skus = kinds.map(|kind| kind.sku().name.clone()).collect();
        let roster = world.resource::<Roster>();
        for entity in roster.servers() {
            if let (Some(&server), Some(sku), Some(&status)) = (
                world.get::<Server>(entity),
                world.get::<ServerSku>(entity),
                world.get::<ServerStatus>(entity),
            ) {
                found.add(entity);
                natures.servers.push((server, sku.position(), status));
            }
        }
        for &entity in roster.applications() {
            let application = world.get::<Application>(entity);
            let name = application.map(|it| it.name().to_string());
            if name.is_some() {
                found.add(entity);
            }
            natures.applications.push(name);
        }
        for entity in roster.servers() {
            let there = world.get::<Processors>(entity).into_iter();
            for processor in there.flat_map(Processors::iter) {
                if let (Some(&it), Some(server)) = (world.get(processor), found.number(entity)) {
                    found.add(processor);
                    natures.processors.push((it, server));
                }
            }
        }
        for entity in roster.instances() {
            if let Some(instance) = instance(world, entity, &found) {
                found.add(entity);
                natures.instances.push(instance);
            }
        }
        for entity in roster.servers() {
            for instance in world.get::<Hosts>(entity).into_iter().flat_map(Hosts::iter) {
                natures.hosted.extend(found.pair(instance, entity));
            }
        }
        for entity in roster.instances() {
            for processor in world.get::<Uses>(entity).into_iter().flat_map(Uses::iter) {
                natures.used.extend(found.pair(processor, entity));
            }
        }
        let of_parts = found.order.len();
        parts.owners(world).for_each(|owner| found.add(owner));
        natures.others = (found.order.len() - of_parts) as u32;
        (natures, found.order)
    }

    /// The names of the SKUs of the fleet.
    pub(super) fn skus(&self) -> &[String] {
        &self.skus
    }

    /// The names of the applications of the roster; none of one that is gone.
    pub(super) fn applications(&self) -> &[Option<String>] {
        &self.applications
    }

    /// Spawns them, before there are resources, so that no hook takes it for something that happens. Gives the
    /// entities in the order of their numbers. Applications that are there already are taken instead of new ones.
    pub(super) fn spawn(
        &self,
        world: &mut World,
        stock: &Stock,
        applications: Option<&[Entity]>,
    ) -> Vec<Entity> {
        let mut spawned: Vec<Entity> = Vec::new();
        let servers = self
            .servers
            .iter()
            .filter_map(|&(server, position, status)| {
                let sku = Arc::clone(stock.kinds().get(position)?.sku());
                Some((server, ServerSku { position, sku }, status))
            });
        spawn(world, &mut spawned, servers.collect());
        match applications {
            Some(there) => {
                let alive = there.iter().zip(&self.applications);
                spawned.extend(alive.filter_map(|(&it, name)| name.as_ref().map(|_| it)));
            }
            None => {
                let alive = self.applications.iter().flatten();
                spawn(world, &mut spawned, alive.map(|_| ()).collect());
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
        let instances = instances.map(|&(it, status, role, template, application)| {
            let application = OfApplication(at(&spawned, application));
            (it, status, role, template, application)
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

fn instance(
    world: &World,
    entity: Entity,
    found: &Found,
) -> Option<(Instance, InstanceStatus, InstanceRole, FromTemplate, u32)> {
    let application = world.get::<OfApplication>(entity)?.application();
    Some((
        *world.get::<Instance>(entity)?,
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
