use std::collections::BTreeMap;
use std::ops::Range;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::serving::{EngineId, Role};
use crate::time::{SimDuration, SimTime};

use super::account::{InstanceAccount, InstanceFilter, ServerAccount, ServerCounts, StatusCounts};
use super::{InstanceStatus, ServerStatus};

/// The accounts of every instance and every server that ever was, and how many there are now.
///
/// A life is a line, so an account is the instants at which its statuses were entered, and every
/// second of it is counted once.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    instances: Vec<InstanceAccount>,
    servers: Vec<ServerAccount>,
    roles: BTreeMap<(usize, Role), StatusCounts>,
    skus: Vec<ServerCounts>,
    total: StatusCounts,
    last: SimTime,
}

impl Ledger {
    pub(super) fn new(skus: usize) -> Self {
        Self {
            skus: vec![ServerCounts::default(); skus],
            ..Self::default()
        }
    }

    /// The fleet has one more SKU.
    pub(super) fn add_sku(&mut self) {
        self.skus.push(ServerCounts::default());
    }

    /// Adds that of another fleet, after this one: its instances and servers count on from there, its applications
    /// and SKUs from these positions on.
    pub(crate) fn append(&mut self, other: Self, applications: usize, skus: usize) {
        let servers = self.servers.len() as u64;
        let instances = other.instances.into_iter().map(|mut account| {
            account.application += applications;
            account.sku += skus;
            account.server += servers;
            account
        });
        self.instances.extend(instances);
        self.servers
            .extend(other.servers.into_iter().map(|mut account| {
                account.sku += skus;
                account
            }));
        let roles = other.roles.into_iter();
        self.roles
            .extend(roles.map(|((of, role), counts)| ((of + applications, role), counts)));
        self.skus.extend(other.skus);
        self.total.scaling_up += other.total.scaling_up;
        self.total.active += other.total.active;
        self.total.draining += other.total.draining;
        self.last = self.last.max(other.last);
    }

    /// The account of each instance that ever was, by number.
    #[must_use]
    pub fn instances(&self) -> &[InstanceAccount] {
        &self.instances
    }

    /// The account of each server that ever was, by number.
    #[must_use]
    pub fn servers(&self) -> &[ServerAccount] {
        &self.servers
    }

    /// When an account last changed.
    #[must_use]
    pub const fn last_entry(&self) -> SimTime {
        self.last
    }

    /// How many instances there are.
    #[must_use]
    pub const fn counts(&self) -> StatusCounts {
        self.total
    }

    /// How many instances of a role of an application there are.
    #[must_use]
    pub fn counts_of(&self, application: usize, role: Role) -> StatusCounts {
        self.roles
            .get(&(application, role))
            .copied()
            .unwrap_or_default()
    }

    /// How many servers of the SKU at this position of the fleet there are.
    #[must_use]
    pub fn servers_of(&self, sku: usize) -> ServerCounts {
        self.skus.get(sku).copied().unwrap_or_default()
    }

    /// Instance-seconds within the window; what has not ended lasts until the window's end.
    #[must_use]
    pub fn instance_time(&self, window: &Range<SimTime>, filter: &InstanceFilter) -> SimDuration {
        self.instances
            .iter()
            .filter(|account| filter.accepts(account))
            .filter_map(|account| account.span(filter.status, window.end))
            .map(|span| overlap(&span, window))
            .fold(SimDuration::ZERO, |sum, time| sum + time)
    }

    /// Server-seconds of the SKU at this position of the fleet (or of all) within the window, in a
    /// status or altogether; what has not ended lasts until the window's end.
    #[must_use]
    pub fn server_time(
        &self,
        window: &Range<SimTime>,
        sku: Option<usize>,
        status: Option<ServerStatus>,
    ) -> SimDuration {
        self.servers
            .iter()
            .filter(|account| sku.is_none_or(|sku| sku == account.sku))
            .filter_map(|account| account.span(status, window.end))
            .map(|span| overlap(&span, window))
            .fold(SimDuration::ZERO, |sum, time| sum + time)
    }

    /// The most instances at once within the window. One that goes when another comes makes room for
    /// it.
    #[must_use]
    pub fn peak_instances(&self, window: &Range<SimTime>, filter: &InstanceFilter) -> usize {
        peak(
            window,
            self.instances
                .iter()
                .filter(|account| filter.accepts(account))
                .filter_map(|account| account.span(filter.status, SimTime::MAX)),
        )
    }

    /// The most servers at once within the window, of one SKU or of all.
    #[must_use]
    pub fn peak_servers(&self, window: &Range<SimTime>, sku: Option<usize>) -> usize {
        peak(
            window,
            self.servers
                .iter()
                .filter(|account| sku.is_none_or(|sku| sku == account.sku))
                .filter_map(|account| account.span(None, SimTime::MAX)),
        )
    }

    pub(super) fn open_instance(&mut self, account: InstanceAccount) {
        let status = account.status();
        let counts = self
            .roles
            .entry((account.application, account.role))
            .or_default();
        counts.add(status);
        self.total.add(status);
        let server = usize::try_from(account.server).ok();
        if let Some(server) = server.and_then(|index| self.servers.get_mut(index)) {
            server.close_desertion(account.created);
        }
        self.instances.push(account);
    }

