//! Servers that are kept ready and empty: used by scale-ups, and replaced at once.

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::time::{SimDuration, SimTime};

use super::fleet_part::{part, part_mut};
use super::standby::Standby;
use super::{
    Agenda, Broken, Clock, FleetsExt, Processors, Provisioning, Reclaimed, Roster, Server,
    ServerSku, Stock, Unnoticed, servers,
};

/// Seconds after which a SKU tries again to get the servers that it lacks.
const RETRY_S: f64 = 60.0;

/// The server that is kept ready and there first, of several the first by number, with the instant at which it is.
pub(super) fn pick(world: &World, fleet: Entity, sku: usize) -> Option<(Entity, SimTime)> {
    let kind = world.get::<Stock>(fleet)?.kinds.get(sku)?;
    let roster = world.get::<Roster>(fleet)?;
    let now = world.resource::<Clock>().now();
    let ready = kind.standby.ready().iter();
    let servers = ready.filter_map(|&number| roster.server(number));
    let usable = servers.filter(|&server| {
        let processors = world.get::<Processors>(server).into_iter();
        let mut processors = processors.flat_map(Processors::iter);
        world.get::<Reclaimed>(server).is_none()
            && world.get::<Unnoticed>(server).is_none()
            && processors.all(|it| world.get::<Broken>(it).is_none())
    });
    let when = |server| world.get::<Provisioning>(server).map_or(now, |it| it.ready);
    let first = usable.min_by_key(|&server| when(server));
    first.map(|server| (server, when(server)))
}

/// A server carries an instance: if it was kept ready, another takes its place.
pub(super) fn used(world: &mut World, server: Entity) {
    let (Some(&Server { number }), Some(sku), Some(fleet)) = (
        world.get(server),
        world.get::<ServerSku>(server).map(ServerSku::position),
        world.fleet_of(server),
    ) else {
        return;
    };
    if part::<Stock>(world, fleet).kinds[sku].standby.warm == 0 {
        return;
    }
    if part_mut::<Stock>(world, fleet).kinds[sku]
        .standby
        .let_go(number)
    {
        replenish(world, fleet, sku);
    }
}

/// Orders the servers that a SKU lacks, as far as they can be had; it tries again later for the others.
pub(super) fn replenish(world: &mut World, fleet: Entity, sku: usize) {
    let is_there = world.fleets().contains(&fleet);
    let lacks = world.get::<Stock>(fleet).filter(|_| is_there);
    let lacks = lacks
        .and_then(|it| it.kinds.get(sku))
        .map_or(0, |it| it.standby.lacks());
    for _ in 0..lacks {
        match servers::create(world, fleet, sku) {
            Ok((server, _)) => {
                if let Some(&Server { number }) = world.get(server) {
                    part_mut::<Stock>(world, fleet).kinds[sku]
                        .standby
                        .keep(number);
                }
            }
            Err(error) => {
                tracing::debug!(target: "fleetsim::scaling", %error, "a server that is kept ready is missing");
                let again = world.resource::<Clock>().now() + SimDuration::saturating(RETRY_S);
                let mut agenda = world.resource_mut::<Agenda>();
                agenda.lifecycle.set::<Standby>(again, fleet);
                return;
            }
        }
    }
}

/// Tries again for every SKU of a fleet.
pub(super) fn try_again(world: &mut World, fleet: Entity) {
    let kinds = world.get::<Stock>(fleet).map_or(0, |it| it.kinds.len());
    (0..kinds).for_each(|sku| replenish(world, fleet, sku));
}
