//! Instants at which somebody is to act: one at most for each purpose and entity.

use std::any::{TypeId, type_name};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bevy_ecs::entity::Entity;
use serde::{Deserialize, Serialize};

use crate::snapshot::{RestoreError, SaveError};
use crate::time::SimTime;

use super::parts::Twins;

/// What a timer is for. A component that is a timer is its own purpose.
type Purpose = TypeId;

/// Stale entries of the heap that are never worth a sweep.
const SLACK: usize = 64;

/// Timers by time, and by order of asking at equal times. Setting one replaces the one before it of the
/// same purpose and entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Stamp, Purpose, Entity)>>,
    /// The one of each purpose and entity that counts; any other entry of the heap or of `out` is stale.
    set: BTreeMap<(Purpose, Entity), Timer>,
    /// The names of the purposes for which any was ever set.
    names: Vec<(Purpose, &'static str)>,
    /// Timers set so far.
    asked: u64,
    /// Those that have run out in this tick, by purpose, in order.
    out: Vec<(Purpose, Vec<(Stamp, Entity)>)>,
}

/// What a snapshot has of timers, with the names of their purposes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedTimers {
    set: Vec<(String, Entity, Timer)>,
    asked: u64,
    out: Vec<(String, Vec<(Stamp, Entity)>)>,
}

/// When, and how many were set before.
type Stamp = (SimTime, u64);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Timer {
    stamp: Stamp,
    out: bool,
}

