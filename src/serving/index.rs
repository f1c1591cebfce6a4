use std::marker::PhantomData;

use super::EngineId;
use crate::time::SimTime;

/// Engines by a key that changes: the least in O(1), a change in O(log n).
///
/// A four-ary heap that knows where each engine stands in it. Equal keys are ordered by a number
/// given with them, so the least is always the same one.
#[derive(Clone, Debug)]
pub struct LeastIndex<K> {
    /// What the entries are ordered by, in heap order: first the least alone, then those below it,
    /// four to a group.
    ranks: Vec<Siblings>,
    /// Which engine each entry is, in heap order.
    engines: Vec<EngineId>,
    /// By engine: its place in the heap, or `ABSENT`.
    places: Vec<u32>,
    key: PhantomData<K>,
}

/// The entries below one entry: looked at together, so they share one line of the cache. With tens of
/// thousands of engines that is most of what a change costs.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Siblings([u128; ARITY]);

/// One engine in a [`LeastIndex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<K> {
    /// What it is ordered by.
    pub key: K,
    /// What breaks ties of the key.
    pub order: u64,
    /// Which one it is.
    pub engine: EngineId,
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
    fn rank(self) -> u64 {
        self
    }
    fn from_rank(rank: u64) -> Self {
        rank
    }
}

impl Key for i64 {
    fn rank(self) -> u64 {
        self.cast_unsigned() ^ (1 << 63)
    }
    fn from_rank(rank: u64) -> Self {
        (rank ^ (1 << 63)).cast_signed()
    }
}

impl Key for SimTime {
    fn rank(self) -> u64 {
        self.seconds().to_bits()
    }
    fn from_rank(rank: u64) -> Self {
        Self::saturating(f64::from_bits(rank))
    }
}

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;

/// The rank of a place without an entry: behind every entry.
const NOTHING: u128 = u128::MAX;

/// Where an entry stands: the key, then the order. One wide number compares without a branch.
fn rank<K: Key>(key: K, order: u64) -> u128 {
    u128::from(key.rank()) << 64 | u128::from(order)
}

impl<K> Default for LeastIndex<K> {
    fn default() -> Self {
        Self {
            ranks: Vec::new(),
            engines: Vec::new(),
            places: Vec::new(),
            key: PhantomData,
        }
    }
}

impl<K: Key> LeastIndex<K> {
    /// The engine with the least key; of equals, the one with the least order.
    #[must_use]
    pub fn least(&self) -> Option<Entry<K>> {
        (!self.is_empty()).then(|| self.entry(0))
    }

    /// The least of those that `accept` takes: O(1) when it takes the least of all, a scan otherwise.
    pub fn least_where(&self, mut accept: impl FnMut(EngineId) -> bool) -> Option<Entry<K>> {
        if accept(*self.engines.first()?) {
            return self.least();
        }
        (0..self.engines.len())
            .filter(|&place| accept(self.engines[place]))
            .min_by_key(|&place| self.at(place))
            .map(|place| self.entry(place))
    }

    /// Whether there is no engine in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// What `engine` stands under.
    #[must_use]
    pub fn get(&self, engine: EngineId) -> Option<Entry<K>> {
        self.place(engine).map(|place| self.entry(place))
    }

    /// Puts `engine` in, or gives it another key and order.
    pub fn set(&mut self, engine: EngineId, key: K, order: u64) {
        let rank = rank(key, order);
        if let Some(place) = self.place(engine) {
            self.settle(place, rank, engine);
            return;
        }
        if self.places.len() <= engine.index() {
            self.places.resize(engine.index() + 1, ABSENT);
        }
        let place = self.engines.len();
        self.engines.push(engine);
        if group(place) == self.ranks.len() {
            self.ranks.push(Siblings([NOTHING; ARITY]));
        }
        self.rise(place, rank, engine);
    }

