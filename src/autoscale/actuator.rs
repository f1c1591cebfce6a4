//! From what a policy wants to scaling verbs. Nothing else in fleetsim scales on a policy's behalf.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;

use super::decide::Deciding;
use super::placement::{best_sku, places, room, victims};
use super::{Decider, Decision, DecisionLog, Desire, DesiredInstances};
use crate::fleet::{
    Agenda, Application, Clock, HostedOn, Hosts, Instance, InstanceStatus, Ledger,
    MadeWithInstance, ScaleUpFull, ScaleUpInstance, ScalingExt, Templates,
};
use crate::scenario;
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// How an application's desires are carried out, and when its roles last changed.
#[derive(Component, Clone, Debug, Default)]
pub struct Actuator {
    settings: scenario::Actuator,
    changed: BTreeMap<Role, Changed>,
}

/// When a role was last changed by the actuator.
#[derive(Clone, Copy, Debug, Default)]
struct Changed {
    up: Option<SimTime>,
    any: Option<SimTime>,
}

impl Actuator {
    /// One that has done nothing yet.
    #[must_use]
    pub const fn new(settings: scenario::Actuator) -> Self {
        Self {
            settings,
            changed: BTreeMap::new(),
        }
    }
}

/// The change of a role's instances, after every rule was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    up: u32,
    down: u32,
    refused: u32,
    because: Option<&'static str>,
}

/// The system of the actuator: carries out what was decided in this tick.
pub(super) fn act(world: &mut World) {
    let awake: Vec<Entity> = world.resource::<Agenda>().awake_for::<Deciding>().collect();
    let now = world.resource::<Clock>().now();
    for application in awake {
        let Some(mut decider) = world.get_mut::<Decider>(application) else {
            continue;
        };
        let decided = decider.decided.take();
        let policy = decider.policy;
        decider.pass(now);
        let next = decider.next();
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.wake_for::<Deciding>(next, application);
        let Some(decided) = decided else {
            continue;
        };
        for (role, desire, reason) in decided.iter() {
            carry_out(world, application, policy, role, desire, reason);
        }
        for role in unmentioned(world, application, &decided) {
            let reason = "nothing was said of it";
            carry_out(world, application, policy, role, Desire::Keep, reason);
        }
    }
}

/// The roles that a policy said nothing of, and that have fewer instances than their minimum.
fn unmentioned(world: &World, application: Entity, decided: &DesiredInstances) -> Vec<Role> {
    let (Some(of), Some(actuator), Some(templates)) = (
        world.get::<Application>(application),
        world.get::<Actuator>(application),
        world.get::<Templates>(application),
    ) else {
        return Vec::new();
    };
    let below = |role: &Role| {
        let counts = world.resource::<Ledger>().counts_of(of.index(), *role);
        counts.scaling_up + counts.active < actuator.settings.limits(*role).min
    };
    let silent = templates.roles().filter(|it| decided.of(*it).is_none());
    silent.filter(below).collect()
}

