use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// Recent numbers of wanted instances, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Wishes(VecDeque<(SimTime, u32)>);

impl Wishes {
    /// Adds one and forgets those that are `keep` old or older.
    pub(super) fn add(&mut self, now: SimTime, count: u32, keep: SimDuration) {
        self.0.retain(|&(then, _)| now < then + keep);
        self.0.push_back((now, count));
    }

    /// The highest of the last `window`; one as old as that is none of them.
    pub(super) fn highest(&self, now: SimTime, window: SimDuration) -> Option<u32> {
        self.within(now, window).max()
    }

    /// Adds one, and returns the highest of the last `delay`, itself included: fewer are only wanted once
    /// they were for so long.
    pub(super) fn delayed(&mut self, now: SimTime, count: u32, delay: SimDuration) -> u32 {
        self.add(now, count, delay);
        self.highest(now, delay).unwrap_or(count)
    }

    /// Begins with what there is, unless something was wanted before: that, too, is given up only after
    /// a delay.
    pub(super) fn begin_with(&mut self, now: SimTime, current: u32) -> &mut Self {
        if self.0.is_empty() {
            self.0.push_back((now, current));
        }
        self
    }

    /// The highest of the last `window`, one as old as that included.
    pub(super) fn highest_since(&self, now: SimTime, window: SimDuration) -> Option<u32> {
        let recent = self.0.iter().filter(|(then, _)| now <= *then + window);
        recent.map(|&(_, count)| count).max()
    }

    /// Adds one and forgets those that are older than `keep`.
    pub(super) fn add_after(&mut self, now: SimTime, count: u32, keep: SimDuration) {
        self.0.retain(|&(then, _)| now <= then + keep);
        self.0.push_back((now, count));
    }

    /// The lowest of the last `window`.
    pub(super) fn lowest(&self, now: SimTime, window: SimDuration) -> Option<u32> {
        self.within(now, window).min()
    }

    fn within(&self, now: SimTime, window: SimDuration) -> impl Iterator<Item = u32> {
        let recent = self.0.iter().filter(move |(then, _)| now < *then + window);
        recent.map(|&(_, count)| count)
    }
}
