//! Means and percentiles as numpy computes them, of values that are kept or sketched.

mod batches;
mod distribution;
pub(crate) mod levels;
mod sketch;
mod student;

use serde::{Deserialize, Serialize};

pub(crate) use batches::BatchMeans;
pub use distribution::{Distribution, Statistics};
pub use student::Interval;

/// The mean of `figure` over `values`, which are not empty.
pub(crate) fn mean_of(values: &[f64], figure: impl Fn(f64) -> f64 + Copy) -> f64 {
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

/// The product of any number of values, for their geometric mean: with the powers of two apart it
/// neither overflows nor fades, and takes one logarithm rather than one a value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    significand: f64,
    /// Of two.
    power: i64,
}

impl Product {
    const SIGNIFICAND: u64 = (1 << 52) - 1;
    const ONE: u64 = 1.0_f64.to_bits();
    /// So large a significand is split: no other factor lets it overflow.
    const LARGE: f64 = 1e150;

    #[inline]
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut product = Self::from(1.0);
        values.iter().for_each(|&value| product.multiply(value));
        product
    }

    #[inline]
    pub(crate) fn multiply(&mut self, value: f64) {
        self.merge(&Self::from(value));
    }

    /// The product of `count` such products.
    #[inline]
    pub(crate) fn power(self, mut count: u64) -> Self {
        let (mut power, mut square) = (Self::from(1.0), self);
        while count > 0 {
            if count & 1 == 1 {
                power.merge(&square);
            }
            square.merge(&square.clone());
            count >>= 1;
        }
        power
    }

    #[inline]
    pub(crate) fn merge(&mut self, other: &Self) {
        self.significand *= other.significand;
        self.power += other.power;
        if self.significand > Self::LARGE {
            let Self { significand, power } = Self::from(self.significand);
            self.significand = significand;
            self.power += power;
        }
    }

    /// The geometric mean of `count` factors: 0 if one is 0, NaN if one is negative.
    pub(crate) fn geometric_mean(&self, count: u64) -> f64 {
        let powers = self.power as f64 * std::f64::consts::LN_2;
        libm::exp((libm::log(self.significand) + powers) / count as f64)
    }
}

impl From<f64> for Product {
    /// A significand from 1 to 2 and a power of two. What has none, such as zero and infinity, is its own
    /// significand, and a negative value is not a number.
    #[inline]
    fn from(value: f64) -> Self {
        let bits = value.to_bits();
        let (significand, power) = match bits >> 52 {
            0 if value > 0.0 => {
                let normal = Self::from(value * (1_u128 << 64) as f64);
                (normal.significand, normal.power - 64)
            }
            power @ 1..2047 => {
                let significand = bits & Self::SIGNIFICAND | Self::ONE;
                (f64::from_bits(significand), power as i64 - 1023)
            }
            _ if value < 0.0 => (f64::NAN, 0),
            _ => (value, 0),
        };
        Self { significand, power }
    }
}

/// Looks values up by rank, in ascending ranks, without sorting what lies between.
pub(crate) struct Ascending {
    /// Those before `done` are not greater than those from `done` on.
    values: Vec<f64>,
    done: usize,
}

impl Ascending {
    pub(crate) fn new(values: Vec<f64>) -> Self {
        Self { values, done: 0 }
    }

    /// The value at `rank`, counted from 0: one asked for before, or a higher one than any.
    #[inline]
    pub(crate) fn nth(&mut self, rank: usize) -> f64 {
        if rank >= self.done {
            self.values[self.done..].select_nth_unstable_by(rank - self.done, f64::total_cmp);
            self.done = rank + 1;
        }
        self.values[rank]
    }

    /// The percentile, rounded as numpy's linear method rounds it.
    pub(crate) fn percentile(&mut self, percent: f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn geometric_mean(values: &[f64]) -> f64 {
        Product::of(values).geometric_mean(values.len() as u64)
    }

    #[test]
    fn a_product_neither_overflows_nor_fades() {
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-13, "{got} {want}");
        near(geometric_mean(&[2.0, 8.0]), 4.0);
        near(geometric_mean(&[1e300; 1000]), 1e300);
        near(geometric_mean(&[1e-300; 1000]), 1e-300);
        // 2^-1074, which is subnormal, and 2^537 twice.
        let half = 2.0_f64.powi(537);
        near(geometric_mean(&[5e-324, half, half]), 1.0);
        let rising: Vec<f64> = (1..=100_000).map(f64::from).collect();
        let logarithms: f64 = rising.iter().map(|&value| libm::log(value)).sum();
        near(geometric_mean(&rising), libm::exp(logarithms / 1e5));
    }

    #[test]
    fn a_power_is_a_product_of_equals() {
        for (value, count) in [(0.3, 0), (0.3, 1), (7e-200, 5), (1.5, 1_000_003)] {
            let power = Product::from(value)
                .power(count)
                .geometric_mean(count.max(1));
            let want = if count == 0 { 1.0 } else { value };
            assert!(
                (power / want - 1.0).abs() < 1e-9,
                "{value} {count}: {power}"
            );
        }
    }

    #[test]
    fn a_zero_and_a_negative_value_spoil_it_as_they_spoil_logarithms() {
        assert_eq!(geometric_mean(&[0.0, 3.0]), 0.0);
        assert_eq!(geometric_mean(&[-0.0, 3.0]), 0.0);
        assert!(geometric_mean(&[-2.0, -2.0]).is_nan());
        assert!(geometric_mean(&[f64::NAN, 1.0]).is_nan());
        assert_eq!(geometric_mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
