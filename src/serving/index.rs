use super::EngineId;
use crate::time::SimTime;

/// Engines by a key that changes: the least in O(1), a change in O(log n).
///
/// A four-ary heap that knows where each engine stands in it. Equal keys are ordered by a number
/// given with them, so the least is always the same one.
#[derive(Clone, Debug)]
pub struct LeastIndex<K> {
    heap: Vec<Entry<K>>,
    /// By engine: its place in the heap, or `ABSENT`.
    places: Vec<u32>,
}

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

/// A key of a [`LeastIndex`]: anything whose order is that of a whole number.
pub trait Key: Copy {
    /// The number.
    fn rank(self) -> u64;
}

impl Key for u64 {
    fn rank(self) -> u64 {
        self
    }
}

impl Key for i64 {
    fn rank(self) -> u64 {
        self.cast_unsigned() ^ (1 << 63)
    }
}

impl Key for SimTime {
    fn rank(self) -> u64 {
        self.seconds().to_bits()
    }
}

impl<K: Key> Entry<K> {
    /// Where it stands: the key, then the order. One wide number compares without a branch.
    fn rank(&self) -> u128 {
        u128::from(self.key.rank()) << 64 | u128::from(self.order)
    }
}

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;

impl<K> Default for LeastIndex<K> {
    fn default() -> Self {
        Self {
            heap: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl<K: Key> LeastIndex<K> {
    /// The engine with the least key; of equals, the one with the least order.
    #[must_use]
    pub fn least(&self) -> Option<&Entry<K>> {
        self.heap.first()
    }

    /// The least of those that `accept` takes: O(1) when it takes the least of all, a scan otherwise.
    pub fn least_where(&self, mut accept: impl FnMut(EngineId) -> bool) -> Option<&Entry<K>> {
        let least = self.heap.first()?;
        if accept(least.engine) {
            return Some(least);
        }
        self.heap
            .iter()
            .filter(|entry| accept(entry.engine))
            .min_by_key(|entry| entry.rank())
    }

    /// Whether there is no engine in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// What `engine` stands under.
    #[must_use]
    pub fn get(&self, engine: EngineId) -> Option<&Entry<K>> {
        self.place(engine).map(|place| &self.heap[place])
    }

    /// Puts `engine` in, or gives it another key and order.
    pub fn set(&mut self, engine: EngineId, key: K, order: u64) {
        let entry = Entry { key, order, engine };
        if let Some(place) = self.place(engine) {
            self.heap[place] = entry;
            self.settle(place);
        } else {
            if self.places.len() <= engine.index() {
                self.places.resize(engine.index() + 1, ABSENT);
            }
            self.heap.push(entry);
            self.rise(self.heap.len() - 1, entry);
        }
    }

    /// Changes the key of `engine`; does nothing where it is not in the index.
    pub fn update(&mut self, engine: EngineId, change: impl FnOnce(K) -> K) {
        if let Some(place) = self.place(engine) {
            self.heap[place].key = change(self.heap[place].key);
            self.settle(place);
        }
    }

    /// Takes `engine` out.
    pub fn remove(&mut self, engine: EngineId) -> Option<Entry<K>> {
        let place = self.place(engine)?;
        self.places[engine.index()] = ABSENT;
        let removed = self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
        Some(removed)
    }

    fn place(&self, engine: EngineId) -> Option<usize> {
        match self.places.get(engine.index()) {
            None | Some(&ABSENT) => None,
            Some(&place) => Some(place as usize),
        }
    }

    /// Restores the heap around an entry that may have become smaller or larger.
    fn settle(&mut self, place: usize) {
        let entry = self.heap[place];
        if place > 0 && entry.rank() < self.heap[(place - 1) / ARITY].rank() {
            self.rise(place, entry);
        } else {
            self.sink(place, entry);
        }
    }

    fn rise(&mut self, mut place: usize, entry: Entry<K>) {
        let rank = entry.rank();
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].rank() <= rank {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
    }

    fn sink(&mut self, mut place: usize, entry: Entry<K>) {
        let rank = entry.rank();
        while let Some((child, least)) = self.least_child(place)
            && least < rank
        {
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn least_child(&self, place: usize) -> Option<(usize, u128)> {
        let first = place * ARITY + 1;
        if let Some([a, b, c, d]) = self.heap.get(first..first + ARITY) {
            let pair = |left: (usize, u128), right: (usize, u128)| {
                if right.1 < left.1 { right } else { left }
            };
            return Some(pair(
                pair((first, a.rank()), (first + 1, b.rank())),
                pair((first + 2, c.rank()), (first + 3, d.rank())),
            ));
        }
        (first..self.heap.len())
            .map(|child| (child, self.heap[child].rank()))
            .min_by_key(|&(_, rank)| rank)
    }

    fn put(&mut self, place: usize, entry: Entry<K>) {
        self.heap[place] = entry;
        self.places[entry.engine.index()] = place as u32;
    }
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
