//! Zones: labels of servers, each of which may be out.

use std::sync::Arc;

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

/// The zone of a server, where its SKU has zones.
#[derive(Component, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(immutable)]
pub struct InZone {
    pub(super) zone: usize,
    pub(super) name: Arc<str>,
}

impl InZone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The zones of a fleet, in the order in which its SKUs name them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Zones {
    names: Vec<Arc<str>>,
    /// No server can be created in each before this instant.
    pub(super) out_until: Vec<SimTime>,
}

/// The servers of a SKU in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    /// The position among the zones of the fleet.
    pub(super) zone: usize,
    pub(super) servers: u32,
}

impl Zones {
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The position of a zone, which is new if nobody has named it.
    pub(super) fn named(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|it| **it == *name);
        known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.out_until.push(SimTime::ZERO);
            self.names.len() - 1
        })
    }

    /// The position of a zone.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|it| **it == *name)
    }

    /// No server can be created in a zone until then.
    pub(super) fn block(&mut self, zone: usize, until: SimTime) {
        if let Some(out) = self.out_until.get_mut(zone) {
            *out = until.max(*out);
        }
    }

    /// The zone for the next server of a SKU: of those that are not out, that with the fewest of it, the first of
    /// these. None for a SKU without zones; else, where all are out, until when.
    pub(super) fn choose(&self, shares: &[Share], now: SimTime) -> Result<Option<usize>, SimTime> {
        if shares.is_empty() {
            return Ok(None);
        }
        let out = |share: &&Share| self.out_until[share.zone] > now;
        let there = shares.iter().filter(|it| !out(it));
        let fewest = there.min_by_key(|it| it.servers);
        fewest.map(|it| Some(it.zone)).ok_or_else(|| {
            let until = shares.iter().map(|it| self.out_until[it.zone]);
            until.min().unwrap_or(now)
        })
    }
}

/// Counts a server of a zone in or out.
pub(super) fn count(shares: &mut [Share], zone: Option<usize>, by: i32) {
    let share = shares.iter_mut().find(|it| Some(it.zone) == zone);
    if let Some(share) = share {
        share.servers = share.servers.saturating_add_signed(by);
    }
}
