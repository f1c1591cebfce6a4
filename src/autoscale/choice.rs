//! Which SKU is added, and which instance goes.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::fleet::{
    EngineHandle, HostedOn, Instance, Ledger, ScalingExt, ServerSku, Service, Stock, Templates,
};
use crate::scenario::{SkuChoice, Victim};
use crate::serving::Role;

/// Prompt tokens and token tasks by whose iteration the fastest SKU is told.
const PROMPT: u64 = 1024;
const TASKS: u64 = 32;

/// The SKU for the next server, of those that can carry the role and have room; the first that could
/// carry it if none has room, so that the refusal says so.
pub(super) fn best_sku(
    world: &World,
    application: Entity,
    role: Role,
    choice: &SkuChoice,
) -> Option<String> {
    if let SkuChoice::Named(name) = choice {
        return Some(name.clone());
    }
    let templates = world.get::<Templates>(application)?;
    let (stock, ledger) = (world.resource::<Stock>(), world.resource::<Ledger>());
    let cost = |position: usize| {
        let performance = templates.performance(role, position)?;
        let sku = stock.kinds()[position].sku();
        Some(match choice {
            SkuChoice::First | SkuChoice::Named(_) => 0.0,
            SkuChoice::Cheapest => sku.price_per_hour.unwrap_or(f64::INFINITY),
            SkuChoice::Fastest => match role {
                Role::Prompt => performance.iteration(PROMPT, 0),
                Role::Token => performance.iteration(0, TASKS),
                Role::Mixed => performance.iteration(PROMPT, TASKS),
            },
        })
    };
    let full = |position: usize| {
        let servers = ledger.servers_of(position).total();
        let limit = stock.kinds()[position].limit();
        limit.is_some_and(|limit| servers >= limit)
    };
    let fitting = (0..stock.kinds().len()).filter_map(|it| Some((it, cost(it)?)));
    let best = fitting.min_by(|(a, x), (b, y)| full(*a).cmp(&full(*b)).then(x.total_cmp(y)));
    best.map(|(position, _)| stock.kinds()[position].sku().name.clone())
}

/// The active instances that go first, at most `count`, in order.
pub(super) fn victims(
    world: &World,
    application: Entity,
    role: Role,
    victim: Victim,
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

/// The price of an instance's server per processor and hour. All instances that scale-up makes have
/// as many processors.
fn cost(world: &World, instance: Entity) -> f64 {
    let server = world.get::<HostedOn>(instance).map(HostedOn::server);
    let sku = server.and_then(|server| world.get::<ServerSku>(server));
    sku.map_or(0.0, |sku| {
        let sku = sku.sku();
        sku.price_per_hour.unwrap_or(0.0) / f64::from(sku.processors.max(1))
    })
}
