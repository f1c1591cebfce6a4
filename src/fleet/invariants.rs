//! What must hold between ticks, recounted from the entities.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::entity::Entity;
use bevy_ecs::query::{Or, With};
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use super::fleet_part::part;
use super::zones::InZone;
use super::{
    Agenda, Application, Clock, DrainTimer, EngineHandle, Fleet, FleetsExt, HostedOn, Hosts,
    Instance, InstanceRole, InstanceStatus, Instances, Ledger, OfApplication, OfFleet, OnServer,
    Processor, Processors, Provisioning, Purchased, Roster, Server, ServerCounts, ServerSku,
    ServerStatus, Service, StartUp, StatusCounts, Stock, TakesServerAlong, UsedBy, Uses,
};

/// An invariant that does not hold: a bug in fleetsim, or a host that changed what is the lifecycle's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant violated: {0}")]
pub struct Violation(String);

macro_rules! require {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(Violation(format!($($message)+)));
        }
    };
}

/// Recounts the whole fleet. Costs time in proportion to it: for tests.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_invariants(world: &mut World) -> Result<(), Violation> {
    for fleet in world.fleets().to_vec() {
        check_servers(world, fleet)?;
        check_instances(world, fleet)?;
    }
    check_belonging(world)?;
    check_processors(world)?;
    check_requests(world)
}

/// Whether each server and each instance is of a fleet that is there, an instance of that of its server.
fn check_belonging(world: &mut World) -> Result<(), Violation> {
    let mut query = world.query_filtered::<Option<&OfFleet>, Or<(With<Server>, With<Instance>)>>();
    for of in query.iter(world) {
        require!(
            of.is_some_and(|of| world.get::<Fleet>(of.0).is_some()),
            "a server or an instance is of no fleet"
        );
    }
    let mut query = world.query::<(&Instance, &OfFleet, &HostedOn, &OfApplication)>();
    for (instance, of, host, application) in query.iter(world) {
        require!(
            world.get(host.0) == Some(of) && world.get(application.0) == Some(of),
            "instance {} is of another fleet than its server or its application",
            instance.number()
        );
    }
    Ok(())
}

fn check_servers(world: &mut World, fleet: Entity) -> Result<(), Violation> {
    let mut query = world.query::<(
        Entity,
        &OfFleet,
        &Server,
        &ServerSku,
        &ServerStatus,
        (Option<&Provisioning>, Option<&Processors>),
        (Option<&InZone>, Option<&Purchased>),
    )>();
    let (ledger, stock) = (part::<Ledger>(world, fleet), part::<Stock>(world, fleet));
    let roster = part::<Roster>(world, fleet);
    let mut counts = vec![ServerCounts::default(); stock.kinds().len()];
    let mut lots = BTreeMap::<_, u32>::new();
    let mut live = 0;
    for (entity, of, server, sku, status, (provisioning, processors), lot) in query.iter(world) {
        if of.0 != fleet {
            continue;
        }
        let number = server.number();
        live += 1;
        require!(
            roster.server(number) == Some(entity),
            "server {number} is not under its number"
        );
        match status {
            ServerStatus::ScalingUp => counts[sku.position()].scaling_up += 1,
            ServerStatus::Active => counts[sku.position()].active += 1,
            ServerStatus::ScalingDown => {
                require!(false, "server {number} outlives its removal");
            }
        }
        require!(
            provisioning.is_some() == (*status == ServerStatus::ScalingUp),
            "server {number} is {} with or without a timer",
            status.name()
        );
        require!(
            processors.map_or(0, Processors::len) == sku.sku().processors as usize,
            "server {number} has lost a processor"
        );
        let account = &ledger.servers()[index(number)];
        let (zone, option) = (lot.0.map(|it| it.zone), lot.1.map(Purchased::option));
        *lots.entry((sku.position(), zone, option)).or_default() += 1;
        require!(
            account.purchase == option,
            "the account of server {number} does not say how it was bought"
        );
        require!(
            account.gone.is_none() && account.active.is_some() == (*status == ServerStatus::Active),
            "the account of server {number} is not that of one that is {}",
            status.name()
        );
    }
    require!(
        live == roster.live_servers(),
        "there are {live} servers and {} numbers of servers",
        roster.live_servers()
    );
    for (sku, count) in counts.into_iter().enumerate() {
        let books = ledger.servers_of(sku);
        require!(
            books == count,
            "SKU {sku}: {count:?}, but on the books {books:?}"
        );
        let kind = &stock.kinds()[sku];
        // A host may have lowered it since.
        let most = kind.highest_limit;
        require!(
            most.is_none_or(|most| count.total() <= most),
            "SKU {sku} is above its limit"
        );
    }
    for ((sku, zone, option), count) in lots {
        let kind = &stock.kinds()[sku];
        let books = kind.market.there(zone, option);
        require!(
            zone.is_none() && option.is_none() || books == count,
            "SKU {sku}: {count} servers in the zone {zone:?} by {option:?}, but on the books {books}"
        );
        let most = kind.offers().iter().find(|it| Some(it.option) == option);
        let most = most.and_then(|it| it.most);
        require!(
            option.is_none_or(|it| most.is_none_or(|most| kind.market.bought(it) <= most)),
            "SKU {sku}: more servers than can be bought by {option:?}"
        );
    }
    let open = ledger.servers().iter().filter(|it| it.gone.is_none());
    require!(
        open.count() == live,
        "an account of a server that has gone is open"
    );
    Ok(())
}

