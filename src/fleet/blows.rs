//! What a fault does: servers, instances and processors go, servers get slow or are taken back, zones go out.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::snapshot::name::Name;
use crate::time::{SimDuration, SimTime};

use super::fault_log::FaultLog;
use super::fleet_part::{part, part_mut};
use super::lost::Lost;
use super::slow::Slow;
use super::unnoticed::{self, After};
use super::zones::InZone;
use super::{
    Clock, Instance, OnServer, Processor, Roster, Server, Stock, UsedBy, health, queries, reclaim,
    repair,
};

/// A fault with whom it strikes.
#[derive(Clone, Debug)]
pub(super) enum Blow {
    Server {
        server: Entity,
        repair: Option<SimDuration>,
    },
    Processor {
        processor: Entity,
        repair: Option<SimDuration>,
    },
    Instance {
        instance: Entity,
        restart: bool,
    },
    Slow {
        /// A server or a processor.
        what: Entity,
        factor: f64,
        duration: SimDuration,
    },
    Reclaim {
        server: Entity,
        notice: SimDuration,
    },
    Zone {
        zone: Arc<str>,
        duration: SimDuration,
    },
}

impl Blow {
    /// When the target can be struck again.
    pub(super) fn ends(&self, now: SimTime) -> SimTime {
        match self {
            Self::Slow { duration, .. } | Self::Zone { duration, .. } => now + *duration,
            _ => now,
        }
    }

    /// Until when it lasts, of one that ends.
    fn until(&self, now: SimTime) -> Option<SimTime> {
        match self {
            Self::Server { repair, .. } | Self::Processor { repair, .. } => {
                repair.map(|repair| now + repair)
            }
            Self::Instance { .. } => None,
            Self::Slow { duration, .. } | Self::Zone { duration, .. } => Some(now + *duration),
            Self::Reclaim { notice, .. } => Some(now + *notice),
        }
    }

    /// Whom it strikes; none of a zone.
    fn whom(&self) -> Option<Entity> {
        match *self {
            Self::Server { server, .. } | Self::Reclaim { server, .. } => Some(server),
            Self::Slow { what: it, .. }
            | Self::Processor { processor: it, .. }
            | Self::Instance { instance: it, .. } => Some(it),
            Self::Zone { .. } => None,
        }
    }

    /// Whether whom it strikes is lost already, or on a server that is, though nobody knows.
    pub(super) fn is_in_vain(&self, world: &World) -> bool {
        let whom = self.whom();
        let on = whom.and_then(|it| world.get::<OnServer>(it).map(OnServer::server));
        whom.into_iter()
            .chain(on)
            .any(|it| unnoticed::is_lost(world, it))
    }

    fn target(&self, world: &World) -> String {
        match self {
            Self::Server { server, .. } | Self::Reclaim { server, .. } => {
                server_name(world, *server)
            }
            Self::Slow { what, .. } if world.get::<Server>(*what).is_some() => {
                server_name(world, *what)
            }
            Self::Slow {
                what: processor, ..
            }
            | Self::Processor { processor, .. } => {
                let index = world
                    .get::<Processor>(*processor)
                    .map_or(0, Processor::index);
                let server = world.get::<OnServer>(*processor).map(OnServer::server);
                let server = server.map_or_else(String::new, |it| server_name(world, it));
                format!("{server}/{index}")
            }
            Self::Instance { instance, .. } => {
                let number = world.get::<Instance>(*instance).map_or(0, Instance::number);
                format!("instance_{number}")
            }
            Self::Zone { zone, .. } => zone.to_string(),
        }
    }
}

fn server_name(world: &World, server: Entity) -> String {
    let number = world.get::<Server>(server).map_or(0, Server::number);
    format!("server_{number}")
}

/// Deals a blow, and writes it down under this name.
pub(super) fn deal(world: &mut World, fleet: Entity, blow: &Blow, name: Name) {
    let now = world.resource::<Clock>().now();
    let (target, until) = (blow.target(world), blow.until(now));
    part_mut::<FaultLog>(world, fleet).open();
    match *blow {
        Blow::Server { server, repair } => lose_server(world, server, repair.map(|it| now + it)),
        Blow::Processor { processor, repair } => {
            lose_processor(world, processor, repair.map(|it| now + it));
        }
        Blow::Instance { instance, restart } => lose_instance(world, instance, restart),
        Blow::Slow {
            what,
            factor,
            duration,
        } => Slow::begin(world, what, factor, now + duration),
        Blow::Reclaim { server, notice } => reclaim::begin(world, server, now + notice),
        Blow::Zone { ref zone, duration } => lose_zone(world, fleet, zone, now + duration),
    }
    world.flush();
    // An observer may have taken the fleet away.
    if let Some(mut log) = world.get_mut::<FaultLog>(fleet) {
        log.close(now, name, target, until);
    }
}

fn lose_server(world: &mut World, server: Entity, repaired: Option<SimTime>) {
    if unnoticed::is_lost(world, server) || health::lose_server(world, server, repaired) {
        return;
    }
    if let Some(until) = repaired {
        let lost = queries::hosted(world, server);
        let lost = lost.iter().filter_map(|&it| Lost::of(world, it)).collect();
        let now = world.resource::<Clock>().now();
        repair::order_server(world, server, (now, until), lost);
    }
    world.despawn(server);
}

fn lose_instance(world: &mut World, instance: Entity, restart: bool) {
    let lost = Lost::of(world, instance).filter(|_| restart);
    let after = After::Restart(lost.clone());
    if unnoticed::is_lost(world, instance) || health::lose_instance(world, instance, after) {
        return;
    }
    let host = world.get::<super::HostedOn>(instance);
    let server = host.map(super::HostedOn::server);
    world.despawn(instance);
    world.flush();
    if let Some((lost, server)) = lost.zip(server) {
        repair::restart(world, server, &lost);
    }
}

fn lose_processor(world: &mut World, processor: Entity, repaired: Option<SimTime>) {
    let Some(&OnServer(server)) = world.get(processor) else {
        return;
    };
    let user = world.get::<UsedBy>(processor).map(UsedBy::instance);
    let user = user.filter(|&it| !unnoticed::is_lost(world, it));
    repair::break_processor(world, processor);
    let lost = user.and_then(|it| Lost::of(world, it));
    let after = After::Processor {
        processor,
        repaired,
        lost: lost.clone(),
    };
    if user.is_some_and(|it| health::lose_instance(world, it, after)) {
        return;
    }
    if let Some(user) = user {
        world.despawn(user);
        world.flush();
    }
    let left = lost.filter(|lost| !repair::restart(world, server, lost));
    if let Some(until) = repaired {
        repair::order_processor(world, processor, left, until);
    }
}

fn lose_zone(world: &mut World, fleet: Entity, name: &str, until: SimTime) {
    let mut stock = part_mut::<Stock>(world, fleet);
    let Some(zone) = stock.zones().find(name) else {
        return;
    };
    stock.zones_mut().block(zone, until);
    let servers = part::<Roster>(world, fleet).servers();
    let struck = servers.filter(|&it| world.get::<InZone>(it).is_some_and(|it| it.zone == zone));
    let struck: Vec<Entity> = struck.collect();
    for server in struck {
        if world.get::<Server>(server).is_some() {
            lose_server(world, server, Some(until));
            world.flush();
        }
    }
}
