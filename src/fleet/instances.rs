//! Instances come into being.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::serving::Role;
use crate::time::SimTime;

use super::account::InstanceAccount;
use super::fleet_part::{part, part_mut};
use super::request::{ScaleUpFull, ScaleUpInstance, ScaledUp};
use super::status::log_instance;
use super::{
    Application, Broken, Clock, Fleet, FleetsExt, FromTemplate, HostedOn, Instance, InstanceRole,
    InstanceStatus, Ledger, MadeWithInstance, MadeWithServer, OfApplication, OfFleet, Processor,
    Processors, Provisioning, Reclaimed, Roster, ScalingAction, ScalingError, Server, ServerSku,
    ServerStatus, Stock, Tag, Templates, Unnoticed, UsedBy, attempts, free_processors, guard,
    ready_servers, servers, start_up,
};

/// An instance that can be created: everything about it has been checked.
pub(super) struct Plan {
    pub(super) application: Entity,
    pub(super) template: usize,
    pub(super) server: Entity,
    pub(super) processors: Vec<Entity>,
    pub(super) tag: Option<Arc<str>>,
}

/// How an instance enters its life.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    /// Active since time zero.
    AtStart,
    /// Active at once.
    PreStarted,
    /// Starting up from the instant at which its server is there.
    ScalingUp { ready: SimTime },
}

/// A new server, or one that is kept ready, with one new instance on it.
pub(super) fn create_full(
    world: &mut World,
    request: &ScaleUpFull,
) -> Result<ScaledUp, ScalingError> {
    find_role(world, request.application, request.role)?;
    let fleet = fleet_of(world, request.application)?;
    part::<Roster>(world, fleet).admit_instance()?;
    let sku = part::<Stock>(world, fleet).find(request.sku.as_deref())?;
    let (template, needed) = find_template(world, request.application, request.role, sku, None)?;
    let (server, ready) = match ready_servers::pick(world, fleet, sku) {
        Some(kept) => kept,
        None => servers::create(world, fleet, sku)?,
    };
    let plan = Plan {
        application: request.application,
        template,
        server,
        processors: processors_of(world, server)
            .into_iter()
            .take(needed as usize)
            .collect(),
        tag: request.tag.clone(),
    };
    let instance = create(world, &plan, Entry::ScalingUp { ready });
    if let Ok(mut instance) = world.get_entity_mut(instance) {
        instance.insert(MadeWithServer);
    }
    if let Ok(mut server) = world.get_entity_mut(server) {
        server.insert(MadeWithInstance);
    }
    Ok(ScaledUp { server, instance })
}

/// A new instance on a server that is there or on its way.
pub(super) fn create_on(
    world: &mut World,
    request: &ScaleUpInstance,
    pre_start: bool,
) -> Result<Entity, ScalingError> {
    find_role(world, request.application, request.role)?;
    let fleet = fleet_of(world, request.application)?;
    part::<Roster>(world, fleet).admit_instance()?;
    let server = request.server;
    let (Some(&Server { number }), Some(sku), Some(&status)) = (
        world.get(server),
        world.get::<ServerSku>(server),
        world.get::<ServerStatus>(server),
    ) else {
        return Err(ScalingError::NotAServer(server));
    };
    if world.fleet_of(server) != Some(fleet) {
        let application = world.get::<Fleet>(fleet);
        return Err(ScalingError::OtherFleet {
            application: application.map_or_else(String::new, |it| it.name().to_string()),
        });
    }
    if let Some(reclaimed) = world.get::<Reclaimed>(server) {
        return Err(ScalingError::ServerReclaimed {
            server: number,
            at: reclaimed.at(),
        });
    }
    if world.get::<Unnoticed>(server).is_some() {
        return Err(ScalingError::ServerLost { server: number });
    }
    if pre_start && status != ServerStatus::Active {
        return Err(ScalingError::ServerNotActive {
            server: number,
            status,
        });
    }
    let named = request.processors.as_ref().map(Vec::len);
    let named = named.and_then(|count| u32::try_from(count).ok());
    let sku = sku.position();
    let (template, needed) = find_template(world, request.application, request.role, sku, named)?;
    let processors = match &request.processors {
        None => first_free(world, server, number, needed)?,
        Some(named) => take_named(world, server, number, needed, named)?,
    };
    let plan = Plan {
        application: request.application,
        template,
        server,
        processors,
        tag: request.tag.clone(),
    };
    let entry = if pre_start {
        Entry::PreStarted
    } else {
        let now = world.resource::<Clock>().now();
        let ready = world.get::<Provisioning>(server).map_or(now, |it| it.ready);
        Entry::ScalingUp { ready }
    };
    Ok(create(world, &plan, entry))
}

