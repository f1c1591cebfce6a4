//! From `Active` to gone: an instance takes nothing new, finishes what it has, and retires.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::query::With;
use bevy_ecs::world::World;

use crate::scenario::Drain;
use crate::serving::EngineId;
use crate::time::SimTime;

use super::agenda::Timer;
use super::departure::{detach, put_back};
use super::lifecycle::{log_instance, set_status};
use super::{
    Agenda, Clock, DrainTimer, EngineHandle, HostedOn, Instance, InstanceStatus, Ledger,
    MadeWithServer, OfApplication, Roster, ScalingAction, ScalingError, ScalingRules, Service,
    TakesServerAlong,
};

/// The instances of an application that retire at the very instant at which they are idle. While
/// there are any, no tick goes beyond the application's next event.
#[derive(Component, Debug, Default)]
pub(super) struct IdleDrains {
    /// By engine, which the endpoint watches: the instance, and the number of its drain.
    watched: BTreeMap<EngineId, (u64, Entity)>,
    begun: u64,
}

impl IdleDrains {
    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    fn watch(&mut self, engine: EngineId, instance: Entity) {
        self.watched.insert(engine, (self.begun, instance));
        self.begun += 1;
    }
}

/// Begins to drain an active instance; an idle one retires at once. With `server`, its server goes
/// with it if that is left empty.
pub(super) fn begin(world: &mut World, instance: Entity, server: bool) -> Result<(), ScalingError> {
    let (number, status) = identify(world, instance)?;
    let entity = world.entity(instance);
    let (InstanceStatus::Active, Some(&OfApplication(application)), Some(&EngineHandle(engine))) =
        (status, entity.get(), entity.get())
    else {
        return Err(ScalingError::NotActive {
            instance: number,
            status,
        });
    };
    let now = world.resource::<Clock>().now();
    set_status(world, instance, InstanceStatus::Draining, now);
    log_instance(world, instance, ScalingAction::ScaleDownStart, now);
    if server {
        world.entity_mut(instance).insert(TakesServerAlong);
    }
    if let Some(mut service) = world.get_mut::<Service>(application) {
        service.0.close(engine);
    }
    if is_idle(world, instance) {
        retire(world, instance, now);
    } else {
        wait(world, instance, application, engine, now);
    }
    Ok(())
}

/// Sets the timers of a drain.
fn wait(
    world: &mut World,
    instance: Entity,
    application: Entity,
    engine: EngineId,
    started: SimTime,
) {
    let Some(rules) = world.get::<ScalingRules>(application) else {
        return;
    };
    let (drain, timeout) = (rules.drain, rules.drain_timeout);
    let timer = DrainTimer {
        started,
        checks: 0,
        deadline: timeout.map_or(SimTime::MAX, |timeout| started + timeout),
    };
    world.entity_mut(instance).insert(timer);
    match drain {
        Drain::Poll(_) => {
            let check = timer.next_check(drain);
            let mut agenda = world.resource_mut::<Agenda>();
            agenda.lifecycle.push(check, Timer::DrainCheck(instance));
        }
        Drain::OnIdle => {
            if let Some(mut drains) = world.get_mut::<IdleDrains>(application) {
                drains.watch(engine, instance);
            }
            if let Some(mut service) = world.get_mut::<Service>(application) {
                service.0.watch(engine);
            }
        }
    }
    let mut agenda = world.resource_mut::<Agenda>();
    agenda
        .lifecycle
        .push(timer.deadline, Timer::DrainDeadline(instance));
}

impl DrainTimer {
    fn next_check(&self, drain: Drain) -> SimTime {
        match drain {
            Drain::Poll(interval) => self.started + interval * (self.checks + 1) as f64,
            Drain::OnIdle => SimTime::MAX,
        }
    }
}

/// Looks at a draining instance, and again later while it has work.
pub(super) fn check(world: &mut World, instance: Entity, at: SimTime) {
    let Some(&timer) = world.get::<DrainTimer>(instance) else {
        return;
    };
    if is_idle(world, instance) {
        retire(world, instance, at);
        return;
    }
    let Some(&OfApplication(application)) = world.get(instance) else {
        return;
    };
    let Some(drain) = world.get::<ScalingRules>(application).map(|it| it.drain) else {
        return;
    };
    let timer = DrainTimer {
        checks: timer.checks + 1,
        ..timer
    };
    world.entity_mut(instance).insert(timer);
    let mut agenda = world.resource_mut::<Agenda>();
    agenda
        .lifecycle
        .push(timer.next_check(drain), Timer::DrainCheck(instance));
}

