//! Servers come and go.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::catalog::Sku;
use crate::time::{SimDuration, SimTime};

use super::account::ServerAccount;
use super::fleet_part::{part, part_mut};
use super::log::record;
use super::market::Lot;
use super::zones::InZone;
use super::{
    Clock, FleetsExt, Hosts, Ledger, OfFleet, OnServer, Processor, Provisioning, Reclaimed, Roster,
    ScalingAction, ScalingError, Server, ServerCache, ServerSku, ServerStatus, Stock, Target,
    guard, hazards, power_cap, queries,
};

/// Creates a server of the SKU of this name, or of the first of the fleet.
pub(super) fn create_named(
    world: &mut World,
    fleet: Entity,
    sku: Option<&str>,
) -> Result<Entity, ScalingError> {
    let stock = world.get::<Stock>(fleet).ok_or(ScalingError::NoFleet)?;
    let position = stock.find(sku)?;
    create(world, fleet, position).map(|(server, _)| server)
}

/// Creates a server of the SKU at this position of the fleet. It is there at once if that takes no
/// time. Returns it with the instant at which it is there.
pub(super) fn create(
    world: &mut World,
    fleet: Entity,
    position: usize,
) -> Result<(Entity, SimTime), ScalingError> {
    let now = world.resource::<Clock>().now();
    let ledger = part::<Ledger>(world, fleet);
    let lot = part::<Stock>(world, fleet).admit(position, ledger, now)?;
    let mut stock = part_mut::<Stock>(world, fleet);
    let kind = &mut stock.kinds[position];
    let (stopped, delay) = match kind.standby.resume(lot.zone) {
        Some((stopped, delay)) => (Some(stopped), delay),
        None => (None, kind.draw_provision_delay()),
    };
    let ready = now + delay;
    let server = place(world, fleet, position, lot, ready);
    let number = world.get::<Server>(server).map_or(0, Server::number);
    let target = Target::Server(number);
    let status = ServerStatus::ScalingUp.name();
    let line = (ScalingAction::ScaleUpServer, target, status);
    record(&mut world.into(), fleet, now, line);
    if let Some(stopped) = stopped {
        let line = (ScalingAction::ServerResumed, target, status);
        record(&mut world.into(), fleet, now, line);
        if let (Some(cache), Ok(mut server)) = (stopped.cache, world.get_entity_mut(server)) {
            server.insert(cache);
        }
    }
    if ready <= now {
        hazards::server_is_up(world, server);
    }
    Ok((server, ready))
}

/// A server that was repaired is there again, under a new number.
pub(super) fn put_back(world: &mut World, fleet: Entity, position: usize, lot: Lot) -> Entity {
    let now = world.resource::<Clock>().now();
    let server = place(world, fleet, position, lot, now);
    if let Some(&Server { number }) = world.get(server) {
        let status = ServerStatus::Active.name();
        let line = (
            ScalingAction::ServerRepaired,
            Target::Server(number),
            status,
        );
        record(&mut world.into(), fleet, now, line);
    }
    hazards::server_is_up(world, server);
    server
}

/// Places a server that will be there when it is ready.
fn place(world: &mut World, fleet: Entity, position: usize, lot: Lot, ready: SimTime) -> Entity {
    let now = world.resource::<Clock>().now();
    let sku = Arc::clone(&part::<Stock>(world, fleet).kinds[position].sku);
    let number = part::<Roster>(world, fleet).next_server();
    let status = if ready > now {
        ServerStatus::ScalingUp
    } else {
        ServerStatus::Active
    };
    guard::work(world, |world| {
        let sku = ServerSku { position, sku };
        let bundle = (OfFleet(fleet), Server { number }, sku, status);
        let server = world.spawn(bundle).id();
        spawn_processors(world, server);
        let active = (ready <= now).then_some(now);
        enlist(world, fleet, server, (position, lot), active);
        if ready > now {
            world.entity_mut(server).insert(Provisioning { ready });
        }
        server
    })
}

/// A server has been provisioned.
pub(super) fn become_ready(world: &mut World, server: Entity, at: SimTime) {
    let entity = world.get_entity(server).ok();
    let provisioned = entity.filter(|it| it.contains::<Provisioning>());
    let Some(&Server { number }) = provisioned.and_then(|it| it.get::<Server>()) else {
        return;
    };
    if let Some(fleet) = world.fleet_of(server) {
        let mut ledger = part_mut::<Ledger>(world, fleet);
        ledger.enter_server(number, ServerStatus::Active, at);
        power_cap::share(world, fleet);
    }
    world.entity_mut(server).insert(ServerStatus::Active);
    if let Ok(mut server) = world.get_entity_mut(server) {
        server.remove::<Provisioning>();
    }
    hazards::server_is_up(world, server);
}

