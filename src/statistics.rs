//! Means and percentiles as numpy has them, for whoever needs them.

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