/// Ends a drain that takes too long: what work is left is put back.
pub(super) fn run_out(world: &mut World, instance: Entity, at: SimTime) {
    if world.get::<DrainTimer>(instance).is_none() {
        return;
    }
    if !is_idle(world, instance) {
        log_instance(world, instance, ScalingAction::DrainTimeout, at);
        let entity = world.entity(instance);
        if let (Some(&EngineHandle(engine)), Some(&OfApplication(application))) =
            (entity.get(), entity.get())
        {
            world.entity_mut(instance).remove::<EngineHandle>();
            let requests = put_back(&mut world.into(), application, engine);
            tracing::warn!(target: "fleetsim::scaling", time = %at, requests, "a drain ran out of time: its requests begin again");
        }
    }
    retire(world, instance, at);
}

/// Retires what has become idle among the instances that drain until they are.
pub(super) fn retire_idle(world: &mut World) {
    if world.resource::<Ledger>().counts().draining == 0 {
        return;
    }
    for index in 0..world.resource::<Roster>().applications().len() {
        let application = world.resource::<Roster>().applications()[index];
        if world
            .get::<IdleDrains>(application)
            .is_none_or(IdleDrains::is_empty)
        {
            continue;
        }
        for (instance, since) in take_idle(world, application) {
            retire(world, instance, since);
        }
    }
}

/// Takes those that are idle off an application's list, each with the instant since when, in the order
/// in which their drains began. Those that are gone, after a crash or a timeout, are dropped.
fn take_idle(world: &mut World, application: Entity) -> Vec<(Entity, SimTime)> {
    let engines = world
        .get_mut::<Service>(application)
        .map(|mut service| service.0.take_idle())
        .unwrap_or_default();
    let mut found: Vec<(u64, Entity, EngineId)> = Vec::new();
    if !engines.is_empty()
        && let Some(mut drains) = world.get_mut::<IdleDrains>(application)
    {
        found.extend(engines.into_iter().filter_map(|engine| {
            let (number, instance) = drains.watched.remove(&engine)?;
            Some((number, instance, engine))
        }));
    }
    found.sort_unstable_by_key(|&(number, ..)| number);
    let service = world.get::<Service>(application);
    let idle = |(_, instance, engine)| {
        let timer = world.get::<DrainTimer>(instance)?;
        let since = service?.0.idle_since(engine)?;
        Some((instance, since.max(timer.started)))
    };
    found.into_iter().filter_map(idle).collect()
}

/// Removes a draining instance that has no work.
fn retire(world: &mut World, instance: Entity, at: SimTime) {
    detach(world, instance);
    set_status(world, instance, InstanceStatus::ScalingDown, at);
    log_instance(world, instance, ScalingAction::ScaleDownComplete, at);
    world.despawn(instance);
}

/// Gives up an instance that starts up. A server that was made in the same step goes, too, if it is left
/// empty.
pub(super) fn cancel(world: &mut World, instance: Entity) -> Result<(), ScalingError> {
    let (number, status) = identify(world, instance)?;
    if status != InstanceStatus::ScalingUp {
        return Err(ScalingError::NotScalingUp {
            instance: number,
            status,
        });
    }
    let now = world.resource::<Clock>().now();
    if world.entity(instance).contains::<MadeWithServer>() {
        world.entity_mut(instance).insert(TakesServerAlong);
    }
    detach(world, instance);
    set_status(world, instance, InstanceStatus::ScalingDown, now);
    log_instance(world, instance, ScalingAction::ScaleUpCancelled, now);
    world.despawn(instance);
    Ok(())
}

/// The servers that go when an instance that drains does, if that leaves them empty.
pub(super) fn pending_server_removals(world: &mut World) -> Vec<Entity> {
    let mut servers: Vec<(u64, Entity)> = world
        .query_filtered::<(&Instance, &HostedOn), With<TakesServerAlong>>()
        .iter(world)
        .map(|(instance, host)| (instance.number, host.0))
        .collect();
    servers.sort_unstable();
    let mut servers: Vec<Entity> = servers.into_iter().map(|(_, server)| server).collect();
    servers.dedup();
    servers
}

fn identify(world: &World, instance: Entity) -> Result<(u64, InstanceStatus), ScalingError> {
    match (world.get(instance), world.get(instance)) {
        (Some(&Instance { number }), Some(&status)) => Ok((number, status)),
        _ => Err(ScalingError::NotAnInstance(instance)),
    }
}

fn is_idle(world: &World, instance: Entity) -> bool {
    let (Some(&OfApplication(application)), Some(&EngineHandle(engine))) =
        (world.get(instance), world.get(instance))
    else {
        return true;
    };
    world
        .get::<Service>(application)
        .is_none_or(|service| service.0.is_idle(engine))
}
