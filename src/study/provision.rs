//! Whether there were enough instances: the under-provisioning timeshare of the SPEC Research Group's
//! elasticity metrics (Herbst et al., "Ready for Rain?", SPEC-RG-2016-01).
//!
//! Demand is what the capacity model says that the requests take that arrive within a minute, when every
//! instance is used to all that it can carry within the objective. Supply is the active instances. A
//! minute is long enough that chance evens out a little, and short next to a start-up.

use super::RoleNeed;
use crate::autoscale::capacity::arrivals_in_bins;
use crate::autoscale::{Amount, CapacityModel};
use crate::fleet::{InstanceStatus, Ledger};
use crate::scenario::CheckedScenario;
use crate::serving::Role;
use crate::statistics::levels::Levels;
use crate::time::{SimDuration, SimTime};

/// Over which arrivals are counted.
const WINDOW: SimDuration = SimDuration::saturating(60.0);

/// The largest number of stretches that a need is shown in.
const SHOWN: u64 = 200;

/// What the arrivals take of every role that is compared.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    minutes: Vec<Need>,
    /// The same in fewer stretches, to be shown.
    roles: Vec<RoleNeed>,
}

/// Instances of a role that the arrivals take, window by window from time zero.
#[derive(Clone, Debug)]
struct Need {
    application: usize,
    role: Role,
    instances: Vec<u32>,
}

/// What the arrivals of these applications take; none where a workload cannot be read to its end.
pub(super) fn needs(checked: &CheckedScenario, applications: &[usize]) -> Option<Needs> {
    if !checked.regions().is_empty() {
        // It knows nothing of requests that are served elsewhere.
        return None;
    }
    let mut needs = Needs {
        minutes: Vec::new(),
        roles: Vec::new(),
    };
    for &application in applications {
        let arrived = arrivals_in_bins(checked, application, WINDOW).ok()?;
        let windows = arrived.last_key_value().map_or(0, |(last, _)| last + 1);
        let model = CapacityModel::new(checked, application);
        let needed = |role, window| {
            let amount = arrived.get(&window);
            amount.map_or(0, |it| model.instances(role, &it.over(WINDOW), 1.0))
        };
        needs.minutes.extend(model.roles().map(|role| Need {
            application,
            role,
            instances: (0..windows).map(|window| needed(role, window)).collect(),
        }));
        let stride = windows.div_ceil(SHOWN).max(1);
        let stretch = WINDOW * stride as f64;
        let shown = |role, first: u64| {
            let mut amount = Amount::default();
            for (_, more) in arrived.range(first..first + stride) {
                amount += *more;
            }
            to_the_thousandth(model.needed(role, &amount.over(stretch), 1.0))
        };
        let firsts = || (0..windows).step_by(usize::try_from(stride).unwrap_or(usize::MAX));
        needs.roles.extend(model.roles().map(|role| RoleNeed {
            application: checked.scenario().applications[application].name.clone(),
            role,
            window_s: stretch.seconds(),
            instances: firsts().map(|first| shown(role, first)).collect(),
        }));
    }
    Some(needs)
}

fn to_the_thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Needs {
    pub(super) fn into_roles(self) -> Vec<RoleNeed> {
        self.roles
    }

    /// Active instances on average over the stretches of each need, up to `end`.
    pub(super) fn active(&self, ledger: &Ledger, end: SimTime) -> Vec<Vec<f64>> {
        let both = self.minutes.iter().zip(&self.roles);
        let means = both.map(|(need, shown)| {
            let mut levels = Levels::new(1, end);
            for account in ledger.instances() {
                let mine = account.application == need.application && account.role == need.role;
                let active = account.span(Some(InstanceStatus::Active), end);
                if let Some(span) = active.filter(|_| mine) {
                    levels.add(0, span);
                }
            }
            // A run that goes on long after its last request is not shown to its end.
            let stretches = (end.seconds() / shown.window_s)
                .ceil()
                .min(2.0 * SHOWN as f64);
            let means = levels.means(shown.window_s, stretches as u32);
            let means = means.into_iter().flatten();
            means.map(to_the_thousandth).collect()
        });
        means.collect()
    }

    /// Share of a run up to `end` in which some role had fewer active instances than were needed, 0 to 1.
    pub(super) fn under_provisioned(&self, ledger: &Ledger, end: SimTime) -> f64 {
        under_provisioned(&self.minutes, ledger, end)
    }
}

fn under_provisioned(needs: &[Need], ledger: &Ledger, end: SimTime) -> f64 {
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
