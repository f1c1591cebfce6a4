use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bevy_ecs::resource::Resource;

use crate::serving::{EngineId, Role};
use crate::time::{SimDuration, SimTime};

use super::{InstanceStatus, ServerStatus};

/// The accounts of every instance and every server that ever was, and how many there are now.
///
/// A life is a line, so an account is the instants at which its statuses were entered, and every
/// second of it is counted once.
#[derive(Resource, Debug, Default)]
pub struct Ledger {
    instances: Vec<InstanceAccount>,
    servers: Vec<ServerAccount>,
    roles: BTreeMap<(usize, Role), StatusCounts>,
    skus: Vec<ServerCounts>,
    total: StatusCounts,
}

/// The account of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceAccount {
    /// Its application's position in the scenario.
    pub application: usize,
    /// What it serves.
    pub role: Role,
    /// Its server's SKU: the position in the fleet.
    pub sku: usize,
    /// Its server's number.
    pub server: u64,
    /// How many processors it has.
    pub processors: u32,
    /// The label that it was created with.
    pub tag: Option<Arc<str>>,
    /// Its engine in the application's endpoint, once it has joined.
    pub engine: Option<EngineId>,
    /// When it was asked for.
    pub created: SimTime,
    /// When it became active.
    pub active: Option<SimTime>,
    /// When it began to drain.
    pub draining: Option<SimTime>,
    /// When it went.
    pub gone: Option<SimTime>,
}

/// The account of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAccount {
    /// Its SKU: the position in the fleet.
    pub sku: usize,
    /// When it was asked for.
    pub created: SimTime,
    /// When it was there.
    pub active: Option<SimTime>,
    /// When it went.
    pub gone: Option<SimTime>,
}

/// How many instances are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Instances that start up.
    pub scaling_up: u32,
    /// Instances that take requests.
    pub active: u32,
    /// Instances that finish their work.
    pub draining: u32,
}

/// How many servers of a SKU are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Servers being provisioned.
    pub scaling_up: u32,
    /// Servers that are there.
    pub active: u32,
}

/// Which instances to count. The default is all of them, in whatever status.
///
/// ```
/// use fleetsim::fleet::{InstanceFilter, InstanceStatus};
/// let idle = InstanceFilter { status: Some(InstanceStatus::ScalingUp), ..Default::default() };
/// # let _ = idle;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Only those of the application at this position of the scenario.
    pub application: Option<usize>,
    /// Only those of this role.
    pub role: Option<Role>,
    /// Only those on servers of the SKU at this position of the fleet.
    pub sku: Option<usize>,
    /// Only those with so many processors.
    pub processors: Option<u32>,
    /// Only those with this label.
    pub tag: Option<Arc<str>>,
    /// Only the time in this status.
    pub status: Option<InstanceStatus>,
}

impl InstanceAccount {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> InstanceStatus {
        if self.gone.is_some() {
            InstanceStatus::ScalingDown
        } else if self.draining.is_some() {
            InstanceStatus::Draining
        } else if self.active.is_some() {
            InstanceStatus::Active
        } else {
            InstanceStatus::ScalingUp
        }
    }

    /// From when to when it was in a status, or alive for `None`. What has not ended, ends at `now`.
    #[must_use]
    pub fn span(&self, status: Option<InstanceStatus>, now: SimTime) -> Option<Range<SimTime>> {
        let gone = self.gone.unwrap_or(now);
        match status {
            None => Some(self.created..gone),
            Some(InstanceStatus::ScalingUp) => Some(self.created..self.active.unwrap_or(gone)),
            Some(InstanceStatus::Active) => Some(self.active?..self.draining.unwrap_or(gone)),
            Some(InstanceStatus::Draining) => Some(self.draining?..gone),
            Some(InstanceStatus::ScalingDown) => None,
        }
    }
}

impl ServerAccount {
    /// From when to when it was in a status, or existed for `None`. What has not ended, ends at `now`.
    #[must_use]
    pub fn span(&self, status: Option<ServerStatus>, now: SimTime) -> Option<Range<SimTime>> {
        let gone = self.gone.unwrap_or(now);
        match status {
            None => Some(self.created..gone),
            Some(ServerStatus::ScalingUp) => Some(self.created..self.active.unwrap_or(gone)),
            Some(ServerStatus::Active) => Some(self.active?..gone),
            Some(ServerStatus::ScalingDown) => None,
        }
    }
}

impl StatusCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.scaling_up + self.active + self.draining
    }

    /// Counts one more.
    pub(super) fn add(&mut self, status: InstanceStatus) {
        if let Some(count) = self.of(status) {
            *count += 1;
        }
    }

    fn of(&mut self, status: InstanceStatus) -> Option<&mut u32> {
        match status {
            InstanceStatus::ScalingUp => Some(&mut self.scaling_up),
            InstanceStatus::Active => Some(&mut self.active),
            InstanceStatus::Draining => Some(&mut self.draining),
            InstanceStatus::ScalingDown => None,
        }
    }

    fn shift(&mut self, from: InstanceStatus, to: InstanceStatus) {
        if let Some(count) = self.of(from) {
            *count -= 1;
        }
        self.add(to);
    }
}

impl ServerCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.scaling_up + self.active
    }
}

impl InstanceFilter {
    fn accepts(&self, account: &InstanceAccount) -> bool {
        self.application.is_none_or(|it| it == account.application)
            && self.role.is_none_or(|it| it == account.role)
            && self.sku.is_none_or(|it| it == account.sku)
            && self.processors.is_none_or(|it| it == account.processors)
            && (self.tag.is_none() || self.tag == account.tag)
    }
}

impl Ledger {
    pub(super) fn new(skus: usize) -> Self {
        Self {
            skus: vec![ServerCounts::default(); skus],
            ..Self::default()
        }
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
        self.instances.push(account);
    }

    /// Notes the engine of an instance that has joined.
    pub(super) fn join(&mut self, instance: u64, engine: EngineId) {
        let index = usize::try_from(instance).ok();
        if let Some(account) = index.and_then(|index| self.instances.get_mut(index)) {
            account.engine = Some(engine);
        }
    }

    /// Has an instance enter a status; nothing, if it has gone.
    pub(super) fn enter(&mut self, instance: u64, status: InstanceStatus, at: SimTime) {
        let Some(account) = usize::try_from(instance)
            .ok()
            .and_then(|index| self.instances.get_mut(index))
        else {
            return;
        };
        let before = account.status();
        if before == InstanceStatus::ScalingDown {
            return;
        }
        match status {
            InstanceStatus::ScalingUp => {}
            InstanceStatus::Active => account.active = Some(at),
            InstanceStatus::Draining => account.draining = Some(at),
            InstanceStatus::ScalingDown => account.gone = Some(at),
        }
        let key = (account.application, account.role);
        self.roles.entry(key).or_default().shift(before, status);
        self.total.shift(before, status);
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

    /// Has a server enter a status; nothing, if it has gone.
    pub(super) fn enter_server(&mut self, server: u64, status: ServerStatus, at: SimTime) {
        let Some(account) = usize::try_from(server)
            .ok()
            .and_then(|index| self.servers.get_mut(index))
            .filter(|account| account.gone.is_none())
        else {
            return;
        };
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