    /// Changes the key of `engine`; does nothing where it is not in the index.
    pub fn update(&mut self, engine: EngineId, change: impl FnOnce(K) -> K) {
        if let Some(place) = self.place(engine) {
            let Entry { key, order, .. } = self.entry(place);
            self.settle(place, rank(change(key), order), engine);
        }
    }

    /// Takes `engine` out.
    pub fn remove(&mut self, engine: EngineId) -> Option<Entry<K>> {
        let place = self.place(engine)?;
        let removed = self.entry(place);
        self.places[engine.index()] = ABSENT;
        let last = self.engines.len() - 1;
        let (rank, moved) = (self.at(last), self.engines[last]);
        self.engines.pop();
        *self.at_mut(last) = NOTHING;
        if place < last {
            self.settle(place, rank, moved);
        }
        Some(removed)
    }

    fn place(&self, engine: EngineId) -> Option<usize> {
        match self.places.get(engine.index()) {
            None | Some(&ABSENT) => None,
            Some(&place) => Some(place as usize),
        }
    }

    fn at(&self, place: usize) -> u128 {
        self.ranks[group(place)].0[member(place)]
    }

    fn at_mut(&mut self, place: usize) -> &mut u128 {
        &mut self.ranks[group(place)].0[member(place)]
    }

    fn entry(&self, place: usize) -> Entry<K> {
        let rank = self.at(place);
        Entry {
            key: K::from_rank((rank >> 64) as u64),
            order: rank as u64,
            engine: self.engines[place],
        }
    }

    /// Puts an entry where `place` is or, where that breaks the heap, above or below.
    fn settle(&mut self, place: usize, rank: u128, engine: EngineId) {
        if place > 0 && rank < self.at(parent(place)) {
            self.rise(place, rank, engine);
        } else {
            self.sink(place, rank, engine);
        }
    }

    fn rise(&mut self, mut place: usize, rank: u128, engine: EngineId) {
        while place > 0 {
            let above = self.at(parent(place));
            if above <= rank {
                break;
            }
            self.put(place, above, self.engines[parent(place)]);
            place = parent(place);
        }
        self.put(place, rank, engine);
    }

    fn sink(&mut self, mut place: usize, rank: u128, engine: EngineId) {
        while let Some((child, least)) = self.least_child(place)
            && least < rank
        {
            self.put(place, least, self.engines[child]);
            place = child;
        }
        self.put(place, rank, engine);
    }

    /// The least of the places below, at times one without an entry.
    fn least_child(&self, place: usize) -> Option<(usize, u128)> {
        let &Siblings([a, b, c, d]) = self.ranks.get(place + 1)?;
        let first = place * ARITY + 1;
        let pair = |left: (usize, u128), right: (usize, u128)| {
            if right.1 < left.1 { right } else { left }
        };
        Some(pair(
            pair((first, a), (first + 1, b)),
            pair((first + 2, c), (first + 3, d)),
        ))
    }

    fn put(&mut self, place: usize, rank: u128, engine: EngineId) {
        *self.at_mut(place) = rank;
        self.engines[place] = engine;
        self.places[engine.index()] = place as u32;
    }
}

const fn parent(place: usize) -> usize {
    (place - 1) / ARITY
}

/// In which group of siblings a place is: the first is alone in its own.
const fn group(place: usize) -> usize {
    place.div_ceil(ARITY)
}

/// Which of its group a place is.
const fn member(place: usize) -> usize {
    (place + ARITY - 1) % ARITY
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

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
                let got = index.least().map(|entry| (entry.key, entry.engine.0));
                prop_assert_eq!(got, want);
                let odd = index.least_where(|engine| engine.0 % 2 == 1);
                let want = model.iter().filter(|(n, _)| *n % 2 == 1).map(|(&n, &k)| (k, n)).min();
                prop_assert_eq!(odd.map(|entry| (entry.key, entry.engine.0)), want);
            }
        }
    }
}
