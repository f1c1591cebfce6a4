//! Ordered containers of numbered items, which know nothing of what the items are.

mod ladder;
mod least;
mod shifting;

pub(crate) use ladder::Ladder;
pub use least::{Entry, Key, LeastIndex};
pub(crate) use shifting::Queue;

/// A number of items that lie densely, from 0 on. Ordered containers take those under 2²⁴.
pub trait Id: Copy {
    /// The number.
    fn index(self) -> usize;
    /// The item of a number.
    fn from_index(index: usize) -> Self;
}

/// As many items an ordered container takes.
pub(crate) const MOST: u32 = 1 << 24;

/// Asks for the line of the cache in which `field` begins.
pub(crate) fn fetch<T>(field: &T) {
    prefetch_index::prefetch_index(std::slice::from_ref(field), 0);
}
