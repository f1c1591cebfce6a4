use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A list that is mostly taken from at its front, and is a slice all the same: places can be probed.
/// What stands behind the first does not move when that leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Queue<T: Copy> {
    /// The list, behind `gone` places that are out of use.
    items: Vec<T>,
    gone: usize,
}

impl<T: Copy> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            gone: 0,
        }
    }
}

impl<T: Copy> Deref for Queue<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items[self.gone..]
    }
}

impl<T: Copy> Queue<T> {
    pub(crate) fn reserve(&mut self, items: usize) {
        self.items.reserve(items);
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.items.len() == self.items.capacity() {
            self.make_room();
        }
        self.items.push(item);
    }

    /// Uses the places that are out of use again before the list grows. Half of all are, so that moving
    /// the others is paid for by those that went.
    fn make_room(&mut self) {
        if self.gone * 2 >= self.items.len() {
            self.items.drain(..self.gone);
            self.gone = 0;
        } else {
            self.items.reserve(1);
        }
    }

    /// Puts `item` at `place`, in front of those from there on.
    #[inline]
    pub(crate) fn insert(&mut self, place: usize, item: T) {
        if place == self.len() {
            self.push(item);
        } else {
            self.insert_within(place, item);
        }
    }

    fn insert_within(&mut self, place: usize, item: T) {
        if self.gone > 0 && place < self.len() / 2 {
            let from = self.gone;
            self.items.copy_within(from..from + place, from - 1);
            self.gone -= 1;
            self.items[self.gone + place] = item;
        } else {
            if self.items.len() == self.items.capacity() {
                self.make_room();
            }
            self.items.insert(self.gone + place, item);
        }
    }

    /// Takes off what stands from `place` on.
    pub(crate) fn split_off(&mut self, place: usize) -> Self {
        let items = self.items.split_off(self.gone + place);
        Self { items, gone: 0 }
    }

    /// Takes out the first `count` that `goes` is true of; there are as many. The time it takes does
    /// not depend on what stands behind the last of them.
    pub(crate) fn take_out(&mut self, count: usize, goes: impl Fn(T) -> bool) {
        if count == 0 {
            return;
        }
        let items = &mut self.items[..];
        let (mut kept, mut place, mut left) = (self.gone, self.gone, count);
        while left > 0 {
            let item = items[place];
            items[kept] = item;
            let stays = usize::from(!goes(item));
            kept += stays;
            left -= 1 - stays;
            place += 1;
        }
        self.close(kept, place);
    }

    /// Closes the gap from `start` to `end` by moving the shorter part, the one before it or the
    /// part behind it.
    #[inline]
    fn close(&mut self, start: usize, end: usize) {
        if start == self.gone {
            self.gone = end;
        } else {
            self.close_within(start, end);
        }
        if self.gone == self.items.len() {
            self.items.clear();
            self.gone = 0;
        }
    }

    #[inline]
    fn close_within(&mut self, start: usize, end: usize) {
        let width = end - start;
        if start - self.gone < self.items.len() - end {
            self.items.copy_within(self.gone..start, self.gone + width);
            self.gone += width;
        } else {
            self.items.copy_within(end.., start);
            self.items.truncate(self.items.len() - width);
        }
    }
}

impl<T: Copy> Queue<T> {
    /// Takes out what stands at `place`, which is in the list.
    pub(crate) fn remove_at(&mut self, place: usize) {
        let place = self.gone + place;
        self.close(place, place + 1);
    }
}

impl<T: Copy + PartialEq> Queue<T> {
    /// Takes out the first that equals `item`, if any does.
    pub(crate) fn remove(&mut self, item: T) {
        if self.first() == Some(&item) {
            self.close(self.gone, self.gone + 1);
        } else if let Some(place) = self.find(item) {
            let place = self.gone + place;
            self.close(place, place + 1);
        }
    }

    /// Compares sixteen at a time: queues can be thousands long.
    fn find(&self, item: T) -> Option<usize> {
        let (blocks, rest) = self.as_chunks::<16>();
        let has = |block: &[T; 16]| block.iter().fold(false, |has, &it| has | (it == item));
        let begin = match blocks.iter().position(has) {
            Some(block) => block * 16,
            None => self.len() - rest.len(),
        };
        let place = self[begin..].iter().position(|&it| it == item)?;
        Some(begin + place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut queue = Queue::default();
        (0..100).for_each(|item| queue.push(item));
        for item in 100..100_000 {
            queue.remove(queue[0]);
            queue.insert(90, item);
        }
        assert_eq!(queue.len(), 100);
        assert!(queue.items.capacity() <= 512, "{}", queue.items.capacity());
    }

    proptest! {
        #[test]
        fn it_is_as_a_vector(steps in prop::collection::vec((0u8..8, any::<u16>()), 1..300)) {
            let mut queue = Queue::default();
            let mut model: Vec<u16> = Vec::new();
            for (what, item) in steps {
                match what {
                    0 | 1 => {
                        queue.push(item);
                        model.push(item);
                    }
                    2..5 => {
                        let place = usize::from(item) % (model.len() + 1);
                        queue.insert(place, item);
                        model.insert(place, item);
                    }
                    5 if !model.is_empty() => {
                        let gone = model.remove(usize::from(item) % model.len().min(3));
                        model.insert(0, gone);
                        queue.remove(gone);
                        queue.insert(0, gone);
                        model.remove(0);
                        queue.remove(gone);
                    }
                    6 => {
                        let goes = |it: u16| it % 3 == item % 3;
                        let count = model.iter().filter(|&&it| goes(it)).count().min(4);
                        queue.take_out(count, goes);
                        for _ in 0..count {
                            let first = model.iter().position(|&it| goes(it)).unwrap();
                            model.remove(first);
                        }
                    }
                    _ => {
                        model.truncate(0);
                        queue.take_out(queue.len(), |_| true);
                    }
                }
                prop_assert_eq!(&*queue, &model[..]);
            }
        }
    }
}
