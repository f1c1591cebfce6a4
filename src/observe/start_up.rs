//! Start-up time by stage, in figures.

use serde::{Deserialize, Serialize};

use crate::fleet::StageTime;

/// How long start-ups were in one stage; only of applications with `stages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// The stage as in `scaling.csv`; `all` from the order until an instance was active.
    pub stage: String,
    /// Start-ups that came through it.
    pub count: u64,
    /// Those of them for which something on the server made it short, or nothing was to do.
    pub cached: u64,
    /// Start-ups that were given up in it.
    pub abandoned: u64,
    /// The mean in seconds; none where no start-up came through.
    pub mean_s: Option<f64>,
    /// The median in seconds, as the nearest rank; the percentiles likewise.
    pub p50_s: Option<f64>,
    /// The 95th percentile in seconds.
    pub p95_s: Option<f64>,
    /// The 99th percentile in seconds.
    pub p99_s: Option<f64>,
    /// The longest in seconds.
    pub max_s: Option<f64>,
}

impl StageSummary {
    /// Of a stage with this name.
    #[must_use]
    pub fn of(stage: &str, time: &StageTime) -> Self {
        let mut seconds = time.seconds.clone();
        seconds.sort_unstable_by(f64::total_cmp);
        let count = seconds.len();
        let rank = |share: f64| {
            let rank = (share * count as f64).ceil() as usize;
            seconds.get(rank.max(1) - 1).copied()
        };
        Self {
            stage: stage.to_owned(),
            count: count as u64,
            cached: time.cached,
            abandoned: time.abandoned,
            mean_s: (count > 0).then(|| seconds.iter().sum::<f64>() / count as f64),
            p50_s: rank(0.5),
            p95_s: rank(0.95),
            p99_s: rank(0.99),
            max_s: seconds.last().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let time = StageTime {
            seconds: (1..=100).rev().map(f64::from).collect(),
            cached: 3,
            abandoned: 2,
        };
        let of = StageSummary::of("boot", &time);
        assert_eq!((of.count, of.mean_s), (100, Some(50.5)));
        let percentiles = [of.p50_s, of.p95_s, of.p99_s, of.max_s];
        assert_eq!(percentiles, [50.0, 95.0, 99.0, 100.0].map(Some));
        let none = StageSummary::of("boot", &StageTime::default());
        assert_eq!((none.mean_s, none.p50_s), (None, None));
    }
}
