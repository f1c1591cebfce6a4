//! From what a policy wants to scaling verbs. Nothing else in fleetsim scales on a policy's behalf.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::decide::{Bound, Deciding};
use super::placement::{best_sku, places, room, sku_of, victims};
use super::{Decider, Decision, DecisionLog, Desire, DesiredInstances};
use crate::fleet::{
    Agenda, Application, Clock, FleetsExt, HostedOn, Hosts, Instance, InstanceStatus, Ledger,
    MadeWithInstance, ScaleUpFull, ScaleUpInstance, ScalingExt, StatusCounts, Stock, Templates,
};
use crate::scenario::{self, SkuChoice};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// How an application's desires are carried out, and when its roles last changed.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Actuator {
    settings: scenario::Actuator,
    changed: BTreeMap<Role, Changed>,
}

/// When a role was last changed by the actuator.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
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

impl Plan {
    const NOTHING: Self = Self {
        up: 0,
        down: 0,
        refused: 0,
        because: None,
    };
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
        let bounds = decider.take_bounds();
        let policy = decider.policy;
        decider.pass(now);
        let next = decider.next();
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.wake_for::<Deciding>(next, application);
        let Some(decided) = decided else {
            continue;
        };
        for (role, desire, reason) in decided.iter() {
            let wish = Wish {
                role,
                desire,
                skus: decided.skus(role),
                reason,
                bound: bounds.get(&role),
            };
            carry_out(world, application, policy, &wish);
        }
        for role in unmentioned(world, application, &decided) {
            let wish = Wish {
                role,
                desire: Desire::Keep,
                skus: None,
                reason: "nothing was said of it",
                bound: None,
            };
            carry_out(world, application, policy, &wish);
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
        let counts = counts_of(world, application, of, *role);
        counts.scaling_up + counts.active < actuator.settings.limits(*role).min
    };
    let silent = templates.roles().filter(|it| decided.of(*it).is_none());
    silent.filter(below).collect()
}

/// How many instances of a role an application has.
fn counts_of(world: &World, application: Entity, of: &Application, role: Role) -> StatusCounts {
    let ledger = world.fleet_of(application);
    let ledger = ledger.and_then(|it| world.get::<Ledger>(it));
    ledger.map_or_else(StatusCounts::default, |it| it.counts_of(of.index(), role))
}

/// What a policy wants of a role.
struct Wish<'a> {
    role: Role,
    desire: Desire,
    /// How many are wanted on each of these SKUs; none where the actuator chooses.
    skus: Option<&'a [(usize, u32)]>,
    reason: &'a str,
    /// What a host lets come of it.
    bound: Option<&'a Bound>,
}

fn carry_out(world: &mut World, application: Entity, policy: &'static str, wish: &Wish<'_>) {
    let Wish { role, desire, .. } = *wish;
    let now = world.resource::<Clock>().now();
    let (Some(of), Some(actuator)) = (
        world.get::<Application>(application),
        world.get::<Actuator>(application),
    ) else {
        return;
    };
    let name = of.name().clone();
    let counts = counts_of(world, application, of, role);
    let current = counts.scaling_up + counts.active;
    let on_skus = wish
        .skus
        .map(|skus| on_skus(world, application, role, skus));
    let desired = match (desire, &on_skus) {
        (_, Some(changes)) => {
            let by = changes.iter().map(|it| i64::from(it.by)).sum::<i64>();
            let desired = i64::from(current) + by;
            u32::try_from(desired.max(0)).unwrap_or(u32::MAX)
        }
        (Desire::Keep, _) => current,
        (Desire::Exactly(count), _) => count,
        (Desire::Change(by), _) => current.saturating_add_signed(by),
    };
    let least = actuator.settings.limits(role).min;
    let below = current < least;
    let raised = below && desired < least;
    let desired = if below { desired.max(least) } else { desired };
    let (allowed, why) = wish
        .bound
        .map_or((desired, None), |it| it.apply(current, desired));
    // What is missing from the minimum is restored against a host's bound, too.
    let allowed = if below {
        allowed.max(least.min(desired))
    } else {
        allowed
    };
    let kept_back = desired.abs_diff(allowed);
    let steps = match on_skus.filter(|_| !raised) {
        None => vec![(None, actuator.plan(role, current, allowed, now))],
        Some(changes) => {
            let changes = within(changes, current, allowed);
            actuator.plan_on_skus(role, current, &changes, now)
        }
    };
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
        refused: steps.iter().map(|(_, plan)| plan.refused).sum::<u32>() + kept_back,
        reason: wish.reason.to_owned(),
    };
    if raised {
        row.reason = format!("{}; fewer than the minimum of {least}", row.reason);
    }
    if let Some(why) = why.filter(|_| kept_back > 0) {
        row.reason = format!("{}; {why}", row.reason);
    }
    if let Some(because) = steps.iter().find_map(|(_, plan)| plan.because) {
        row.reason = format!("{}; {because}", row.reason);
    }
    let (additions, removals): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(_, it)| it.up > 0);
    for (sku, plan) in additions.into_iter().chain(removals) {
        if plan.up > 0 {
            start(world, application, &mut row, plan.up, sku);
        } else if plan.down > 0 {
            take_away(world, application, &mut row, plan.down, sku);
        }
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
    let fleet = world.fleet_of(application);
    if let Some(mut log) = fleet.and_then(|it| world.get_mut::<DecisionLog>(it)) {
        log.push(row);
    }
}

/// A change of a role on one SKU.
#[derive(Clone, Copy)]
struct Change {
    sku: usize,
    by: i32,
}

