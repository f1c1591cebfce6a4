//! Hazards whose clocks have run out strike.

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use crate::random::Delay;
use crate::scenario::Strike;
use crate::time::SimTime;

use super::blows::{self, Blow};
use super::fleet_part::part;
use super::hazards::{Hazard, Striking};
use super::{Agenda, Clock, Processors, Roster, Stock};

/// The system that lets hazards strike whose clocks have run out.
pub(super) fn strike(world: &mut World) {
    let agenda = world.resource::<Agenda>();
    let awake: Vec<Entity> = agenda.awake_for::<Striking>().collect();
    for hazard in awake {
        let Some(fleet) = world.get::<Hazard>(hazard).map(|it| it.fleet) else {
            continue;
        };
        let now = world.resource::<Clock>().now();
        while let Some((target, what)) = due(world, hazard, now) {
            let blow = aim(world, hazard, target, &what);
            let blow = blow.filter(|blow| !blow.is_in_vain(world));
            let ends = blow.as_ref().map_or(now, |blow| blow.ends(now));
            if let Some(mut it) = world.get_mut::<Hazard>(hazard) {
                it.wind(target, ends);
                it.strikes += u64::from(blow.is_some());
            }
            if let Some(blow) = blow {
                blows::deal(world, fleet, &blow, what.name());
            }
        }
        let next = world
            .get::<Hazard>(hazard)
            .map_or(SimTime::MAX, Hazard::next);
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.wake_for::<Striking>(next, hazard);
    }
}

/// The next target of a hazard that is due.
fn due(world: &World, hazard: Entity, now: SimTime) -> Option<(u64, Strike)> {
    let hazard = world.get::<Hazard>(hazard)?;
    let &(at, target) = hazard.order.first()?;
    (at <= now).then(|| (target, hazard.what.strikes.clone()))
}

/// What is done to a target; nothing where that is gone.
fn aim(world: &mut World, hazard: Entity, target: u64, strike: &Strike) -> Option<Blow> {
    let fleet = world.get::<Hazard>(hazard)?.fleet;
    let roster = world.get::<Roster>(fleet)?;
    let server = roster.server(target);
    let instance = roster.instance(target);
    let processors = server.and_then(|it| world.get::<Processors>(it));
    let processors: Vec<Entity> = processors.map_or_else(Vec::new, |it| it.iter().collect());
    let zone = part::<Stock>(world, fleet)
        .zones()
        .names()
        .get(target as usize)
        .cloned();
    let mut of = world.get_mut::<Hazard>(hazard)?;
    let mut draw = |delay: &Option<Delay>| delay.as_ref().map(|it| of.draw(target, it));
    Some(match strike {
        Strike::ServerCrash { repair } => Blow::Server {
            server: server?,
            repair: draw(repair),
        },
        Strike::ProcessorLost { repair } => {
            let repair = draw(repair);
            let which = of.below(target, processors.len());
            Blow::Processor {
                processor: *processors.get(which)?,
                repair,
            }
        }
        Strike::InstanceCrash { restart } => Blow::Instance {
            instance: instance?,
            restart: *restart,
        },
        Strike::SlowServer { factor, duration } => Blow::Slow {
            what: server?,
            factor: *factor,
            duration: of.draw(target, duration),
        },
        Strike::SlowProcessor { factor, duration } => {
            let duration = of.draw(target, duration);
            let which = of.below(target, processors.len());
            Blow::Slow {
                what: *processors.get(which)?,
                factor: *factor,
                duration,
            }
        }
        Strike::SpotReclaim { notice } => Blow::Reclaim {
            server: server?,
            notice: *notice,
        },
        Strike::ZoneOutage { duration } => Blow::Zone {
            zone: zone?,
            duration: of.draw(target, duration),
        },
    })
}