impl Timers {
    /// Sets the timer of `P` for an entity; clears it, for [`SimTime::MAX`], which is never. Set to the
    /// same instant again, it keeps its place in the order.
    pub(super) fn set<P: 'static>(&mut self, at: SimTime, entity: Entity) {
        let key = (TypeId::of::<P>(), entity);
        let before = self.set.get(&key);
        if before.is_some_and(|it| it.stamp.0 == at && !it.out) {
            return;
        }
        if at < SimTime::MAX {
            let stamp = (at, self.asked);
            self.asked += 1;
            if self.set.insert(key, Timer { stamp, out: false }).is_none() {
                self.name::<P>();
            }
            self.heap.push(Reverse((stamp, key.0, key.1)));
        } else {
            self.set.remove(&key);
        }
        if self.heap.len() > 2 * self.set.len() + SLACK {
            let set = &self.set;
            self.heap
                .retain(|&Reverse((stamp, purpose, entity))| counts(set, stamp, purpose, entity));
        }
        self.drop_stale();
    }

    /// Keeps the name of a purpose.
    fn name<P: 'static>(&mut self) {
        let purpose = TypeId::of::<P>();
        if self.names.iter().all(|&(known, _)| known != purpose) {
            self.names.push((purpose, type_name::<P>()));
        }
    }

    /// Clears the timer of `P` for an entity, run out or not.
    pub(super) fn clear<P: 'static>(&mut self, entity: Entity) {
        self.set.remove(&(TypeId::of::<P>(), entity));
        self.drop_stale();
    }

    /// The instant of the first timer, [`SimTime::MAX`] if there is none; those that have run out do not
    /// count.
    pub(super) fn next_due(&self) -> SimTime {
        let first = self.heap.peek();
        first.map_or(SimTime::MAX, |&Reverse(((at, _), ..))| at)
    }

    /// Lets every timer run out that is due by `now`, and forgets those that had.
    pub(super) fn run_out(&mut self, now: SimTime) {
        for (purpose, out) in &mut self.out {
            for (stamp, entity) in out.drain(..) {
                if counts(&self.set, stamp, *purpose, entity) {
                    self.set.remove(&(*purpose, entity));
                }
            }
        }
        while self.next_due() <= now {
            if let Some(Reverse((stamp, purpose, entity))) = self.heap.pop() {
                let timer = Timer { stamp, out: true };
                self.set.insert((purpose, entity), timer);
                match self.out.iter_mut().find(|(it, _)| *it == purpose) {
                    Some((_, out)) => out.push((stamp, entity)),
                    None => self.out.push((purpose, vec![(stamp, entity)])),
                }
            }
            self.drop_stale();
        }
    }

    /// Whether any timer has run out in this tick.
    pub(super) fn has_out(&self) -> bool {
        self.out.iter().any(|(_, out)| !out.is_empty())
    }

    /// The timers of `P` that have run out in this tick and were not cleared or set anew, in order.
    pub(super) fn out<P: 'static>(&self) -> impl Iterator<Item = (SimTime, Entity)> + '_ {
        let purpose = TypeId::of::<P>();
        let out = self.out.iter().filter(move |(it, _)| *it == purpose);
        out.flat_map(|(_, out)| out)
            .filter(move |&&(stamp, entity)| counts(&self.set, stamp, purpose, entity))
            .map(|&((at, _), entity)| (at, entity))
    }

    /// Becomes those of a fork: the timers of entities that have no twin are left out.
    pub(super) fn follow(&mut self, twins: &Twins) {
        let set = std::mem::take(&mut self.set).into_iter();
        let of_twin = |((purpose, entity), timer)| Some(((purpose, twins.of(entity)?), timer));
        self.set = set.filter_map(of_twin).collect();
        let heap = std::mem::take(&mut self.heap).into_iter();
        let of_twin =
            |Reverse((stamp, purpose, entity))| Some(Reverse((stamp, purpose, twins.of(entity)?)));
        self.heap = heap.filter_map(of_twin).collect();
        for (_, out) in &mut self.out {
            *out = std::mem::take(out)
                .into_iter()
                .filter_map(|(stamp, entity)| Some((stamp, twins.of(entity)?)))
                .collect();
        }
        self.drop_stale();
    }

    /// Drops those of entities that are gone.
    pub(super) fn forget(&mut self, gone: impl Fn(Entity) -> bool) {
        self.set.retain(|&(_, entity), _| !gone(entity));
        self.drop_stale();
    }

    /// What a snapshot has of them; each purpose by the name under which it is entered.
    pub(super) fn saved(
        self,
        purposes: &[(Purpose, &'static str)],
    ) -> Result<SavedTimers, SaveError> {
        let Self {
            heap: _,
            set,
            names,
            asked,
            out,
        } = self;
        let name = |purpose: Purpose| {
            let find = |list: &[(Purpose, &'static str)]| {
                let found = list.iter().find(|&&(known, _)| known == purpose);
                found.map(|&(_, name)| name.to_owned())
            };
            find(purposes).ok_or_else(|| {
                let own = find(&names).unwrap_or_default();
                let why = "enter the purpose in the `Parts`: `parts.purpose::<P>()`";
                SaveError::not_saved(format!("a wake for the purpose {own}"), why)
            })
        };
        let set = set.into_iter();
        let set = set.map(|((purpose, entity), it)| Ok((name(purpose)?, entity, it)));
        let out = out.into_iter().filter(|(_, out)| !out.is_empty());
        let out = out.map(|(purpose, out)| Ok((name(purpose)?, out)));
        Ok(SavedTimers {
            set: set.collect::<Result<_, SaveError>>()?,
            asked,
            out: out.collect::<Result<_, SaveError>>()?,
        })
    }

    /// Those of a snapshot.
    pub(super) fn restored(
        saved: SavedTimers,
        purposes: &[(Purpose, &'static str)],
    ) -> Result<Self, RestoreError> {
        let purpose = |name: &str| {
            let found = purposes.iter().find(|&&(_, known)| known == name);
            let unknown = || RestoreError::Unknown(format!("wakes for the purpose {name}"));
            found.copied().ok_or_else(unknown)
        };
        let mut timers = Self {
            asked: saved.asked,
            ..Self::default()
        };
        for (name, entity, timer) in saved.set {
            let named = purpose(&name)?;
            if !timer.out {
                timers.heap.push(Reverse((timer.stamp, named.0, entity)));
            }
            timers.set.insert((named.0, entity), timer);
            if !timers.names.contains(&named) {
                timers.names.push(named);
            }
        }
        for (name, out) in saved.out {
            timers.out.push((purpose(&name)?.0, out));
        }
        Ok(timers)
    }

    /// Keeps a timer that counts on top of the heap.
    fn drop_stale(&mut self) {
        while let Some(&Reverse((stamp, purpose, entity))) = self.heap.peek()
            && !counts(&self.set, stamp, purpose, entity)
        {
            self.heap.pop();
        }
    }
}

fn counts(
    set: &BTreeMap<(Purpose, Entity), Timer>,
    stamp: Stamp,
    purpose: Purpose,
    entity: Entity,
) -> bool {
    set.get(&(purpose, entity))
        .is_some_and(|it| it.stamp == stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tea;
    struct Coffee;

    fn at(seconds: f64) -> SimTime {
        SimTime::new(seconds).unwrap()
    }

    fn entities() -> [Entity; 3] {
        let mut world = bevy_ecs::world::World::new();
        [(); 3].map(|()| world.spawn_empty().id())
    }

    fn out<P: 'static>(timers: &mut Timers, now: f64) -> Vec<(f64, Entity)> {
        timers.run_out(at(now));
        let out = timers.out::<P>();
        out.map(|(at, entity)| (at.seconds(), entity)).collect()
    }

    #[test]
    fn timers_run_out_in_order_each_for_its_purpose() {
        let [a, b, c] = entities();
        let mut timers = Timers::default();
        for (time, entity) in [(2.0, c), (1.0, b), (1.0, a), (3.0, b)] {
            timers.set::<Tea>(at(time), entity);
        }
        timers.set::<Coffee>(at(1.0), c);
        assert_eq!(timers.next_due(), at(1.0));
        // That of b was set again, for later.
        assert_eq!(out::<Tea>(&mut timers, 2.0), [(1.0, a), (2.0, c)]);
        let coffee: Vec<_> = timers.out::<Coffee>().collect();
        assert_eq!(coffee, [(at(1.0), c)]);
        assert_eq!(timers.next_due(), at(3.0));
        timers.clear::<Tea>(b);
        assert_eq!(timers.next_due(), SimTime::MAX);
    }

    #[test]
    fn one_that_has_run_out_can_be_cleared_and_set_again() {
        let [a, b, _] = entities();
        let mut timers = Timers::default();
        timers.set::<Tea>(at(1.0), a);
        timers.set::<Tea>(at(1.0), b);
        timers.run_out(at(1.0));
        timers.clear::<Tea>(a);
        timers.set::<Tea>(at(2.0), b);
        assert_eq!(timers.out::<Tea>().count(), 0);
        assert_eq!(out::<Tea>(&mut timers, 2.0), [(2.0, b)]);
        timers.set::<Tea>(SimTime::MAX, a);
        assert_eq!(timers.next_due(), SimTime::MAX);
    }

    #[test]
    fn one_that_is_set_over_and_over_takes_no_more_room() {
        let [a, b, _] = entities();
        let mut timers = Timers::default();
        timers.set::<Coffee>(at(1.0), b);
        for second in 2..10_000 {
            timers.set::<Tea>(at(f64::from(second)), a);
        }
        assert!(timers.heap.len() < 100);
        assert_eq!(out::<Tea>(&mut timers, 9_998.0), []);
        assert_eq!(out::<Tea>(&mut timers, 9_999.0), [(9_999.0, a)]);
    }
}
