//! From signals to desired numbers, at each policy's thresholds and on both sides of them.

mod aibrix;
mod carried_over;
mod chiron;
mod dynamo;
mod knative;
mod kubernetes;
mod llm_d;
mod sage_serve;

use fleetsim::autoscale::{
    Desire, DesiredInstances, InstanceSnapshot, Load, Policy, RoleSnapshot, Signals, Snapshot,
};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::{self, Mixed, Prompt, Token};
use fleetsim::time::SimDuration;

use crate::support::*;

pub(super) fn exactly(desired: &DesiredInstances, of: Role) -> u32 {
    match desired.of(of).unwrap().0 {
        Desire::Exactly(count) => count,
        other => panic!("{other:?}"),
    }
}

pub(super) fn both(desired: &DesiredInstances) -> (u32, u32) {
    (exactly(desired, Prompt), exactly(desired, Token))
}

pub(super) fn pending(pending_tokens: u64) -> Load {
    Load {
        pending_tokens,
        ..Load::ZERO
    }
}

pub(super) fn memory(memory_used: u64) -> Load {
    Load {
        memory_used,
        memory: 1000,
        ..Load::ZERO
    }
}

pub(super) fn requests(assigned: u64) -> Load {
    Load {
        assigned,
        ..Load::ZERO
    }
}

/// A role whose active instances have these loads, and with so many that start up.
pub(super) fn with_instances(of: Role, loads: &[Load], starting: usize) -> RoleSnapshot {
    let mut sum = Load::ZERO;
    loads.iter().for_each(|&load| sum += load);
    let instance = |(number, &load): (usize, &Load)| InstanceSnapshot {
        number: number as u64,
        status: InstanceStatus::Active,
        sku: 0,
        load,
    };
    RoleSnapshot {
        starting: vec![at(1e6); starting],
        instances: loads.iter().enumerate().map(instance).collect(),
        ..role(of, u32::try_from(loads.len()).unwrap(), sum)
    }
}

/// What is seen at 30 s while so many requests wait at the application.
pub(super) fn waiting(roles: Vec<RoleSnapshot>, waiting: u64) -> Signals {
    saw(Snapshot {
        waiting,
        roles,
        ..Snapshot::default()
    })
}

/// What is seen at 30 s when so many requests have arrived every second.
pub(super) fn arriving(roles: Vec<RoleSnapshot>, rate: u64) -> Signals {
    saw(Snapshot {
        arrived: rate * 30,
        roles,
        ..Snapshot::default()
    })
}

fn saw(snapshot: Snapshot) -> Signals {
    let mut signals = Signals::new(seconds(30.0), SimDuration::ZERO);
    signals.scrape(Snapshot::default());
    let time = at(30.0);
    signals.scrape(Snapshot { time, ..snapshot });
    assert!(signals.look(time));
    signals
}

/// A policy that sees one thing after another, and a role that does what it says.
pub(super) struct Run<P> {
    pub(super) policy: P,
    signals: Signals,
    now: f64,
    pub(super) count: u32,
}

impl<P: Policy> Run<P> {
    /// With so many `Mixed` instances at the start.
    pub(super) fn new(policy: P, count: u32) -> Self {
        let mut signals = Signals::new(policy.window(), SimDuration::ZERO);
        signals.scrape(Snapshot {
            roles: vec![role(Mixed, count, Load::ZERO)],
            ..Snapshot::default()
        });
        Self {
            policy,
            signals,
            now: 0.0,
            count,
        }
    }

    /// When it last decided.
    pub(super) const fn now(&self) -> f64 {
        self.now
    }

    /// The next decision with this load of all instances; they are what it wants at once.
    pub(super) fn step(&mut self, load: Load) -> u32 {
        self.now += self.policy.interval().seconds();
        self.signals.scrape(Snapshot {
            time: at(self.now),
            roles: vec![role(Mixed, self.count, load)],
            ..Snapshot::default()
        });
        assert!(self.signals.look(at(self.now)));
        self.count = exactly(&decide(&mut self.policy, &self.signals), Mixed);
        self.count
    }

    /// So many decisions with this load; the numbers where they change, with their times.
    pub(super) fn steps(&mut self, count: u32, load: Load) -> Vec<(f64, u32)> {
        let mut changes = Vec::new();
        for _ in 0..count {
            let before = self.count;
            if self.step(load) != before {
                changes.push((self.now, self.count));
            }
        }
        changes
    }
}
