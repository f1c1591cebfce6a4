use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The longest of the latest gaps between steps, for any number of latest steps.
///
/// Of the gaps only those are kept that are longer than all later ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gaps(VecDeque<(u64, f64)>);

impl Gaps {
    /// The gap before the end of a step; steps come in order.
    #[inline]
    pub(super) fn push(&mut self, step: u64, gap: f64) {
        while self.0.back().is_some_and(|&(_, earlier)| earlier <= gap) {
            self.0.pop_back();
        }
        self.0.push_back((step, gap));
    }

    /// The longest gap before the end of a step after `step`.
    pub(super) fn longest_after(&self, step: u64) -> Option<f64> {
        let first = self.0.partition_point(|&(number, _)| number <= step);
        self.0.get(first).map(|&(_, gap)| gap)
    }

    /// Forgets the gaps up to `step`.
    pub(super) fn forget_until(&mut self, step: u64) {
        let gone = self.0.partition_point(|&(number, _)| number <= step);
        self.0.drain(..gone);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
