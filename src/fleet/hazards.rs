//! Hazards: a clock for each target, which strikes when it runs out.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::random::{Delay, Stream};
use crate::scenario::{self, Strike};
use crate::time::SimTime;

use super::fleet_part::{part, part_mut};
use super::parts::Twins;
use super::zones::InZone;
use super::{
    Agenda, Application, Clock, FleetsExt, HostedOn, Instance, OfApplication, Purchased, Roster,
    Server, ServerSku, Stock,
};

/// The hazards of a fleet, in the order of the scenario.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Hazards(Vec<Entity>);

impl Hazards {
    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        self.0.iter_mut().for_each(|it| twins.follow(it));
    }
}

/// A hazard: what the scenario says of it, and the clock of each target. Despawning it ends it.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
pub struct Hazard {
    pub(super) fleet: Entity,
    pub(super) what: scenario::Hazard,
    seed: u64,
    position: usize,
    /// When each target is struck next.
    clocks: BTreeMap<u64, Ticking>,
    /// The same, in the order of time.
    pub(super) order: BTreeSet<(SimTime, u64)>,
    pub(super) strikes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ticking {
    at: SimTime,
    stream: Stream,
}

/// The purpose for which a hazard is woken.
pub(super) struct Striking;

impl Hazard {
    /// What the scenario says of it.
    #[must_use]
    pub const fn what(&self) -> &scenario::Hazard {
        &self.what
    }

    /// How often it has struck.
    #[must_use]
    pub const fn strikes(&self) -> u64 {
        self.strikes
    }

    /// When each target is struck next, by its number.
    pub fn clocks(&self) -> impl Iterator<Item = (u64, SimTime)> + '_ {
        self.clocks.iter().map(|(&target, it)| (target, it.at))
    }

    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        twins.follow(&mut self.fleet);
    }

    /// A target is up from now on.
    fn expose(&mut self, target: u64, now: SimTime) {
        let name = format!("hazard/{}/{target}", self.position);
        let ticking = Ticking {
            at: SimTime::MAX,
            stream: Stream::new(self.seed, &name),
        };
        self.clocks.insert(target, ticking);
        self.wind(target, now);
    }

    /// Sets the clock of a target, which counts from an instant on.
    pub(super) fn wind(&mut self, target: u64, from: SimTime) {
        let Some(ticking) = self.clocks.get_mut(&target) else {
            return;
        };
        self.order.remove(&(ticking.at, target));
        let at = from.max(self.what.from) + self.what.every.draw(&mut ticking.stream);
        let over = self.what.until.is_some_and(|until| at > until);
        ticking.at = if over { SimTime::MAX } else { at };
        if ticking.at < SimTime::MAX {
            self.order.insert((at, target));
        }
    }

    fn forget(&mut self, target: u64) {
        if let Some(ticking) = self.clocks.remove(&target) {
            self.order.remove(&(ticking.at, target));
        }
    }

    pub(super) fn draw(&mut self, target: u64, delay: &Delay) -> crate::time::SimDuration {
        let ticking = self.clocks.get_mut(&target);
        ticking.map_or(delay.mean(), |it| delay.draw(&mut it.stream))
    }

    pub(super) fn below(&mut self, target: u64, count: usize) -> usize {
        let ticking = self.clocks.get_mut(&target);
        ticking.map_or(0, |it| it.stream.below(count))
    }

    pub(super) fn next(&self) -> SimTime {
        self.order.first().map_or(SimTime::MAX, |&(at, _)| at)
    }
}

/// What a clock may be for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TargetKind {
    Server,
    Instance,
    Zone,
}

const fn target_kind(strike: &Strike) -> TargetKind {
    match strike {
        Strike::InstanceCrash { .. } => TargetKind::Instance,
        Strike::ZoneOutage { .. } => TargetKind::Zone,
        Strike::ServerCrash { .. }
        | Strike::ProcessorLost { .. }
        | Strike::SlowServer { .. }
        | Strike::SlowProcessor { .. }
        | Strike::SpotReclaim { .. } => TargetKind::Server,
    }
}

/// Spawns the hazards of a scenario, and winds the clocks of what is there.
pub(super) fn add(world: &mut World, fleet: Entity, hazards: &[scenario::Hazard], seed: u64) {
    let mut entities = Vec::new();
    for (position, what) in hazards.iter().enumerate() {
        let hazard = Hazard {
            fleet,
            what: what.clone(),
            seed,
            position,
            clocks: BTreeMap::new(),
            order: BTreeSet::new(),
            strikes: 0,
        };
        entities.push(world.spawn(hazard).id());
    }
    if entities.is_empty() {
        return;
    }
    part_mut::<Hazards>(world, fleet).0.clone_from(&entities);
    let servers: Vec<Entity> = part::<Roster>(world, fleet).servers().collect();
    let instances: Vec<Entity> = part::<Roster>(world, fleet).instances().collect();
    servers.into_iter().for_each(|it| server_is_up(world, it));
    instances
        .into_iter()
        .for_each(|it| instance_is_up(world, it));
    let now = world.resource::<Clock>().now();
    for entity in entities {
        let Some(hazard) = world.get::<Hazard>(entity) else {
            continue;
        };
        if target_kind(&hazard.what.strikes) == TargetKind::Zone {
            let wanted = hazard.what.zone.clone();
            let zones = part::<Stock>(world, fleet).zones().names();
            let zones = (0..).zip(zones.iter().cloned());
            let zones: Vec<u64> = zones
                .filter(|(_, name)| wanted.as_deref().is_none_or(|it| *it == **name))
                .map(|(number, _)| number)
                .collect();
            for zone in zones {
                expose(world, entity, zone, now);
            }
        }
    }
}

