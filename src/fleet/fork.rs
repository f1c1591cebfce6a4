//! A fleet copied into a world of its own, with all that is to come of it.

use bevy_ecs::bundle::{Bundle, NoBundleEffect};
use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use super::drain::IdleDrains;
use super::free_processors::FreeProcessors;
use super::guard::{self, Guard};
use super::parts::{Parts, Twins};
use super::requests::Announced;
use super::script::Script;
use super::start_up::WaitingRequests;
use super::{
    Agenda, Application, Clock, DrainTimer, EngineHandle, FromTemplate, HostedOn, Hosts, Instance,
    InstanceRole, InstanceStatus, Ledger, MadeWithInstance, MadeWithServer, OfApplication,
    OnServer, Origin, OutcomeLog, Processor, Processors, Provisioning, Refusals, RequestEnded,
    Retention, Roster, RunWarnings, ScalingEvent, ScalingLog, ScalingRules, Server, ServerSku,
    ServerStatus, Service, StartUp, Stock, Tag, TakesServerAlong, Templates, TickLimits, UsedBy,
    Uses, VerbOutcome, tick,
};

/// A world of its own with a copy of the fleet, which goes on as the fleet would: requests, engines,
/// workloads with their place, random streams, timers, policies, recorders, and all else that is in its
/// [`Parts`]. None for a world without a fleet.
///
/// Servers and instances are found by their numbers, applications by their names; entities are others.
/// Messages and the outcomes of [tickets](super::Ticket) stay behind, and so do the host's entities, its
/// systems, and its wakes for entities of its own. A fork may be made between ticks.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet;
/// # use fleetsim::prelude::*;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server",
/// #     fleet: [(sku: "dgx-h100", count: 2)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b",
/// #         instances: [(role: Mixed, start: AllServers)],
/// #         workload: Synthetic(
/// #             arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(500),
/// #             output_tokens: Constant(100), requests: 200,
/// #         ),
/// #     )],
/// # )"#, ".".as_ref())?;
/// # let mut world = World::new();
/// # fleet::install(&mut world, &scenario)?;
/// world.run_until(SimTime::new(20.0)?)?;
/// let mut other = fleet::fork(&world).ok_or("there is a fleet")?;
///
/// // What if an instance crashed now?
/// let instance = other.instance(0).ok_or("it is there")?;
/// other.despawn(instance);
/// for world in [&mut world, &mut other] {
///     world.run_until(SimTime::new(100.0)?)?;
/// }
/// assert!(other.last_served() > world.last_served());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn fork(world: &World) -> Option<World> {
    let parts = world.get_resource::<Parts>()?;
    world.get_resource::<Roster>()?;
    let mut fork = World::new();
    let twins = spawn_twins(world, parts, &mut fork);
    parts.copy(world, &mut fork, &twins);
    fork.insert_resource(parts.clone());
    fork.insert_resource(FreeProcessors::of(
        world
            .resource::<Roster>()
            .servers()
            .filter_map(|it| twins.of(it)),
    ));
    fork.insert_resource(Guard::default());
    guard::add_observers(&mut fork);
    parts.add_systems(&mut fork);
    Some(fork)
}

/// Enters what the fleet itself is made of.
pub(super) fn enter_parts(parts: &mut Parts) {
    parts
        .nature::<Server>()
        .nature::<Processor>()
        .nature::<Instance>()
        .component::<Application>()
        .component::<Service>()
        .component_with::<IdleDrains>(IdleDrains::follow)
        .component::<ScalingRules>()
        .component::<Templates>()
        .component::<Tag>()
        .component::<EngineHandle>()
        .component::<TakesServerAlong>()
        .component::<MadeWithServer>()
        .component::<MadeWithInstance>()
        .component::<Provisioning>()
        .component::<StartUp>()
        .component::<DrainTimer>()
        .resource::<Ledger>()
        .resource::<Stock>()
        .resource_with::<Agenda>(Agenda::follow)
        .resource::<Script>()
        .resource::<TickLimits>()
        .resource::<Clock>()
        .resource::<Origin>()
        .resource_with::<Roster>(Roster::follow)
        .resource_with::<WaitingRequests>(WaitingRequests::follow)
        .resource::<ScalingLog>()
        .resource::<RunWarnings>()
        .resource::<Refusals>()
        .resource::<Retention>()
        .resource_with::<Announced>(Announced::follow)
        .fresh_resource::<OutcomeLog>()
        .fresh_resource::<Messages<ScalingEvent>>()
        .fresh_resource::<Messages<VerbOutcome>>()
        .fresh_resource::<Messages<RequestEnded>>()
        .systems::<super::Tick>(tick::add_schedule);
}

