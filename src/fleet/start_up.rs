//! From `ScalingUp` to `Active`: instances join, open, and take waiting requests.

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::serving::registry::NamedEngine;
use crate::serving::{EngineSpec, Role};
use crate::time::SimTime;

use super::attempt::StartUpAttempt;
use super::fleet_part::part_mut;
use super::parts::Twins;
use super::status::{log_instance, set_status};
use super::{
    Agenda, Clock, EngineHandle, FleetsExt, FromTemplate, HostedOn, Instance, InstanceRole,
    InstanceStatus, Ledger, OfApplication, ScalingAction, ServerSku, Service, StartUp, Templates,
    guard, hazards, slow, staging,
};

/// The applications whose waiting requests are to be scheduled, after everything else due at this instant.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct WaitingRequests(Vec<Entity>);

impl WaitingRequests {
    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        self.0.iter_mut().for_each(|entity| twins.follow(entity));
    }

    /// Takes each, in the order of asking.
    pub(super) fn drain(&mut self) -> std::vec::Drain<'_, Entity> {
        self.0.drain(..)
    }
}

/// An instance has spun up: it joins its application, closed to requests as yet.
pub(super) fn join(world: &mut World, instance: Entity) {
    let joined = world.get::<EngineHandle>(instance).is_some();
    if !joined && world.get::<StartUp>(instance).is_some() {
        add_engine(world, instance);
    }
}

/// An instance that has joined becomes active.
pub(super) fn activate(world: &mut World, instance: Entity, at: SimTime) {
    let starting = world.get::<StartUp>(instance).is_some();
    if starting && set_status(world, instance, InstanceStatus::Active, at) {
        if let Ok(mut entity) = world.get_entity_mut(instance) {
            entity.remove::<(StartUp, StartUpAttempt)>();
        }
        staging::cut_short(world, instance);
        open(world, instance, at);
    }
}

/// Lets an active instance take requests, and says so in the log.
pub(super) fn open(world: &mut World, instance: Entity, at: SimTime) {
    if world.get_entity(instance).is_err() {
        return;
    }
    open_engine(world, instance);
    hazards::instance_is_up(world, instance);
    log_instance(world, instance, ScalingAction::ScaleUpComplete, at);
    if let Some(&OfApplication(application)) = world.get(instance) {
        request_flush(&mut world.into(), application);
    }
}

/// Lets the scheduler choose an instance.
pub(super) fn open_engine(world: &mut World, instance: Entity) {
    if let (Some(&EngineHandle(engine)), Some(&OfApplication(application))) =
        (world.get(instance), world.get(instance))
        && let Some(mut service) = world.get_mut::<Service>(application)
    {
        service.0.open(engine);
    }
}

/// Gives an instance its engine in its application's endpoint.
pub(super) fn add_engine(world: &mut World, instance: Entity) {
    let Ok(entity) = world.get_entity(instance) else {
        return;
    };
    let (
        Some(&Instance { number }),
        Some(&InstanceRole(role)),
        Some(&FromTemplate(template)),
        Some(&HostedOn(server)),
        Some(&OfApplication(application)),
    ) = (
        entity.get(),
        entity.get(),
        entity.get(),
        entity.get(),
        entity.get(),
    )
    else {
        return;
    };
    let (Some(sku), Some(templates)) = (
        world.get::<ServerSku>(server),
        world.get::<Templates>(application),
    ) else {
        return;
    };
    let spec = engine_spec(templates, template, sku.position(), number, role);
    let Some((spec, named)) = spec else {
        return;
    };
    let Some(mut service) = world.get_mut::<Service>(application) else {
        return;
    };
    let engine = match named {
        Some(named) => {
            let engine = named.build(&service.0.site(&spec));
            service.0.add(number, role, engine)
        }
        None => service.0.add_engine(spec),
    };
    guard::work(world, |world| {
        world.entity_mut(instance).insert(EngineHandle(engine));
    });
    if let Some(fleet) = world.fleet_of(instance) {
        part_mut::<Ledger>(world, fleet).join(number, engine);
    }
    slow::set_pace(world, instance);
}

/// What the engine of an instance is made from: its template on a SKU; with its kind, if it is not built in.
pub(super) fn engine_spec(
    templates: &Templates,
    template: usize,
    sku: usize,
    instance: u64,
    role: Role,
) -> Option<(EngineSpec, Option<NamedEngine>)> {
    let template = templates.find(template)?;
    let fit = template.on(sku).ok()?;
    let spec = EngineSpec {
        instance,
        role,
        batching: fit.engine,
        memory_bytes: fit.memory_bytes,
        performance: fit.performance.clone(),
    };
    Some((spec, template.named.clone()))
}

/// Schedules the waiting requests of an application, after everything else due at this instant.
pub(super) fn request_flush(world: &mut DeferredWorld<'_>, application: Entity) {
    let now = world.resource::<Clock>().now();
    let mut waiting = world.resource_mut::<WaitingRequests>();
    if !waiting.0.contains(&application) {
        waiting.0.push(application);
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.lifecycle.set::<WaitingRequests>(now, application);
    }
}