fn carry_out(
    world: &mut World,
    application: Entity,
    policy: &'static str,
    role: Role,
    desire: Desire,
    reason: &str,
) {
    let now = world.resource::<Clock>().now();
    let (Some(of), Some(actuator)) = (
        world.get::<Application>(application),
        world.get::<Actuator>(application),
    ) else {
        return;
    };
    let name = of.name().clone();
    let counts = world.resource::<Ledger>().counts_of(of.index(), role);
    let current = counts.scaling_up + counts.active;
    let desired = match desire {
        Desire::Keep => current,
        Desire::Exactly(count) => count,
        Desire::Change(by) => current.saturating_add_signed(by),
    };
    let least = actuator.settings.limits(role).min;
    let below = current < least;
    let raised = below && desired < least;
    let desired = if below { desired.max(least) } else { desired };
    let plan = actuator.plan(role, current, desired, now);
    let mut row = Decision {
        time: now,
        application: name,
        policy,
        role,
        scaling_up: counts.scaling_up,
        active: counts.active,
        draining: counts.draining,
        desired,
        started: 0,
        cancelled: 0,
        drained: 0,
        refused: plan.refused,
        reason: reason.to_owned(),
    };
    if raised {
        row.reason = format!("{}; fewer than the minimum of {least}", row.reason);
    }
    if let Some(because) = plan.because {
        row.reason = format!("{}; {because}", row.reason);
    }
    if plan.up > 0 {
        start(world, application, &mut row, plan.up);
    } else if plan.down > 0 {
        take_away(world, application, &mut row, plan.down);
    }
    if let Some(mut actuator) = world.get_mut::<Actuator>(application) {
        let changed = actuator.changed.entry(role).or_default();
        if row.started > 0 {
            changed.up = Some(now);
        }
        if row.started + row.cancelled + row.drained > 0 {
            changed.any = Some(now);
        }
    }
    tracing::debug!(target: "fleetsim::autoscale", time = %now, policy, ?role, current, desired, "{}", row.reason);
    world.resource_mut::<DecisionLog>().push(row);
}

impl Actuator {
    fn plan(&self, role: Role, current: u32, desired: u32, now: SimTime) -> Plan {
        let limits = self.settings.limits(role);
        let most = limits.max.unwrap_or(u32::MAX);
        let changed = self.changed.get(&role).copied().unwrap_or_default();
        let resting = |since: Option<SimTime>, cooldown: SimDuration| {
            since.is_some_and(|since| now < since + cooldown)
        };
        // A limit never turns a wish for more into fewer, or the other way round.
        let allowed = desired.clamp(limits.min, most);
        let (wanted, allowed, step, rests, limit, cooling) = if desired > current {
            (
                desired - current,
                allowed.saturating_sub(current),
                self.settings.max_up,
                resting(changed.up, self.settings.up_cooldown),
                "at the maximum",
                "cooling down after an addition",
            )
        } else {
            (
                current - desired,
                current.saturating_sub(allowed),
                self.settings.max_down,
                resting(changed.any, self.settings.down_cooldown),
                "at the minimum",
                "cooling down after a change",
            )
        };
        let (done, because) = if rests {
            (0, Some(cooling))
        } else if step.is_some_and(|step| step < allowed) {
            (step.unwrap_or(allowed), Some("one step at a time"))
        } else {
            (allowed, Some(limit))
        };
        // What is missing from the minimum waits for nothing.
        let missing = limits.min.min(desired).saturating_sub(current);
        let done = done.max(missing);
        let refused = wanted - done.min(wanted);
        let (up, down) = if desired > current {
            (done, 0)
        } else {
            (0, done)
        };
        Plan {
            up,
            down,
            refused,
            because: because.filter(|_| refused > 0),
        }
    }
}

/// Starts instances on free processors, and only then on new servers.
fn start(world: &mut World, application: Entity, row: &mut Decision, count: u32) {
    let (choice, role) = match world.get::<Actuator>(application) {
        Some(actuator) => (actuator.settings.sku.clone(), row.role),
        None => return,
    };
    let mut places = VecDeque::from(places(world, application, role, &choice, count as usize));
    while row.started < count {
        let started = if let Some(server) = places.pop_front() {
            let request = ScaleUpInstance::new(application, role, server);
            world.scale_up_instance(&request).map(|_| ())
        } else {
            let request = ScaleUpFull {
                sku: best_sku(world, application, role, &choice),
                ..ScaleUpFull::new(application, role)
            };
            world.scale_up_full(&request).map(|new| {
                let left = room(world, application, role, new.server);
                places.extend(std::iter::repeat_n(new.server, left));
            })
        };
        if let Err(error) = started {
            row.refused += count - row.started;
            row.reason = format!("{}; {error}", row.reason);
            return;
        }
        row.started += 1;
    }
}

