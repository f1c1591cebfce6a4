//! Whether users got what they were promised.

use serde::{Deserialize, Serialize};

use super::ApplicationStatistics;
use crate::scenario::{Limit, Objective, Slo};
use crate::serving::RequestRecord;
use crate::time::{SimDuration, SimTime};

/// The metrics that have limits, in the order of [`Objective::by_metric`].
const METRICS: [&str; 3] = ["ttft", "tbt", "e2e"];

/// Completed requests held against an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    objective: Objective,
    /// Those within every limit.
    all: u64,
    /// Those within every limit of each request.
    each: u64,
    /// Those within the limit of each metric, if it has one.
    by_metric: [u64; 3],
}

/// Each limit of an objective with the position of its metric, and whether a request is within it.
#[inline]
pub(super) fn held_against(
    objective: Objective,
    request: &RequestRecord,
) -> impl Iterator<Item = (usize, Limit, bool)> {
    let took = [request.ttft(), request.tbt(), request.e2e()];
    let limits = objective.by_metric().into_iter().zip(took).enumerate();
    limits.filter_map(|(metric, (limit, took))| {
        let limit = limit?;
        let within = took.is_some_and(|took| took <= limit.duration());
        Some((metric, limit, within))
    })
}

impl Kept {
    pub(super) fn new(objective: Objective) -> Self {
        Self {
            objective,
            ..Self::default()
        }
    }

    pub(super) const fn objective(&self) -> Objective {
        self.objective
    }

    /// Takes a completed request in.
    pub(super) fn complete(&mut self, request: &RequestRecord) {
        let (mut all, mut each) = (true, true);
        for (metric, limit, within) in held_against(self.objective, request) {
            self.by_metric[metric] += u64::from(within);
            all &= within;
            each &= within || limit.percentile().is_some();
        }
        self.all += u64::from(all);
        self.each += u64::from(each);
    }

    /// Adds the counts of another; the objective stays.
    pub(super) fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.each += other.each;
        for (ours, theirs) in self.by_metric.iter_mut().zip(other.by_metric) {
            *ours += theirs;
        }
    }

    /// Requests that met every limit, of which there must be one.
    pub(super) fn met(&self) -> Option<u64> {
        (self.objective != Objective::default()).then_some(self.all)
    }

    /// As [`ApplicationStatistics::met_each`].
    pub(super) fn met_each(&self) -> Option<u64> {
        (self.objective.of_each() != Slo::default()).then_some(self.each)
    }

    /// As [`ApplicationStatistics::kept_percentiles`].
    pub(super) fn kept_percentiles(&self, requests: u64) -> Option<f64> {
        let share = |of: PercentileLimit| match of.met? {
            true => Some(1.0),
            false => Some(of.within? * 100.0 / of.percentile),
        };
        self.percentiles(requests)
            .filter_map(share)
            .reduce(f64::min)
    }

    /// As [`ApplicationStatistics::met_percentiles`].
    pub(super) fn met_percentiles(&self, requests: u64) -> Option<bool> {
        let met = self.percentiles(requests).map(|of| of.met);
        met.reduce(|one, other| Some(one? && other?)).flatten()
    }

    /// The limits of percentiles, held against this many requests.
    fn percentiles(&self, requests: u64) -> impl Iterator<Item = PercentileLimit> + '_ {
        let limits = self.objective.by_metric().into_iter().enumerate();
        limits.filter_map(move |(metric, limit)| {
            let limit: Limit = limit?;
            let percentile = limit.percentile()?;
            let within = self.by_metric[metric];
            let ended = requests > 0;
            Some(PercentileLimit {
                metric: METRICS[metric].to_owned(),
                percentile,
                limit_s: limit.duration(),
                within: ended.then(|| within as f64 / requests as f64),
                // In this form it is exact for 99.9 per cent of a thousand, too.
                met: ended.then_some(within as f64 * 1000.0 >= percentile * 10.0 * requests as f64),
            })
        })
    }

    /// The summary over a run of this length in which this many requests ended.
    pub(super) fn summary(&self, ended: u64, end: SimTime) -> SloSummary {
        let met = self.met();
        SloSummary {
            attainment: met
                .filter(|_| ended > 0)
                .map(|met| met as f64 / ended as f64),
            goodput_per_s: met.map(|met| rate(met, end)),
            limits: self.objective.of_each(),
            percentiles: self.percentiles(ended).collect(),
            met: self.met_percentiles(ended),
        }
    }
}

/// Whether users got what they were promised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SloSummary {
    /// Share of the requests that ended (completed or rejected) that met every limit, those of
    /// percentiles too, 0 to 1. Requests still outstanding do not count. `None` without a limit, or if
    /// none ended.
    pub attainment: Option<f64>,
    /// Requests that met every limit, per second of the run. `None` without a limit.
    pub goodput_per_s: Option<f64>,
    /// The limits of each request.
    pub limits: Slo,
    /// The limits of percentiles; only where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<PercentileLimit>,
    /// Whether the run met every limit of a percentile; only where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

/// A limit of a percentile, and how the run kept it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileLimit {
    /// `ttft`, `tbt` or `e2e`.
    pub metric: String,
    /// The per cent of the requests that the limit is for.
    pub percentile: f64,
    /// The limit.
    pub limit_s: SimDuration,
    /// Share of the requests that ended that are within the limit, 0 to 1; one that was rejected is not.
    /// `None` if none ended.
    pub within: Option<f64>,
    /// Whether that is as many as the limit demands. `None` if none ended.
    pub met: Option<bool>,
}

impl SloSummary {
    /// How the objectives of several applications fared together, each by its own, without limits that
    /// hold for all of them.
    pub(super) fn of_all<'a>(
        applications: impl IntoIterator<Item = &'a ApplicationStatistics>,
        end: SimTime,
    ) -> Self {
        let each = applications.into_iter().filter_map(|of| {
            let ended = of.counts().ended();
            Some((of.met_slo()?, ended, of.met_percentiles(ended)))
        });
        let all = each.reduce(|a, b| {
            let met = match (a.2, b.2) {
                (Some(one), Some(other)) => Some(one && other),
                (one, other) => one.or(other),
            };
            (a.0 + b.0, a.1 + b.1, met)
        });
        Self {
            attainment: all
                .filter(|(_, ended, _)| *ended > 0)
                .map(|(met, ended, _)| met as f64 / ended as f64),
            goodput_per_s: all.map(|(met, ..)| rate(met, end)),
            met: all.and_then(|(.., met)| met),
            ..Self::default()
        }
    }
}

/// A count per second; 0 when no time passed.
pub(super) fn rate(count: u64, end: SimTime) -> f64 {
    if end > SimTime::ZERO {
        count as f64 / end.seconds()
    } else {
        0.0
    }
}
