//! Which SKU is added, and which instance goes.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::Signals;
use crate::fleet::{
    EngineHandle, HostedOn, Instance, Ledger, ScalingExt, ServerSku, Service, Stock,
};
use crate::scenario::{SkuChoice, Victim};
use crate::serving::Role;

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
    let capacity = world.get::<Signals>(application)?.capacity();
    let (stock, ledger) = (world.resource::<Stock>(), world.resource::<Ledger>());
    let full = |position: usize| {
        let servers = ledger.servers_of(position).total();
        let limit = stock.kinds()[position].limit();
        limit.is_some_and(|limit| servers >= limit)
    };
    let rank = |position| Some((position, capacity.rank(role, position, choice)?));
    let fitting = (0..stock.kinds().len()).filter_map(rank);
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