    /// Notes the engine of an instance that has joined.
    pub(super) fn join(&mut self, instance: u64, engine: EngineId) {
        let index = usize::try_from(instance).ok();
        if let Some(account) = index.and_then(|index| self.instances.get_mut(index)) {
            account.engine = Some(engine);
        }
    }

    /// Forgets the engine of an instance whose endpoint is gone.
    pub(super) fn forget_engine(&mut self, instance: u64) {
        let index = usize::try_from(instance).ok();
        if let Some(account) = index.and_then(|index| self.instances.get_mut(index)) {
            account.engine = None;
        }
    }

    /// Records a status change of an instance; ignored for a removed one. Returns when it was: `at`, or
    /// the removal.
    pub(super) fn enter(&mut self, instance: u64, status: InstanceStatus, at: SimTime) -> SimTime {
        let Some(account) = usize::try_from(instance)
            .ok()
            .and_then(|index| self.instances.get_mut(index))
        else {
            return at;
        };
        if let Some(gone) = account.gone {
            return gone;
        }
        let before = account.status();
        match status {
            InstanceStatus::ScalingUp => {}
            InstanceStatus::Active => account.active = Some(at),
            InstanceStatus::Draining => account.draining = Some(at),
            InstanceStatus::ScalingDown => account.gone = Some(at),
        }
        self.last = self.last.max(at);
        let key = (account.application, account.role);
        self.roles.entry(key).or_default().shift(before, status);
        self.total.shift(before, status);
        at
    }

    /// Notes that an instance is lost, though nobody knows.
    pub(super) fn lose_instance(&mut self, instance: u64, at: SimTime) {
        let index = usize::try_from(instance).ok();
        if let Some(account) = index.and_then(|index| self.instances.get_mut(index)) {
            account.lost = Some(at);
        }
    }

    /// Notes that a server is lost, though nobody knows.
    pub(super) fn lose_server(&mut self, server: u64, at: SimTime) {
        let index = usize::try_from(server).ok();
        if let Some(account) = index.and_then(|index| self.servers.get_mut(index)) {
            account.lost = Some(at);
        }
    }

    /// Notes that a server stands empty since a crash.
    pub(super) fn desert(&mut self, server: u64, at: SimTime) {
        let index = usize::try_from(server).ok();
        if let Some(account) = index.and_then(|index| self.servers.get_mut(index)) {
            account.deserted_since = Some(at);
        }
    }

    pub(super) fn open_server(&mut self, account: ServerAccount) {
        let counts = &mut self.skus[account.sku];
        if account.active.is_some() {
            counts.active += 1;
        } else {
            counts.scaling_up += 1;
        }
        self.servers.push(account);
    }

    /// Records a status change of a server; ignored for a removed one.
    pub(super) fn enter_server(&mut self, server: u64, status: ServerStatus, at: SimTime) {
        let Some(account) = usize::try_from(server)
            .ok()
            .and_then(|index| self.servers.get_mut(index))
            .filter(|account| account.gone.is_none())
        else {
            return;
        };
        self.last = self.last.max(at);
        let counts = &mut self.skus[account.sku];
        let before = match account.active {
            Some(_) => &mut counts.active,
            None => &mut counts.scaling_up,
        };
        match status {
            ServerStatus::ScalingUp => {}
            ServerStatus::Active => {
                *before -= 1;
                counts.active += 1;
                account.active = Some(at);
            }
            ServerStatus::ScalingDown => {
                *before -= 1;
                account.gone = Some(at);
                account.close_desertion(at);
            }
        }
    }
}

fn overlap(span: &Range<SimTime>, window: &Range<SimTime>) -> SimDuration {
    span.end.min(window.end) - span.start.max(window.start)
}

/// The most spans that cover one instant of the window. An empty span covers nothing.
fn peak(window: &Range<SimTime>, spans: impl Iterator<Item = Range<SimTime>>) -> usize {
    let mut steps: Vec<(SimTime, bool)> = spans
        .map(|span| span.start.max(window.start)..span.end.min(window.end))
        .filter(|span| span.start < span.end)
        .flat_map(|span| [(span.start, true), (span.end, false)])
        .collect();
    steps.sort_unstable();
    let (mut level, mut peak) = (0, 0);
    for (_, begins) in steps {
        if begins {
            level += 1;
            peak = peak.max(level);
        } else {
            level -= 1;
        }
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::new(seconds).unwrap()
    }

    #[test]
    fn peaks_count_what_overlaps_and_not_what_touches() {
        let spans = [at(0.0)..at(10.0), at(10.0)..at(20.0), at(5.0)..at(6.0)];
        let peak = |from, to| super::peak(&(at(from)..at(to)), spans.iter().cloned());
        assert_eq!(peak(0.0, 20.0), 2);
        assert_eq!(peak(6.0, 20.0), 1);
        assert_eq!(peak(20.0, 30.0), 0);
    }
}
