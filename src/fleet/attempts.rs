//! Start-ups that fail or hang: an attempt is given up, waited after, and made again on the same processors.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use crate::scenario::StartUpFailure;
use crate::snapshot::name::Name;
use crate::time::SimTime;
use crate::warning::Warning;

use super::attempt::{Next, StartUpAttempt};
use super::fate::Fate;
use super::fault_log::FaultLog;
use super::status::log_instance;
use super::{
    EngineHandle, FleetsExt, Instance, InstanceStatus, OfApplication, RunWarnings, ScalingAction,
    ScalingRules, StartUp, drain, guard, staging,
};

/// How the attempts at start-ups of an application went. Only applications with `start_up_failure` have it.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptCounts {
    /// Attempts that began.
    pub begun: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were given up at their timeout.
    pub timed_out: u64,
    /// Instances that were cancelled after their last attempt.
    pub given_up: u64,
}

/// Begins the start-up of an instance whose server is `ready`. Returns its timer.
pub(super) fn begin(
    world: &mut World,
    instance: Entity,
    application: Entity,
    ready: SimTime,
) -> Option<StartUp> {
    let rules = world.get::<ScalingRules>(application)?;
    match rules.start_up_failure {
        None => staging::begin(world, instance, application, ready, None),
        Some(failure) => try_it(world, instance, application, ready, 1, failure),
    }
}

/// Begins one attempt at an instant.
fn try_it(
    world: &mut World,
    instance: Entity,
    application: Entity,
    since: SimTime,
    number: u32,
    rules: StartUpFailure,
) -> Option<StartUp> {
    let fate = world
        .get_mut::<ScalingRules>(application)?
        .draw_fate(&rules);
    let start_up = staging::begin(world, instance, application, since, fate.stop())?;
    count(world, application, |counts| counts.begun += 1);
    let gives_up = rules.timeout.map_or(SimTime::MAX, |after| since + after);
    let up = start_up.activates.max(start_up.joins);
    let staged = up == SimTime::MAX;
    let (due, next) = match fate {
        Fate::Fails { .. } if !staged && up <= gives_up => (up, Next::Fails),
        Fate::Up if !staged && up <= gives_up => (SimTime::MAX, Next::TimesOut),
        _ => (gives_up, Next::TimesOut),
    };
    let attempt = StartUpAttempt {
        number,
        since,
        due,
        next,
        rules,
    };
    world.get_entity_mut(instance).ok()?.insert(attempt);
    // An attempt that comes to nothing gets no engine.
    let comes_up = fate == Fate::Up && due == SimTime::MAX;
    Some(match comes_up {
        true => start_up,
        false => StartUp {
            joins: SimTime::MAX,
            activates: SimTime::MAX,
        },
    })
}

/// The timer of an attempt has run out.
pub(super) fn end(world: &mut World, instance: Entity, at: SimTime) {
    let (Some(&attempt), Some(&OfApplication(application))) =
        (world.get::<StartUpAttempt>(instance), world.get(instance))
    else {
        return;
    };
    // A host may have set other instants, or made an attempt of its own.
    let starting = world.get(instance) == Some(&InstanceStatus::ScalingUp);
    if !starting || world.get::<EngineHandle>(instance).is_some() {
        guard::work(world, |world| {
            world.entity_mut(instance).remove::<StartUpAttempt>();
        });
        return;
    }
    match attempt.next {
        Next::BeginsAgain => {
            log_instance(world, instance, ScalingAction::StartUpAgain, at);
            let number = attempt.number.saturating_add(1);
            let start_up = try_it(world, instance, application, at, number, attempt.rules);
            if let (Some(start_up), Ok(mut instance)) = (start_up, world.get_entity_mut(instance)) {
                instance.insert(start_up);
            }
        }
        Next::Fails => {
            count(world, application, |counts| counts.failed += 1);
            give_up(world, instance, application, at, "start_up_failed");
        }
        Next::TimesOut => {
            count(world, application, |counts| counts.timed_out += 1);
            give_up(world, instance, application, at, "start_up_timed_out");
        }
    }
}

/// Gives an attempt up; the instance waits for the next, or is cancelled.
fn give_up(world: &mut World, instance: Entity, application: Entity, at: SimTime, name: Name) {
    let Some(&attempt) = world.get::<StartUpAttempt>(instance) else {
        return;
    };
    staging::cut_short(world, instance);
    log_instance(world, instance, ScalingAction::StartUpFailed, at);
    let last = attempt.rules.attempts == Some(attempt.number);
    let again = (!last).then(|| at + attempt.rules.back_off.after(attempt.number));
    write_down(world, instance, at, name, again);
    if let Some(due) = again {
        if let Ok(mut instance) = world.get_entity_mut(instance) {
            instance.insert(StartUpAttempt {
                since: at,
                due,
                next: Next::BeginsAgain,
                ..attempt
            });
        }
        return;
    }
    count(world, application, |counts| counts.given_up += 1);
    warn(world, instance, at, attempt.number);
    if let Err(error) = drain::cancel(world, instance) {
        tracing::debug!(target: "fleetsim::scaling", %error, "a start-up that is given up");
    }
}

/// Writes a line of `faults.csv`.
fn write_down(
    world: &mut World,
    instance: Entity,
    at: SimTime,
    name: Name,
    until: Option<SimTime>,
) {
    let number = world.get::<Instance>(instance).map_or(0, Instance::number);
    let fleet = world.fleet_of(instance);
    if let Some(mut log) = fleet.and_then(|it| world.get_mut::<FaultLog>(it)) {
        log.open();
        log.close(at, name, format!("instance_{number}"), until);
    }
}

fn warn(world: &mut World, instance: Entity, at: SimTime, attempts: u32) {
    let number = world.get::<Instance>(instance).map_or(0, Instance::number);
    let message = format!("instance {number} is given up: no start-up came through in {attempts}");
    let fleet = world.fleet_of(instance);
    if let Some(mut warnings) = fleet.and_then(|it| world.get_mut::<RunWarnings>(it)) {
        warnings.push(Warning::new("start_up_given_up", message).at_time(at));
    }
}

fn count(world: &mut World, application: Entity, change: impl FnOnce(&mut AttemptCounts)) {
    if let Ok(mut application) = world.get_entity_mut(application) {
        let mut counts = application
            .get::<AttemptCounts>()
            .copied()
            .unwrap_or_default();
        change(&mut counts);
        application.insert(counts);
    }
}
