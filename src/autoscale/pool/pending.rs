//! The instances that wait for a place.

use std::cmp::Reverse;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use serde::{Deserialize, Serialize};

use crate::fleet::Twins;
use crate::serving::Role;
use crate::time::SimTime;

/// The instances of a fleet that are wanted and have no place yet: those of a higher priority first, then in the order
/// in which they were asked for. On the entity of a fleet with a [`Pool`](super::Pool).
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct PendingInstances {
    queue: Vec<PendingInstance>,
    asked: u64,
    /// Whether one has come since the last look.
    news: bool,
}

/// An instance that waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInstance {
    /// Its application.
    pub application: Entity,
    /// What it is to serve.
    pub role: Role,
    /// The priority of its application.
    pub priority: i32,
    /// The only SKU that will do, by its position in the fleet, if it has to be one.
    pub sku: Option<usize>,
    /// Since when it waits.
    pub since: SimTime,
    /// The server on which others make room for it.
    pub nominated: Option<Entity>,
    number: u64,
}

/// What is wanted: of which application, in which role, on which SKU alone.
pub(super) type Kind = (Entity, Role, Option<usize>);

impl PendingInstance {
    pub(super) const fn kind(&self) -> Kind {
        (self.application, self.role, self.sku)
    }
}

impl PendingInstances {
    /// Each, the next first.
    pub fn iter(&self) -> impl Iterator<Item = &PendingInstance> {
        self.queue.iter()
    }

    /// How many wait for a role of an application.
    #[must_use]
    pub fn count(&self, application: Entity, role: Role) -> u32 {
        let of = |it: &&PendingInstance| (it.application, it.role) == (application, role);
        u32::try_from(self.queue.iter().filter(of).count()).unwrap_or(u32::MAX)
    }

    /// How many of them wait for a server of this SKU alone.
    #[must_use]
    pub fn count_on(&self, application: Entity, role: Role, sku: usize) -> u32 {
        let kind = (application, role, Some(sku));
        let of = self.queue.iter().filter(|it| it.kind() == kind);
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets `count` more wait.
    pub(in crate::autoscale) fn ask(
        &mut self,
        (application, role, sku): Kind,
        priority: i32,
        count: u32,
        since: SimTime,
    ) {
        for _ in 0..count {
            self.queue.push(PendingInstance {
                application,
                role,
                priority,
                sku,
                since,
                nominated: None,
                number: self.asked,
            });
            self.asked += 1;
        }
        self.news |= count > 0;
        self.queue
            .sort_by_key(|it| (Reverse(it.priority), it.number));
    }

    /// Gives up at most `most` of a role, the newest first; on this SKU alone, if one is given. Returns how many.
    pub(in crate::autoscale) fn give_up(
        &mut self,
        application: Entity,
        role: Role,
        sku: Option<usize>,
        most: u32,
    ) -> u32 {
        let mut given_up = 0;
        for position in (0..self.queue.len()).rev() {
            let it = self.queue[position];
            let meant = (it.application, it.role) == (application, role);
            if given_up < most && meant && (sku.is_none() || it.sku == sku) {
                self.queue.remove(position);
                given_up += 1;
            }
        }
        given_up
    }

    /// Whether one has come since the last look.
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// Takes all of them, for a look.
    pub(super) fn take(&mut self) -> Vec<PendingInstance> {
        self.news = false;
        std::mem::take(&mut self.queue)
    }

    /// Puts back those that have found no place.
    pub(super) fn put_back(&mut self, mut left: Vec<PendingInstance>) {
        left.append(&mut self.queue);
        left.sort_by_key(|it| (Reverse(it.priority), it.number));
        self.queue = left;
    }

    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        for it in &mut self.queue {
            twins.follow(&mut it.application);
            if let Some(server) = &mut it.nominated {
                twins.follow(server);
            }
        }
    }
}
