use std::fmt;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use super::{Product, mean_of};

/// The relative error of a percentile.
pub(super) const RELATIVE_ERROR: f64 = 0.001;

/// Values not above this count as zero: far below any duration that matters.
const LEAST: f64 = 1e-9;

/// Enough for [`LEAST`] to 1e22 at that error; 256 KiB if all of them were used.
const MOST_BINS: u32 = 1 << 15;

/// What is kept of values that are too many to be kept: their moments, and how many there are in each
/// bin of a logarithmic scale (DDSketch, arXiv 1908.10693).
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Sketch {
    bins: DDSketch,
    scale: Config,
    pub(super) count: u64,
    pub(super) mean: f64,
    /// The sum of the squares of what each value differs from the mean by.
    squares: f64,
    product: Product,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Sketch {
    /// Of these values.
    pub(super) fn of(values: &[f64]) -> Self {
        let scale = Config::new(RELATIVE_ERROR, MOST_BINS, LEAST);
        let Some(&first) = values.first() else {
            return Self {
                bins: DDSketch::new(scale),
                scale,
                count: 0,
                mean: 0.0,
                squares: 0.0,
                product: Product::of(values),
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
            };
        };
        let mean = mean_of(values, |value| value);
        let count = values.len() as f64;
        let mut sketch = Self {
            bins: DDSketch::new(scale),
            scale,
            count: values.len() as u64,
            mean,
            squares: mean_of(values, |value| (value - mean) * (value - mean)) * count,
            product: Product::of(values),
            min: first,
            max: first,
        };
        values.iter().for_each(|&value| sketch.bin(value));
        sketch
    }

    #[inline]
    pub(super) fn record(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        self.product.multiply(value);
        self.bin(value);
    }

    /// Adds a progression, whose bins cost time each and whose values next to none.
    pub(super) fn record_progression(&mut self, of: &Progression) {
        let values = of.count as f64;
        let times = of.times as f64;
        let squares = of.step * of.step * (values * (values * values - 1.0) / 12.0);
        let mean = of.first + of.step * ((values - 1.0) / 2.0);
        self.add_moments(values * times, mean, squares * times);
        self.count += of.count * of.times;
        let mut product = Product::from(1.0);
        (0..of.count).for_each(|n| product.multiply(of.value(n)));
        self.product.merge(&product.power(of.times));
        let last = of.value(of.count - 1);
        self.min = least(self.min, least(of.first, last));
        self.max = most(self.max, most(of.first, last));
        if of.first.is_finite() && last.is_finite() {
            self.bin_progression(of);
        }
    }

    fn bin_progression(&mut self, of: &Progression) {
        let end = self.scale.key(of.value(of.count - 1));
        let mut done = 0;
        while done < of.count {
            let value = of.value(done);
            let key = self.scale.key(value);
            let next = if key == end {
                of.count
            } else if value <= LEAST {
                done + 1
            } else {
                let bound = self
                    .scale
                    .pow_gamma(if of.step > 0.0 { key + 1 } else { key });
                let beyond = ((bound - of.first) / of.step).ceil();
                // A cast of a float saturates, and takes what is not a number for 0.
                (beyond as u64).clamp(done + 1, of.count)
            };
            self.bins.add_with_count(value, (next - done) * of.times);
            done = next;
        }
    }

    /// Adds the moments of `there` values.
    fn add_moments(&mut self, there: f64, mean: f64, squares: f64) {
        let here = self.count as f64;
        let both = here + there;
        let apart = mean - self.mean;
        self.mean += apart * (there / both);
        self.squares += squares + apart * apart * (here * there / both);
    }

    /// Adds what `other` stands for. The moments follow Chan, Golub and LeVeque (1979).
    pub(super) fn merge(&mut self, other: &Self) {
        self.add_moments(other.count as f64, other.mean, other.squares);
        self.product.merge(&other.product);
        self.count += other.count;
        self.min = least(self.min, other.min);
        self.max = most(self.max, other.max);
        let merged = self.bins.merge(&other.bins);
        debug_assert!(merged.is_ok(), "every sketch has the same bins");
    }

    pub(super) fn variance(&self) -> f64 {
        self.squares / self.count as f64
    }

    pub(super) fn geomean(&self) -> f64 {
        self.product.geometric_mean(self.count)
    }

    /// The bucket that contains the percentile, off by at most [`RELATIVE_ERROR`].
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        let found = self.bins.quantile(percent / 100.0).ok().flatten();
        let value = found.unwrap_or(f64::NAN);
        value.max(self.min).min(self.max)
    }

    /// What is not finite is in no bin, and spoils the moments.
    fn bin(&mut self, value: f64) {
        self.min = least(self.min, value);
        self.max = most(self.max, value);
        if value.is_finite() {
            self.bins.add(value);
        }
    }
}

fn least(a: f64, b: f64) -> f64 {
    if b.total_cmp(&a).is_lt() { b } else { a }
}

fn most(a: f64, b: f64) -> f64 {
    if b.total_cmp(&a).is_gt() { b } else { a }
}

/// Each of `count` values `times` times; each is greater than the one before by `step`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progression {
    pub(super) first: f64,
    pub(super) step: f64,
    /// At least 1.
    pub(super) count: u64,
    /// At least 1.
    pub(super) times: u64,
}

impl Progression {
    /// The value at a place, counted from 0.
    pub(super) fn value(&self, place: u64) -> f64 {
        self.first + self.step * place as f64
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch")
            .field("count", &self.count)
            .field("mean", &self.mean)
            .field("min", &self.min)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}
