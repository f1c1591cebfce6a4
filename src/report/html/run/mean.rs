use super::bins::Merge;

/// The largest number of points of a series of samples; a long run has at least half of it.
pub(super) const SAMPLES: usize = 200;

/// A mean of what is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    pub(super) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count = self.count.saturating_add(1);
        }
    }

    /// None where nothing is known.
    pub(super) fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

impl Merge for Mean {
    fn merge(&mut self, later: Self) {
        self.sum += later.sum;
        self.count = self.count.saturating_add(later.count);
    }
}