/// Gives up start-ups, the newest first, and only then drains what is active.
fn take_away(world: &mut World, application: Entity, row: &mut Decision, count: u32) {
    let mut starting = world.instances_in(application, row.role, InstanceStatus::ScalingUp);
    starting.sort_by_key(|&it| Reverse(world.get::<Instance>(it).map(Instance::number)));
    let mut left = count;
    for instance in starting.into_iter().take(left as usize) {
        let server = world.get::<HostedOn>(instance).map(HostedOn::server);
        match world.cancel_scale_up(instance) {
            Ok(()) => row.cancelled += 1,
            Err(error) => row.reason = format!("{}; {error}", row.reason),
        }
        if let Some(server) = server {
            take_empty_away(world, server);
        }
    }
    left -= row.cancelled;
    let victim = world
        .get::<Actuator>(application)
        .map(|actuator| actuator.settings.victim);
    if left > 0
        && let Some(victim) = victim
    {
        for instance in victims(world, application, row.role, victim, left as usize) {
            match world.scale_down_full(instance) {
                Ok(()) => row.drained += 1,
                Err(error) => row.reason = format!("{}; {error}", row.reason),
            }
        }
    }
    row.refused += left - row.drained;
}

/// Removes a server that came for an instance and carries none any more.
fn take_empty_away(world: &mut World, server: Entity) {
    let came_for_one = world.get::<MadeWithInstance>(server).is_some();
    if came_for_one
        && world.get::<Hosts>(server).is_none_or(Hosts::is_empty)
        && let Err(error) = world.scale_down_server(server)
    {
        tracing::debug!(target: "fleetsim::autoscale", %error, "the server stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(settings: scenario::Actuator, current: u32, desired: u32) -> (u32, u32, u32) {
        let plan = Actuator::new(settings).plan(Role::Mixed, current, desired, SimTime::ZERO);
        (plan.up, plan.down, plan.refused)
    }

    fn limits(min: u32, max: u32) -> scenario::Actuator {
        let max = Some(max);
        scenario::Actuator {
            mixed: scenario::Limits { min, max },
            ..scenario::Actuator::default()
        }
    }

    #[test]
    fn limits_cut_what_is_wanted_and_never_turn_it_round() {
        assert_eq!(plan(limits(2, 5), 3, 9), (2, 0, 4));
        assert_eq!(plan(limits(2, 5), 3, 0), (0, 1, 2));
        assert_eq!(plan(limits(2, 5), 7, 9), (0, 0, 2));
        assert_eq!(plan(limits(2, 5), 1, 0), (0, 0, 1));
        assert_eq!(plan(limits(0, 5), 1, 0), (0, 1, 0));
        assert_eq!(plan(limits(2, 5), 1, 1), (0, 0, 0));
    }

    #[test]
    fn a_decision_changes_no_more_than_a_step() {
        let steps = scenario::Actuator {
            max_up: Some(2),
            max_down: Some(1),
            ..scenario::Actuator::default()
        };
        assert_eq!(plan(steps.clone(), 3, 9), (2, 0, 4));
        assert_eq!(plan(steps.clone(), 9, 3), (0, 1, 5));
        assert_eq!(plan(steps, 3, 5), (2, 0, 0));
    }

    #[test]
    fn the_minimum_waits_for_no_step_and_no_cooldown() {
        let mut settings = limits(3, 9);
        settings.max_up = Some(1);
        settings.up_cooldown = SimDuration::saturating(60.0);
        assert_eq!(plan(settings.clone(), 0, 5), (3, 0, 2));
        let mut actuator = Actuator::new(settings);
        actuator.changed.entry(Role::Mixed).or_default().up = Some(SimTime::ZERO);
        let plan = actuator.plan(Role::Mixed, 1, 3, SimTime::ZERO);
        assert_eq!((plan.up, plan.refused), (2, 0));
    }
}
