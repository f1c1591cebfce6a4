use std::marker::PhantomData;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::least::{Entry, entry, id_of, rank};
use super::shifting::Queue;
use super::{Id, MOST};

/// The ends of the runs of many engines, by time: the first and those after it are known at once, and to
/// set one costs no more with a hundred thousand than with a thousand.
///
/// A ladder queue (Tang, Goh and Thng, "Ladder queue", ACM TOMACS 15(3), 2005). Only what is due soon is
/// sorted. What is later lies in buckets of time, and what is later than those in no order at all; a
/// bucket is sorted, or spread over narrower ones, when its turn comes. An end that is set anew leaves the
/// one before behind, which is passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Ladder<I> {
    /// What is due before all else, in order.
    near: Queue<u128>,
    /// The widest buckets, then one of those spread over narrower ones, and so on.
    ladder: Vec<Rung>,
    /// What is later than `horizon`.
    beyond: Vec<u128>,
    /// The last time, as [`time_of`], that there is a bucket for.
    horizon: u64,
    /// By engine, what tells its end from those left behind: the lower half of its rank.
    current: Vec<u64>,
    /// Engines with a run.
    running: usize,
    /// Ends left behind.
    stale: usize,
    /// Storage of small buckets, to be used again.
    #[serde(skip)]
    spare: Vec<Vec<u128>>,
    ids: PhantomData<I>,
}

/// Buckets side by side, all of one width. Times are divided by the bits that stand for them, which is
/// exact.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rung {
    start: u64,
    /// A bucket is two to the power of this wide.
    width: u32,
    /// The first that was not taken.
    next: usize,
    buckets: Vec<Vec<u128>>,
}

/// The minimum number of ends kept in order, as far as there are enough.
const IN_ORDER: usize = 10;

/// Ends to a bucket when they are spread. Several times as many are added until its turn comes.
const IN_BUCKET: usize = if cfg!(test) { 2 } else { 16 };

/// So many are sorted at once; more are spread. Few in tests, for them to see many buckets.
const SORTED: usize = if cfg!(test) { 8 } else { 512 };

/// What an engine without a run has for the lower half of its rank.
const NO_RUN: u64 = u64::MAX;

/// The bits of the time that a rank begins with. Their order is that of the times.
const fn time_of(rank: u128) -> u64 {
    (rank >> 64) as u64
}

/// Whether an end is none of those left behind.
fn counts(current: &[u64], rank: u128) -> bool {
    current[rank as usize & (MOST as usize - 1)] == rank as u64
}

impl Rung {
    /// The bucket of a time that is not before the first: the last, of a time behind it.
    fn bucket(&self, time: u64) -> usize {
        let place = (time - self.start) >> self.width;
        (place as usize).min(self.buckets.len() - 1)
    }

    fn put(&mut self, bucket: usize, rank: u128, spare: &mut Vec<Vec<u128>>) {
        let bucket = &mut self.buckets[bucket];
        if bucket.capacity() == 0 {
            *bucket = spare.pop().unwrap_or_default();
        }
        bucket.push(rank);
    }

    /// Takes the next bucket that is not empty.
    fn take(&mut self) -> Option<Vec<u128>> {
        let left = &self.buckets[self.next..];
        let place = self.next + left.iter().position(|bucket| !bucket.is_empty())?;
        self.next = place + 1;
        Some(mem::take(&mut self.buckets[place]))
    }
}

impl<I> Default for Ladder<I> {
    fn default() -> Self {
        Self {
            near: Queue::default(),
            ladder: Vec::new(),
            beyond: Vec::new(),
            horizon: 0,
            current: Vec::new(),
            running: 0,
            stale: 0,
            spare: Vec::new(),
            ids: PhantomData,
        }
    }
}

impl<I: Id> Ladder<I> {
    /// The run that ends first; of equals, the one whose end was set first.
    pub(crate) fn first(&self) -> Option<Entry<I, SimTime>> {
        self.near.first().and_then(|&rank| entry(rank))
    }

    /// The engine whose run ends `places` after the first, as far as known.
    pub(crate) fn after(&self, places: usize) -> Option<I> {
        self.near.get(places).map(|&rank| id_of(rank))
    }

    /// Sets when the run of an engine ends. No end had so high an order before.
    pub(crate) fn set(&mut self, id: I, time: SimTime, order: u64) {
        if id.index() >= self.current.len() {
            self.current.resize(id.index() + 1, NO_RUN);
        }
        let rank = rank(time, order, id);
        self.leave_behind(id, rank as u64);
        self.running += 1;
        self.put(rank);
        self.settle();
    }

    /// Takes the run of an engine out, if it has one.
    pub(crate) fn cancel(&mut self, id: I) {
        if id.index() < self.current.len() {
            self.leave_behind(id, NO_RUN);
            self.settle();
        }
    }

    fn leave_behind(&mut self, id: I, current: u64) {
        let before = mem::replace(&mut self.current[id.index()], current);
        if before != NO_RUN {
            self.running -= 1;
            self.stale += 1;
        }
    }

    fn put(&mut self, rank: u128) {
        let time = time_of(rank);
        if time > self.horizon {
            self.beyond.push(rank);
            return;
        }
        for rung in &mut self.ladder {
            if time >= rung.start {
                let bucket = rung.bucket(time);
                if bucket >= rung.next {
                    rung.put(bucket, rank, &mut self.spare);
                    return;
                }
            }
        }
        let place = self.near.partition_point(|&it| it < rank);
        self.near.insert(place, rank);
        if self.near.len() > 2 * SORTED {
            self.spread_near();
        }
    }

