//! Whether the instances of a server fit on others.

use std::collections::BTreeMap;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::autoscale::Actuator;
use crate::autoscale::placement::{choice, needed, shares_with_none};
use crate::fleet::free_processors::{self, FreeProcessors};
use crate::fleet::{self, InstanceRole, InstanceStatus, OfApplication, Server, ServerSku, part};
use crate::serving::Role;
use crate::time::SimDuration;

/// What is free on the servers of a fleet, for plans of moves.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// By number: the server, its SKU, and how many processors are free.
    servers: BTreeMap<u64, (Entity, usize, u32)>,
}

/// An instance that is to be elsewhere: of which application, in which role.
pub(super) type Move = (Entity, Role);

impl Room {
    /// That of a fleet now.
    pub(super) fn of(world: &mut World, fleet: Entity) -> Self {
        free_processors::refresh(world, fleet);
        let index = part::<FreeProcessors>(world, fleet);
        let servers = index.all().filter_map(|(server, sku, free)| {
            let number = world.get::<Server>(server)?.number();
            Some((number, (server, sku, free)))
        });
        Self {
            servers: servers.collect(),
        }
    }

    /// Each server with free processors, by number, and how many.
    pub(super) fn servers(&self) -> impl Iterator<Item = (Entity, usize, u32)> + '_ {
        self.servers.values().copied()
    }

    /// Nothing moves to a server any more.
    pub(super) fn leave_out(&mut self, server: Entity) {
        self.servers.retain(|_, it| it.0 != server);
    }

    /// Moves instances, each to the first server where it fits. Returns where to, and those that fit nowhere.
    pub(super) fn take(&mut self, world: &World, moves: &[Move]) -> (Vec<Entity>, Vec<Move>) {
        let (mut destinations, mut left) = (Vec::new(), Vec::new());
        for &(application, role) in moves {
            let choice = choice(world, application, None);
            let fits = |(server, sku, free): (Entity, usize, u32)| {
                let (_, needed) = needed(world, application, role, sku, &choice)?;
                let admitted = needed <= free && shares_with_none(world, application, server);
                admitted.then_some(needed)
            };
            let found = self
                .servers
                .values_mut()
                .find_map(|it| Some((fits(*it)?, it)));
            match found {
                Some((needed, destination)) => {
                    destination.2 -= needed;
                    destinations.push(destination.0);
                }
                None => left.push((application, role)),
            }
        }
        (destinations, left)
    }
}

/// The instances of a server that would have to be elsewhere; none where one is there that nobody would start again:
/// its application has no policy.
pub(super) fn movable(world: &World, server: Entity) -> Option<Vec<Move>> {
    let mut moves = Vec::new();
    for instance in fleet::hosted(world, server) {
        let status = world.get::<InstanceStatus>(instance)?;
        if !matches!(status, InstanceStatus::Active | InstanceStatus::ScalingUp) {
            continue;
        }
        let application = world.get::<OfApplication>(instance)?.application();
        world.get::<Actuator>(application)?;
        moves.push((application, world.get::<InstanceRole>(instance)?.role()));
    }
    Some(moves)
}

/// Moves the instances of a server: as many wait for places elsewhere, and the server goes once these have drained.
pub(super) fn evacuate(world: &mut World, server: Entity, within: Option<SimDuration>) {
    for (application, role) in movable(world, server).unwrap_or_default() {
        super::ask(world, application, (role, None), 1);
    }
    if let Err(error) = fleet::vacate(world, server, within) {
        tracing::debug!(target: "fleetsim::autoscale", %error, "the server stays");
    }
}

/// The position of a server's SKU, and how many processors it has.
pub(super) fn size(world: &World, server: Entity) -> Option<(usize, u32)> {
    let sku = world.get::<ServerSku>(server)?;
    Some((sku.position(), sku.sku().processors))
}
