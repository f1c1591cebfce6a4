//! Confidence intervals of means, by Student's t distribution.

use serde::{Deserialize, Serialize};

/// A mean with its 95 % confidence interval: `mean` ± `half_width`.
///
/// The interval contains the true mean in 95 of 100 studies, where the values are independent and their
/// mean is about normal.
///
/// ```
/// use fleetsim::study::Interval;
///
/// // The quantile 0.975 of t with 4 degrees of freedom is 2.776.
/// let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
/// assert_eq!(interval.mean, 3.0);
/// assert!((interval.half_width.unwrap() - 2.776 * (2.5_f64 / 5.0).sqrt()).abs() < 1e-3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean of the values.
    pub mean: f64,
    /// Half the width of the interval; `None` with a single value, which tells nothing of the spread.
    pub half_width: Option<f64>,
    /// The number of values.
    pub count: u64,
}

impl Interval {
    /// The share of studies whose interval contains the true mean.
    pub const CONFIDENCE: f64 = 0.95;

    /// The interval of independent values; none without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = super::mean_of(values, |value| value);
        let half_width = (values.len() > 1).then(|| {
            let squares = super::mean_of(values, |value| (value - mean) * (value - mean)) * count;
            let error = libm::sqrt(squares / (count - 1.0) / count);
            t_quantile(count - 1.0) * error
        });
        Some(Self {
            mean,
            half_width,
            count: values.len() as u64,
        })
    }

    /// The interval of the mean of one long run, by the means of `batches` batches of equal length (Law,
    /// "Simulation Modeling and Analysis", 9.5.3); none with fewer values than two a batch. Values
    /// behind the last full batch are left out.
    #[must_use]
    pub fn of_batches(values: &[f64], batches: usize) -> Option<Self> {
        let length = values.len().checked_div(batches)?;
        if length < 2 {
            return None;
        }
        let means = values.chunks_exact(length).take(batches);
        let means: Vec<f64> = means.map(|it| super::mean_of(it, |value| value)).collect();
        Self::of(&means)
    }

    /// Half the width as a share of the mean; none where either is not known or the mean is 0.
    #[must_use]
    pub fn relative(&self) -> Option<f64> {
        let half_width = self.half_width?;
        (self.mean != 0.0).then(|| half_width / self.mean.abs())
    }

    /// Whether a difference of this interval cannot be told from none.
    #[must_use]
    pub fn contains_zero(&self) -> bool {
        self.half_width
            .is_none_or(|half_width| self.mean.abs() <= half_width)
    }
}

/// The quantile 0.975 of t with these degrees of freedom, at least 1.
fn t_quantile(freedom: f64) -> f64 {
    const TAIL: f64 = (1.0 - Interval::CONFIDENCE) / 2.0;
    let (mut low, mut high) = (0.0, 16.0);
    // 1 degree of freedom has 12.7; 60 halvings leave nothing of the interval.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle, freedom) > TAIL {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The probability that t with these degrees of freedom exceeds a value that is not negative: half the
/// regularised incomplete beta function of ν / (ν + t²) with ν/2 and 1/2.
fn upper_tail(t: f64, freedom: f64) -> f64 {
    let x = freedom / (freedom + t * t);
    0.5 * incomplete_beta(x, 0.5 * freedom, 0.5)
}

/// The regularised incomplete beta function (Abramowitz and Stegun, 26.5.8, by Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    const TINY: f64 = 1e-300;
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
            + a * libm::log(x)
            + b * libm::log(1.0 - x),
    ) / a;
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d, mut fraction) = (1.0, 0.0, 1.0);
    for step in 0..400 {
        let m = f64::from(step / 2);
        let numerator = match step {
            0 => 1.0,
            _ if step % 2 == 0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / kept(1.0 + numerator * d);
        c = kept(1.0 + numerator / c);
        fraction *= c * d;
        if step > 0 && (1.0 - c * d).abs() < 1e-15 {
            break;
        }
    }
    front * (fraction - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the table in the NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
    #[test]
    fn quantiles_are_those_of_the_table() {
        let table = [
            (1.0, 12.706),
            (2.0, 4.303),
            (4.0, 2.776),
            (9.0, 2.262),
            (19.0, 2.093),
            (30.0, 2.042),
            (100.0, 1.984),
            (1e6, 1.960),
        ];
        for (freedom, quantile) in table {
            let found = t_quantile(freedom);
            assert!((found - quantile).abs() < 6e-4, "{freedom}: {found}");
        }
    }
}
