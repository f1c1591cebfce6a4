use serde::{Deserialize, Serialize};

/// The lengths of the steps of a run, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Steps {
    /// Each as long as the last.
    Constant {
        /// Seconds of each step.
        step: f64,
    },
    /// Each longer than the last by the same amount, as contexts grow.
    Affine {
        /// Seconds of the first step.
        first: f64,
        /// Seconds by which each is longer than the one before.
        growth: f64,
    },
}

impl Steps {
    /// Steps of `step` seconds each.
    #[must_use]
    pub const fn constant(step: f64) -> Self {
        Self::Constant { step }
    }

    /// A first step of `first` seconds, each further one `growth` seconds longer.
    #[must_use]
    pub const fn affine(first: f64, growth: f64) -> Self {
        Self::Affine { first, growth }
    }

    /// Seconds of the `n`th step, counted from 0.
    #[must_use]
    pub fn length(&self, n: u64) -> f64 {
        match *self {
            Self::Constant { step } => step,
            Self::Affine { first, growth } => first + growth * n as f64,
        }
    }

    /// Seconds by which each step is longer than the one before.
    #[must_use]
    pub const fn growth(&self) -> f64 {
        match *self {
            Self::Constant { .. } => 0.0,
            Self::Affine { growth, .. } => growth,
        }
    }

    /// Seconds of the first `n` steps together.
    ///
    /// ```
    /// use fleetsim::serving::Steps;
    /// assert_eq!(Steps::affine(1.0, 0.5).total(4), 1.0 + 1.5 + 2.0 + 2.5);
    /// ```
    #[must_use]
    pub fn total(&self, n: u64) -> f64 {
        let count = n as f64;
        match *self {
            Self::Constant { step } => step * count,
            Self::Affine { first, growth } => {
                count * first + growth * (count * (count - 1.0) / 2.0)
            }
        }
    }

    /// Of the first `most` steps, how many are over `elapsed` seconds after the start of the first.
    ///
    /// A step that ends at that very instant is over. So `total(completed) <= elapsed`, and one step
    /// more would be later, unless `most` is reached.
    #[must_use]
    #[inline]
    pub fn completed(&self, elapsed: f64, most: u64) -> u64 {
        let guess = match *self {
            Self::Constant { step } => elapsed / step,
            Self::Affine { first, growth } => {
                // growth / 2 · n² + (first − growth / 2) · n = elapsed, solved for n without cancellation.
                let linear = first - growth / 2.0;
                let root = (linear * linear + 2.0 * growth * elapsed).max(0.0).sqrt();
                2.0 * elapsed / (linear + root)
            }
        };
        // A cast of a float saturates, and takes what is not a number for 0.
        let mut completed = (guess as u64).min(most);
        while completed > 0 && self.total(completed) > elapsed {
            completed -= 1;
        }
        while completed < most && self.total(completed + 1) <= elapsed {
            completed += 1;
        }
        completed
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn completed_steps_are_those_that_end_by_then() {
        for steps in [
            Steps::constant(0.2),
            Steps::affine(0.2, 0.0),
            Steps::affine(0.006, 3e-7),
            Steps::affine(1.0, -1e-4),
        ] {
            for n in [1, 2, 3, 17, 1_000, 4_095] {
                let end = steps.total(n);
                assert_eq!(steps.completed(end, 10_000), n, "{steps:?}");
                assert_eq!(steps.completed(end.next_down(), 10_000), n - 1, "{steps:?}");
                assert_eq!(steps.completed(end, n - 1), n - 1);
            }
            assert_eq!(steps.completed(0.0, 10), 0);
        }
    }
}