/// Changes on SKUs that come to no more than is allowed: of additions the last are left out, of removals, too.
fn within(mut changes: Vec<Change>, current: u32, allowed: u32) -> Vec<Change> {
    let sum: i64 = changes.iter().map(|it| i64::from(it.by)).sum();
    let mut over = sum - (i64::from(allowed) - i64::from(current));
    for change in changes.iter_mut().rev() {
        let by = i64::from(change.by);
        let cut = if over > 0 {
            over.min(by.max(0))
        } else {
            over.max(by.min(0))
        };
        change.by = i32::try_from(by - cut).unwrap_or(change.by);
        over -= cut;
    }
    changes
}

/// What is to change on each of these SKUs for its number to be that wanted.
fn on_skus(world: &World, application: Entity, role: Role, skus: &[(usize, u32)]) -> Vec<Change> {
    let statuses = [InstanceStatus::ScalingUp, InstanceStatus::Active];
    let there = statuses.map(|status| world.instances_in(application, role, status));
    let there: Vec<Option<usize>> = there
        .iter()
        .flatten()
        .map(|it| sku_of(world, *it))
        .collect();
    let change = |&(sku, wanted): &(usize, u32)| {
        let current = there.iter().filter(|it| **it == Some(sku)).count();
        let by = i64::from(wanted) - current as i64;
        let by = by.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Change { sku, by }
    };
    skus.iter().map(change).collect()
}

impl Actuator {
    /// The plans for changes on several SKUs: all additions together are one change of the role, and then all
    /// removals are.
    fn plan_on_skus(
        &self,
        role: Role,
        current: u32,
        changes: &[Change],
        now: SimTime,
    ) -> Vec<(Option<usize>, Plan)> {
        let sum = |way: fn(i32) -> bool| {
            let some = changes.iter().map(|it| it.by).filter(|&by| way(by));
            some.fold(0, i32::saturating_add)
        };
        let more = current.saturating_add_signed(sum(i32::is_positive));
        let up = self.plan(role, current, more, now);
        let there = current.saturating_add(up.up);
        let fewer = there.saturating_add_signed(sum(i32::is_negative));
        let down = self.plan(role, there, fewer, now);
        let mut steps = Vec::new();
        let (mut up_left, mut down_left) = (up.up, down.down);
        for &Change { sku, by } in changes {
            let step = Plan {
                up: up_left.min(by.max(0).unsigned_abs()),
                down: down_left.min(by.min(0).unsigned_abs()),
                ..Plan::NOTHING
            };
            up_left -= step.up;
            down_left -= step.down;
            steps.push((Some(sku), step));
        }
        let refusals = [up, down].map(|it| Plan {
            up: 0,
            down: 0,
            ..it
        });
        steps.extend(refusals.map(|it| (None, it)));
        steps
    }

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

/// Starts instances on free processors, and only then on new servers; of this SKU, if one is given.
fn start(
    world: &mut World,
    application: Entity,
    row: &mut Decision,
    count: u32,
    sku: Option<usize>,
) {
    let stock = world.fleet_of(application);
    let stock = stock.and_then(|it| world.get::<Stock>(it));
    let named = sku.and_then(|sku| stock?.kinds().get(sku));
    let named = named.map(|kind| SkuChoice::Named(kind.sku().name.clone()));
    let (choice, role) = match world.get::<Actuator>(application) {
        Some(actuator) => (
            named.unwrap_or_else(|| actuator.settings.sku.clone()),
            row.role,
        ),
        None => return,
    };
    let all = row.started.saturating_add(count);
    let mut places = VecDeque::from(places(world, application, role, &choice, count as usize));
    while row.started < all {
        let started = if let Some(server) = places.pop_front() {
            let request = ScaleUpInstance::new(application, role, server);
            world.scale_up_instance(&request).map(|_| ())
        } else {
            let chosen = best_sku(world, application, role, &choice);
            if let Some(but) = chosen.but.filter(|it| !row.reason.contains(it)) {
                row.reason = format!("{}; {but}", row.reason);
            }
            let request = ScaleUpFull {
                sku: chosen.sku,
                ..ScaleUpFull::new(application, role)
            };
            world.scale_up_full(&request).map(|new| {
                let left = room(world, application, role, new.server);
                places.extend(std::iter::repeat_n(new.server, left));
            })
        };
        if let Err(error) = started {
            row.refused += all - row.started;
            row.reason = format!("{}; {error}", row.reason);
            return;
        }
        row.started += 1;
    }
}

/// Gives up start-ups, the newest first, and only then drains what is active; on this SKU, if one is given.
fn take_away(
    world: &mut World,
    application: Entity,
    row: &mut Decision,
    count: u32,
    sku: Option<usize>,
) {
    let mut starting = world.instances_in(application, row.role, InstanceStatus::ScalingUp);
    if sku.is_some() {
        starting.retain(|&it| sku_of(world, it) == sku);
    }
    starting.sort_by_key(|&it| Reverse(world.get::<Instance>(it).map(Instance::number)));
    let (mut left, before) = (count, (row.cancelled, row.drained));
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
    left -= row.cancelled - before.0;
    let victim = world
        .get::<Actuator>(application)
        .map(|actuator| actuator.settings.victim);
    if left > 0
        && let Some(victim) = victim
    {
        for instance in victims(world, application, row.role, victim, sku, left as usize) {
            match world.scale_down_full(instance) {
                Ok(()) => row.drained += 1,
                Err(error) => row.reason = format!("{}; {error}", row.reason),
            }
        }
    }
    row.refused += left - (row.drained - before.1);
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
