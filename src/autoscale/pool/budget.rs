//! A budget of processors, shared out among the applications of a pool.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::{Pool, counts_of, priority_of};
use crate::autoscale::decider::Deciding;
use crate::autoscale::{Actuator, Decider, Desire};
use crate::fleet::{Agenda, FleetsExt, Roster, Templates};
use crate::serving::Role;

/// How many instances of each role an application's policy wanted last, before the budget was shared out.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wanted(BTreeMap<Role, u32>);

/// What a role of an application wants of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetClaim {
    /// Processors of an instance.
    pub processors: u32,
    /// Instances that it has before any other has more than that.
    pub min: u32,
    /// Instances that it wants.
    pub wanted: u32,
    /// Those with a higher one come first.
    pub priority: i32,
}

/// Shares out a budget of processors: how many instances each may have. Minima come first, in the order of priority;
/// then, priority by priority, what is wanted; where that is too much, each gets the same share of it, rounded down,
/// and the rest goes to those that were cut the most, the first of equals.
///
/// Source: SageServe plans all models of a region together, so that what the forecasts ask for is met at the
/// least cost (arXiv 2502.14617); without a limit that separates into a plan for each model. This is the limit.
///
/// ```
/// use fleetsim::autoscale::{BudgetClaim, divide};
/// let claim = |wanted| BudgetClaim { processors: 8, min: 1, wanted, priority: 0 };
/// assert_eq!(divide(64, &[claim(3), claim(4)]), [3, 4]);
/// assert_eq!(divide(48, &[claim(3), claim(6)]), [2, 4]);
/// ```
#[must_use]
pub fn divide(budget: u32, claims: &[BudgetClaim]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&it| -i64::from(claims[it].priority));
    let (mut left, mut shares) = (budget, vec![0; claims.len()]);
    for &it in &order {
        let claim = claims[it];
        let min = claim
            .min
            .min(claim.wanted)
            .min(whole(left, claim.processors));
        shares[it] = min;
        left -= min * claim.processors;
    }
    for equals in order.chunk_by(|a, b| claims[*a].priority == claims[*b].priority) {
        let wanted = |it: usize, has: u32| {
            u64::from(claims[it].wanted.saturating_sub(has)) * u64::from(claims[it].processors)
        };
        let sum: u64 = equals.iter().map(|&it| wanted(it, shares[it])).sum();
        let all = left;
        let mut cut: Vec<(u64, usize)> = Vec::new();
        for &it in equals {
            let claim = claims[it];
            let wants = wanted(it, shares[it]);
            let fair = if sum <= u64::from(all) {
                wants
            } else {
                // A product of two numbers of 32 and 64 bits, of which the second is a sum over the claims.
                (u128::from(wants) * u128::from(all) / u128::from(sum)) as u64
            };
            let more = fair.checked_div(claim.processors.into()).unwrap_or(0) as u32;
            shares[it] += more;
            left -= more * claim.processors;
            cut.push((wants - u64::from(more * claim.processors), it));
        }
        cut.sort_by_key(|&(cut, it)| (u64::MAX - cut, it));
        for (_, it) in cut {
            let claim = claims[it];
            if shares[it] < claim.wanted && whole(left, claim.processors) > 0 {
                shares[it] += 1;
                left -= claim.processors;
            }
        }
    }
    shares
}

/// How many instances of that size fit.
fn whole(processors: u32, each: u32) -> u32 {
    processors.checked_div(each).unwrap_or(0)
}

/// A role of an application that has a policy.
struct Claimant {
    application: Entity,
    role: Role,
    current: u32,
    claim: BudgetClaim,
}

/// The system that cuts what was decided in this tick to the shares of the budget.
pub(in crate::autoscale) fn share_out(world: &mut World) {
    let agenda = world.resource::<Agenda>();
    let awake: Vec<Entity> = agenda.awake_for::<Deciding>().collect();
    for fleet in world.fleets().to_vec() {
        let budget = world.get::<Pool>(fleet).and_then(|it| it.settings.budget);
        let of_fleet = |it: &&Entity| world.fleet_of(**it) == Some(fleet);
        let deciding: Vec<Entity> = awake.iter().filter(of_fleet).copied().collect();
        if let Some(budget) = budget
            && !deciding.is_empty()
        {
            share_out_in(world, fleet, budget, &deciding);
        }
    }
}

