//! How busy and how full instances are, by group: what samples tell of a role alone.

use std::collections::BTreeMap;

use super::bins::{Bins, Merge};
use super::mean::{Mean, SAMPLES};
use crate::scenario::{Role, Scenario};
use crate::simulation::Simulation;
use crate::time::{SimDuration, SimTime};

/// Role, SKU by position and processors.
pub(super) type Key = (Role, usize, u32);

/// The use of an application's instances by group, of the roles that may have several.
#[derive(Debug)]
pub(super) struct UseByGroup {
    interval: SimDuration,
    roles: Vec<Role>,
    pub(super) groups: BTreeMap<Key, Bins<Option<Use>>>,
    /// Seconds in which each instance ran a batch, and was up, by the sample before.
    before: BTreeMap<u64, [f64; 2]>,
}

/// How busy and how full the instances of a group are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Use {
    /// Share of the time in which a batch ran, 0 to 1.
    pub(super) busy: Mean,
    /// Share of the memory that is in use, 0 to 1.
    pub(super) memory: Mean,
}

/// Sums over the instances of a group at one sample.
#[derive(Default)]
struct Sums {
    busy_s: f64,
    up_s: f64,
    memory_used: u64,
    memory: u64,
}

impl UseByGroup {
    pub(super) fn new(scenario: &Scenario, application: usize) -> Self {
        let of = &scenario.applications[application];
        let templates = |role| {
            of.instances
                .iter()
                .filter(move |it| it.role == role)
                .count()
        };
        let roles = [Role::Prompt, Role::Token, Role::Mixed];
        let several = |role: &Role| templates(*role) * scenario.fleet.len() > 1;
        Self {
            interval: scenario.sample_interval,
            roles: roles.into_iter().filter(several).collect(),
            groups: BTreeMap::new(),
            before: BTreeMap::new(),
        }
    }

    /// Takes a sample of the application at a position, whose instances are `alive`.
    pub(super) fn sample(
        &mut self,
        simulation: &Simulation,
        position: usize,
        alive: &BTreeMap<(u32, u64), (usize, Role)>,
        at: SimTime,
    ) {
        if self.roles.is_empty() {
            return;
        }
        let Some((service, ledger)) = simulation.service(position) else {
            return;
        };
        let accounts = ledger.instances();
        let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for ((_, number), (application, role)) in alive {
            if *application != position || !self.roles.contains(role) {
                continue;
            }
            let account = usize::try_from(*number)
                .ok()
                .and_then(|it| accounts.get(it));
            let Some((account, engine)) = account.and_then(|it| Some((it, it.engine?))) else {
                continue;
            };
            let load = service.0.load(engine, at);
            let now = [load.prompt_busy_s + load.token_busy_s, load.up_s];
            let before = self.before.get(number).copied().unwrap_or_default();
            let of = sums
                .entry((*role, account.sku, account.processors))
                .or_default();
            of.busy_s += now[0] - before[0];
            of.up_s += now[1] - before[1];
            if load.memory < u64::MAX {
                of.memory_used += load.memory_used;
                of.memory += load.memory;
            }
            seen.insert(*number, now);
        }
        self.before = seen;
        for (key, sums) in sums {
            let bins = self.groups.entry(key);
            let bins = bins.or_insert_with(|| Bins::new(SAMPLES, self.interval));
            let point = bins.at(at).get_or_insert_default();
            let share = |part: f64, of: f64| (of > 0.0).then(|| (part / of).clamp(0.0, 1.0));
            point.busy.add(share(sums.busy_s, sums.up_s));
            point
                .memory
                .add(share(sums.memory_used as f64, sums.memory as f64));
        }
    }
}

impl Merge for Option<Use> {
    fn merge(&mut self, later: Self) {
        let Some(later) = later else { return };
        match self {
            Some(point) => {
                point.busy.merge(later.busy);
                point.memory.merge(later.memory);
            }
            None => *self = Some(later),
        }
    }
}