fn expose(world: &mut World, hazard: Entity, target: u64, now: SimTime) {
    if let Some(mut it) = world.get_mut::<Hazard>(hazard) {
        it.expose(target, now);
        let next = it.next();
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.wake_for::<Striking>(next, hazard);
    }
}

/// A server is there: the hazards of servers count.
pub(super) fn server_is_up(world: &mut World, server: Entity) {
    let hazards = of(world, server);
    let (false, Some(&Server { number })) = (hazards.is_empty(), world.get(server)) else {
        return;
    };
    let now = world.resource::<Clock>().now();
    for hazard in hazards {
        let Some(what) = world.get::<Hazard>(hazard).map(Hazard::what) else {
            continue;
        };
        if target_kind(&what.strikes) == TargetKind::Server && concerns(world, what, server) {
            expose(world, hazard, number, now);
        }
    }
}

/// An instance is active: the hazards of instances count.
pub(super) fn instance_is_up(world: &mut World, instance: Entity) {
    let hazards = of(world, instance);
    if hazards.is_empty() {
        return;
    }
    let (Some(&Instance { number }), Some(&HostedOn(server)), Some(&OfApplication(of))) = (
        world.get(instance),
        world.get(instance),
        world.get(instance),
    ) else {
        return;
    };
    let application = world.get::<Application>(of).map(|it| it.name().clone());
    let now = world.resource::<Clock>().now();
    for hazard in hazards {
        let Some(what) = world.get::<Hazard>(hazard).map(Hazard::what) else {
            continue;
        };
        let named = what.application.as_deref();
        let of_application = named.is_none_or(|it| application.as_deref() == Some(it));
        if target_kind(&what.strikes) == TargetKind::Instance
            && of_application
            && concerns(world, what, server)
        {
            expose(world, hazard, number, now);
        }
    }
}

/// The hazards of the fleet that an entity belongs to.
fn of(world: &World, entity: Entity) -> Vec<Entity> {
    let fleet = world.fleet_of(entity);
    fleet.map_or_else(Vec::new, |fleet| of_fleet(world, fleet))
}

/// The hazards of a fleet.
pub(super) fn of_fleet(world: &World, fleet: Entity) -> Vec<Entity> {
    let hazards = world.get::<Hazards>(fleet);
    hazards.map_or_else(Vec::new, |it| it.0.clone())
}

/// Whether a hazard is about a server.
fn concerns(world: &World, what: &scenario::Hazard, server: Entity) -> bool {
    let sku = world
        .get::<ServerSku>(server)
        .map(|it| it.sku().name.as_str());
    let zone = world.get::<InZone>(server).map(InZone::name);
    let option = world.get::<Purchased>(server).map(Purchased::option);
    what.sku.as_deref().is_none_or(|it| sku == Some(it))
        && what.purchase.is_none_or(|it| option == Some(it))
        && what.zone.as_deref().is_none_or(|it| zone == Some(it))
}

/// A server or an instance is gone: its clocks stop.
pub(super) fn gone(world: &mut DeferredWorld<'_>, fleet: Entity, target: u64, instance: bool) {
    let hazards = world.get::<Hazards>(fleet).filter(|it| !it.0.is_empty());
    let Some(hazards) = hazards else {
        return;
    };
    let kind = if instance {
        TargetKind::Instance
    } else {
        TargetKind::Server
    };
    for hazard in hazards.0.clone() {
        if let Some(mut it) = world.get_mut::<Hazard>(hazard)
            && target_kind(&it.what.strikes) == kind
        {
            it.forget(target);
        }
    }
}

/// Whether a fleet has faults or hazards, so that what comes of them is worth noting.
pub(crate) fn something_may_break(world: &World, fleet: Entity) -> bool {
    let hazards = world.get::<Hazards>(fleet);
    let agenda = world.get_resource::<Agenda>();
    let log = world.get::<super::FaultLog>(fleet);
    agenda.is_some_and(|it| it.has_faults(fleet))
        || hazards.is_some_and(|it| !it.0.is_empty())
        || log.is_some_and(|it| !it.totals().is_empty())
}
