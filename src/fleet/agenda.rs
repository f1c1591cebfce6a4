use std::any::TypeId;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use serde::{Deserialize, Serialize};

use crate::snapshot::{RestoreError, SaveError};
use crate::time::SimTime;

use super::TickSet;
use super::parts::Twins;
use super::timers::{SavedTimers, Timers};

/// Everything that the control plane has due, by time. The next tick ends at its first entry, so a
/// tick costs what is due in it and not what the fleet is large.
///
/// Scripted actions, faults and the timers of the lifecycle are the fleet's own. Code that samples,
/// decides or acts periodically asks to be woken, for a purpose of its own:
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::Agenda;
/// use fleetsim::time::SimTime;
///
/// /// The purpose: a type that nobody else has.
/// struct Billing;
///
/// let mut world = World::new();
/// let customer = world.spawn_empty().id();
/// let mut agenda = Agenda::default();
/// agenda.wake_for::<Billing>(SimTime::new(30.0)?, customer);
/// assert_eq!(agenda.next_due(), SimTime::new(30.0)?);
/// assert_eq!(agenda.awake_for::<Billing>().count(), 0);
/// # Ok::<(), fleetsim::time::InvalidTime>(())
/// ```
#[derive(Resource, Clone, Debug, Default)]
pub struct Agenda {
    /// The fleet, and the position in its script.
    pub(super) faults: Queue<(Entity, usize)>,
    pub(super) lifecycle: Timers,
    /// The fleet, and the position in its script.
    pub(super) actions: Queue<(Entity, usize)>,
    keyed: Timers,
    wakes: Queue<(TickSet, Entity)>,
    awake: [Vec<Entity>; TickSet::COUNT],
}

impl Agenda {
    /// The instant of the first entry, [`SimTime::MAX`] if there is none.
    #[must_use]
    pub fn next_due(&self) -> SimTime {
        self.faults
            .next_due()
            .min(self.lifecycle.next_due())
            .min(self.actions.next_due())
            .min(self.keyed.next_due())
            .min(self.wakes.next_due())
    }

