//! What comes back after a fault: servers and processors, and the instances that they carried.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::arm::disarm;
use super::fault_log::FaultLog;
use super::fleet_part::{part, part_mut};
use super::instances::{self, Entry, Plan};
use super::lost::Lost;
use super::market::Lot;
use super::parts::Twins;
use super::zones::InZone;
use super::{
    Agenda, Broken, Clock, FleetsExt, OnServer, Processor, Provisioning, Purchased, Reclaimed,
    Roster, Server, ServerCache, ServerSku, Stock, Templates, Unnoticed, free_processors, servers,
};

/// Something that is being repaired. Despawning it calls the repair off.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
#[component(on_despawn = called_off)]
pub(super) struct Repair {
    fleet: Entity,
    /// The position of the SKU.
    sku: usize,
    what: Mended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Mended {
    Server {
        zone: Option<InZone>,
        purchased: Option<Purchased>,
        cache: Option<ServerCache>,
        lost: Vec<Lost>,
    },
    Processor {
        /// The number of the server.
        server: u64,
        index: u32,
        lost: Option<Lost>,
    },
}

impl Mended {
    /// Where a server came from.
    fn lot(&self) -> Lot {
        match self {
            Self::Server {
                zone, purchased, ..
            } => Lot {
                zone: zone.as_ref().map(|it| it.zone),
                purchased: *purchased,
            },
            Self::Processor { .. } => Lot::default(),
        }
    }
}

impl Repair {
    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        twins.follow(&mut self.fleet);
    }
}

/// The repairs of a fleet.
pub(super) fn of_fleet(world: &mut World, fleet: Entity) -> Vec<Entity> {
    let mut query = world.query::<(Entity, &Repair)>();
    let repairs = query.iter(world).filter(|(_, it)| it.fleet == fleet);
    repairs.map(|(entity, _)| entity).collect()
}

/// A server that is about to go, lost since an instant, comes back at another, with these instances.
pub(super) fn order_server(
    world: &mut World,
    server: Entity,
    (since, until): (SimTime, SimTime),
    lost: Vec<Lost>,
) {
    let sku = world.get::<ServerSku>(server).map(ServerSku::position);
    let (Some(sku), Some(fleet)) = (sku, world.fleet_of(server)) else {
        return;
    };
    let what = Mended::Server {
        zone: world.get::<InZone>(server).cloned(),
        purchased: world.get::<Purchased>(server).copied(),
        cache: world.get::<ServerCache>(server).cloned(),
        lost,
    };
    part_mut::<FaultLog>(world, fleet).repair(sku, since, until);
    let mut stock = part_mut::<Stock>(world, fleet);
    stock.kinds[sku].away += 1;
    let lot = what.lot();
    let option = lot.purchased.map(|it| it.option);
    stock.kinds[sku].market.count_away(lot.zone, option, 1);
    order(world, Repair { fleet, sku, what }, until);
}

/// A processor that is broken can be used again at an instant.
pub(super) fn order_processor(
    world: &mut World,
    processor: Entity,
    lost: Option<Lost>,
    until: SimTime,
) {
    let (Some(&OnServer(server)), Some(&Processor { index })) =
        (world.get(processor), world.get(processor))
    else {
        return;
    };
    let (Some(sku), Some(&Server { number }), Some(fleet)) = (
        world.get::<ServerSku>(server).map(ServerSku::position),
        world.get(server),
        world.fleet_of(server),
    ) else {
        return;
    };
    let what = Mended::Processor {
        server: number,
        index,
        lost,
    };
    part_mut::<Stock>(world, fleet).kinds[sku].mending += 1;
    order(world, Repair { fleet, sku, what }, until);
}

fn order(world: &mut World, repair: Repair, until: SimTime) {
    let entity = world.spawn(repair).id();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.lifecycle.set::<Repair>(until, entity);
}

/// The hook on the despawning of a repair: it is no longer waited for.
fn called_off(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(repair) = world.get::<Repair>(context.entity) else {
        return;
    };
    let (fleet, sku) = (repair.fleet, repair.sku);
    let server = matches!(repair.what, Mended::Server { .. });
    let lot = repair.what.lot();
    if let Some(mut stock) = world.get_mut::<Stock>(fleet)
        && let Some(kind) = stock.kinds.get_mut(sku)
    {
        let count = if server {
            &mut kind.away
        } else {
            &mut kind.mending
        };
        *count = count.saturating_sub(1);
        if server {
            let option = lot.purchased.map(|it| it.option);
            kind.market.count_away(lot.zone, option, -1);
        }
    }
    disarm::<Repair>(&mut world, context.entity);
}

/// A repair is over.
pub(super) fn end(world: &mut World, repair: Entity) {
    let Some(Repair { fleet, sku, what }) = world.get::<Repair>(repair).cloned() else {
        return;
    };
    world.despawn(repair);
    let lot = what.lot();
    match what {
        Mended::Server { cache, lost, .. } => {
            let server = servers::put_back(world, fleet, sku, lot);
            if let (Some(cache), Ok(mut server)) = (cache, world.get_entity_mut(server)) {
                server.insert(cache);
            }
            for lost in lost {
                restart(world, server, &lost);
            }
        }
        Mended::Processor {
            server,
            index,
            lost,
        } => {
            let Some(server) = part::<Roster>(world, fleet).server(server) else {
                return;
            };
            let processors = instances::processors_of(world, server);
            let mut of_index = processors
                .into_iter()
                .filter(|&it| world.get(it) == Some(&Processor { index }));
            if let Some(processor) = of_index.next() {
                world.entity_mut(processor).remove::<Broken>();
            }
            if let Some(lost) = lost {
                restart(world, server, &lost);
            }
        }
    }
}

/// A processor cannot be used until it is repaired.
pub(super) fn break_processor(world: &mut World, processor: Entity) {
    if let Ok(mut processor) = world.get_entity_mut(processor) {
        processor.insert(Broken);
    }
}

/// Starts an instance again on the first free processors of a server. False where that cannot be.
pub(super) fn restart(world: &mut World, server: Entity, lost: &Lost) -> bool {
    let Some(fleet) = world.fleet_of(server) else {
        return false;
    };
    let roster = part::<Roster>(world, fleet);
    let Some(&application) = roster.applications().get(lost.application) else {
        return false;
    };
    let fits = world
        .get::<Templates>(application)
        .and_then(|it| it.find(lost.template))
        .is_some();
    let there = world.get::<Server>(server).is_some()
        && world.get::<Reclaimed>(server).is_none()
        && world.get::<Unnoticed>(server).is_none();
    if !fits || !there || roster.admit_instance().is_err() {
        return false;
    }
    let mut processors = instances::processors_of(world, server);
    processors.retain(|&it| free_processors::is_free(world, it));
    if processors.len() < lost.processors {
        return false;
    }
    processors.truncate(lost.processors);
    let now = world.resource::<Clock>().now();
    let ready = world.get::<Provisioning>(server).map_or(now, |it| it.ready);
    let plan = Plan {
        application,
        template: lost.template,
        server,
        processors,
        tag: lost.tag.clone(),
    };
    instances::create(world, &plan, Entry::ScalingUp { ready });
    true
}
