//! Losses that nobody knows of until the next health check: the router, the policies and the books learn late.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::time::SimTime;

use super::fault_log::{FaultLog, Toll};
use super::fleet_part::part_mut;
use super::lost::Lost;
use super::start_up::request_flush;
use super::unnoticed::{After, Unnoticed, is_lost};
use super::{
    Clock, EngineHandle, FleetsExt, HostedOn, Instance, InstanceStatus, Ledger, OfApplication,
    ScalingRules, Server, Service, Stock, hazards, queries, repair,
};

/// When the loss of an instance that takes requests is noticed, if not at once: at the next check after now.
fn next_check(world: &World, instance: Entity) -> Option<SimTime> {
    let status = world.get::<InstanceStatus>(instance)?;
    let takes_part = matches!(status, InstanceStatus::Active | InstanceStatus::Draining);
    let &OfApplication(application) = world.get(instance).filter(|_| takes_part)?;
    let interval = world.get::<ScalingRules>(application)?.health_check;
    let now = world.resource::<Clock>().now();
    let seconds = interval.seconds();
    if seconds <= 0.0 {
        return None;
    }
    let checks = (now.seconds() / seconds).floor() + 1.0;
    let at = SimTime::ZERO + interval * checks;
    Some(if at > now { at } else { at + interval })
}

/// An instance is lost. False where that is noticed at once, and nothing was done.
pub(super) fn lose_instance(world: &mut World, instance: Entity, after: After) -> bool {
    let Some(at) = next_check(world, instance) else {
        return false;
    };
    die(world, instance, at, after);
    true
}

/// A server is lost, with all that is on it. False where that is noticed at once, and nothing was done.
pub(super) fn lose_server(world: &mut World, server: Entity, repaired: Option<SimTime>) -> bool {
    let hosted = queries::hosted(world, server);
    let checks: Vec<Option<SimTime>> = hosted.iter().map(|&it| next_check(world, it)).collect();
    let Some(at) = checks.iter().flatten().max().copied() else {
        return false;
    };
    let (Some(&Server { number }), Some(fleet)) = (world.get(server), world.fleet_of(server))
    else {
        return false;
    };
    let now = world.resource::<Clock>().now();
    let lost = hosted
        .iter()
        .filter_map(|&it| Lost::of(world, it))
        .collect();
    for (instance, check) in hosted.into_iter().zip(checks) {
        match check {
            Some(at) => die(world, instance, at, After::Nothing),
            None => {
                world.despawn(instance);
            }
        }
    }
    world.flush();
    let after = After::Server {
        since: now,
        repaired,
        lost,
    };
    let toll = Toll {
        servers: 1,
        ..Toll::default()
    };
    part_mut::<FaultLog>(world, fleet).suffer(toll);
    part_mut::<Ledger>(world, fleet).lose_server(number, now);
    mark(world, fleet, server, Unnoticed { at, after });
    hazards::gone(&mut world.into(), fleet, number, false);
    true
}

fn mark(world: &mut World, fleet: Entity, lost: Entity, unnoticed: Unnoticed) {
    let before = is_lost(world, lost);
    if let Ok(mut lost) = world.get_entity_mut(lost) {
        lost.insert(unnoticed);
        part_mut::<Stock>(world, fleet).unnoticed += u32::from(!before);
    }
}

/// An instance stops for good, and is missed at an instant.
fn die(world: &mut World, instance: Entity, at: SimTime, after: After) {
    let (Some(&Instance { number }), Some(&OfApplication(application)), Some(fleet)) = (
        world.get(instance),
        world.get(instance),
        world.fleet_of(instance),
    ) else {
        return;
    };
    if let Some(before) = world.get::<Unnoticed>(instance) {
        // It was lost before its server, and is missed when it would have been.
        let at = before.at;
        mark(world, fleet, instance, Unnoticed { at, after });
        return;
    }
    let now = world.resource::<Clock>().now();
    let engine = world
        .get::<EngineHandle>(instance)
        .map(EngineHandle::engine);
    let service = world.get_mut::<Service>(application);
    let stopped = service.zip(engine);
    let broken = stopped.map(|(mut service, engine)| service.0.freeze(engine, now));
    let broken = broken.unwrap_or_default();
    if broken.retried > 0 {
        request_flush(&mut world.into(), application);
    }
    let toll = Toll {
        instances: 1,
        retried: broken.retried,
        failed: broken.failed,
        lost_tokens: broken.tokens,
        ..Toll::default()
    };
    part_mut::<FaultLog>(world, fleet).suffer(toll);
    part_mut::<Ledger>(world, fleet).lose_instance(number, now);
    mark(world, fleet, instance, Unnoticed { at, after });
    hazards::gone(&mut world.into(), fleet, number, true);
}

/// A health check misses an instance, or the last one of a server.
pub(super) fn notice(world: &mut World, lost: Entity) {
    let (Some(Unnoticed { after, .. }), Some(fleet)) =
        (world.get::<Unnoticed>(lost).cloned(), world.fleet_of(lost))
    else {
        return;
    };
    let now = world.resource::<Clock>().now();
    let instance = world.get::<Instance>(lost).map(Instance::number);
    let server = world.get::<Server>(lost).map(Server::number);
    let target = match (instance, server) {
        (Some(number), _) => format!("instance_{number}"),
        (None, number) => format!("server_{}", number.unwrap_or_default()),
    };
    let host = world.get::<HostedOn>(lost).map(HostedOn::server);
    part_mut::<FaultLog>(world, fleet).open();
    if let After::Server {
        since,
        repaired: Some(until),
        lost: instances,
    } = &after
    {
        repair::order_server(world, lost, (*since, (*until).max(now)), instances.clone());
    }
    world.despawn(lost);
    world.flush();
    match (after, host) {
        (After::Restart(Some(lost)), Some(server)) => {
            repair::restart(world, server, &lost);
        }
        (
            After::Processor {
                processor,
                repaired,
                lost,
            },
            Some(server),
        ) => {
            let left = lost.filter(|lost| !repair::restart(world, server, lost));
            if let Some(until) = repaired {
                repair::order_processor(world, processor, left, until.max(now));
            }
        }
        _ => {}
    }
    world.flush();
    if let Some(mut log) = world.get_mut::<FaultLog>(fleet) {
        log.close(now, "crash_noticed", target, None);
    }
}
