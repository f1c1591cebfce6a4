//! What faults did, and what they cost.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::snapshot::name::Name;
use crate::time::{SimDuration, SimTime};

/// What was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toll {
    /// Servers that went.
    pub servers: u64,
    /// Instances that went.
    pub instances: u64,
    /// Requests that begin again.
    pub retried: u64,
    /// Requests that have failed.
    pub failed: u64,
    /// Tokens of prompts and outputs that were processed for these requests.
    pub lost_tokens: u64,
}

impl Toll {
    fn add(&mut self, other: Self) {
        self.servers += other.servers;
        self.instances += other.instances;
        self.retried += other.retried;
        self.failed += other.failed;
        self.lost_tokens += other.lost_tokens;
    }
}

/// One fault: a line of `faults.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// When.
    pub time: SimTime,
    /// What, in lower case with underscores.
    #[serde(with = "crate::snapshot::name")]
    pub fault: Name,
    /// Whom it struck: `server_N`, `instance_N`, `server_N/P` for a processor, or the name of a zone.
    pub target: String,
    /// Until when it lasts, of one that ends.
    pub until: Option<SimTime>,
    /// What was lost at once.
    pub toll: Toll,
    /// The [number](super::Fleet::number) of the fleet.
    pub fleet: u32,
}

/// Faults of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTotals {
    /// How many there were.
    pub count: u64,
    /// What was lost.
    pub toll: Toll,
}

/// What faults did, until somebody drains it, and the sums of it.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct FaultLog {
    events: Vec<FaultEvent>,
    totals: BTreeMap<String, FaultTotals>,
    /// When a fault last cost something.
    costly: Vec<SimTime>,
    /// What the present fault has cost so far.
    toll: Toll,
    /// The repairs of servers: the position of the SKU, from when and until when.
    repairs: Vec<(usize, SimTime, SimTime)>,
    /// The number of the fleet.
    fleet: u32,
}

impl FaultLog {
    /// That of the fleet of this number.
    pub(super) fn of(fleet: u32) -> Self {
        Self {
            fleet,
            ..Self::default()
        }
    }

    /// What was not drained, in order.
    #[must_use]
    pub fn events(&self) -> &[FaultEvent] {
        &self.events
    }

    /// Takes what there is, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, FaultEvent> {
        self.events.drain(..)
    }

    /// The sums since the start, by the name of the fault.
    #[must_use]
    pub const fn totals(&self) -> &BTreeMap<String, FaultTotals> {
        &self.totals
    }

    /// When faults cost instances, in order.
    #[must_use]
    pub fn costly(&self) -> &[SimTime] {
        &self.costly
    }

    /// Server-seconds under repair by `end`, of the SKU at this position of the fleet or of all.
    #[must_use]
    pub fn repair_time(&self, sku: Option<usize>, end: SimTime) -> SimDuration {
        let repairs = self.repairs.iter();
        let of_sku = repairs.filter(|it| sku.is_none_or(|sku| sku == it.0));
        let lengths = of_sku.map(|&(_, since, until)| until.min(end) - since);
        lengths.fold(SimDuration::ZERO, |sum, length| sum + length)
    }

    /// Begins a fault.
    pub(super) fn open(&mut self) {
        self.toll = Toll::default();
    }

    /// Adds to what the present fault costs.
    pub(super) fn suffer(&mut self, toll: Toll) {
        self.toll.add(toll);
    }

    pub(super) fn repair(&mut self, sku: usize, since: SimTime, until: SimTime) {
        self.repairs.push((sku, since, until));
    }

    /// Writes the present fault down.
    pub(super) fn close(
        &mut self,
        time: SimTime,
        fault: Name,
        target: String,
        until: Option<SimTime>,
    ) {
        let toll = std::mem::take(&mut self.toll);
        let totals = self.totals.entry(fault.to_owned()).or_default();
        totals.count += 1;
        totals.toll.add(toll);
        if toll.instances > 0 {
            self.costly.push(time);
        }
        self.events.push(FaultEvent {
            time,
            fault,
            target,
            until,
            toll,
            fleet: self.fleet,
        });
    }
}
