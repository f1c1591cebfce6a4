//! What is on a server.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::cache::Item;
use super::staging;

/// What is on a server. A host may add to it and take from it; a stage looks when it begins.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[component(on_despawn = staging::source_lost)]
pub struct ServerCache {
    items: BTreeSet<Item>,
    /// What a server is at by itself, and until when.
    under_way: BTreeMap<Item, SimTime>,
}

impl ServerCache {
    /// Whether something is there.
    #[must_use]
    pub fn has(&self, item: &Item) -> bool {
        self.items.contains(item)
    }

    /// Puts something there.
    pub fn add(&mut self, item: Item) {
        self.under_way.remove(&item);
        self.items.insert(item);
    }

    /// Takes something away. Returns whether it was there.
    pub fn remove(&mut self, item: &Item) -> bool {
        self.items.remove(item)
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Item> + '_ {
        self.items.iter()
    }

    /// The same without what the server is at.
    pub(super) fn at_rest(&self) -> Self {
        Self {
            items: self.items.clone(),
            under_way: BTreeMap::new(),
        }
    }

    /// Until when the server is at something, if it is.
    pub(super) fn until(&self, item: &Item) -> Option<SimTime> {
        self.under_way.get(item).copied()
    }

    /// The server is at something by itself.
    pub(super) fn begin(&mut self, item: Item, until: SimTime) {
        self.under_way.insert(item, until);
    }
}