    /// Puts `entity` among [`Self::awake_for`] the purpose `P` in the tick that ends at `at`; in the next
    /// tick if that instant is over. Replaces the wake of the same purpose and entity that has not come
    /// yet; [`SimTime::MAX`] only takes that back.
    pub fn wake_for<P: 'static>(&mut self, at: SimTime, entity: Entity) {
        self.keyed.set::<P>(at, entity);
    }

    /// The entities that were to be woken for the purpose `P` in this tick, each once, in the order of
    /// (time, order of asking).
    pub fn awake_for<P: 'static>(&self) -> impl Iterator<Item = Entity> + '_ {
        self.keyed.out::<P>().map(|(_, entity)| entity)
    }

    /// Puts `entity` among [`Self::awake`] of `set` in the tick that ends at `at`; in the next tick
    /// if that instant is over. Never, for [`SimTime::MAX`].
    ///
    /// All code that asks so shares one list: code with a purpose of its own asks by
    /// [`Self::wake_for`]. Nothing in fleetsim listens to this list.
    pub fn wake(&mut self, set: TickSet, at: SimTime, entity: Entity) {
        self.wakes.push(at, (set, entity));
    }

    /// The entities that were to be woken for `set` in this tick, each once, in the order of (time, order
    /// of asking).
    #[must_use]
    pub fn awake(&self, set: TickSet) -> &[Entity] {
        &self.awake[set as usize]
    }

    /// Whether a scripted action or fault is left.
    #[must_use]
    pub fn has_script(&self) -> bool {
        !self.faults.is_empty() || !self.actions.is_empty()
    }

    /// Drops what is to come of entities that are gone with their fleet.
    pub(super) fn forget(&mut self, gone: impl Fn(Entity) -> bool + Copy) {
        self.lifecycle.forget(gone);
        self.keyed.forget(gone);
        self.wakes.keep(|it| (!gone(it.1)).then_some(it));
        for script in [&mut self.faults, &mut self.actions] {
            script.keep(|it| (!gone(it.0)).then_some(it));
        }
        for awake in &mut self.awake {
            awake.retain(|&it| !gone(it));
        }
    }

    /// Whether a scripted fault of a fleet is left.
    pub(super) fn has_faults(&self, fleet: Entity) -> bool {
        self.faults.items().any(|it| it.0 == fleet)
    }

    /// Whether the lifecycle has something due at the present instant, such as requests to schedule.
    pub(super) fn is_due(&self, now: SimTime) -> bool {
        self.lifecycle.next_due() <= now
    }

    /// Becomes that of a fork: the wakes of entities that have no twin are left out.
    pub(super) fn follow(&mut self, twins: &Twins) {
        self.lifecycle.follow(twins);
        self.keyed.follow(twins);
        for script in [&mut self.faults, &mut self.actions] {
            script.keep(|(fleet, position)| Some((twins.of(fleet)?, position)));
        }
        self.wakes
            .keep(|(set, entity)| Some((set, twins.of(entity)?)));
        for awake in &mut self.awake {
            *awake = awake.iter().filter_map(|&it| twins.of(it)).collect();
        }
    }

    /// What a snapshot has of it; each purpose by the name under which it is entered.
    pub(super) fn saved(
        self,
        purposes: &[(TypeId, &'static str)],
    ) -> Result<SavedAgenda, SaveError> {
        let Self {
            faults,
            lifecycle,
            actions,
            keyed,
            wakes,
            awake,
        } = self;
        Ok(SavedAgenda {
            faults,
            lifecycle: lifecycle.saved(purposes)?,
            actions,
            keyed: keyed.saved(purposes)?,
            wakes,
            awake,
        })
    }

    /// That of a snapshot.
    pub(super) fn restored(
        saved: SavedAgenda,
        purposes: &[(TypeId, &'static str)],
    ) -> Result<Self, RestoreError> {
        Ok(Self {
            faults: saved.faults,
            lifecycle: Timers::restored(saved.lifecycle, purposes)?,
            actions: saved.actions,
            keyed: Timers::restored(saved.keyed, purposes)?,
            wakes: saved.wakes,
            awake: saved.awake,
        })
    }

    /// Begins the tick that ends at `now`.
    pub(super) fn begin(&mut self, now: SimTime) {
        for awake in &mut self.awake {
            awake.clear();
        }
        while let Some((_, (set, entity))) = self.wakes.pop_due(now) {
            let awake = &mut self.awake[set as usize];
            if !awake.contains(&entity) {
                awake.push(entity);
            }
        }
        for timers in [&mut self.keyed, &mut self.lifecycle] {
            timers.run_out(now);
        }
    }
}

/// What a snapshot has of an agenda.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedAgenda {
    faults: Queue<(Entity, usize)>,
    lifecycle: SavedTimers,
    actions: Queue<(Entity, usize)>,
    keyed: SavedTimers,
    wakes: Queue<(TickSet, Entity)>,
    awake: [Vec<Entity>; TickSet::COUNT],
}

/// Things by time, and by order of insertion at equal times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    pushed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry<T> {
    at: SimTime,
    sequence: u64,
    item: T,
}

impl<T> Queue<T> {
    /// Adds something due at `at`; nothing, for [`SimTime::MAX`], which is never.
    pub(super) fn push(&mut self, at: SimTime, item: T) {
        if at < SimTime::MAX {
            let sequence = self.pushed;
            self.pushed += 1;
            self.heap.push(Reverse(Entry { at, sequence, item }));
        }
    }

    /// Takes the first that is due by `now`.
    pub(super) fn pop_due(&mut self, now: SimTime) -> Option<(SimTime, T)> {
        let due = self
            .heap
            .peek()
            .is_some_and(|Reverse(first)| first.at <= now);
        let Reverse(first) = if due { self.heap.pop()? } else { return None };
        Some((first.at, first.item))
    }

    pub(super) fn next_due(&self) -> SimTime {
        self.heap
            .peek()
            .map_or(SimTime::MAX, |Reverse(first)| first.at)
    }

    /// Each item, in no order.
    fn items(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|Reverse(entry)| &entry.item)
    }

    /// Replaces each item by what is made of it, and drops those of which nothing is.
    pub(super) fn keep(&mut self, replace: impl Fn(T) -> Option<T>) {
        let entries = std::mem::take(&mut self.heap).into_iter();
        let kept = entries.filter_map(|Reverse(entry)| {
            let item = replace(entry.item)?;
            Some(Reverse(Entry { item, ..entry }))
        });
        self.heap = kept.collect();
    }

    fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            pushed: 0,
        }
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::new(seconds).unwrap()
    }

    #[test]
    fn equal_times_keep_the_order_of_insertion() {
        let mut queue = Queue::default();
        for (time, item) in [(2.0, 'c'), (1.0, 'a'), (1.0, 'b'), (3.0, 'd')] {
            queue.push(at(time), item);
        }
        queue.push(SimTime::MAX, 'x');
        let mut popped = Vec::new();
        while let Some((_, item)) = queue.pop_due(at(2.0)) {
            popped.push(item);
        }
        assert_eq!(popped, ['a', 'b', 'c']);
        assert_eq!(queue.next_due(), at(3.0));
    }
}
