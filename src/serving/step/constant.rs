use crate::time::SimDuration;

use super::{BatchShape, StepModel, Steps};

/// The same time for every step and every batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstantTime {
    prompt_s: f64,
    token_s: f64,
}

impl ConstantTime {
    /// `prompt` for a step that has a prompt in it, `token` for one that has not.
    #[must_use]
    pub fn new(prompt: SimDuration, token: SimDuration) -> Self {
        Self {
            prompt_s: prompt.seconds(),
            token_s: token.seconds(),
        }
    }
}

impl StepModel for ConstantTime {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        if shape.prefill_tokens > 0 {
            self.prompt_s
        } else {
            self.token_s
        }
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        (most, Steps::constant(self.seconds(first)))
    }
}
