//! The effective time of days and weeks: see [`super::shape`].

use serde::{Deserialize, Serialize};

use super::error::WorkloadError;
use crate::scenario::Calendar;

const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;

/// Later than this nothing comes: 30 million years.
const NEVER: f64 = 1e15;

/// The inverse of the effective time of a calendar, for arguments that never fall.
///
/// It walks from one change of the factor to the next; weeks without an event are passed in one step.
#[derive(Clone)]
pub(super) struct Weeks {
    /// The factor of each part of a week, from time zero on.
    factors: Vec<f64>,
    /// Seconds of a part.
    part: f64,
    /// The effective time of a week without events.
    week: f64,
    /// Instants at which the factor of the events changes, and the factor from then on, by time.
    changes: Vec<(f64, f64)>,
    now: Place,
}

/// Where it stands.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Place {
    /// The instant, and its effective time.
    at: f64,
    effective: f64,
    /// Its part, counted from time zero.
    number: u64,
    /// The changes that were, and the factor of the events.
    passed: usize,
    event: f64,
}

impl Weeks {
    pub(super) fn new(calendar: Calendar<'_>) -> Result<Self, WorkloadError> {
        let expect = |holds, value: &dyn std::fmt::Debug, expected| {
            WorkloadError::unless(holds, "shape", value, expected)
        };
        let parts = calendar.daily.len();
        expect(
            Calendar::divides_a_day(parts),
            &parts,
            "24 or 48 weights of a day",
        )?;
        let days = calendar.weekly.len();
        expect(matches!(days, 0 | 7), &days, "7 weights of a week")?;
        let factors = calendar.factors();
        let holds = |factor: &f64| factor.is_finite() && *factor >= 0.0;
        expect(
            factors.iter().all(holds),
            &factors,
            "weights of 0 or more, not all 0",
        )?;
        let part = DAY / parts.max(1) as f64;
        let mut changes: Vec<f64> = Vec::new();
        for event in calendar.events {
            expect(holds(&event.factor), event, "a factor of 0 or more")?;
            changes.extend(event.span());
        }
        changes.sort_by(f64::total_cmp);
        changes.dedup();
        let factor = |time| (time, calendar.event_factor(time));
        Ok(Self {
            week: factors.iter().sum::<f64>() * part,
            factors,
            part,
            changes: changes.into_iter().map(factor).collect(),
            now: Place {
                at: 0.0,
                effective: 0.0,
                number: 0,
                passed: 0,
                event: 1.0,
            },
        })
    }

    /// Where it stands.
    pub(super) const fn place(&self) -> Place {
        self.now
    }

    /// Goes on there.
    pub(super) const fn go_on_at(&mut self, place: Place) {
        self.now = place;
    }

    /// The earliest time with this much effective time before it; `None` where that is too late.
    pub(super) fn time(&mut self, effective: f64) -> Option<f64> {
        while self.now.at < NEVER {
            if self
                .changes
                .get(self.now.passed)
                .is_some_and(|it| it.0 <= self.now.at)
            {
                self.now.event = self.changes[self.now.passed].1;
                self.now.passed += 1;
                continue;
            }
            let change = self
                .changes
                .get(self.now.passed)
                .map_or(f64::INFINITY, |it| it.0);
            if self.now.event == 0.0 {
                // Nothing comes before the next change, which an event with an end has.
                self.go_to(change);
                continue;
            }
            self.pass_weeks(effective, change);
            let end = (self.now.number as f64 + 1.0) * self.part;
            let end = end.min(change).max(self.now.at);
            let factor = self.factors[(self.now.number % self.factors.len() as u64) as usize];
            let factor = factor * self.now.event;
            let gain = factor * (end - self.now.at);
            if effective <= self.now.effective + gain {
                let beyond = effective - self.now.effective;
                let time = if beyond > 0.0 {
                    self.now.at + beyond / factor
                } else {
                    self.now.at
                };
                return Some(time.min(end));
            }
            self.now.effective += gain;
            self.now.at = end;
            if end < change || end >= (self.now.number as f64 + 1.0) * self.part {
                self.now.number += 1;
            }
        }
        None
    }

    /// Passes the whole weeks before the next change in which less than this much effective time passes.
    fn pass_weeks(&mut self, effective: f64, change: f64) {
        let needed = (effective - self.now.effective) / (self.week * self.now.event);
        let weeks = needed.min((change - self.now.at) / WEEK).floor() - 1.0;
        if weeks >= 1.0 {
            self.now.at += weeks * WEEK;
            self.now.effective += weeks * self.week * self.now.event;
            // A cast of a float saturates.
            let parts = (weeks as u64).saturating_mul(self.factors.len() as u64);
            self.now.number = self.now.number.saturating_add(parts);
        }
    }

    /// Goes to an instant before which nothing comes.
    fn go_to(&mut self, time: f64) {
        self.now.at = time;
        // A cast of a float saturates.
        self.now.number = (time / self.part) as u64;
    }
}
