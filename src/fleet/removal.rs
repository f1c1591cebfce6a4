//! What happens when an application, a server or an instance ceases to exist, by the scaling API or by hand.
//!
//! The scaling API gives it the status `ScalingDown` and writes its line first; anything else is a
//! crash. Either way the books are closed here and nowhere else.

use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};

use super::fault_log::{FaultLog, Toll};
use super::log::record;
use super::start_up::request_flush;
use super::status::{log_instance, set_status};
use super::{
    Clock, EngineHandle, FleetsExt, HostedOn, Instance, InstanceStatus, Instances, Ledger,
    OfApplication, OfFleet, OnServer, PowerSlowdown, Purchased, Roster, ScalingAction, Server,
    ServerSku, ServerStatus, Service, Stock, TakesServerAlong, Target, guard, hazards, power_cap,
    ready_servers, servers, uninstall_fleet, unnoticed, zones::InZone,
};
use crate::serving::EngineId;

/// The hook on the despawning of an [`Instance`].
pub(super) fn instance_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = world.entity(context.entity);
    let (Some(&Instance { number }), Some(&OfApplication(application))) =
        (entity.get(), entity.get())
    else {
        return;
    };
    let Some(&OfFleet(fleet)) = entity.get() else {
        return;
    };
    let roster = world.get::<Roster>(fleet);
    if roster.and_then(|it| it.instance(number)) != Some(context.entity) {
        return;
    }
    let engine = entity.get::<EngineHandle>().map(EngineHandle::engine);
    let server = entity.get::<HostedOn>().map(HostedOn::server);
    let along = entity.contains::<TakesServerAlong>();
    let crashed = entity.get() != Some(&InstanceStatus::ScalingDown);
    let time = world.resource::<Clock>().now();
    if crashed {
        let status = InstanceStatus::ScalingDown.name();
        let line = (ScalingAction::Crash, Target::Instance(number), status);
        record(&mut world, fleet, time, line);
    }
    let mut gone = time;
    if let Some(mut ledger) = world.get_mut::<Ledger>(fleet) {
        gone = ledger.enter(number, InstanceStatus::ScalingDown, time);
    }
    if let Some(mut roster) = world.get_mut::<Roster>(fleet) {
        roster.remove_instance(number);
    }
    hazards::gone(&mut world, fleet, number, true);
    if let Some(engine) = engine {
        if crashed {
            lose(&mut world, fleet, application, engine);
        } else {
            put_back(&mut world, application, engine);
        }
    }
    if !unnoticed::forget(&mut world, fleet, context.entity) && crashed {
        let toll = Toll {
            instances: 1,
            ..Toll::default()
        };
        suffer(&mut world, fleet, toll);
    }
    if let Some(server) = server {
        let left = move |world: &mut World| match (along, crashed) {
            (true, _) => servers::remove_if_empty(world, server, gone),
            (false, true) => servers::desert_if_empty(world, server, gone),
            (false, false) => {}
        };
        world.commands().queue(left);
    }
}

/// The hook on the despawning of a [`Server`]. Its relationships despawn its processors and instances.
pub(super) fn server_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = world.entity(context.entity);
    let (Some(&Server { number }), Some(&OfFleet(fleet))) = (entity.get(), entity.get()) else {
        return;
    };
    let roster = world.get::<Roster>(fleet);
    if roster.and_then(|it| it.server(number)) != Some(context.entity) {
        return;
    }
    let crashed = entity.get() != Some(&ServerStatus::ScalingDown);
    let time = world.resource::<Clock>().now();
    if crashed {
        let status = ServerStatus::ScalingDown.name();
        let line = (ScalingAction::Crash, Target::Server(number), status);
        record(&mut world, fleet, time, line);
    }
    if let Some(mut ledger) = world.get_mut::<Ledger>(fleet) {
        ledger.enter_server(number, ServerStatus::ScalingDown, time);
    }
    if let Some(mut roster) = world.get_mut::<Roster>(fleet) {
        roster.remove_server(number);
    }
    hazards::gone(&mut world, fleet, number, false);
    if world.get::<PowerSlowdown>(fleet).is_some() {
        let share = move |world: &mut World| power_cap::share(world, fleet);
        world.commands().queue(share);
    }
    let entity = world.entity(context.entity);
    let zone = entity.get::<InZone>().map(|it| it.zone);
    let sku = entity.get::<ServerSku>().map(ServerSku::position);
    let option = entity.get::<Purchased>().map(Purchased::option);
    if let Some(sku) = sku.filter(|_| zone.is_some() || option.is_some())
        && let Some(mut stock) = world.get_mut::<Stock>(fleet)
    {
        stock.kinds[sku].market.count(zone, option, -1);
    }
    if let (Some(sku), Some(mut stock)) = (sku, world.get_mut::<Stock>(fleet))
        && let Some(kind) = stock.kinds.get_mut(sku)
        && kind.standby.warm > 0
    {
        kind.standby.let_go(number);
        let replenish = move |world: &mut World| ready_servers::replenish(world, fleet, sku);
        world.commands().queue(replenish);
    }
    if !unnoticed::forget(&mut world, fleet, context.entity) && crashed {
        let toll = Toll {
            servers: 1,
            ..Toll::default()
        };
        suffer(&mut world, fleet, toll);
    }
}