/// Creates what was planned.
pub(super) fn create(world: &mut World, plan: &Plan, entry: Entry) -> Entity {
    let now = world.resource::<Clock>().now();
    let fleet = world.fleet_of(plan.application);
    let fleet = fleet.expect("a plan is about an application of a fleet");
    let number = part::<Roster>(world, fleet).next_instance();
    let status = match entry {
        Entry::AtStart | Entry::PreStarted => InstanceStatus::Active,
        Entry::ScalingUp { .. } => InstanceStatus::ScalingUp,
    };
    let role = world
        .get::<Templates>(plan.application)
        .map(|templates| templates.get(plan.template).role)
        .expect("a plan is about an application");
    let instance = world.spawn_empty().id();
    enlist(world, fleet, instance, role, status, plan);
    guard::work(world, |world| {
        let mut entity = world.entity_mut(instance);
        entity.insert((
            OfFleet(fleet),
            Instance { number },
            status,
            InstanceRole(role),
            FromTemplate(plan.template),
            OfApplication(plan.application),
            HostedOn(plan.server),
        ));
        for &processor in &plan.processors {
            // An observer may have taken the server away.
            if let Ok(mut processor) = world.get_entity_mut(processor) {
                processor.insert(UsedBy(instance));
            }
        }
        if let (Some(tag), Ok(mut entity)) = (&plan.tag, world.get_entity_mut(instance)) {
            entity.insert(Tag(Arc::clone(tag)));
        }
    });
    match entry {
        Entry::AtStart => {
            start_up::add_engine(world, instance);
            start_up::open_engine(world, instance);
        }
        Entry::PreStarted => {
            start_up::add_engine(world, instance);
            start_up::open(world, instance, now);
        }
        Entry::ScalingUp { ready } if world.get_entity(instance).is_ok() => {
            log_instance(world, instance, ScalingAction::ScaleUpStart, now);
            let start_up = attempts::begin(world, instance, plan.application, ready);
            if let (Some(start_up), Ok(mut entity)) = (start_up, world.get_entity_mut(instance)) {
                entity.insert(start_up);
            }
        }
        Entry::ScalingUp { .. } => {}
    }
    ready_servers::used(world, plan.server);
    instance
}

/// Gives an instance its number and its account.
fn enlist(
    world: &mut World,
    fleet: Entity,
    instance: Entity,
    role: Role,
    status: InstanceStatus,
    plan: &Plan,
) {
    let created = world.resource::<Clock>().now();
    let (Some(&Server { number: server }), Some(sku), Some(application)) = (
        world.get(plan.server),
        world.get::<ServerSku>(plan.server),
        world.get::<Application>(plan.application),
    ) else {
        return;
    };
    let account = InstanceAccount {
        application: application.index(),
        role,
        template: plan.template,
        sku: sku.position(),
        server,
        processors: u32::try_from(plan.processors.len()).unwrap_or(u32::MAX),
        tag: plan.tag.clone(),
        engine: None,
        created,
        active: (status == InstanceStatus::Active).then_some(created),
        draining: None,
        gone: None,
        lost: None,
    };
    part_mut::<Ledger>(world, fleet).open_instance(account);
    part_mut::<Roster>(world, fleet).add_instance(instance);
}

/// The fleet of an application.
fn fleet_of(world: &World, application: Entity) -> Result<Entity, ScalingError> {
    let fleet = world.fleet_of(application);
    fleet.ok_or(ScalingError::NotAnApplication(application))
}

/// The templates of an application, of which one at least is of the role.
fn find_role(world: &World, application: Entity, role: Role) -> Result<&Templates, ScalingError> {
    let (Some(templates), Some(named)) = (
        world.get::<Templates>(application),
        world.get::<Application>(application),
    ) else {
        return Err(ScalingError::NotAnApplication(application));
    };
    if templates.first_of(role).is_none() {
        return Err(ScalingError::NoTemplate {
            application: named.name().to_string(),
            role,
        });
    }
    Ok(templates)
}

/// The template that scale-up uses for a role on a SKU, and the processors that it takes.
fn find_template(
    world: &World,
    application: Entity,
    role: Role,
    sku: usize,
    processors: Option<u32>,
) -> Result<(usize, u32), ScalingError> {
    let templates = find_role(world, application, role)?;
    let template = templates
        .choose(role, sku, processors)
        .ok_or(ScalingError::NotAnApplication(application))?;
    templates.get(template).on(sku)?;
    Ok((template, templates.get(template).processors))
}

/// A server's processors, in order.
pub(super) fn processors_of(world: &World, server: Entity) -> Vec<Entity> {
    world
        .get::<Processors>(server)
        .map(|processors| processors.iter().collect())
        .unwrap_or_default()
}

/// The first processors of a server that are free, as many as are needed.
fn first_free(
    world: &World,
    server: Entity,
    number: u64,
    needed: u32,
) -> Result<Vec<Entity>, ScalingError> {
    let mut free = processors_of(world, server);
    free.retain(|&processor| free_processors::is_free(world, processor));
    let count = u32::try_from(free.len()).unwrap_or(u32::MAX);
    if count < needed {
        return Err(ScalingError::TooFewProcessors {
            server: number,
            needed,
            free: count,
        });
    }
    free.truncate(needed as usize);
    Ok(free)
}

/// The processors of a server at these positions, if each exists, is free and is named once.
fn take_named(
    world: &World,
    server: Entity,
    number: u64,
    needed: u32,
    named: &[u32],
) -> Result<Vec<Entity>, ScalingError> {
    if named.len() != needed as usize {
        return Err(ScalingError::WrongProcessorCount {
            needed,
            given: named.len(),
        });
    }
    let all = processors_of(world, server);
    let mut taken = Vec::with_capacity(named.len());
    for &position in named {
        let processor = all
            .iter()
            .copied()
            .find(|&it| world.get(it) == Some(&Processor { index: position }))
            .ok_or(ScalingError::NoProcessor {
                server: number,
                processor: position,
                count: all.len(),
            })?;
        if let Some(&UsedBy(user)) = world.get(processor) {
            return Err(ScalingError::ProcessorBusy {
                server: number,
                processor: position,
                instance: world.get::<Instance>(user).map_or(0, Instance::number),
            });
        }
        if world.get::<Broken>(processor).is_some() {
            return Err(ScalingError::ProcessorBroken {
                server: number,
                processor: position,
            });
        }
        if taken.contains(&processor) {
            return Err(ScalingError::ProcessorNamedTwice {
                processor: position,
            });
        }
        taken.push(processor);
    }
    Ok(taken)
}
