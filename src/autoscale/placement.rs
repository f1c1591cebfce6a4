//! Where an instance is added, and which one goes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use super::{Actuator, CapacityModel, Signals};
use crate::fleet::free_processors::{self, FreeProcessors, Order};
use crate::fleet::{
    Clock, EngineHandle, FleetsExt, HostedOn, Hosts, Instance, Ledger, OfApplication, Purchased,
    Roster, ScalingExt, ServerSku, Service, Stock, Templates, Uses, part,
};
use crate::scenario::{PlacementRule, SkuChoice, Victim};
use crate::serving::Role;

/// A SKU for the next server.
#[derive(Default)]
pub(super) struct Chosen {
    /// None for the default of the fleet.
    pub(super) sku: Option<String>,
    /// What it is not as it was to be.
    pub(super) but: Option<&'static str>,
}

/// The SKU for the next server, of those that can carry the role and have room; the first that could
/// carry it if none has room, so that the refusal says so.
pub(super) fn best_sku(
    world: &World,
    application: Entity,
    role: Role,
    choice: &SkuChoice,
) -> Chosen {
    if let SkuChoice::Named(name) = choice {
        return Chosen {
            sku: Some(name.clone()),
            but: None,
        };
    }
    let order = sku_order(world, application, role, choice);
    let stock = world
        .fleet_of(application)
        .and_then(|it| world.get::<Stock>(it));
    let (Some(best), Some(stock)) = (order.first(), stock) else {
        return Chosen::default();
    };
    let missed = matches!(choice, SkuChoice::CheapestThatMeets { .. })
        && CapacityModel::misses(best.rank)
        && !best.full;
    Chosen {
        sku: Some(stock.kinds()[best.position].sku().name.clone()),
        but: missed.then_some("no SKU that can be had keeps the objective: the fastest"),
    }
}

/// Which SKU an instance of an application may have: one alone, or what the actuator chooses.
pub(super) fn choice(world: &World, application: Entity, only: Option<usize>) -> SkuChoice {
    let fleet = world.fleet_of(application);
    let stock = fleet.and_then(|fleet| world.get::<Stock>(fleet));
    let named = only.and_then(|sku| stock?.kinds().get(sku));
    let actuator = world.get::<Actuator>(application);
    named.map_or_else(
        || actuator.map_or_else(SkuChoice::default, |it| it.settings.sku.clone()),
        |kind| SkuChoice::Named(kind.sku().name.clone()),
    )
}

/// How many processors an instance of a role takes on a SKU, with its rank in the choice; none where it cannot or must
/// not be there.
pub(super) fn needed(
    world: &World,
    application: Entity,
    role: Role,
    sku: usize,
    choice: &SkuChoice,
) -> Option<(f64, u32)> {
    let capacity = world.get::<Signals>(application)?.capacity();
    let rank = capacity.rank(role, sku, choice)?;
    let processors = world.get::<Templates>(application)?.processors(role, sku)?;
    Some((rank, processors))
}

/// A SKU that can carry a role.
pub(super) struct Ranked {
    /// Its position in the fleet.
    pub(super) position: usize,
    /// Whether no server of it can be had.
    full: bool,
    /// The less, the better.
    rank: f64,
}

/// The SKUs that can carry a role: those with room first, each in the order of the choice.
pub(super) fn sku_order(
    world: &World,
    application: Entity,
    role: Role,
    choice: &SkuChoice,
) -> Vec<Ranked> {
    let (Some(signals), Some(fleet)) = (
        world.get::<Signals>(application),
        world.fleet_of(application),
    ) else {
        return Vec::new();
    };
    let capacity = signals.capacity();
    let (Some(stock), Some(ledger)) = (world.get::<Stock>(fleet), world.get::<Ledger>(fleet))
    else {
        return Vec::new();
    };
    let now = world.resource::<Clock>().now();
    let full = |position: usize| {
        if let SkuChoice::FallBack(_) | SkuChoice::CheapestThatMeets { .. } = choice {
            return !stock.has(position, ledger, now);
        }
        let servers = ledger.servers_of(position).total();
        let limit = stock.kinds()[position].limit();
        !stock.is_kept_ready(position) && limit.is_some_and(|limit| servers >= limit)
    };
    let ranked = |position| {
        let price = stock.asking_price(position, ledger, now);
        Some(Ranked {
            position,
            full: full(position),
            rank: capacity.rank_at(role, position, choice, price)?,
        })
    };
    let mut order: Vec<Ranked> = (0..stock.kinds().len()).filter_map(ranked).collect();
    order.sort_by(|a, b| a.full.cmp(&b.full).then(a.rank.total_cmp(&b.rank)));
    order
}

/// At most `count` places for instances of a role on servers that are there or provisioned, a server
/// once for each: those that are there first, then by SKU, then by number.
pub(super) fn places(
    world: &mut World,
    application: Entity,
    role: Role,
    choice: &SkuChoice,
    count: usize,
    usable: impl Fn(Entity) -> bool,
) -> Vec<Entity> {
    let Some(fleet) = world.fleet_of(application) else {
        return Vec::new();
    };
    free_processors::refresh(world, fleet);
    let carries = |sku| {
        let needed = needed(world, application, role, sku, choice);
        let (rank, processors) = needed.filter(|it| it.1 > 0)?;
        Some((rank, sku, processors))
    };
    let skus = 0..part::<Stock>(world, fleet).kinds().len();
    let mut skus: Vec<(f64, usize, u32)> = skus.filter_map(carries).collect();
    skus.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let rule = rule_of(world, application);
    let order = match rule {
        PlacementRule::FirstFit | PlacementRule::Dedicated => Order::Number,
        PlacementRule::Pack => Order::Fullest,
        PlacementRule::Spread => Order::Emptiest,
    };
    let apart = keeps_apart(world, fleet);
    let usable =
        |server| usable(server) && (!apart || shares_with_none(world, application, server));
    let index = part::<FreeProcessors>(world, fleet);
    let mut places = Vec::new();
    for provisioned in [false, true] {
        for &(_, sku, needed) in &skus {
            let missing = count - places.len();
            let what = (provisioned, sku, needed);
            let found = index.find(what, order, usable, missing);
            if rule == PlacementRule::Spread {
                places.extend(spread(found, needed, missing));
                continue;
            }
            for (server, free) in found {
                let room = (free / needed) as usize;
                let room = room.min(count - places.len());
                places.extend(std::iter::repeat_n(server, room));
            }
        }
    }
    places
}

