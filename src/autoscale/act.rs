//! From what a policy wants to scaling verbs. Nothing else in fleetsim scales on a policy's behalf.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::actuator::Change;
use super::additions::start;
use super::decider::{Bound, Deciding};
use super::placement::sku_of;
use super::pool::{self, counts_of};
use super::removals::take_away;
use super::{Actuator, Decider, Decision, DecisionLog, Desire, DesiredInstances};
use crate::fleet::{Agenda, Application, Clock, FleetsExt, InstanceStatus, ScalingExt, Templates};
use crate::serving::Role;

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
    let (Some(actuator), Some(templates)) = (
        world.get::<Actuator>(application),
        world.get::<Templates>(application),
    ) else {
        return Vec::new();
    };
    let below = |role: &Role| {
        let counts = counts_of(world, application, *role);
        counts.scaling_up + counts.active < actuator.settings.limits(*role).min
    };
    let silent = templates.roles().filter(|it| decided.of(*it).is_none());
    silent.filter(below).collect()
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
    let counts = counts_of(world, application, role);
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
        let waiting = pool::pending_on(world, application, role, sku);
        let by = i64::from(wanted) - current as i64 - i64::from(waiting);
        let by = by.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Change { sku, by }
    };
    skus.iter().map(change).collect()
}
