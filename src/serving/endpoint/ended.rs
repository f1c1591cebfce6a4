//! The records of requests that ended: for one taker, and for any number of readers with a place each.

use std::collections::VecDeque;
use std::vec::Drain;

use serde::{Deserialize, Serialize};

use super::Endpoint;
use super::record::RequestRecord;

/// A place in the stream of records of one endpoint: see [`Endpoint::follow_ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Follower(usize);

/// Records in the order of ending.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Those that were not taken yet.
    records: Vec<RequestRecord>,
    /// Those that were taken and that some follower has not read.
    kept: VecDeque<RequestRecord>,
    /// How many were taken.
    taken: u64,
    /// How many each follower has read; none of one that follows no more.
    read: Vec<Option<u64>>,
}

impl Ended {
    #[inline]
    pub(crate) fn push(&mut self, record: RequestRecord) {
        self.records.push(record);
    }

    fn all(&self) -> u64 {
        self.taken + self.records.len() as u64
    }

    /// Takes what was not taken, and keeps a copy of what followers have not read.
    fn take(&mut self) -> Drain<'_, RequestRecord> {
        self.forget();
        let unread = self.read.iter().flatten().min();
        if let Some(&unread) = unread {
            let read = usize::try_from(unread.saturating_sub(self.taken)).unwrap_or(usize::MAX);
            let unread = self.records.iter().skip(read).cloned();
            self.kept.extend(unread);
        }
        self.taken = self.all();
        self.records.drain(..)
    }

    /// Drops what every follower has read.
    fn forget(&mut self) {
        let first = self.taken - self.kept.len() as u64;
        let unread = self.read.iter().flatten().min().copied();
        let read = unread.unwrap_or(u64::MAX).saturating_sub(first);
        let read = usize::try_from(read).unwrap_or(usize::MAX);
        self.kept.drain(..read.min(self.kept.len()));
    }

    fn follow(&mut self) -> Follower {
        let here = Some(self.all());
        let free = self.read.iter().position(Option::is_none);
        let place = free.unwrap_or(self.read.len());
        if place == self.read.len() {
            self.read.push(here);
        } else {
            self.read[place] = here;
        }
        Follower(place)
    }

    fn read(&mut self, follower: Follower) -> impl Iterator<Item = &RequestRecord> + '_ {
        self.forget();
        let all = self.all();
        let place = self.read.get_mut(follower.0).and_then(Option::as_mut);
        let read = place.map_or(all, |place| std::mem::replace(place, all));
        let first = self.taken - self.kept.len() as u64;
        let read = usize::try_from(read.saturating_sub(first)).unwrap_or(usize::MAX);
        self.kept.iter().chain(&self.records).skip(read)
    }
}

impl Endpoint {
    /// Takes the records of what ended since the last call, in the order of ending. A request that is
    /// turned away ends when it arrives.
    ///
    /// There is one taker: of two, each misses what the other takes. Any number of readers
    /// [follow](Self::follow_ended) beside it.
    pub fn take_ended(&mut self) -> Drain<'_, RequestRecord> {
        self.ended.take()
    }

    /// The records of what ended since the last [`Self::take_ended`], in the order of ending.
    #[must_use]
    pub fn ended(&self) -> &[RequestRecord] {
        &self.ended.records
    }

    /// Whether anything ended since the last [`Self::take_ended`].
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.ended.records.is_empty()
    }

    /// Follows the records of what ends from now on, taken or not. They are kept until each follower
    /// has read them: who reads no more [says so](Self::unfollow_ended).
    ///
    /// ```
    /// # use fleetsim::fleet::Service;
    /// # use fleetsim::serving::Follower;
    /// # use bevy_ecs::prelude::*;
    /// #[derive(Component)]
    /// struct Billing(Follower, f64);
    ///
    /// fn begin(mut services: Query<(Entity, &mut Service), Without<Billing>>, mut commands: Commands) {
    ///     for (application, mut service) in &mut services {
    ///         commands.entity(application).insert(Billing(service.follow_ended(), 0.0));
    ///     }
    /// }
    ///
    /// fn bill(mut services: Query<(&mut Service, &mut Billing)>) {
    ///     for (mut service, mut billing) in &mut services {
    ///         let follower = billing.0;
    ///         for request in service.read_ended(follower) {
    ///             billing.1 += f64::from(request.output_tokens) * 1e-6;
    ///         }
    ///     }
    /// }
    /// ```
    pub fn follow_ended(&mut self) -> Follower {
        self.ended.follow()
    }

    /// What ended since a follower read last, in the order of ending. Nothing for one that follows no more.
    pub fn read_ended(&mut self, follower: Follower) -> impl Iterator<Item = &RequestRecord> + '_ {
        self.ended.read(follower)
    }

    /// Ends a following: nothing is kept for it any more.
    pub fn unfollow_ended(&mut self, follower: Follower) {
        if let Some(place) = self.ended.read.get_mut(follower.0) {
            *place = None;
        }
        self.ended.forget();
    }
}
