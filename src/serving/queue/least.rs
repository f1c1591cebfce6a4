use std::marker::PhantomData;
use std::mem;

use serde::{Deserialize, Serialize};

use super::{Id, MOST};
use crate::time::SimTime;

/// Numbered items by a key that changes: the least in O(1), a change in O(log n) and mostly less.
///
/// A tournament: every item has its place on the lowest level, and each place above holds the least
/// of four below, so nothing ever moves. Equal keys are ordered by a number given with them, so the
/// least is always the same one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct LeastIndex<I, K> {
    /// Level by level from the one group with the least of all: below place `p` is group `p + 1`.
    groups: Vec<Group>,
    /// Groups above those that hold the items.
    above: usize,
    key: PhantomData<(I, K)>,
}

/// Four ranks that are compared with one another, in one line of the cache: with tens of thousands of
/// items, reading those lines is most of what a change costs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[repr(align(64))]
struct Group([u128; ARITY]);

/// One item in a [`LeastIndex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<I, K> {
    /// What it is ordered by.
    pub key: K,
    /// What breaks ties of the key; under 2⁴⁰.
    pub order: u64,
    /// Which one it is.
    pub id: I,
}

/// A key of a [`LeastIndex`]: anything whose order is that of a whole number, and that can be told
/// from it.
pub trait Key: Copy {
    /// The number.
    fn rank(self) -> u64;
    /// The key of a number that [`rank`](Self::rank) gave.
    fn from_rank(rank: u64) -> Self;
}

impl Key for u64 {
    #[inline]
    fn rank(self) -> u64 {
        self
    }
    #[inline]
    fn from_rank(rank: u64) -> Self {
        rank
    }
}

impl Key for i64 {
    #[inline]
    fn rank(self) -> u64 {
        self.cast_unsigned() ^ (1 << 63)
    }
    #[inline]
    fn from_rank(rank: u64) -> Self {
        (rank ^ (1 << 63)).cast_signed()
    }
}

impl Key for SimTime {
    #[inline]
    fn rank(self) -> u64 {
        self.rank()
    }
    #[inline]
    fn from_rank(rank: u64) -> Self {
        Self::from_rank(rank)
    }
}

const ARITY: usize = 4;

/// The rank of a place without an item: behind every item.
const NOTHING: u128 = u128::MAX;

/// Bits of a rank that say which item it is of.
const ID_BITS: u32 = MOST.ilog2();

/// Where an item stands: the key, then the order, then which one it is. One wide number compares
/// without a branch.
#[inline]
pub(crate) fn rank<I: Id, K: Key>(key: K, order: u64, id: I) -> u128 {
    debug_assert!(
        order >> (u64::BITS - ID_BITS) == 0,
        "an order of under 2^40"
    );
    u128::from(key.rank()) << 64 | u128::from(order << ID_BITS | id.index() as u64)
}

/// Which item has a rank.
pub(crate) fn id_of<I: Id>(rank: u128) -> I {
    I::from_index(rank as usize & (MOST as usize - 1))
}

pub(crate) fn entry<I: Id, K: Key>(rank: u128) -> Option<Entry<I, K>> {
    (rank < NOTHING).then(|| Entry {
        key: K::from_rank((rank >> 64) as u64),
        order: rank as u64 >> ID_BITS,
        id: id_of(rank),
    })
}

impl<I, K> Default for LeastIndex<I, K> {
    fn default() -> Self {
        Self {
            groups: vec![Group::EMPTY],
            above: 0,
            key: PhantomData,
        }
    }
}

impl<I: Id, K: Key> LeastIndex<I, K> {
    /// The item with the least key; of equals, the one with the least order.
    #[must_use]
    #[inline]
    pub fn least(&self) -> Option<Entry<I, K>> {
        entry(self.groups[0].least())
    }

    /// The least of those that `accept` takes: as fast as [`Self::least`] when it takes that one; else
    /// it is asked about those before it, and about few others.
    pub fn least_where(&self, mut accept: impl FnMut(I) -> bool) -> Option<Entry<I, K>> {
        let least = self.least()?;
        if accept(least.id) {
            return Some(least);
        }
        let mut best = NOTHING;
        self.search(0, &mut accept, &mut best);
        entry(best)
    }

    /// Looks from a group downwards for one that `accept` takes and that comes before `best`: the least
    /// first, so that most of the others are out without being asked.
    fn search(&self, group: usize, accept: &mut impl FnMut(I) -> bool, best: &mut u128) {
        let mut open = self.groups[group];
        loop {
            let rank = open.least();
            if rank >= *best {
                return;
            }
            let member = open.place_of(rank);
            open.0[member] = NOTHING;
            if group < self.above {
                self.search(group * ARITY + member + 1, accept, best);
            } else if accept(id_of(rank)) {
                *best = rank;
            }
        }
    }

