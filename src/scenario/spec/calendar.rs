//! Rates as planners have them: by the hour of the day, the day of the week, and what is out of the usual.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Weekday {
    /// The first day of `weekly`.
    #[default]
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

/// A time with more or fewer requests than usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When it begins, in seconds. Required.
    pub at: SimTime,
    /// How many times as many requests come; 0 for none. Required.
    #[schemars(range(min = 0))]
    pub factor: f64,
    /// How long, in seconds. Required.
    #[serde(rename = "for")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lasts: SimDuration,
}

/// Weights of parts of a day and of days of a week, and events on top.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar<'a> {
    pub(crate) daily: &'a [f64],
    pub(crate) weekly: &'a [f64],
    pub(crate) starts: Weekday,
    pub(crate) begins_at: SimDuration,
    pub(crate) events: &'a [Event],
}

/// Days of a week.
pub(crate) const DAYS: usize = 7;

/// Minutes of a day.
const MINUTES: usize = 1440;

impl Calendar<'_> {
    /// Whether a day may have this many weights: parts of whole minutes, hours or less; or none.
    pub(crate) fn divides_a_day(weights: usize) -> bool {
        weights == 0 || weights.is_multiple_of(24) && MINUTES.is_multiple_of(weights)
    }

    /// The factors of the parts of a week, from time zero on, with a mean of 1.
    pub(crate) fn factors(&self) -> Vec<f64> {
        let (daily, weekly) = (relative(self.daily, 1), relative(self.weekly, DAYS));
        let first = self.starts as usize;
        let days = (0..DAYS).map(|day| weekly[(first + day) % weekly.len()]);
        let factors = days.flat_map(|of_day| daily.iter().map(move |of_part| of_day * of_part));
        let mut factors: Vec<f64> = factors.collect();
        let passed = (self.begins_at.seconds() / self.part()) as usize;
        let passed = passed % factors.len();
        factors.rotate_left(passed);
        factors
    }

    /// Seconds of a part of a day.
    pub(crate) fn part(&self) -> f64 {
        86_400.0 / self.daily.len().max(1) as f64
    }

    /// What events make of the rate at an instant.
    pub(crate) fn event_factor(&self, time: f64) -> f64 {
        let there = self.events.iter().filter(|event| {
            let [from, until] = event.span();
            (from..until).contains(&time)
        });
        there.map(|event| event.factor).product()
    }

    /// The largest factor that there ever is.
    pub(crate) fn highest(&self) -> f64 {
        let starts = self.events.iter().map(|event| event.at.seconds());
        let events = starts
            .map(|start| self.event_factor(start))
            .fold(1.0, f64::max);
        self.factors().into_iter().fold(0.0, f64::max) * events
    }
}

impl Event {
    /// When it begins and ends.
    pub(crate) fn span(&self) -> [f64; 2] {
        let until = self.at + self.lasts;
        [self.at.seconds(), until.seconds()]
    }
}

/// Weights with a mean of 1; those of `parts` that are all alike where there is none.
fn relative(weights: &[f64], parts: usize) -> Vec<f64> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    match weights {
        [] => vec![1.0; parts],
        weights => weights.iter().map(|weight| weight / mean).collect(),
    }
}
