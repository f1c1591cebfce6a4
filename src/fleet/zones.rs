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
    out_until: Vec<SimTime>,
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

    /// Whether no server can be created in a zone now.
    pub(super) fn is_out(&self, zone: usize, now: SimTime) -> bool {
        self.out_until(zone) > now
    }

    /// No server can be created in a zone before this instant.
    pub(super) fn out_until(&self, zone: usize) -> SimTime {
        self.out_until.get(zone).copied().unwrap_or(SimTime::ZERO)
    }
}
