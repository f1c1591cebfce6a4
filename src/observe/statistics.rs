use serde::{Deserialize, Serialize};

use crate::statistics::{Ascending, mean_of};

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
