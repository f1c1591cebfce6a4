//! A step model that is slower than another by a factor.

use std::sync::Arc;

use super::{BatchShape, Performance, StepModel, Steps};

/// Steps that take a number of times as long as those of another model.
#[derive(Debug)]
pub struct Paced {
    own: Performance,
    factor: f64,
}

impl Paced {
    /// The model at its own pace.
    #[must_use]
    pub const fn own(&self) -> &Performance {
        &self.own
    }

    /// As [`Performance::iteration`].
    pub(super) fn iteration(&self, prompt_tokens: u64, token_tasks: u64) -> f64 {
        self.own.iteration(prompt_tokens, token_tasks) * self.factor
    }
}

impl StepModel for Paced {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        self.own.seconds(shape) * self.factor
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        let (count, steps) = self.own.decode_run(first, most);
        let steps = match steps {
            Steps::Constant { step } => Steps::constant(step * self.factor),
            Steps::Affine { first, growth } => {
                Steps::affine(first * self.factor, growth * self.factor)
            }
        };
        (count, steps)
    }

    fn window(&self) -> Option<u64> {
        self.own.window()
    }
}

impl Performance {
    /// The same model whose steps take this many times as long as at its own pace.
    #[must_use]
    pub fn paced(&self, factor: f64) -> Self {
        let own = match self {
            Self::Paced(paced) => paced.own.clone(),
            own => own.clone(),
        };
        if factor == 1.0 {
            own
        } else {
            Self::Paced(Arc::new(Paced { own, factor }))
        }
    }
}
