use super::bins::Merge;

/// Bits of a float's fraction that tell buckets apart: 64 buckets an octave.
const KEPT: u32 = 6;

/// Bits that are left out.
const LEFT_OUT: u32 = f64::MANTISSA_DIGITS - 1 - KEPT;

/// Durations up to a microsecond share the lowest bucket, which stands for 0.
const LEAST: f64 = 1e-6;

/// Durations from 300 years up share the highest bucket.
const MOST: f64 = 1e10;

/// A histogram of durations; a quantile is off by at most 0.8 %.
///
/// Coarser than what the statistics are made of, because a report has hundreds of these. A bucket is
/// found by the leading bits of the float, so there is no logarithm to take.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// The bucket that `counts` begins with.
    first: usize,
    counts: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, seconds: f64) {
        self.add(bucket(seconds), 1);
    }

    /// Values recorded.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The value that this share of all values, 0 to 1, does not exceed.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(|position| middle(self.first + position))
    }

    /// For each bucket with a value in it: its value, and the share of all values up to it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, f64)> {
        let mut seen = 0;
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(move |(position, count)| {
                seen += count;
                (
                    middle(self.first + position),
                    seen as f64 / self.count as f64,
                )
            })
    }

    fn add(&mut self, bucket: usize, count: u64) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let missing = self.first - bucket;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = bucket;
        }
        let position = bucket - self.first;
        if position >= self.counts.len() {
            self.counts.resize(position + 1, 0);
        }
        self.counts[position] += count;
        self.count += count;
    }
}

impl Merge for Histogram {
    fn merge(&mut self, other: Self) {
        for (bucket, count) in (other.first..).zip(other.counts) {
            if count > 0 {
                self.add(bucket, count);
            }
        }
    }
}

fn bucket(seconds: f64) -> usize {
    (seconds.clamp(LEAST, MOST).to_bits() >> LEFT_OUT) as usize
}

fn middle(of: usize) -> f64 {
    if of == bucket(LEAST) {
        return 0.0;
    }
    f64::from_bits(((of as u64) << LEFT_OUT) | (1 << (LEFT_OUT - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_their_error_in_any_order_of_arrival() {
        let mut all = Histogram::default();
        let mut late = Histogram::default();
        for millisecond in 1..=10_000_u32 {
            let seconds = f64::from(millisecond) / 1000.0;
            if millisecond % 3 == 0 {
                late.record(seconds);
            } else {
                all.record(seconds);
            }
        }
        all.merge(late);
        for (share, exact) in [
            (0.0, 0.001),
            (0.5, 5.0),
            (0.9, 9.0),
            (0.99, 9.9),
            (1.0, 10.0),
        ] {
            let quantile = all.quantile(share).unwrap();
            assert!(
                (quantile / exact - 1.0).abs() < 0.008,
                "{share}: {quantile}"
            );
        }
        let (_, share) = all.cumulative().last().unwrap();
        assert_eq!(share, 1.0);
    }

    #[test]
    fn nothing_has_no_quantile_and_zero_stays_zero() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(0.0);
        histogram.record(f64::MAX);
        assert_eq!(histogram.quantile(0.5), Some(0.0));
    }
}
