//! What the two autoscalers of AIBrix share: samples, limits of a step, and the cool-down.

use std::collections::VecDeque;

use super::carried_over::Rules;
use super::wishes::Wishes;
use crate::autoscale::RoleSnapshot;
use crate::time::{SimDuration, SimTime};

/// Samples of a metric, each the mean over the instances of a role.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples(VecDeque<(SimTime, f64)>);

impl Samples {
    /// Adds a sample and forgets those older than `keep`.
    pub(super) fn add(&mut self, now: SimTime, value: f64, keep: SimDuration) {
        self.0.retain(|&(then, _)| now - then <= keep);
        self.0.push_back((now, value));
    }

    /// The mean of the samples within the window, one as old as the window included.
    pub(super) fn mean(&self, now: SimTime, window: SimDuration) -> Option<f64> {
        let within = self.0.iter().filter(|(then, _)| now - *then <= window);
        let (sum, count) = within.fold((0.0, 0_u32), |(sum, count), it| (sum + it.1, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// The metric of a role as a mean over the instances that answer: 0 where there are no instances at
/// all, none where those that there are do not answer.
pub(super) fn sample(total: Option<f64>, of: &RoleSnapshot) -> Option<f64> {
    match of.measured {
        0 if of.current() == 0 => Some(0.0),
        0 => None,
        count => Some(total? / f64::from(count)),
    }
}

/// How far a number may move in one step, and when it moves at all.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) up_tolerance: f64,
    pub(super) down_tolerance: f64,
    pub(super) max_scale_up_rate: f64,
    pub(super) max_scale_down_rate: f64,
}

impl Step {
    /// Whether a ratio is near enough to 1.
    pub(super) fn tolerates(&self, ratio: f64) -> bool {
        ratio <= 1.0 + self.up_tolerance && ratio >= 1.0 - self.down_tolerance
    }

    /// The wish within what one step from `current` allows.
    pub(super) fn limit(&self, wanted: u32, current: u32) -> u32 {
        let current = f64::from(current);
        let most = (current * self.max_scale_up_rate).ceil() as u32;
        let least = (current / self.max_scale_down_rate).floor() as u32;
        wanted.min(most).max(least)
    }
}

/// Seconds for which recommendations are remembered, and what they are remembered for.
#[derive(Clone, Copy)]
pub(super) struct Cooldown {
    pub(super) up: SimDuration,
    pub(super) down: SimDuration,
    pub(super) rules: Rules,
}

impl Cooldown {
    /// The recommendation after the cool-down. As published, the highest of the recent ones counts to
    /// add and the lowest to remove; mended, it is the other way round.
    pub(super) fn stabilize(
        self,
        wishes: &mut Wishes,
        now: SimTime,
        current: u32,
        wanted: u32,
    ) -> u32 {
        wishes.add(now, wanted, self.up.max(self.down));
        let highest = |window| wishes.highest(now, window).unwrap_or(wanted).max(wanted);
        let lowest = |window| wishes.lowest(now, window).unwrap_or(wanted).min(wanted);
        match self.rules {
            Rules::AsPublished if wanted > current => highest(self.up),
            Rules::AsPublished if wanted < current => lowest(self.down),
            Rules::AsPublished => current,
            Rules::Mended => current.max(lowest(self.up)).min(highest(self.down)),
        }
    }
}
