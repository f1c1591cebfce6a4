use std::ops::AddAssign;

use crate::time::SimDuration;

/// What users ask of an application, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Requests that arrive.
    pub requests_per_s: f64,
    /// Tokens of their prompts.
    pub prompt_tokens_per_s: f64,
    /// Tokens that they ask for.
    pub output_tokens_per_s: f64,
}

/// The mean lengths of requests, in tokens, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Of a prompt.
    pub prompt_tokens: f64,
    /// Of an output.
    pub output_tokens: f64,
}

/// Requests and their tokens, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their outputs.
    pub output_tokens: u64,
}

impl Demand {
    /// The mean lengths; of no requests, one token each.
    #[must_use]
    pub fn mix(&self) -> Mix {
        let mean = |tokens: f64| (tokens / self.requests_per_s).max(1.0);
        let mean = |tokens| match self.requests_per_s > 0.0 {
            true => mean(tokens),
            false => 1.0,
        };
        Mix {
            prompt_tokens: mean(self.prompt_tokens_per_s),
            output_tokens: mean(self.output_tokens_per_s),
        }
    }
}

impl Mix {
    /// So many such requests a second.
    #[must_use]
    pub fn at(&self, requests_per_s: f64) -> Demand {
        Demand {
            requests_per_s,
            prompt_tokens_per_s: requests_per_s * self.prompt_tokens,
            output_tokens_per_s: requests_per_s * self.output_tokens,
        }
    }
}

impl Amount {
    /// One request.
    #[must_use]
    pub fn one(prompt_tokens: u32, output_tokens: u32) -> Self {
        Self {
            requests: 1,
            prompt_tokens: prompt_tokens.into(),
            output_tokens: output_tokens.into(),
        }
    }

    /// The demand when so much arrives within a time; over no time at all, none.
    #[must_use]
    pub fn over(&self, time: SimDuration) -> Demand {
        let rate = |count: u64| match time > SimDuration::ZERO {
            true => count as f64 / time.seconds(),
            false => 0.0,
        };
        Demand {
            requests_per_s: rate(self.requests),
            prompt_tokens_per_s: rate(self.prompt_tokens),
            output_tokens_per_s: rate(self.output_tokens),
        }
    }

    /// The mean lengths; none of no requests.
    #[must_use]
    pub fn mix(&self) -> Option<Mix> {
        let mean = |tokens: u64| (tokens as f64 / self.requests as f64).max(1.0);
        (self.requests > 0).then(|| Mix {
            prompt_tokens: mean(self.prompt_tokens),
            output_tokens: mean(self.output_tokens),
        })
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
    }
}