    /// Whether there is no item in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups[0].least() == NOTHING
    }

    /// What `id` stands under.
    #[must_use]
    pub fn get(&self, id: I) -> Option<Entry<I, K>> {
        let place = self.place(id);
        entry(self.groups.get(place / ARITY)?.0[place % ARITY])
    }

    /// Puts `id` in, or gives it another key and order, which is under 2⁴⁰.
    #[inline]
    pub fn set(&mut self, id: I, key: K, order: u64) {
        if self.place(id) / ARITY >= self.groups.len() {
            self.make_room(id);
        }
        self.put(id, rank(key, order, id));
    }

    /// Changes the key of `id`; does nothing where it is not in the index.
    pub fn update(&mut self, id: I, change: impl FnOnce(K) -> K) {
        if let Some(Entry { key, order, .. }) = self.get(id) {
            self.put(id, rank(change(key), order, id));
        }
    }

    /// Takes `id` out.
    pub fn remove(&mut self, id: I) -> Option<Entry<I, K>> {
        let removed = self.get(id)?;
        self.put(id, NOTHING);
        Some(removed)
    }

    /// Asks for the lines of the cache where `id` has its place.
    pub(crate) fn fetch(&self, id: I) {
        let group = self.place(id) / ARITY;
        prefetch_index::prefetch_index(&self.groups, group);
        prefetch_index::prefetch_index(&self.groups, group.saturating_sub(1) / ARITY);
    }

    fn place(&self, id: I) -> usize {
        self.above * ARITY + id.index()
    }

    /// Gives an item its rank and tells the levels above, as far as it is news to them.
    fn put(&mut self, id: I, rank: u128) {
        let (mut place, mut rank) = (self.place(id), rank);
        loop {
            let group = &mut self.groups[place / ARITY];
            let before = mem::replace(&mut group.0[place % ARITY], rank);
            if place < ARITY {
                return;
            }
            let above = place / ARITY - 1;
            let known = self.groups[above / ARITY].0[above % ARITY];
            if before == known {
                rank = self.groups[place / ARITY].least();
            } else if rank > known {
                return;
            }
            place = above;
        }
    }

    /// Adds places until `id` has one: to the lowest level, or a level above all.
    fn make_room(&mut self, id: I) {
        let needed = id.index() / ARITY + 1;
        // A level that is one group wider than all levels above it, times three, is full.
        while needed > self.above * (ARITY - 1) + 1 {
            let items = self.groups.split_off(self.above);
            self.above = self.above * ARITY + 1;
            self.groups = vec![Group::EMPTY; self.above];
            self.groups.extend(&items);
            for place in self.above * ARITY..self.groups.len() * ARITY {
                let rank = self.groups[place / ARITY].0[place % ARITY];
                if rank < NOTHING {
                    self.put(id_of(rank), rank);
                }
            }
        }
        self.groups.resize(self.above + needed, Group::EMPTY);
    }
}

impl Group {
    const EMPTY: Self = Self([NOTHING; ARITY]);

    #[inline]
    fn least(&self) -> u128 {
        let [a, b, c, d] = self.0;
        a.min(b).min(c.min(d))
    }

    /// Which of the four has this rank, the last if none does.
    fn place_of(&self, rank: u128) -> usize {
        let [a, b, c, _] = self.0.map(|other| usize::from(other != rank));
        a + a * b + a * b * c
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::serving::EngineId;

    proptest! {
        #[test]
        fn the_least_is_that_of_a_sorted_map(
            steps in prop::collection::vec((0u32..40, -5i64..5, 0u8..3), 1..400)
        ) {
            let mut index = LeastIndex::default();
            let mut model = BTreeMap::new();
            for (number, key, what) in steps {
                let engine = EngineId(number);
                match what {
                    0 => {
                        index.set(engine, key, u64::from(number));
                        model.insert(number, key);
                    }
                    1 => {
                        index.update(engine, |old: i64| old + key);
                        model.entry(number).and_modify(|old| *old += key);
                    }
                    _ => {
                        let removed = index.remove(engine).map(|entry| entry.key);
                        prop_assert_eq!(removed, model.remove(&number));
                    }
                }
                let want = model.iter().map(|(&number, &key)| (key, number)).min();
                let got = index.least().map(|entry| (entry.key, entry.id.0));
                prop_assert_eq!(got, want);
                let odd = index.least_where(|engine| engine.0 % 2 == 1);
                let want = model.iter().filter(|(n, _)| *n % 2 == 1).map(|(&n, &k)| (k, n)).min();
                prop_assert_eq!(odd.map(|entry| (entry.key, entry.id.0)), want);
            }
        }
    }
}