fn share_out_in(world: &mut World, fleet: Entity, budget: u32, deciding: &[Entity]) {
    for &application in deciding {
        note_wishes(world, application);
    }
    let (claimants, others) = claimants(world, fleet);
    let claims: Vec<BudgetClaim> = claimants.iter().map(|it| it.claim).collect();
    let shares = divide(budget.saturating_sub(others), &claims);
    let used: u32 = claimants
        .iter()
        .map(|it| used(world, it.application, it.role, it.claim.processors))
        .fold(others, u32::saturating_add);
    let mut free = budget.saturating_sub(used);
    for (claimant, share) in claimants.iter().zip(shares) {
        let &Claimant {
            application,
            role,
            current,
            claim,
        } = claimant;
        let Some(mut decider) = world.get_mut::<Decider>(application) else {
            continue;
        };
        let Some(decided) = decider.decided.as_mut() else {
            continue;
        };
        let Some((_, reason)) = decided.of(role) else {
            continue;
        };
        let room = whole(free, claim.processors);
        let granted = share.min(current.saturating_add(room));
        free -= granted.saturating_sub(current).min(room) * claim.processors;
        if granted < claim.wanted {
            let reason = format!("{reason}; {granted} of the budget of {budget} processors");
            decided.exactly(role, granted, reason);
        }
    }
}

/// Notes what the policy of an application has just decided.
fn note_wishes(world: &mut World, application: Entity) {
    let Some(decided) = world
        .get::<Decider>(application)
        .and_then(|it| it.decided.clone())
    else {
        return;
    };
    let mut wanted = world
        .get::<Wanted>(application)
        .cloned()
        .unwrap_or_default();
    for (role, desire, _) in decided.iter() {
        let current = current(world, application, role);
        let count = match desire {
            Desire::Keep => current,
            Desire::Exactly(count) => count,
            Desire::Change(by) => current.saturating_add_signed(by),
        };
        wanted.0.insert(role, count);
    }
    world.entity_mut(application).insert(wanted);
}

/// The roles that a policy scales, and how many processors the instances of all others have.
fn claimants(world: &World, fleet: Entity) -> (Vec<Claimant>, u32) {
    let (mut claimants, mut others) = (Vec::new(), 0_u32);
    let roster = world.get::<Roster>(fleet).into_iter();
    for &application in roster.flat_map(|it| it.applications()) {
        let Some(templates) = world.get::<Templates>(application) else {
            continue;
        };
        for role in templates.roles() {
            let processors = super::processors(world, fleet, application, role);
            let Some(actuator) = world.get::<Actuator>(application) else {
                let used = used(world, application, role, processors);
                others = others.saturating_add(used);
                continue;
            };
            let current = current(world, application, role);
            let wanted = world.get::<Wanted>(application);
            let wanted = wanted.and_then(|it| it.0.get(&role)).copied();
            // What is missing from a minimum is restored against the policy.
            let min = actuator.settings.limits(role).min;
            let claim = BudgetClaim {
                processors,
                min,
                wanted: wanted.unwrap_or(current).max(min),
                priority: priority_of(world, application),
            };
            claimants.push(Claimant {
                application,
                role,
                current,
                claim,
            });
        }
    }
    (claimants, others)
}

/// How many instances of a role wait for a place, start up or are active.
fn current(world: &World, application: Entity, role: Role) -> u32 {
    let counts = counts_of(world, application, role);
    counts.scaling_up + counts.active
}

/// The processors of the instances of a role, those that drain included, and those that wait for a place.
fn used(world: &World, application: Entity, role: Role, processors: u32) -> u32 {
    let counts = counts_of(world, application, role);
    counts.total().saturating_mul(processors)
}
