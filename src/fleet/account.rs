use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::scenario::PurchaseOption;
use crate::serving::{EngineId, Role};
use crate::time::{SimDuration, SimTime};

use super::{InstanceStatus, ServerStatus};

/// The account of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceAccount {
    /// Its application's position in the scenario.
    pub application: usize,
    /// What it serves.
    pub role: Role,
    /// Its template: the position among those of the application.
    pub template: usize,
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
    /// When a fault took it, if that was noticed only later.
    pub lost: Option<SimTime>,
}

/// The account of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAccount {
    /// Its SKU: the position in the fleet.
    pub sku: usize,
    /// How it was bought, where its SKU has purchase options.
    pub purchase: Option<PurchaseOption>,
    /// When it was asked for.
    pub created: SimTime,
    /// When it was there.
    pub active: Option<SimTime>,
    /// When it went.
    pub gone: Option<SimTime>,
    /// When a fault took it, if that was noticed only later.
    pub lost: Option<SimTime>,
    /// Since when it stands empty after a crash of its last instance, if it does.
    pub deserted_since: Option<SimTime>,
    /// How long it stood empty after crashes, without the time since [`Self::deserted_since`].
    pub deserted: SimDuration,
}

/// How many instances are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCounts {
    /// Instances that start up.
    pub scaling_up: u32,
    /// Instances that take requests.
    pub active: u32,
    /// Instances that finish their work.
    pub draining: u32,
}

/// How many servers of a SKU are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCounts {
    /// Servers being provisioned.
    pub scaling_up: u32,
    /// Servers that are there.
    pub active: u32,
}

/// Which instances to count. The default is all of them, in any status.
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
    /// Only those with this number of processors.
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
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> ServerStatus {
        if self.gone.is_some() {
            ServerStatus::ScalingDown
        } else if self.active.is_some() {
            ServerStatus::Active
        } else {
            ServerStatus::ScalingUp
        }
    }

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

impl ServerAccount {
    /// How long it stood empty after crashes of its instances, up to `now`.
    #[must_use]
    pub fn deserted_until(&self, now: SimTime) -> SimDuration {
        let since = self.deserted_since.filter(|since| *since < now);
        self.deserted + since.map_or(SimDuration::ZERO, |since| now - since)
    }

    /// Ends the time that it stands empty, if it does.
    pub(super) fn close_desertion(&mut self, at: SimTime) {
        self.deserted = self.deserted_until(at);
        self.deserted_since = None;
    }
}

impl InstanceAccount {
    /// From when to when it served: while it was active and not lost. What has not ended, ends at `now`.
    #[must_use]
    pub fn served(&self, now: SimTime) -> Option<Range<SimTime>> {
        let active = self.span(Some(InstanceStatus::Active), now)?;
        let end = active.end.min(self.lost.unwrap_or(active.end));
        Some(active.start..end)
    }
}

impl ServerAccount {
    /// How long it was lost and nobody knew, up to `now`.
    #[must_use]
    pub fn unnoticed(&self, now: SimTime) -> SimDuration {
        let gone = self.gone.unwrap_or(now).min(now);
        self.lost
            .map_or(SimDuration::ZERO, |lost| gone - lost.min(now))
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

    pub(super) fn shift(&mut self, from: InstanceStatus, to: InstanceStatus) {
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
    pub(super) fn accepts(&self, account: &InstanceAccount) -> bool {
        self.application.is_none_or(|it| it == account.application)
            && self.role.is_none_or(|it| it == account.role)
            && self.sku.is_none_or(|it| it == account.sku)
            && self.processors.is_none_or(|it| it == account.processors)
            && (self.tag.is_none() || self.tag == account.tag)
    }
}
