//! What the two autoscalers of AIBrix share: samples, limits of a step, the cool-down, and the order in
//! which a decision goes through them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Metric;
use super::bounds::Bounds;
use super::carried_over::Rules;
use super::wishes::Wishes;
use crate::autoscale::{Desire, RoleSnapshot, Signals};
use crate::time::{SimDuration, SimTime};

/// What is remembered of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    samples: Samples,
    wishes: Wishes,
}

/// The parameters that both have.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) metric: Metric,
    pub(super) interval: SimDuration,
    pub(super) step: Step,
    pub(super) cooldown: Cooldown,
    pub(super) pending_guard: bool,
    pub(super) bounds: Bounds,
}

/// The parameters that both have, of one of them.
macro_rules! rule {
    ($policy:expr) => {
        $crate::autoscale::policies::aibrix::Rule {
            metric: $policy.metric,
            interval: $policy.interval,
            step: $crate::autoscale::policies::aibrix::Step {
                up_tolerance: $policy.up_tolerance,
                down_tolerance: $policy.down_tolerance,
                max_scale_up_rate: $policy.max_scale_up_rate,
                max_scale_down_rate: $policy.max_scale_down_rate,
            },
            cooldown: $crate::autoscale::policies::aibrix::Cooldown {
                up: $policy.up_cooldown,
                down: $policy.down_cooldown,
                rules: $policy.rules,
            },
            pending_guard: $policy.pending_guard,
            bounds: $policy.bounds(),
        }
    };
}
pub(super) use rule;

impl Rule {
    /// The decision on a role: its limits, a sample that is kept for `keep`, the `answer` to the samples,
    /// the cool-down, and the guard against more while some start up.
    pub(super) fn decide(
        &self,
        signals: &Signals,
        of: &RoleSnapshot,
        memory: &mut Memory,
        keep: SimDuration,
        answer: impl FnOnce(&Samples, &Step) -> Option<(u32, String)>,
    ) -> (Desire, String) {
        let (now, current) = (signals.now(), of.current());
        if let Some(within) = self.bounds.beyond(current) {
            return (Desire::Exactly(within), "beyond its limits".to_owned());
        }
        let total = self.metric.total(signals, of.role, self.interval);
        let answer = sample(total, of).and_then(|sample| {
            memory.samples.add(now, sample, keep);
            answer(&memory.samples, &self.step)
        });
        let Some((wanted, seen)) = answer else {
            return (Desire::Keep, format!("{} is unknown", self.metric));
        };
        let wanted = self.bounds.clamp(wanted);
        let wishes = &mut memory.wishes;
        let count = self.cooldown.stabilize(wishes, now, current, wanted);
        let reason = format!("{} {seen}, {wanted} wanted", self.metric);
        if self.pending_guard && of.scaling_up() > 0 && count > current {
            let reason = format!("{reason}, some start up");
            return (Desire::Exactly(current), reason);
        }
        (Desire::Exactly(count), reason)
    }
}

/// Samples of a metric, each the mean over the instances of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Samples(VecDeque<(SimTime, f64)>);

impl Samples {
    /// Adds a sample and forgets those older than `keep`.
    fn add(&mut self, now: SimTime, value: f64, keep: SimDuration) {
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
fn sample(total: Option<f64>, of: &RoleSnapshot) -> Option<f64> {
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
    /// `current` where the ratio is near enough to 1; otherwise `wanted`, in instances rounded up and as
    /// far as one step goes.
    pub(super) fn towards(&self, ratio: f64, wanted: f64, current: u32) -> u32 {
        match self.tolerates(ratio) {
            true => current,
            false => self.limit(wanted.ceil() as u32, current),
        }
    }

    /// Whether a ratio is near enough to 1.
    fn tolerates(&self, ratio: f64) -> bool {
        ratio <= 1.0 + self.up_tolerance && ratio >= 1.0 - self.down_tolerance
    }

    /// The wish within what one step from `current` allows.
    fn limit(&self, wanted: u32, current: u32) -> u32 {
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
    fn stabilize(self, wishes: &mut Wishes, now: SimTime, current: u32, wanted: u32) -> u32 {
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