/// Creates servers that are there from the start.
pub(super) fn create_at_start(
    world: &mut World,
    fleet: Entity,
    position: usize,
    sku: &Arc<Sku>,
    count: u32,
) -> Vec<Entity> {
    let first = part::<Roster>(world, fleet).next_server();
    let bundle = |offset: u32| {
        (
            OfFleet(fleet),
            Server {
                number: first + u64::from(offset),
            },
            ServerSku {
                position,
                sku: Arc::clone(sku),
            },
            ServerStatus::Active,
        )
    };
    guard::work(world, |world| {
        let servers: Vec<Entity> = world.spawn_batch((0..count).map(bundle)).collect();
        for &server in &servers {
            spawn_processors(world, server);
            let now = world.resource::<Clock>().now();
            let stock = part::<Stock>(world, fleet);
            let lot = stock.kinds[position].market.at_start(&stock.zones, now);
            enlist(world, fleet, server, (position, lot), Some(now));
        }
        servers
    })
}

fn spawn_processors(world: &mut World, server: Entity) {
    let count = world
        .get::<ServerSku>(server)
        .map_or(0, |sku| sku.sku().processors);
    world.spawn_batch((0..count).map(move |index| (Processor { index }, OnServer(server))));
}

/// Gives a server its number, its account, and the marks of where it comes from.
fn enlist(
    world: &mut World,
    fleet: Entity,
    server: Entity,
    (sku, lot): (usize, Lot),
    active: Option<SimTime>,
) {
    let created = world.resource::<Clock>().now();
    part_mut::<Roster>(world, fleet).add_server(server);
    let purchase = lot.purchased.map(|it| it.option);
    part_mut::<Ledger>(world, fleet).open_server(ServerAccount {
        sku,
        purchase,
        created,
        active,
        gone: None,
        lost: None,
        deserted_since: None,
        deserted: SimDuration::ZERO,
    });
    if active.is_some() {
        power_cap::share(world, fleet);
    }
    if lot == Lot::default() {
        return;
    }
    let mut stock = part_mut::<Stock>(world, fleet);
    stock.kinds[sku].market.count(lot.zone, purchase, 1);
    let zone = stock.zone_of(&lot);
    let mut server = world.entity_mut(server);
    if let Some(zone) = zone {
        server.insert(zone);
    }
    if let Some(purchased) = lot.purchased {
        server.insert(purchased);
    }
}

/// Removes an empty server.
pub(super) fn remove(world: &mut World, server: Entity, at: SimTime) -> Result<(), ScalingError> {
    let Some(&Server { number }) = world.get(server) else {
        return Err(ScalingError::NotAServer(server));
    };
    let instances = world.get::<Hosts>(server).map_or(0, Hosts::len);
    if instances > 0 {
        return Err(ScalingError::ServerHasInstances {
            server: number,
            instances,
        });
    }
    let fleet = world.fleet_of(server);
    let fleet = fleet.ok_or(ScalingError::NotAServer(server))?;
    let mut ledger = part_mut::<Ledger>(world, fleet);
    ledger.enter_server(number, ServerStatus::ScalingDown, at);
    world.entity_mut(server).insert(ServerStatus::ScalingDown);
    if world.get_entity(server).is_err() {
        return Ok(());
    }
    let target = Target::Server(number);
    let status = ServerStatus::ScalingDown.name();
    let line = (ScalingAction::ScaleDownServer, target, status);
    record(&mut world.into(), fleet, at, line);
    let sku = world.get::<ServerSku>(server).map(ServerSku::position);
    let zone = world.get::<InZone>(server).map(|it| it.zone);
    let cache = world.get::<ServerCache>(server).map(ServerCache::at_rest);
    let taken_back = world.get::<Reclaimed>(server).is_some();
    let mut stock = part_mut::<Stock>(world, fleet);
    if !taken_back && sku.is_some_and(|sku| stock.kinds[sku].standby.stop(zone, cache)) {
        let line = (ScalingAction::ServerStopped, target, status);
        record(&mut world.into(), fleet, at, line);
    }
    world.despawn(server);
    Ok(())
}

/// Removes a server that its last instance has left; one that carries others stays.
pub(super) fn remove_if_empty(world: &mut World, server: Entity, at: SimTime) {
    if world.get::<Server>(server).is_some()
        && queries::is_empty(world, server)
        && let Err(error) = remove(world, server, at)
    {
        tracing::debug!(target: "fleetsim::scaling", %error, "the server stays");
    }
}

/// Notes that a crash took the last instance of a server, which stays and is paid for.
pub(super) fn desert_if_empty(world: &mut World, server: Entity, at: SimTime) {
    let Some(&Server { number }) = world.get(server) else {
        return;
    };
    if queries::is_empty(world, server)
        && let Some(fleet) = world.fleet_of(server)
    {
        part_mut::<Ledger>(world, fleet).desert(number, at);
    }
}

/// The log target of a server, or `NoServer`.
pub(super) fn target(world: &World, server: Entity) -> (Target, &'static str) {
    match (world.get(server), world.get::<ServerStatus>(server)) {
        (Some(&Server { number }), Some(status)) => (Target::Server(number), status.name()),
        _ => (Target::NoServer, "gone"),
    }
}
