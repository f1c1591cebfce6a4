use std::mem;

use prefetch_index::prefetch_index;
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::serving::queue::Queue;

/// A list whose every place can be looked at, put into and taken from at little cost, however long it
/// is: thousands wait for an instance that is overloaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Pending {
    Short(Queue<Task>),
    Long(Box<Parts>),
}

/// A list in parts, which knows of each task which part it is in. A change moves what is in one part
/// and counts the parts behind it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    /// The parts that are in use, in the order of the list.
    order: Vec<u32>,
    /// The place at which each of them begins.
    starts: Vec<usize>,
    /// The parts that are not in use.
    spare: Vec<u32>,
    /// By task, the part that it is in.
    homes: Vec<u32>,
    len: usize,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Part {
    tasks: Queue<Task>,
    bounds: Bounds,
}

/// What holds for every task of a part. Bounds stay true when a task leaves; a walk over the part makes
/// them tight again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Each needs room for at least these tokens to join the batch.
    pub(crate) held: u64,
    /// Each adds at most these tokens to a step.
    pub(crate) step: u64,
    /// Each waits since this selection or an earlier one; none while one stands behind its prompt,
    /// where it is never passed over.
    pub(crate) since: Option<u32>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::NONE
    }
}

impl Bounds {
    /// Nothing is known.
    pub(crate) const NONE: Self = Self {
        held: 0,
        step: u64::MAX,
        since: None,
    };

    /// Those of both, at this selection.
    pub(crate) fn and(self, other: Self, now: u32) -> Self {
        let later = |a: u32, b: u32| match now.wrapping_sub(a) <= now.wrapping_sub(b) {
            true => a,
            false => b,
        };
        Self {
            held: self.held.min(other.held),
            step: self.step.max(other.step),
            since: self
                .since
                .zip(other.since)
                .map(|(ours, theirs)| later(ours, theirs)),
        }
    }
}

/// Tasks in one part, and in a list that has no parts: to search and to move them takes the time of a
/// few misses of the cache. Few in tests, for them to see many parts.
const MOST: usize = if cfg!(test) { 16 } else { 1024 };

/// A list that gets as short as this has no parts any more.
const FEW: usize = MOST / 4;

/// The home of a task that is not in the list.
const NOWHERE: u32 = u32::MAX;

impl Default for Pending {
    fn default() -> Self {
        Self::Short(Queue::default())
    }
}

