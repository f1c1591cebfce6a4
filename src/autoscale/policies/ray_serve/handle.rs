//! What a router knows of its ongoing requests, and what it reports.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregation, Series};
use crate::time::SimDuration;

/// Of which requests a series is: those that wait, or those of an instance.
type Of = Option<u64>;

/// The ongoing requests at an instant.
pub(super) struct Ongoing {
    pub(super) time: f64,
    /// Requests that ever came.
    pub(super) arrived: u64,
    /// Requests that wait for an instance.
    pub(super) queued: f64,
    /// Those of each instance that runs.
    pub(super) instances: Vec<(u64, f64)>,
}

/// How often it records, how often it reports, and how far back.
#[derive(Clone, Copy)]
pub(super) struct Periods {
    pub(super) record: SimDuration,
    pub(super) report: SimDuration,
    pub(super) look_back: SimDuration,
}

/// A router's records, and its last report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Handle {
    records: BTreeMap<Of, Series>,
    reported: BTreeMap<Of, Series>,
    /// Instances that ever had a request.
    known: BTreeSet<u64>,
    arrived: u64,
    clock: Option<Clock>,
}

/// When it began, and how often it recorded and reported since.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Clock {
    begun: f64,
    records: f64,
    reports: f64,
}

/// Seconds that are forgiven of a period.
const NOTHING: f64 = 1e-6;

impl Handle {
    /// Records and reports what is due.
    pub(super) fn look(&mut self, ongoing: &Ongoing, periods: Periods) {
        let values = self.values(ongoing);
        let (now, look_back) = (ongoing.time, periods.look_back.seconds());
        let clock = self.clock.get_or_insert(Clock {
            begun: now,
            records: 0.0,
            reports: 0.0,
        });
        let passed = now - clock.begun + NOTHING;
        let due = |done: &mut f64, every: SimDuration| {
            let due = *done * every.seconds() <= passed;
            if due {
                *done = (passed / every.seconds()).floor() + 1.0;
            }
            due
        };
        let records = due(&mut clock.records, periods.record);
        let reports = due(&mut clock.reports, periods.report);
        if records {
            for (&of, &value) in &values {
                self.records.entry(of).or_default().push((now, value));
            }
        }
        // A request that finds no instance is reported at once.
        let none = ongoing.instances.is_empty() && ongoing.queued > 0.0;
        let urgent = none && ongoing.arrived > self.arrived;
        self.arrived = ongoing.arrived;
        if records || reports || urgent {
            let begin = now - look_back;
            self.records
                .retain(|_, it| it.last().is_some_and(|last| last.0 >= begin));
            self.records
                .values_mut()
                .for_each(|it| it.retain(|point| point.0 > begin));
        }
        if reports || urgent {
            let report = |(of, value): (Of, f64)| {
                let recorded = self.records.get(&of);
                (of, recorded.cloned().unwrap_or_else(|| vec![(now, value)]))
            };
            self.reported = values.into_iter().map(report).collect();
        }
    }

    /// The ongoing requests of the last report, of instances that still run.
    pub(super) fn total(&self, ongoing: &Ongoing, how: Aggregation) -> f64 {
        let runs = |of: &Of| of.is_none_or(|of| ongoing.instances.iter().any(|it| it.0 == of));
        let reported = self.reported.iter().filter(|(of, _)| runs(of));
        let series: Vec<Series> = reported.map(|(_, it)| it.clone()).collect();
        how.of(&series, ongoing.time)
    }

    /// What there is to record: an instance is known from its first request on.
    fn values(&mut self, ongoing: &Ongoing) -> BTreeMap<Of, f64> {
        let some = ongoing.instances.iter();
        let some = some.filter(|it| it.1 > 0.0 || self.known.contains(&it.0));
        let some: Vec<(u64, f64)> = some.copied().collect();
        self.known = some.iter().map(|it| it.0).collect();
        let of = some
            .into_iter()
            .map(|(number, value)| (Some(number), value));
        of.chain([(None, ongoing.queued)]).collect()
    }
}
