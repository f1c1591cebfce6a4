//! From `Active` to gone: an instance takes nothing new, finishes what it has, and retires.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::Query;
use bevy_ecs::query::With;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use crate::scenario::Drain;
use crate::serving::EngineId;
use crate::time::SimTime;

use super::parts::Twins;
use super::removal::detach;
use super::start_up::request_flush;
use super::status::{log_instance, set_status};
use super::{
    Clock, DrainTimer, EngineHandle, FleetsExt, HostedOn, Instance, InstanceStatus, Instances,
    MadeWithServer, OfApplication, OfFleet, ScalingAction, ScalingError, ScalingRules, Service,
    TakesServerAlong, Unnoticed,
};

/// The instances of an application that retire at the very instant at which they are idle. While
/// there are any, no tick goes beyond the application's next event.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct IdleDrains {
    /// By engine, which the endpoint watches: the instance, and the number of its drain.
    watched: BTreeMap<EngineId, (u64, Entity)>,
    begun: u64,
}

impl IdleDrains {
    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        for (_, instance) in self.watched.values_mut() {
            twins.follow(instance);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    fn watch(&mut self, engine: EngineId, instance: Entity) {
        self.watched.insert(engine, (self.begun, instance));
        self.begun += 1;
    }

    /// Takes those that are idle off the list, each with the instant since when, in the order in which their
    /// drains began. Those that are gone, after a crash or a timeout, are dropped.
    pub(super) fn take_idle(
        &mut self,
        service: &mut Service,
        timers: &Query<'_, '_, &DrainTimer>,
    ) -> Vec<(Entity, SimTime)> {
        if self.watched.is_empty() {
            return Vec::new();
        }
        let engines = service.0.take_idle().into_iter();
        let mut found: Vec<(u64, Entity, EngineId)> = engines
            .filter_map(|engine| {
                let (number, instance) = self.watched.remove(&engine)?;
                Some((number, instance, engine))
            })
            .collect();
        found.sort_unstable_by_key(|&(number, ..)| number);
        let idle = |(_, instance, engine)| {
            let timer = timers.get(instance).ok()?;
            let since = service.0.idle_since(engine)?;
            Some((instance, since.max(timer.started)))
        };
        found.into_iter().filter_map(idle).collect()
    }
}

/// Begins to drain an active instance; an idle one retires at once. With `server`, its server goes
/// with it if that is left empty.
pub(super) fn begin(world: &mut World, instance: Entity, server: bool) -> Result<(), ScalingError> {
    begin_until(world, instance, server, None)
}

/// The same. The work that it still has at the instant `by` is put back, or before by the rules of the application.
pub(super) fn begin_by(
    world: &mut World,
    instance: Entity,
    server: bool,
    by: Option<SimTime>,
) -> Result<(), ScalingError> {
    let Some(at) = by else {
        return begin(world, instance, server);
    };
    let now = world.resource::<Clock>().now();
    let rules = world
        .get::<OfApplication>(instance)
        .and_then(|of| world.get::<ScalingRules>(of.application()));
    let timeout = rules.and_then(|rules| rules.drain_timeout);
    let deadline = timeout.map_or(at, |timeout| at.min(now + timeout));
    begin_until(world, instance, server, Some(deadline))
}

/// The same with a deadline; by the rules of the application for `None`.
fn begin_until(
    world: &mut World,
    instance: Entity,
    server: bool,
    deadline: Option<SimTime>,
) -> Result<(), ScalingError> {
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
    let timeout = world
        .get::<ScalingRules>(application)
        .and_then(|rules| rules.drain_timeout);
    let by_rule = timeout.map_or(SimTime::MAX, |timeout| now + timeout);
    if server {
        world.entity_mut(instance).insert(TakesServerAlong);
    }
    if let Some(mut service) = world.get_mut::<Service>(application) {
        service.0.close(engine);
    }
    if !set_status(world, instance, InstanceStatus::Draining, now) {
        return Ok(());
    }
    log_instance(world, instance, ScalingAction::ScaleDownStart, now);
    if empties_at_once(world, instance, application, engine, now) || is_idle(world, instance) {
        retire(world, instance, now);
    } else {
        let timer = DrainTimer {
            started: now,
            checks: 0,
            deadline: deadline.unwrap_or(by_rule),
        };
        wait(world, instance, application, engine, timer);
    }
    Ok(())
}

/// Sends the work of an instance elsewhere where the rules say so, unless it is lost. True where the rest of it is put
/// back at once.
fn empties_at_once(
    world: &mut World,
    instance: Entity,
    application: Entity,
    engine: EngineId,
    now: SimTime,
) -> bool {
    let rules = world.get::<ScalingRules>(application);
    let alive = world.get::<Unnoticed>(instance).is_none();
    let rules = rules.filter(|rules| alive || rules.drain == Drain::Requeue);
    let Some(Drain::Migrate {
        bandwidth_gib_per_s: gib_per_s,
    }) = rules.map(|rules| rules.drain)
    else {
        return rules.is_some_and(|rules| rules.drain == Drain::Requeue);
    };
    if let Some(mut service) = world.get_mut::<Service>(application) {
        let done = service.0.evacuate(engine, gib_per_s, now);
        if done.put_back > 0 {
            request_flush(&mut world.into(), application);
        }
    }
    false
}

/// Lets the instances that an instance is about to drain with take nothing from each other.
pub(super) fn close(world: &mut World, instance: Entity) {
    if let (Some(&InstanceStatus::Active), Some(&EngineHandle(engine)), Some(&OfApplication(of))) = (
        world.get(instance),
        world.get(instance),
        world.get(instance),
    ) && let Some(mut service) = world.get_mut::<Service>(of)
    {
        service.0.close(engine);
    }
}

/// Waits until an instance that drains is idle, or until its time is over.
fn wait(
    world: &mut World,
    instance: Entity,
    application: Entity,
    engine: EngineId,
    timer: DrainTimer,
) {
    let on_idle = world
        .get::<ScalingRules>(application)
        .is_some_and(|rules| !matches!(rules.drain, Drain::Poll(_)));
    if on_idle {
        if let Some(mut drains) = world.get_mut::<IdleDrains>(application) {
            drains.watch(engine, instance);
        }
        if let Some(mut service) = world.get_mut::<Service>(application) {
            service.0.watch(engine);
        }
    }
    world.entity_mut(instance).insert(timer);
}

/// Has the draining instances of an application wait as its rules say now.
pub(super) fn wait_anew(world: &mut World, application: Entity) {
    if let Some(mut drains) = world.get_mut::<IdleDrains>(application) {
        drains.watched.clear();
    }
    let instances = world.get::<Instances>(application);
    let instances: Vec<Entity> = instances.into_iter().flat_map(Instances::iter).collect();
    for instance in instances {
        if let (Some(&timer), Some(&EngineHandle(engine))) = (
            world.get::<DrainTimer>(instance),
            world.get::<EngineHandle>(instance),
        ) {
            wait(world, instance, application, engine, timer);
        }
    }
}

impl DrainTimer {
    /// When the instance is looked at next.
    pub(super) fn next_check(&self, drain: Drain) -> SimTime {
        match drain {
            Drain::Poll(interval) => self.started + interval * (self.checks + 1) as f64,
            Drain::OnIdle | Drain::Requeue | Drain::Migrate { .. } => SimTime::MAX,
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
    } else if timer.deadline > at {
        world.entity_mut(instance).insert(DrainTimer {
            checks: timer.checks + 1,
            ..timer
        });
    }
}

/// Ends a drain that takes too long: the work left is put back.
pub(super) fn run_out(world: &mut World, instance: Entity, at: SimTime) {
    if world.get::<DrainTimer>(instance).is_none() {
        return;
    }
    if !is_idle(world, instance) {
        log_instance(world, instance, ScalingAction::DrainTimeout, at);
    }
    retire(world, instance, at);
}

/// Takes a timer that was inserted by hand. An active instance begins to drain; one that drains goes on
/// until the new deadline; any other keeps no timer.
pub(super) fn take_timer(world: &mut World, instance: Entity, timer: DrainTimer) {
    let Ok(mut entity) = world.get_entity_mut(instance) else {
        return;
    };
    match entity.get::<InstanceStatus>() {
        Some(InstanceStatus::Draining) => {
            let started = world.resource::<Clock>().now();
            world
                .entity_mut(instance)
                .insert(DrainTimer { started, ..timer });
        }
        Some(InstanceStatus::Active) => {
            entity.remove::<DrainTimer>();
            if let Err(error) = begin_until(world, instance, false, Some(timer.deadline)) {
                tracing::warn!(target: "fleetsim::scaling", %error, "a drain timer has no effect");
            }
        }
        _ => {
            entity.remove::<DrainTimer>();
            tracing::warn!(target: "fleetsim::scaling", %instance, "a drain timer has no effect: the instance is not active");
        }
    }
}

/// Removes a draining instance; the work left is put back.
pub(super) fn retire(world: &mut World, instance: Entity, at: SimTime) {
    if !set_status(world, instance, InstanceStatus::ScalingDown, at) {
        return;
    }
    let requests = detach(world, instance);
    if requests > 0 {
        tracing::warn!(target: "fleetsim::scaling", time = %at, requests, "a drain ends with work left: its requests begin again");
    }
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
    if set_status(world, instance, InstanceStatus::ScalingDown, now) {
        detach(world, instance);
        log_instance(world, instance, ScalingAction::ScaleUpCancelled, now);
        world.despawn(instance);
    }
    Ok(())
}

/// The servers that go when an instance that drains does, if that leaves them empty.
pub(super) fn pending_server_removals(world: &mut World) -> Vec<Entity> {
    let mut servers: Vec<(Entity, u64, Entity)> = world
        .query_filtered::<(&Instance, &OfFleet, &HostedOn), With<TakesServerAlong>>()
        .iter(world)
        .map(|(instance, of, host)| (of.0, instance.number, host.0))
        .collect();
    let order = world.fleets();
    servers.sort_unstable_by_key(|&(fleet, number, _)| {
        (order.iter().position(|&it| it == fleet), number)
    });
    let mut servers: Vec<Entity> = servers.into_iter().map(|(.., server)| server).collect();
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
