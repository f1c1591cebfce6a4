//! A policy among those that are known by name.

use std::any::TypeId;

use bevy_ecs::entity::Entity;
use bevy_ecs::prelude::{IntoScheduleConfigs, Schedules};
use bevy_ecs::world::World;

use super::any_policy::AnyPolicy;
use super::decide::{decide, follow};
use super::decider::Deciding;
use super::foresight::{misfit, never_decides, never_exceeded};
use super::sense::{ModelMemory, Scraper, Scraping};
use super::sets::Wishes;
use super::{Actuator, CapacityModel, Decider, Policy, Signals};
use crate::fleet::{Agenda, Clock, Codec, FleetSystems, Parts, Prepared, Tick};
use crate::scenario::{CheckedScenario, Diagnostics};
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::{SimDuration, SimTime};
use crate::warning::Warning;

/// A policy that is known by name.
#[derive(Clone, Copy, Debug)]
pub struct PolicyKind {
    pub(super) name: &'static str,
    summary: &'static str,
    schema: fn() -> serde_json::Value,
    pub(super) read: fn(&CheckedScenario, usize) -> Result<Vec<Warning>, Diagnostics>,
    pub(super) install: fn(&mut World, Entity, &CheckedScenario, usize) -> Result<(), Diagnostics>,
    pub(super) type_id: fn() -> TypeId,
    pub(super) enter: fn(&mut Parts),
    pub(super) add_system: fn(&mut World),
}

impl PolicyKind {
    /// The kind of a policy.
    pub(super) fn of<P: Policy>() -> Self {
        Self {
            name: P::NAME,
            summary: P::SUMMARY,
            schema: || schemars::schema_for!(P).to_value(),
            read: |checked, application| {
                let policy = read::<P>(checked, application)?;
                let mut warnings = policy.warnings(checked, application);
                warnings.extend(never_decides(&policy, checked, application));
                warnings.extend(never_exceeded(&policy, checked, application));
                Ok(warnings)
            },
            install: install::<P>,
            type_id: TypeId::of::<P>,
            enter: |parts| {
                let codec = Codec {
                    save: save_policy::<P>,
                    restore: restore_policy::<P>,
                };
                parts.component_by(codec).systems::<P>(add_system::<P>);
            },
            add_system: add_system::<P>,
        }
    }

    /// Its name in a scenario.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it does, in one line.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// The JSON Schema of its parameters, with their defaults.
    #[must_use]
    pub fn schema(&self) -> serde_json::Value {
        (self.schema)()
    }
}

/// Adds the system of a policy. Each has applications of its own, so that their order does not matter.
fn add_system<P: Policy>(world: &mut World) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    let decide = decide::<P>.in_set(Wishes).ambiguous_with(Wishes);
    let follow = follow::<P>.in_set(Prepared).ambiguous_with(Prepared);
    schedules.add_systems(Tick, (decide, follow).in_set(FleetSystems));
}

/// Reads and checks an application's policy.
fn read<P: Policy>(checked: &CheckedScenario, application: usize) -> Result<P, Diagnostics> {
    let policy: P = checked.read_autoscaler(application)?.unwrap_or_default();
    check(&policy, checked, application)?;
    Ok(policy)
}

fn check(
    policy: &dyn AnyPolicy,
    checked: &CheckedScenario,
    application: usize,
) -> Result<(), Diagnostics> {
    let path = format!("applications[{application}].autoscaler");
    if policy.interval() == SimDuration::ZERO {
        let message = "a policy cannot decide every 0 seconds";
        return Err(checked.problem_at(&path, message).into());
    }
    if let Err(wrong) = policy.check() {
        let path = format!("{path}.{}", wrong.field);
        return Err(checked.problem_at(&path, wrong.message).into());
    }
    if let Some((message, help)) = misfit(policy, &checked.scenario().applications[application]) {
        return Err(checked.problem_at(&path, message).help(help).into());
    }
    Ok(())
}

/// Takes the policy off an application, if it has one.
pub(super) fn uninstall(world: &mut World, application: Entity) {
    let Ok(mut entity) = world.get_entity_mut(application) else {
        return;
    };
    let Some(decider) = entity.take::<Decider>() else {
        return;
    };
    (decider.remover())(&mut entity);
    entity.remove::<(Signals, Scraper, Actuator)>();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Scraping>(SimTime::MAX, application);
    agenda.wake_for::<Deciding>(SimTime::MAX, application);
}

fn install<P: Policy>(
    world: &mut World,
    entity: Entity,
    checked: &CheckedScenario,
    application: usize,
) -> Result<(), Diagnostics> {
    let mut policy = read::<P>(checked, application)?;
    policy.prepare(checked, application)?;
    let (decider, window) = (Decider::new::<P>(policy.interval()), policy.window());
    world.entity_mut(entity).insert(policy);
    begin(world, entity, (decider, window), checked, application);
    Ok(())
}

/// Gives an application what its policy decides by, and wakes it for its first decision.
fn begin(
    world: &mut World,
    entity: Entity,
    (mut decider, window): (Decider, SimDuration),
    checked: &CheckedScenario,
    application: usize,
) {
    let of = &checked.scenario().applications[application];
    let now = world.resource::<Clock>().now();
    decider.pass(now);
    let (first, interval) = (decider.next(), decider.interval);
    let delay = of.signals.scrape_delay;
    let memory = of.model_in(checked.catalog()).map(|model| ModelMemory {
        weights: model.weights_bytes,
        token: model.kv_bytes_per_token(),
    });
    let memory = memory.unwrap_or_default();
    world.entity_mut(entity).insert((
        Signals::new(window, delay)
            .with_slo(of.slo.limits())
            .with_capacity(CapacityModel::new(checked, application)),
        Scraper::new(of.signals.scrape_interval, delay, interval, memory),
        decider,
        Actuator::new(of.actuator.clone()),
    ));
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Scraping>(now, entity);
    agenda.wake_for::<Deciding>(first, entity);
}

fn save_policy<P: Policy>(
    _: &World,
    _: Entity,
    policy: &P,
    to: &mut StateWriter,
) -> Result<(), SaveError> {
    policy.save(to)
}

/// Lays the state over the policy that the application has, or over one with the default parameters.
fn restore_policy<P: Policy>(
    world: &mut World,
    entity: Entity,
    from: &mut StateReader<'_>,
) -> Result<(), RestoreError> {
    let mut policy = world.get::<P>(entity).cloned().unwrap_or_default();
    policy.restore(from)?;
    world.entity_mut(entity).insert(policy);
    Ok(())
}
