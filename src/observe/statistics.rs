use serde::{Deserialize, Serialize};

/// Values of which to take [`Statistics`]. Every value is kept, so every figure is exact.
///
/// ```
/// use fleetsim::observe::Distribution;
/// let mut waits = Distribution::default();
/// for seconds in [1.0, 2.0, 4.0] {
///     waits.record(seconds);
/// }
/// let statistics = waits.statistics();
/// assert_eq!(statistics.p50, Some(2.0));
/// assert_eq!(statistics.p90, Some(3.6));
/// assert_eq!(Distribution::default().statistics().mean, None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    values: Vec<f64>,
}

impl Distribution {
    /// Adds a value. One that is not finite leaves the figures that it spoils without a value.
    pub fn record(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Adds every value of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.values.len() as u64
    }

    /// The figures over all values, in time proportional to their number.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let count = self.count();
        if count == 0 {
            return Statistics::default();
        }
        let mean = mean_of(&self.values, |value| value);
        let variance = mean_of(&self.values, |value| (value - mean) * (value - mean));
        let geomean = libm::exp(mean_of(&self.values, libm::log));
        let mut order = Ascending::new(self.values.clone());
        let min = order.nth(0);
        let [p50, p90, p95, p99, p999] =
            [50.0, 90.0, 95.0, 99.0, 99.9].map(|percent| order.percentile(percent));
        let max = order.nth(self.values.len() - 1);

        let finite = |figure: f64| Some(figure).filter(|figure| figure.is_finite());
        Statistics {
            count,
            mean: finite(mean),
            std: finite(libm::sqrt(variance)),
            min: finite(min),
            max: finite(max),
            p50: finite(p50),
            p90: finite(p90),
            p95: finite(p95),
            p99: finite(p99),
            p999: finite(p999),
            geomean: finite(geomean),
        }
    }
}

/// What is reported of a [`Distribution`], in the unit of its values.
///
/// The figures are those of numpy and scipy. Each is `None` when there is no value, or when there
/// is no such figure (a geometric mean with a negative value).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many values there are.
    pub count: u64,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The standard deviation of the population (divided by the count, not by one less).
    pub std: Option<f64>,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile; like all of them, linear between the two values around it.
    pub p90: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p999: Option<f64>,
    /// The geometric mean; 0 when any value is 0.
    pub geomean: Option<f64>,
}

/// The mean of `figure` over `values`, which are not empty.
fn mean_of(values: &[f64], figure: impl Fn(f64) -> f64 + Copy) -> f64 {
    sum_of(values, figure) / values.len() as f64
}

/// Pairwise, as in numpy: the error grows with the logarithm of the count.
fn sum_of(values: &[f64], figure: impl Fn(f64) -> f64 + Copy) -> f64 {
    const BLOCK: usize = 128;
    if values.len() <= BLOCK {
        return values.iter().map(|&value| figure(value)).sum();
    }
    let (left, right) = values.split_at(values.len() / 2);
    sum_of(left, figure) + sum_of(right, figure)
}

/// Looks values up by rank, in ascending ranks, without sorting what lies between.
struct Ascending {
    /// Those before `done` are not greater than those from `done` on.
    values: Vec<f64>,
    done: usize,
}

impl Ascending {
    fn new(values: Vec<f64>) -> Self {
        Self { values, done: 0 }
    }

    /// The value at `rank`, counted from 0: one asked for before, or a higher one than any.
    fn nth(&mut self, rank: usize) -> f64 {
        if rank >= self.done {
            self.values[self.done..].select_nth_unstable_by(rank - self.done, f64::total_cmp);
            self.done = rank + 1;
        }
        self.values[rank]
    }

    /// The percentile, rounded as numpy's linear method rounds it.
    fn percentile(&mut self, percent: f64) -> f64 {
        let last = self.values.len() - 1;
        let position = percent / 100.0 * last as f64;
        let rank = position as usize;
        let (below, above) = (self.nth(rank), self.nth((rank + 1).min(last)));
        let part = position - rank as f64;
        let step = above - below;
        if part < 0.5 {
            below + step * part
        } else {
            above - step * (1.0 - part)
        }
    }
}
