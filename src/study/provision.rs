//! Whether there were enough instances: the under-provisioning timeshare of the SPEC Research Group's
//! elasticity metrics (Herbst et al., "Ready for Rain?", SPEC-RG-2016-01).
//!
//! Demand is what the capacity model says that the requests take that arrive within a minute, when every
//! instance is used to all that it can carry within the objective. Supply is the active instances. A
//! minute is long enough that chance evens out a little, and short next to a start-up.

use crate::autoscale::CapacityModel;
use crate::autoscale::capacity::arrivals_in_bins;
use crate::fleet::{InstanceStatus, Ledger};
use crate::scenario::CheckedScenario;
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Over which arrivals are counted.
const WINDOW: SimDuration = SimDuration::saturating(60.0);

/// Instances of a role that the arrivals take, window by window from time zero.
#[derive(Clone, Debug)]
pub(super) struct Need {
    application: usize,
    role: Role,
    instances: Vec<u32>,
}

/// What the arrivals of these applications take; none where a workload cannot be read to its end.
pub(super) fn needs(checked: &CheckedScenario, applications: &[usize]) -> Option<Vec<Need>> {
    let mut needs = Vec::new();
    for &application in applications {
        let arrived = arrivals_in_bins(checked, application, WINDOW).ok()?;
        let windows = arrived.last_key_value().map_or(0, |(last, _)| last + 1);
        let model = CapacityModel::new(checked, application);
        let needed = |role, window| {
            let amount = arrived.get(&window);
            amount.map_or(0, |it| model.instances(role, &it.over(WINDOW), 1.0))
        };
        needs.extend(model.roles().map(|role| Need {
            application,
            role,
            instances: (0..windows).map(|window| needed(role, window)).collect(),
        }));
    }
    Some(needs)
}

/// Share of a run up to `end` in which some role had fewer active instances than were needed, 0 to 1.
pub(super) fn under_provisioned(needs: &[Need], ledger: &Ledger, end: SimTime) -> f64 {
    // By how much what there is above what is needed changes, for each need.
    let mut changes: Vec<(SimTime, usize, i64)> = Vec::new();
    for (index, need) in needs.iter().enumerate() {
        let mut before = 0;
        for (window, &count) in (0_u32..).zip(&need.instances) {
            let from = SimTime::ZERO + WINDOW * f64::from(window);
            changes.push((from, index, before - i64::from(count)));
            before = count.into();
        }
        let over = WINDOW * need.instances.len() as f64;
        changes.push((SimTime::ZERO + over, index, before));
        let accounts = ledger.instances().iter();
        let mine = accounts.filter(|it| it.application == need.application && it.role == need.role);
        for active in mine.filter_map(|it| it.span(Some(InstanceStatus::Active), end)) {
            changes.extend([(active.start, index, 1), (active.end, index, -1)]);
        }
    }
    changes.sort_by_key(|&(at, ..)| at);
    let mut spare = vec![0_i64; needs.len()];
    let (mut short, mut reached, mut seconds) = (0_usize, SimTime::ZERO, 0.0);
    for (at, index, change) in changes {
        let at = at.min(end);
        if short > 0 {
            seconds += (at - reached).seconds();
        }
        reached = at;
        let spare = &mut spare[index];
        short -= usize::from(*spare < 0);
        *spare += change;
        short += usize::from(*spare < 0);
    }
    match end > SimTime::ZERO {
        true => seconds / end.seconds(),
        false => 0.0,
    }
}