fn suffer(world: &mut DeferredWorld<'_>, fleet: Entity, toll: Toll) {
    if let Some(mut log) = world.get_mut::<FaultLog>(fleet) {
        log.suffer(toll);
    }
}

/// The hook on the despawning of a [`Processor`](super::Processor): its server is lost with it, unless
/// that goes anyway.
pub(super) fn processor_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(&OnServer(server)) = world.get(context.entity) else {
        return;
    };
    world.commands().queue(move |world: &mut World| {
        if world.get::<Server>(server).is_some() {
            world.despawn(server);
        }
    });
}

/// The hook on the removal of a [`Service`]: without it there is nothing that the instances serve.
pub(super) fn service_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let instances = instances_of(&world, context.entity);
    world.commands().queue(move |world: &mut World| {
        for instance in instances {
            let Some(&Instance { number }) = world.get(instance) else {
                continue;
            };
            let fleet = world.fleet_of(instance);
            if let Some(mut ledger) = fleet.and_then(|it| world.get_mut::<Ledger>(it)) {
                ledger.forget_engine(number);
            }
            guard::work(world, |world| {
                world.entity_mut(instance).remove::<EngineHandle>();
            });
            world.despawn(instance);
        }
    });
}

/// The hook on the despawning of a [`Fleet`](super::Fleet): all that is the fleet's goes with it.
pub(super) fn fleet_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let fleet = context.entity;
    world.commands().queue(move |world: &mut World| {
        // One that is uninstalled is not on the list any more.
        _ = uninstall_fleet(world, fleet);
    });
}

/// The hook on the despawning of an [`Application`](super::Application). Its instances are given up: that is
/// no crash.
pub(super) fn application_removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let orphans = instances_of(&world, context.entity);
    world.commands().queue(move |world: &mut World| {
        for orphan in orphans {
            give_up(world, orphan);
        }
    });
}

/// Removes an instance whose application is gone, with all that it was to do.
fn give_up(world: &mut World, instance: Entity) {
    let number = world.get::<Instance>(instance).map(Instance::number);
    let fleet = world.fleet_of(instance);
    let Some(mut ledger) = fleet.and_then(|it| world.get_mut::<Ledger>(it)) else {
        return;
    };
    if let Some(number) = number {
        ledger.forget_engine(number);
    }
    let action = match world.get(instance) {
        Some(InstanceStatus::ScalingUp) => ScalingAction::ScaleUpCancelled,
        Some(_) => ScalingAction::ScaleDownComplete,
        None => return,
    };
    let now = world.resource::<Clock>().now();
    if set_status(world, instance, InstanceStatus::ScalingDown, now) {
        guard::work(world, |world| {
            world.entity_mut(instance).remove::<EngineHandle>();
        });
        log_instance(world, instance, action, now);
        world.despawn(instance);
    }
}

fn instances_of(world: &DeferredWorld<'_>, application: Entity) -> Vec<Entity> {
    let instances = world.get::<Instances>(application);
    instances.into_iter().flat_map(Instances::iter).collect()
}

/// Takes an engine out, and what it was to do back to its application. Returns how many requests.
pub(super) fn put_back(
    world: &mut DeferredWorld<'_>,
    application: Entity,
    engine: EngineId,
) -> u64 {
    let now = world.resource::<Clock>().now();
    let Some(mut service) = world.get_mut::<Service>(application) else {
        return 0;
    };
    let requests = service.0.withdraw(engine, now);
    if requests > 0 {
        request_flush(world, application);
    }
    requests
}

/// Loses an engine to a fault: what it was to do goes back to its application, or has failed.
fn lose(world: &mut DeferredWorld<'_>, fleet: Entity, application: Entity, engine: EngineId) {
    let now = world.resource::<Clock>().now();
    let Some(mut service) = world.get_mut::<Service>(application) else {
        return;
    };
    let lost = service.0.lose(engine, now);
    let toll = Toll {
        retried: lost.retried,
        failed: lost.failed,
        lost_tokens: lost.tokens,
        ..Toll::default()
    };
    suffer(world, fleet, toll);
    if lost.retried > 0 {
        request_flush(world, application);
    }
}

/// Takes an instance's engine out before the instance goes. Returns how many requests are put back.
pub(super) fn detach(world: &mut World, instance: Entity) -> u64 {
    let Ok(mut entity) = world.get_entity_mut(instance) else {
        return 0;
    };
    let (Some(EngineHandle(engine)), Some(&OfApplication(application))) =
        (entity.take(), entity.get())
    else {
        return 0;
    };
    let Some(mut service) = world.get_mut::<Service>(application) else {
        return 0;
    };
    if service.0.is_idle(engine) && service.0.remove(engine).is_ok() {
        return 0;
    }
    put_back(&mut world.into(), application, engine)
}