fn check_processors(world: &mut World) -> Result<(), Violation> {
    let mut query = world.query::<(Entity, &Processor, &OnServer, Option<&UsedBy>)>();
    let mut named = BTreeSet::new();
    for (entity, processor, &OnServer(server), used) in query.iter(world) {
        let index = processor.index();
        require!(
            named.insert((server, index)),
            "{server} has two processors {index}"
        );
        require!(
            world.get::<Server>(server).is_some(),
            "{entity} outlives its server"
        );
        if let Some(&UsedBy(instance)) = used {
            require!(
                world.get::<Instance>(instance).is_some(),
                "processor {entity} works for what is no instance"
            );
            require!(
                world.get(instance) == Some(&HostedOn(server)),
                "processor {entity} works for an instance on another server"
            );
        }
    }
    Ok(())
}

fn check_instances(world: &mut World, fleet: Entity) -> Result<(), Violation> {
    let mut query = world.query::<(
        (Entity, &OfFleet),
        &Instance,
        &InstanceStatus,
        (&InstanceRole, &OfApplication, &HostedOn),
        Option<&EngineHandle>,
        (Option<&StartUp>, Option<&DrainTimer>),
        Option<&Uses>,
        Option<&TakesServerAlong>,
    )>();
    let now = world.resource::<Clock>().now();
    let ledger = part::<Ledger>(world, fleet);
    let roster = part::<Roster>(world, fleet);
    let mut counts: BTreeMap<(usize, crate::serving::Role), StatusCounts> = BTreeMap::new();
    let mut live = 0;
    for ((entity, of_fleet), instance, &status, (role, of, host), engine, timers, uses, along) in
        query.iter(world)
    {
        if of_fleet.0 != fleet {
            continue;
        }
        let number = instance.number();
        let name = status.name();
        live += 1;
        require!(
            roster.instance(number) == Some(entity),
            "instance {number} is not under its number"
        );
        let Some(application) = world.get::<Application>(of.application()) else {
            return Err(Violation(format!(
                "instance {number} outlives its application"
            )));
        };
        require!(
            world.get::<Server>(host.0).is_some(),
            "instance {number} outlives its server"
        );
        let hosts = world.get::<Hosts>(host.0);
        require!(
            hosts.is_some_and(|hosts| hosts.iter().any(|it| it == entity)),
            "instance {number} is not among those of its server"
        );
        let listed = world.get::<Instances>(of.application());
        require!(
            listed.is_some_and(|it| it.contains(entity)),
            "instance {number} is not among those of its application"
        );
        let account = &ledger.instances()[index(number)];
        require!(
            account.status() == status,
            "instance {number} is {name}, but on the books {}",
            account.status().name()
        );
        require!(
            uses.map_or(0, Uses::len) == account.processors as usize,
            "instance {number} has lost a processor"
        );
        let open = engine.is_some_and(|it| {
            let service = world.get::<Service>(of.application());
            service.is_some_and(|service| service.0.is_open(it.engine()))
        });
        require!(
            open == (status == InstanceStatus::Active),
            "instance {number} is {name}, and its engine is {}",
            if open { "open" } else { "closed" }
        );
        let (start, drain) = timers;
        require!(
            start.is_some() == (status == InstanceStatus::ScalingUp)
                && drain.is_some() == (status == InstanceStatus::Draining),
            "instance {number} is {name}, and its timers are for something else"
        );
        require!(
            along.is_none() || status == InstanceStatus::Draining,
            "instance {number} is {name} and would take its server along"
        );
        let joined = start.is_none_or(|start| start.joins <= now);
        let pending = world.resource::<Agenda>().is_due(now);
        require!(
            engine.is_some() || !joined || pending,
            "instance {number} is {name} and its engine is not as it should be"
        );
        counts
            .entry((application.index(), role.role()))
            .or_default()
            .add(status);
    }
    require!(
        live == roster.live_instances(),
        "there are {live} instances and {} numbers of instances",
        roster.live_instances()
    );
    let mut total = StatusCounts::default();
    for (&(application, role), &count) in &counts {
        let books = ledger.counts_of(application, role);
        require!(
            books == count,
            "application {application}, {role:?}: {count:?}, but on the books {books:?}"
        );
        total.scaling_up += count.scaling_up;
        total.active += count.active;
        total.draining += count.draining;
    }
    require!(
        total == ledger.counts(),
        "the totals on the books are wrong"
    );
    let open = ledger.instances().iter().filter(|it| it.gone.is_none());
    require!(
        open.count() == live,
        "an account of an instance that has gone is open"
    );
    Ok(())
}

fn check_requests(world: &mut World) -> Result<(), Violation> {
    let mut query = world.query::<(&Application, &Service)>();
    for (application, service) in query.iter(world) {
        let counts = service.0.counts();
        require!(
            counts.add_up(),
            "\"{}\" has lost a request: {counts:?}",
            application.name()
        );
        if let Err(wrong) = service.0.recount() {
            return Err(Violation(format!("\"{}\": {wrong}", application.name())));
        }
    }
    Ok(())
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The invariants that cost no more than there are applications, after every tick of a debug build.
pub(super) fn assert_cheap(world: &mut World) {
    for &fleet in world.fleets() {
        assert_cheap_of(world, fleet);
    }
}

fn assert_cheap_of(world: &World, fleet: Entity) {
    let roster = part::<Roster>(world, fleet);
    let ledger = part::<Ledger>(world, fleet);
    let stock = part::<Stock>(world, fleet);
    debug_assert_eq!(
        ledger.counts().total() as usize,
        roster.live_instances(),
        "instances on the books"
    );
    let servers = (0..stock.kinds().len()).map(|sku| ledger.servers_of(sku).total() as usize);
    debug_assert_eq!(
        servers.sum::<usize>(),
        roster.live_servers(),
        "servers on the books"
    );
    for &application in roster.applications() {
        let Some(service) = world.get::<Service>(application) else {
            continue;
        };
        let counts = service.0.counts();
        debug_assert!(counts.add_up(), "a request was lost: {counts:?}");
    }
}