/// Spawns the twins of the fleet's entities, with what they are by nature: before there are resources, so that
/// no hook takes it for something that happens. What an entity is linked to keeps its order.
fn spawn_twins(world: &World, parts: &Parts, fork: &mut World) -> Twins {
    let mut twins = Twins::default();
    let roster = world.resource::<Roster>();
    let mut servers = Vec::with_capacity(roster.live_servers());
    for entity in roster.servers() {
        if let (Some(&server), Some(sku), Some(&status)) = (
            world.get::<Server>(entity),
            world.get::<ServerSku>(entity),
            world.get::<ServerStatus>(entity),
        ) {
            servers.push((entity, (server, sku.clone(), status)));
        }
    }
    enter(fork, &mut twins, servers);

    let applications = roster.applications().iter().map(|&it| (it, ()));
    let applications: Vec<_> = applications
        .filter(|&(it, ())| world.get::<Application>(it).is_some())
        .collect();
    enter(fork, &mut twins, applications);

    let mut processors = Vec::new();
    for entity in roster.servers() {
        let there = world.get::<Processors>(entity).into_iter();
        for processor in there.flat_map(Processors::iter) {
            if let (Some(&it), Some(server)) = (world.get(processor), twins.of(entity)) {
                let bundle: (Processor, OnServer) = (it, OnServer(server));
                processors.push((processor, bundle));
            }
        }
    }
    enter(fork, &mut twins, processors);

    let instances = roster.instances();
    let instances: Vec<_> = instances
        .filter_map(|it| Some((it, instance_bundle(world, it, &twins)?)))
        .collect();
    enter(fork, &mut twins, instances);
    for entity in roster.servers() {
        for instance in world.get::<Hosts>(entity).into_iter().flat_map(Hosts::iter) {
            if let (Some(instance), Some(server)) = (twins.of(instance), twins.of(entity)) {
                fork.entity_mut(instance).insert(HostedOn(server));
            }
        }
    }
    for entity in roster.instances() {
        for processor in world.get::<Uses>(entity).into_iter().flat_map(Uses::iter) {
            if let (Some(processor), Some(instance)) = (twins.of(processor), twins.of(entity)) {
                fork.entity_mut(processor).insert(UsedBy(instance));
            }
        }
    }
    for owner in parts.owners(world) {
        twins
            .0
            .entry(owner)
            .or_insert_with(|| fork.spawn_empty().id());
    }
    twins
}

type InstanceBundle = (
    Instance,
    InstanceStatus,
    InstanceRole,
    FromTemplate,
    OfApplication,
);

fn instance_bundle(world: &World, entity: Entity, twins: &Twins) -> Option<InstanceBundle> {
    let application = world.get::<OfApplication>(entity)?.application();
    Some((
        *world.get::<Instance>(entity)?,
        *world.get::<InstanceStatus>(entity)?,
        *world.get::<InstanceRole>(entity)?,
        *world.get::<FromTemplate>(entity)?,
        OfApplication(twins.of(application)?),
    ))
}

/// Spawns twins with what they are made of.
fn enter<B: Bundle<Effect: NoBundleEffect>>(
    fork: &mut World,
    twins: &mut Twins,
    originals: Vec<(Entity, B)>,
) {
    let (originals, bundles): (Vec<Entity>, Vec<B>) = originals.into_iter().unzip();
    let spawned = fork.spawn_batch(bundles);
    twins.0.extend(originals.into_iter().zip(spawned));
}
