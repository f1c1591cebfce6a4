use serde::{Deserialize, Serialize};

use super::sketch::{Progression, RELATIVE_ERROR, Sketch};
use super::{Ascending, Product, mean_of};

/// Values of which to take [`Statistics`]: all of them, up to [`Self::EXACT`], and beyond that a sketch
/// of constant size.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Distribution(Kept);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kept {
    All(Vec<f64>),
    Sketch(Box<Sketch>),
}

impl Default for Distribution {
    fn default() -> Self {
        Self(Kept::All(Vec::new()))
    }
}

impl Distribution {
    /// The largest number of values whose figures are all exact.
    ///
    /// Beyond it the percentiles are within [`Self::RELATIVE_ERROR`]; the count, the mean, the standard
    /// deviation, the extremes and the geometric mean remain exact but for rounding.
    ///
    /// A million: 8 MiB a metric.
    pub const EXACT: usize = 1 << 20;

    /// How far a percentile of more than [`Self::EXACT`] values is from the value of that rank, at the
    /// most, as a share of it. Values of up to 10⁻⁹ count as 0 there.
    pub const RELATIVE_ERROR: f64 = RELATIVE_ERROR;

    /// Adds a value. One that is not finite leaves the figures that it spoils without a value.
    pub fn record(&mut self, value: f64) {
        match &mut self.0 {
            Kept::All(values) if values.len() < Self::EXACT => values.push(value),
            Kept::All(values) => {
                let mut sketch = Sketch::of(values);
                sketch.record(value);
                self.0 = Kept::Sketch(Box::new(sketch));
            }
            Kept::Sketch(sketch) => sketch.record(value),
        }
    }

    /// Adds `count` values `times` times each; each value is greater than the one before by `step`.
    ///
    /// In a sketch they cost time by the bins that they span.
    ///
    /// ```
    /// use fleetsim::observe::Distribution;
    /// let mut gaps = Distribution::default();
    /// gaps.record_progression(0.5, 0.25, 3, 10);
    /// assert_eq!(gaps.count(), 30);
    /// assert_eq!(gaps.statistics().p50, Some(0.75));
    /// ```
    pub fn record_progression(&mut self, first: f64, step: f64, count: u64, times: u64) {
        let values = count.saturating_mul(times);
        if values == 0 {
            return;
        }
        let of = Progression {
            first,
            step,
            count,
            times,
        };
        match &mut self.0 {
            Kept::All(kept) if values <= (Self::EXACT - kept.len()) as u64 => {
                for place in 0..count {
                    kept.extend(std::iter::repeat_n(of.value(place), times as usize));
                }
            }
            Kept::All(kept) => {
                let mut sketch = Sketch::of(kept);
                sketch.record_progression(&of);
                self.0 = Kept::Sketch(Box::new(sketch));
            }
            Kept::Sketch(sketch) => sketch.record_progression(&of),
        }
    }

    /// Adds every value of `other`.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, Kept::All(theirs)) => theirs.iter().for_each(|&value| self.record(value)),
            (Kept::Sketch(ours), Kept::Sketch(theirs)) => ours.merge(theirs),
            (Kept::All(ours), Kept::Sketch(theirs)) => {
                let mut sum = theirs.clone();
                ours.iter().for_each(|&value| sum.record(value));
                self.0 = Kept::Sketch(sum);
            }
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.0 {
            Kept::All(values) => values.len() as u64,
            Kept::Sketch(sketch) => sketch.count,
        }
    }

    /// The figures over all values, in time proportional to those that are kept.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        match &self.0 {
            Kept::All(values) if values.is_empty() => Statistics::default(),
            Kept::All(values) => exact(values),
            Kept::Sketch(sketch) => sketched(sketch),
        }
    }
}

impl Distribution {
    /// A percentile, of 0 to 100 per cent; `None` without a value. Linear between the two values around it.
    ///
    /// ```
    /// use fleetsim::observe::Distribution;
    /// let mut waits = Distribution::default();
    /// [1.0, 2.0, 4.0].into_iter().for_each(|seconds| waits.record(seconds));
    /// assert_eq!(waits.percentile(75.0), Some(3.0));
    /// ```
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let percent = percent.clamp(0.0, 100.0);
        let figure = match &self.0 {
            Kept::All(values) if values.is_empty() => return None,
            Kept::All(values) => Ascending::new(values.clone()).percentile(percent),
            Kept::Sketch(sketch) => sketch.percentile(percent),
        };
        Some(figure).filter(|figure| figure.is_finite())
    }
}

fn exact(values: &[f64]) -> Statistics {
    let mean = mean_of(values, |value| value);
    let variance = mean_of(values, |value| (value - mean) * (value - mean));
    let geomean = Product::of(values).geometric_mean(values.len() as u64);
    let mut order = Ascending::new(values.to_vec());
    let min = order.nth(0);
    let percentiles = PERCENTILES.map(|percent| order.percentile(percent));
    let max = order.nth(values.len() - 1);
    let moments = [mean, libm::sqrt(variance), min, max, geomean];
    Statistics::new(values.len() as u64, moments, percentiles)
}

fn sketched(sketch: &Sketch) -> Statistics {
    let std = libm::sqrt(sketch.variance());
    let moments = [sketch.mean, std, sketch.min, sketch.max, sketch.geomean()];
    let percentiles = PERCENTILES.map(|percent| sketch.percentile(percent));
    Statistics {
        percentile_error: RELATIVE_ERROR,
        ..Statistics::new(sketch.count, moments, percentiles)
    }
}

const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

impl Statistics {
    /// One of the percentiles that it has; `None` for others.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let all = [self.p50, self.p90, self.p95, self.p99, self.p999];
        let mut found = PERCENTILES.iter().zip(all);
        found.find(|(it, _)| **it == percent)?.1
    }

    fn new(
        count: u64,
        [mean, std, min, max, geomean]: [f64; 5],
        [p50, p90, p95, p99, p999]: [f64; 5],
    ) -> Self {
        let finite = |figure: f64| Some(figure).filter(|figure| figure.is_finite());
        Self {
            count,
            mean: finite(mean),
            mean_half_width: None,
            std: finite(std),
            min: finite(min),
            max: finite(max),
            p50: finite(p50),
            p90: finite(p90),
            p95: finite(p95),
            p99: finite(p99),
            p999: finite(p999),
            percentile_error: 0.0,
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
    /// Half the width of the mean's 95 % confidence interval, by the means of batches of values in the order in
    /// which they came. `None` of fewer than 80 values, where batches depend on one another (the run is too
    /// short, or its load changes along it), or where values came in no order.
    #[serde(default)]
    pub mean_half_width: Option<f64>,
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
    /// How far a percentile may be off, as a share of it: 0 where every value was kept, otherwise
    /// [`Distribution::RELATIVE_ERROR`].
    pub percentile_error: f64,
    /// The geometric mean; 0 when any value is 0.
    pub geomean: Option<f64>,
}