    /// Has an end that counts stand first, and enough in order.
    fn settle(&mut self) {
        while let Some(&first) = self.near.first()
            && !counts(&self.current, first)
        {
            self.near.remove(first);
            self.stale -= 1;
        }
        if self.stale > 2 * self.running + SORTED {
            self.forget_stale();
        }
        while self.near.len() < IN_ORDER && self.bring_near() {}
    }

    /// Moves what is due next on. False when all is in order.
    fn bring_near(&mut self) -> bool {
        while let Some(rung) = self.ladder.last_mut() {
            if let Some(bucket) = rung.take() {
                self.unfold(bucket);
                return true;
            }
            self.ladder.pop();
        }
        let ends = mem::take(&mut self.beyond);
        let Some(&last) = ends.iter().max() else {
            return false;
        };
        self.horizon = time_of(last);
        self.unfold(ends);
        true
    }

    /// Puts ends that are due before the rest behind those that are near, or spreads them.
    fn unfold(&mut self, mut ends: Vec<u128>) {
        let before = ends.len();
        ends.retain(|&rank| counts(&self.current, rank));
        self.stale -= before - ends.len();
        if ends.len() <= SORTED || !self.spread(&ends) {
            ends.sort_unstable();
            ends.iter().for_each(|&rank| self.near.push(rank));
        }
        if ends.capacity() <= 4 * IN_BUCKET {
            ends.clear();
            self.spare.push(ends);
        }
    }

    /// Spreads ends over buckets of their own. False where they are all of one time.
    fn spread(&mut self, ends: &[u128]) -> bool {
        let times = || ends.iter().map(|&rank| time_of(rank));
        let (Some(start), Some(last)) = (times().min(), times().max()) else {
            return false;
        };
        if start == last {
            return false;
        }
        let buckets = (ends.len() / IN_BUCKET) as u64;
        let width = ((last - start) / buckets).max(1).ilog2();
        let count = ((last - start) >> width) as usize + 1;
        let mut rung = Rung {
            start,
            width,
            next: 0,
            buckets: vec![Vec::new(); count],
        };
        for &rank in ends {
            rung.put(rung.bucket(time_of(rank)), rank, &mut self.spare);
        }
        self.ladder.push(rung);
        true
    }

    /// Spreads the later ones when many are near.
    fn spread_near(&mut self) {
        let later = &self.near[SORTED..];
        if later.first().copied().map(time_of) < later.last().copied().map(time_of) {
            let later = self.near.split_off(SORTED);
            self.spread(&later);
        }
    }

    /// Takes out the stale ends: most of all entries.
    fn forget_stale(&mut self) {
        let goes = |rank: u128| !counts(&self.current, rank);
        let buckets = self.ladder.iter_mut().flat_map(|rung| &mut rung.buckets);
        for ends in buckets.chain([&mut self.beyond]) {
            ends.retain(|&rank| !goes(rank));
        }
        let count = self.near.iter().filter(|&&rank| goes(rank)).count();
        self.near.take_out(count, goes);
        self.stale = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::serving::EngineId;

    proptest! {
        /// Runs end in order and begin anew, in pieces: all at one time, side by side, far apart.
        #[test]
        fn it_gives_what_is_due_first(
            steps in prop::collection::vec((0u8..10, 0u32..60, 0u8..5, 0u32..1000), 1..600),
        ) {
            let mut agenda = Ladder::default();
            let mut model: BTreeMap<u32, (SimTime, u64)> = BTreeMap::new();
            let first = |model: &BTreeMap<u32, (SimTime, u64)>| {
                let first = model.iter().min_by_key(|(_, end)| **end);
                first.map(|(&engine, &(key, order))| Entry { key, order, id: EngineId(engine) })
            };
            let mut now = 0.0;
            for ((what, engine, scale, length), order) in steps.into_iter().zip(1..) {
                let length = f64::from(length) * [0.0, 1e-9, 1e-3, 1.0, 1e6][usize::from(scale)];
                let engine = match first(&model) {
                    Some(first) if what < 6 => {
                        now = first.key.seconds();
                        first.id.0
                    }
                    _ => engine,
                };
                if what % 3 == 0 {
                    agenda.cancel(EngineId(engine));
                    model.remove(&engine);
                } else {
                    let time = SimTime::saturating(now + length);
                    agenda.set(EngineId(engine), time, order);
                    model.insert(engine, (time, order));
                }
                prop_assert_eq!(agenda.first(), first(&model));
                prop_assert_eq!(agenda.running, model.len());
                let counts = |rank: &&u128| counts(&agenda.current, **rank);
                prop_assert!(agenda.near.iter().filter(counts).count() <= model.len());
            }
        }
    }

    #[test]
    fn what_is_left_behind_does_not_pile_up() {
        let mut agenda = Ladder::default();
        agenda.set(EngineId(0), SimTime::saturating(1.0), 1);
        for order in 2..100_000 {
            let engine = EngineId(order as u32 % 7);
            agenda.set(engine, SimTime::saturating(1e6 - order as f64), order);
        }
        assert!(agenda.stale < 100, "{}", agenda.stale);
    }
}
