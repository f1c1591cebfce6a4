use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;

use crate::time::SimTime;

use super::TickSet;

/// Everything that the control plane has due, by time. The next tick ends at its first entry, so a
/// tick costs what is due in it and not what the fleet is large.
///
/// Scripted actions, faults and the timers of the lifecycle are the fleet's own. What samples,
/// decides or otherwise acts now and then asks to be woken:
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::{Agenda, TickSet};
/// use fleetsim::time::SimTime;
///
/// let mut world = World::new();
/// let policy = world.spawn_empty().id();
/// let mut agenda = Agenda::default();
/// agenda.wake(TickSet::Decide, SimTime::new(30.0)?, policy);
/// assert_eq!(agenda.next_due(), SimTime::new(30.0)?);
/// assert!(agenda.awake(TickSet::Decide).is_empty());
/// # Ok::<(), fleetsim::time::InvalidTime>(())
/// ```
#[derive(Resource, Debug, Default)]
pub struct Agenda {
    pub(super) faults: Queue<usize>,
    pub(super) lifecycle: Queue<Timer>,
    pub(super) actions: Queue<usize>,
    wakes: Queue<(TickSet, Entity)>,
    awake: [Vec<Entity>; TickSet::COUNT],
}

/// A timer of the lifecycle. One whose entity is gone, or no longer has the component that the timer
/// is about, is passed over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// A server has been provisioned.
    ServerReady(Entity),
    /// An instance has spun up.
    Join(Entity),
    /// An instance becomes active.
    Activate(Entity),
    /// A draining instance is looked at.
    DrainCheck(Entity),
    /// A draining instance has run out of time.
    DrainDeadline(Entity),
    /// Requests that wait are to be scheduled.
    Flush,
}

impl Agenda {
    /// The instant of the first entry, [`SimTime::MAX`] if there is none.
    #[must_use]
    pub fn next_due(&self) -> SimTime {
        self.faults
            .next_due()
            .min(self.lifecycle.next_due())
            .min(self.actions.next_due())
            .min(self.wakes.next_due())
    }

    /// Has `entity` among [`Self::awake`] of `set` in the tick that ends at `at`; in the next tick if
    /// that instant is over. Never, for [`SimTime::MAX`].
    pub fn wake(&mut self, set: TickSet, at: SimTime, entity: Entity) {
        self.wakes.push(at, (set, entity));
    }

    /// Who asked to be woken for `set` in this tick, in the order of (time, order of asking).
    #[must_use]
    pub fn awake(&self, set: TickSet) -> &[Entity] {
        &self.awake[set as usize]
    }

    /// Whether a scripted action or fault is left.
    #[must_use]
    pub fn has_script(&self) -> bool {
        !self.faults.is_empty() || !self.actions.is_empty()
    }

    /// Whether the lifecycle has something due at the present instant, such as requests to schedule.
    pub(super) fn is_due(&self, now: SimTime) -> bool {
        self.lifecycle.next_due() <= now
    }

    /// Begins the tick that ends at `now`.
    pub(super) fn begin(&mut self, now: SimTime) {
        for awake in &mut self.awake {
            awake.clear();
        }
        while let Some((_, (set, entity))) = self.wakes.pop_due(now) {
            self.awake[set as usize].push(entity);
        }
    }
}

/// Things by time, and by order of insertion at equal times.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    pushed: u64,
}

#[derive(Debug)]
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
