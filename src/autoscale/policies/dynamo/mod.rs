//! Dynamo's planner: its two modes, and what they share.

mod budget;
mod by_load;
mod estimate;
mod load;
mod prediction;
mod rate;
mod report;
mod sla;

pub use load::{Aim, DynamoLoad};
pub use prediction::Prediction;
pub use report::{RoleReports, StepReport};
pub use sla::DynamoSla;

use budget::{Budget, Share};

use crate::autoscale::{CapacityModel, DesiredInstances};
use crate::serving::Role;

/// Limits that both modes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    min: u32,
    prompt_min: Option<u32>,
    token_min: Option<u32>,
    max: u32,
    budget: Budget,
}

/// Those of a policy.
macro_rules! limits {
    ($policy:expr) => {
        $crate::autoscale::policies::dynamo::Limits {
            min: $policy.min,
            prompt_min: $policy.prompt_min,
            token_min: $policy.token_min,
            max: $policy.max,
            budget: $crate::autoscale::policies::dynamo::budget::Budget {
                least: $policy.min_gpu_budget,
                most: $policy.max_gpu_budget,
            },
        }
    };
}
use limits;

impl Limits {
    /// The fewest instances of a role.
    fn least(&self, role: Role) -> u32 {
        let own = match role {
            Role::Prompt => self.prompt_min,
            Role::Token => self.token_min,
            Role::Mixed => None,
        };
        own.unwrap_or(self.min)
    }

    /// A role as the budget sees it.
    fn share(&self, of: &RoleReports, wanted: u32, capacity: &CapacityModel) -> Share {
        Share {
            gpus: capacity.engine(of.role).map_or(1, |it| it.gpus),
            min: self.least(of.role),
            current: of.ready,
            wanted,
        }
    }
}

/// What is answered for a role: a number, or none to leave it alone.
struct Answer {
    role: Role,
    count: Option<u32>,
    reason: String,
}

impl Answer {
    fn new(role: Role, count: Option<u32>, reason: impl Into<String>) -> Self {
        Self {
            role,
            count,
            reason: reason.into(),
        }
    }

    /// Leaves all of these roles alone.
    fn none(group: &[&RoleReports], reason: &str) -> Vec<Self> {
        let none = |of: &&RoleReports| Self::new(of.role, None, reason);
        group.iter().map(none).collect()
    }
}

/// Says what was answered.
fn say(answers: Vec<Answer>, max: u32, desired: &mut DesiredInstances) {
    for it in answers {
        match it.count {
            Some(count) => desired.exactly(it.role, count.min(max), it.reason),
            None => desired.keep(it.role, it.reason),
        }
    }
}

/// The roles that are decided on together: prompt and token instances where there are both, any other by
/// itself.
fn groups(roles: &[RoleReports]) -> Vec<Vec<&RoleReports>> {
    let of = |role| roles.iter().find(|it| it.role == role);
    let mut groups = match (of(Role::Prompt), of(Role::Token)) {
        (Some(prompt), Some(token)) => vec![vec![prompt, token]],
        (Some(one), None) | (None, Some(one)) => vec![vec![one]],
        (None, None) => Vec::new(),
    };
    groups.extend(of(Role::Mixed).map(|mixed| vec![mixed]));
    groups
}

/// Whether any instance of these roles starts up.
fn starts_up(group: &[&RoleReports]) -> bool {
    group.iter().any(|it| it.pending > 0)
}

/// A number that is answered while instances start up: no more than are ready, and fewer than there are.
fn reduction(of: &RoleReports, count: Option<u32>) -> Option<u32> {
    count.filter(|&it| it <= of.ready && it < of.ready.saturating_add(of.pending))
}

/// What is answered for two roles while instances of either start up: reductions alone, as far as the lower
/// end of the budget allows.
fn while_starting(
    pair: [&RoleReports; 2],
    wanted: [Option<u32>; 2],
    limits: &Limits,
    capacity: &CapacityModel,
) -> [Option<u32>; 2] {
    let targets = [0, 1].map(|it| reduction(pair[it], wanted[it]));
    if targets == [None, None] {
        return targets;
    }
    let shares = [0, 1].map(|it| {
        let of = pair[it];
        let held = match targets[it] {
            None => of.ready.saturating_add(of.pending),
            Some(_) => of.ready,
        };
        Share {
            current: held,
            ..limits.share(of, targets[it].unwrap_or(held), capacity)
        }
    });
    let floor = Budget {
        most: None,
        ..limits.budget
    };
    let counts = floor.nearest(shares);
    [0, 1].map(|it| targets[it].and_then(|_| reduction(pair[it], Some(counts[it]))))
}
