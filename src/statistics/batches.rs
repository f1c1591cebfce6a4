//! How sure the mean of one long run is: batch means.

use serde::{Deserialize, Serialize};

use super::Interval;

/// Batches at least; there are twice as many at most.
const BATCHES: usize = 20;

/// Neighbours that depend on one another this much are no independent values.
const DEPENDENT: f64 = 0.4;

/// Sums of batches of equal length, in constant memory: batches are joined two by two when there are many, so
/// that a run of any length has 20 to 40 of them.
///
/// The method of batch means (Law, "Simulation Modeling and Analysis", 9.5.3): the means of long batches are
/// nearly independent although neighbouring values are not. Where the means still depend on one another, by a
/// lag-1 autocorrelation above 0.4, the run is too short for an interval, or its load changes along it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchMeans {
    sums: Vec<f64>,
    /// Values in a batch.
    length: u64,
    /// The batch under way.
    sum: f64,
    count: u64,
}

impl Default for BatchMeans {
    fn default() -> Self {
        Self {
            sums: Vec::new(),
            length: 1,
            sum: 0.0,
            count: 0,
        }
    }
}

impl BatchMeans {
    pub(crate) fn record(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        if self.count < self.length {
            return;
        }
        if self.sums.capacity() == 0 {
            self.sums.reserve_exact(2 * BATCHES);
        }
        self.sums.push(self.sum);
        (self.sum, self.count) = (0.0, 0);
        if self.sums.len() == 2 * BATCHES {
            for pair in 0..BATCHES {
                self.sums[pair] = self.sums[2 * pair] + self.sums[2 * pair + 1];
            }
            self.sums.truncate(BATCHES);
            self.length *= 2;
        }
    }

    /// The interval of the mean; none of too few values, or where batches depend on one another.
    pub(crate) fn interval(&self) -> Option<Interval> {
        // Batches of one or two values are no batches.
        if self.sums.len() < BATCHES || self.length < 4 {
            return None;
        }
        let length = self.length as f64;
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / length).collect();
        let interval = Interval::of(&means)?;
        let deviations = means.iter().map(|mean| mean - interval.mean);
        let deviations: Vec<f64> = deviations.collect();
        let squares: f64 = deviations.iter().map(|it| it * it).sum();
        let products: f64 = deviations.windows(2).map(|it| it[0] * it[1]).sum();
        (squares == 0.0 || products / squares <= DEPENDENT).then_some(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn of(values: impl Iterator<Item = f64>) -> BatchMeans {
        let mut batches = BatchMeans::default();
        values.for_each(|value| batches.record(value));
        batches
    }

    #[test]
    fn batches_are_joined_two_by_two() {
        // 1,000 values: batches of 32 are 31 full ones, of 1 to 992.
        let batches = of((1..=1000).map(f64::from));
        assert_eq!(batches.length, 32);
        let sums = (0..31).map(|it| f64::from(32 * (32 * it) + 528));
        assert_eq!(batches.sums, sums.collect::<Vec<_>>());
        // They rise from one to the next, so they depend on one another.
        assert_eq!(batches.interval(), None);
        assert_eq!(of((0..79).map(f64::from)).interval(), None);
    }

    #[test]
    fn means_are_those_of_batches_of_values_that_are_kept() {
        // 160 values are 20 batches of eight, however they came to be.
        let mut random = Stream::new(5, "test/batches");
        let values: Vec<f64> = (0..160).map(|_| random.uniform()).collect();
        let streamed = of(values.iter().copied()).interval().unwrap();
        let kept = Interval::of_batches(&values, 20).unwrap();
        assert_eq!(streamed.count, kept.count);
        for (one, other) in [
            (streamed.mean, kept.mean),
            (streamed.half_width.unwrap(), kept.half_width.unwrap()),
        ] {
            assert!((one / other - 1.0).abs() < 1e-12, "{one} {other}");
        }
    }

    /// Values that depend on their neighbours: x′ = 0.9 x + e, with a mean of 10.
    #[test]
    fn intervals_of_dependent_values_contain_the_mean_as_often_as_they_say() {
        let mut random = Stream::new(7, "test/batches");
        let studies = 400;
        let mut within = 0;
        for _ in 0..studies {
            let mut x = 0.0;
            let values = (0..8_000).map(|_| {
                x = 0.9 * x + random.uniform() - 0.5;
                10.0 + x
            });
            let interval = of(values).interval();
            within += usize::from(
                interval
                    .is_some_and(|it| (it.mean - 10.0).abs() <= it.half_width.unwrap_or_default()),
            );
        }
        // 95 % within three standard errors of a share of 400.
        let share = within as f64 / f64::from(studies);
        assert!((0.91..=0.985).contains(&share), "{share}");
    }
}