/// At most `count` places, each on the server with the most free processors then.
fn spread(found: Vec<(Entity, u32)>, needed: u32, count: usize) -> Vec<Entity> {
    let servers = found.iter().enumerate();
    let mut free: BinaryHeap<(u32, Reverse<usize>)> =
        servers.map(|(index, it)| (it.1, Reverse(index))).collect();
    let mut places = Vec::new();
    while places.len() < count
        && let Some((most, index)) = free.pop()
    {
        if most >= needed {
            places.push(found[index.0].0);
            free.push((most - needed, index));
        }
    }
    places
}

/// The rule by which an application's instances are placed.
fn rule_of(world: &World, application: Entity) -> PlacementRule {
    let actuator = world.get::<Actuator>(application);
    actuator.map_or_else(PlacementRule::default, |it| it.settings.placement)
}

/// Whether an application of a fleet has servers of its own.
fn keeps_apart(world: &World, fleet: Entity) -> bool {
    let roster = world.get::<Roster>(fleet).into_iter();
    let mut applications = roster.flat_map(|it| it.applications());
    applications.any(|&it| rule_of(world, it) == PlacementRule::Dedicated)
}

/// Whether no instance of another application is on a server, where this one or that one is to be alone.
pub(super) fn shares_with_none(world: &World, application: Entity, server: Entity) -> bool {
    let rule = rule_of(world, application);
    let hosted = world.get::<Hosts>(server).into_iter().flat_map(Hosts::iter);
    let others = hosted.filter_map(|it| world.get::<OfApplication>(it));
    let mut others = others
        .map(OfApplication::application)
        .filter(|it| *it != application);
    others.all(|it| {
        rule != PlacementRule::Dedicated && rule_of(world, it) != PlacementRule::Dedicated
    })
}

/// How many instances of a role fit on a server's free processors.
pub(super) fn room(world: &World, application: Entity, role: Role, server: Entity) -> usize {
    let templates = world.get::<Templates>(application);
    let sku = world.get::<ServerSku>(server).map(ServerSku::position);
    match templates.and_then(|templates| templates.processors(role, sku?)) {
        Some(needed) if needed > 0 => {
            (free_processors::free_processors(world, server) / needed) as usize
        }
        _ => 0,
    }
}

/// The active instances that go first, at most `count`, in order; of those on this SKU, if one is given.
pub(super) fn victims(
    world: &World,
    application: Entity,
    role: Role,
    victim: Victim,
    sku: Option<usize>,
    count: usize,
) -> Vec<Entity> {
    let Some(service) = world.get::<Service>(application) else {
        return Vec::new();
    };
    let load = |instance| {
        let engine = world
            .get::<EngineHandle>(instance)
            .map(EngineHandle::engine);
        let load = engine.map(|engine| service.0.load(engine, service.0.served()));
        let load = load.unwrap_or_default();
        match role {
            Role::Token => load.memory_used,
            Role::Prompt | Role::Mixed => load.pending_tokens,
        }
    };
    let mut candidates: Vec<_> = world
        .active_instances(application, role)
        .into_iter()
        .filter(|&instance| sku.is_none() || sku_of(world, instance) == sku)
        .map(|instance| {
            let newest = u64::MAX - world.get::<Instance>(instance).map_or(0, Instance::number);
            let (cost, load) = match victim {
                Victim::Newest => (0.0, 0),
                Victim::LeastLoaded => (0.0, load(instance)),
                Victim::Costliest => (cost(world, instance), load(instance)),
            };
            (cost, load, newest, instance)
        })
        .collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    candidates.truncate(count);
    candidates.into_iter().map(|it| it.3).collect()
}

/// The position of the SKU that an instance is on.
pub(super) fn sku_of(world: &World, instance: Entity) -> Option<usize> {
    server_sku(world, instance).map(ServerSku::position)
}

fn server_sku(world: &World, instance: Entity) -> Option<&ServerSku> {
    world.get(world.get::<HostedOn>(instance)?.server())
}

/// What an instance less saves of the price of its server, per hour: its share, and nothing of one that is reserved.
fn cost(world: &World, instance: Entity) -> f64 {
    let processors = world.get::<Uses>(instance).map_or(0, Uses::len);
    let server = world.get::<HostedOn>(instance).map(HostedOn::server);
    let saving = server.and_then(|it| saving(world, it)).unwrap_or(0.0);
    let sku = server_sku(world, instance);
    sku.map_or(0.0, |sku| {
        saving / f64::from(sku.sku().processors.max(1)) * processors as f64
    })
}

/// What a server less saves, per hour: nothing of one that is reserved; none where its price is not known.
pub(super) fn saving(world: &World, server: Entity) -> Option<f64> {
    let bought = world.get::<Purchased>(server);
    let sku = world.get::<ServerSku>(server)?.sku();
    bought.map_or(sku.price_per_hour, Purchased::saving_per_hour)
}
