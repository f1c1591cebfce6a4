use std::fmt;

use sketches_ddsketch::{Config, DDSketch};

use crate::statistics::{Product, mean_of};

/// The relative error of a percentile.
pub(super) const RELATIVE_ERROR: f64 = 0.001;

/// Values not above this count as zero: far below any duration that matters.
const LEAST: f64 = 1e-9;

/// Enough for [`LEAST`] to 1e22 at that error; 256 KiB if all of them were used.
const MOST_BINS: u32 = 1 << 15;

/// What is kept of values that are too many to be kept: their moments, and how many there are in each
/// bin of a logarithmic scale (DDSketch, arXiv 1908.10693).
#[derive(Clone)]
pub(super) struct Sketch {
    bins: DDSketch,
    pub(super) count: u64,
    pub(super) mean: f64,
    /// The sum of the squares of what each value differs from the mean by.
    squares: f64,
    product: Product,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Sketch {
    /// Of these values, which are not empty.
    pub(super) fn of(values: &[f64]) -> Self {
        let mean = mean_of(values, |value| value);
        let count = values.len() as f64;
        let mut sketch = Self {
            bins: DDSketch::new(Config::new(RELATIVE_ERROR, MOST_BINS, LEAST)),
            count: values.len() as u64,
            mean,
            squares: mean_of(values, |value| (value - mean) * (value - mean)) * count,
            product: Product::of(values),
            min: values[0],
            max: values[0],
        };
        values.iter().for_each(|&value| sketch.bin(value));
        sketch
    }

    pub(super) fn record(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        self.product.multiply(value);
        self.bin(value);
    }

    /// Adds what `other` stands for. The moments follow Chan, Golub and LeVeque (1979).
    pub(super) fn merge(&mut self, other: &Self) {
        let (here, there) = (self.count as f64, other.count as f64);
        let both = here + there;
        let apart = other.mean - self.mean;
        self.mean += apart * (there / both);
        self.squares += other.squares + apart * apart * (here * there / both);
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
