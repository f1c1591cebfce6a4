use crate::time::SimDuration;

use super::performance::PerformanceModel;

/// The same time for every iteration, whatever is in the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstantTime {
    prompt_s: f64,
    token_s: f64,
}

impl ConstantTime {
    /// `prompt` for an iteration that has a prompt in it, `token` for one that has not.
    #[must_use]
    pub fn new(prompt: SimDuration, token: SimDuration) -> Self {
        Self {
            prompt_s: prompt.seconds(),
            token_s: token.seconds(),
        }
    }
}

impl PerformanceModel for ConstantTime {
    fn prompt(&self, _: u64) -> f64 {
        self.prompt_s
    }

    fn token(&self, _: u64) -> f64 {
        self.token_s
    }

    fn mixed(&self, _: u64) -> f64 {
        self.prompt_s
    }
}