impl Pending {
    pub(crate) fn reserve(&mut self, tasks: usize) {
        if let Self::Short(list) = self {
            list.reserve(tasks);
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Short(tasks) => tasks.len(),
            Self::Long(parts) => parts.len,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, place: usize) -> Option<Task> {
        match self {
            Self::Short(tasks) => tasks.get(place).copied(),
            Self::Long(parts) => parts.get(place),
        }
    }

    /// Where a binary search ends that goes on in front of the places of which `goes_before` is true,
    /// and behind the others. The list need not be sorted by it.
    pub(crate) fn search(&self, goes_before: impl Fn(Task) -> bool) -> usize {
        match self {
            Self::Short(tasks) => search(tasks.len(), |place| goes_before(tasks[place])),
            Self::Long(parts) => parts.search(goes_before),
        }
    }

    /// How many parts it is in.
    pub(crate) fn parts(&self) -> usize {
        match self {
            Self::Short(_) => 1,
            Self::Long(parts) => parts.order.len(),
        }
    }

    /// The tasks of the part at this position, and what holds for all of them.
    pub(crate) fn part(&self, at: usize) -> (&[Task], Bounds) {
        match self {
            Self::Short(tasks) => (tasks, Bounds::NONE),
            Self::Long(parts) => {
                let part = &parts.parts[parts.order[at] as usize];
                (&part.tasks, part.bounds)
            }
        }
    }

    /// Sets what holds for all tasks of the part at this position.
    pub(crate) fn tighten(&mut self, at: usize, bounds: Bounds) {
        if let Self::Long(parts) = self {
            parts.parts[parts.order[at] as usize].bounds = bounds;
        }
    }

    /// Puts a task of these bounds at `place`, in front of those from there on, at a selection.
    pub(crate) fn insert(&mut self, place: usize, task: Task, bounds: Bounds, now: u32) {
        match self {
            Self::Short(tasks) if tasks.len() < MOST => tasks.insert(place, task),
            Self::Short(tasks) => {
                let mut parts = Box::new(Parts::default());
                parts.append(mem::take(tasks));
                parts.insert(place, task, bounds, now);
                *self = Self::Long(parts);
            }
            Self::Long(parts) => parts.insert(place, task, bounds, now),
        }
    }

    /// Takes a task out, if it is in the list.
    pub(crate) fn remove(&mut self, task: Task) {
        match self {
            Self::Short(tasks) => tasks.remove(task),
            Self::Long(parts) => {
                parts.remove(task);
                if parts.len <= FEW {
                    *self = Self::Short(parts.joined());
                }
            }
        }
    }

    /// Takes out these tasks, which are in the list and the only ones that `goes` is true of.
    pub(crate) fn take_out(&mut self, tasks: &[Task], goes: impl Fn(Task) -> bool) {
        match self {
            Self::Short(list) => list.take_out(tasks.len(), goes),
            Self::Long(_) => tasks.iter().for_each(|&task| self.remove(task)),
        }
    }

    pub(crate) fn fetch_list(&self) {
        if let Self::Short(tasks) = self {
            prefetch_index(&**tasks, 0);
        }
    }
}

fn search(len: usize, goes_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        if goes_before(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

impl Parts {
    /// As [`search`], with the parts left out that lie outside the places still to be searched.
    fn search(&self, goes_before: impl Fn(Task) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len);
        // The parts with the first and with the last of the places.
        let (mut first, mut last) = (0, self.order.len() - 1);
        while first < last && low < high {
            let middle = usize::midpoint(low, high);
            let at = first + self.starts[first + 1..=last].partition_point(|&it| it <= middle);
            let part = &self.parts[self.order[at] as usize];
            if goes_before(part.tasks[middle - self.starts[at]]) {
                (high, last) = (middle, at);
            } else {
                (low, first) = (middle + 1, at);
            }
        }
        let start = self.starts[first];
        let tasks = &self.parts[self.order[first] as usize].tasks;
        while low < high {
            let middle = usize::midpoint(low, high);
            if goes_before(tasks[middle - start]) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Which part in order holds `place`; the last, of the place behind the last.
    fn part_of(&self, place: usize) -> usize {
        self.starts.partition_point(|&start| start <= place) - 1
    }

    fn get(&self, place: usize) -> Option<Task> {
        let at = self.part_of(place);
        let part = &self.parts[self.order[at] as usize];
        part.tasks.get(place - self.starts[at]).copied()
    }

    /// Puts a part behind the last.
    fn append(&mut self, tasks: Queue<Task>) {
        self.len += tasks.len();
        let part = Part {
            tasks,
            bounds: Bounds::NONE,
        };
        self.put(self.order.len(), self.len - part.tasks.len(), part);
    }

    /// Puts a part in at `at` in order, whose tasks stand from `start` on.
    fn put(&mut self, at: usize, start: usize, new: Part) {
        let part = self.spare.pop().unwrap_or_else(|| {
            self.parts.push(Part::default());
            self.parts.len() as u32 - 1
        });
        for &task in &*new.tasks {
            self.set_home(task, part);
        }
        self.parts[part as usize] = new;
        self.order.insert(at, part);
        self.starts.insert(at, start);
    }

    fn set_home(&mut self, task: Task, part: u32) {
        if task.index() >= self.homes.len() {
            self.homes.resize(task.index() + 1, NOWHERE);
        }
        self.homes[task.index()] = part;
    }

    fn insert(&mut self, place: usize, task: Task, bounds: Bounds, now: u32) {
        let mut at = self.part_of(place);
        let full = &mut self.parts[self.order[at] as usize];
        if full.tasks.len() == MOST {
            let behind = Part {
                tasks: full.tasks.split_off(MOST / 2),
                bounds: full.bounds,
            };
            self.put(at + 1, self.starts[at] + MOST / 2, behind);
            at = self.part_of(place);
        }
        let home = self.order[at];
        let part = &mut self.parts[home as usize];
        part.tasks.insert(place - self.starts[at], task);
        part.bounds = part.bounds.and(bounds, now);
        self.set_home(task, home);
        self.starts[at + 1..]
            .iter_mut()
            .for_each(|start| *start += 1);
        self.len += 1;
    }

    fn remove(&mut self, task: Task) {
        let home = self.homes.get_mut(task.index());
        let part = home.map_or(NOWHERE, |home| mem::replace(home, NOWHERE));
        let Some(at) = self.order.iter().position(|&it| it == part) else {
            return;
        };
        let tasks = &mut self.parts[part as usize].tasks;
        tasks.remove(task);
        self.starts[at + 1..]
            .iter_mut()
            .for_each(|start| *start -= 1);
        self.len -= 1;
        if tasks.is_empty() && self.order.len() > 1 {
            self.order.remove(at);
            self.starts.remove(at);
            self.spare.push(part);
        }
    }

    /// All tasks in one list.
    fn joined(&self) -> Queue<Task> {
        let mut joined = Queue::default();
        for &part in &self.order {
            self.parts[part as usize]
                .tasks
                .iter()
                .for_each(|&task| joined.push(task));
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::task::Slot;
    use super::*;

    /// Numbers that look drawn, from 0 to `below`.
    fn numbers(seed: u64, below: usize) -> impl Iterator<Item = usize> {
        (seed..).map(move |it| it.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % below)
    }

    proptest! {
        #[test]
        fn it_is_as_a_vector(steps in prop::collection::vec((0u8..8, any::<u32>()), 1..40)) {
            let mut list = Pending::default();
            let mut model: Vec<Task> = Vec::new();
            let mut made = 0;
            for (what, seed) in steps {
                let count = seed as usize % 70;
                let places = numbers(seed.into(), model.len() + 1).take(count);
                match what {
                    0..4 => for place in places {
                        let task = Task::token(Slot::at(made));
                        made += 1;
                        let place = if what == 0 { model.len() } else { place };
                        list.insert(place, task, Bounds::NONE, 0);
                        model.insert(place, task);
                    },
                    4..6 => for place in places.take(model.len()) {
                        let task = model.remove(place % model.len());
                        list.remove(task);
                        list.remove(task);
                    },
                    6 => {
                        let goes = |task: Task| task.index() % 7 == count % 7;
                        let tasks: Vec<Task> = model.extract_if(.., |task| goes(*task)).collect();
                        list.take_out(&tasks, goes);
                    }
                    _ => {
                        let kept = count.min(model.len());
                        model.drain(kept..).rev().for_each(|task| list.remove(task));
                    }
                }
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
                let places = 0..list.len() + 1;
                let tasks: Vec<Task> = places.filter_map(|place| list.get(place)).collect();
                prop_assert_eq!(&tasks, &model);
            }
        }
    }
}
