use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

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
    /// The squares of their prompts' lengths.
    pub squared_prompt_tokens_per_s: f64,
}

/// The mean lengths of requests, in tokens, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Of a prompt.
    pub prompt_tokens: f64,
    /// Of an output.
    pub output_tokens: f64,
    /// Of the prompt that a prompt token is part of, `E[p²] / E[p]`: the longer than the mean, the more
    /// the lengths differ.
    pub weighted_prompt_tokens: f64,
}

/// Requests and their tokens, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their outputs.
    pub output_tokens: u64,
    /// The squares of their prompts' lengths.
    pub squared_prompt_tokens: u64,
}

impl Demand {
    /// The mean lengths; of no requests, one token each.
    #[must_use]
    pub fn mix(&self) -> Mix {
        let mean = |sum: f64, of: f64| if of > 0.0 { (sum / of).max(1.0) } else { 1.0 };
        let prompt_tokens = mean(self.prompt_tokens_per_s, self.requests_per_s);
        let weighted = mean(self.squared_prompt_tokens_per_s, self.prompt_tokens_per_s);
        Mix {
            prompt_tokens,
            output_tokens: mean(self.output_tokens_per_s, self.requests_per_s),
            weighted_prompt_tokens: weighted.max(prompt_tokens),
        }
    }
}

impl Mix {
    /// Requests that are all alike.
    #[must_use]
    pub const fn even(prompt_tokens: f64, output_tokens: f64) -> Self {
        Self {
            prompt_tokens,
            output_tokens,
            weighted_prompt_tokens: prompt_tokens,
        }
    }

    /// The same with prompts that are so long on average, at least 1, and as uneven.
    #[must_use]
    pub fn with_prompts(self, prompt_tokens: f64) -> Self {
        let prompt_tokens = prompt_tokens.max(1.0);
        let uneven = self.weighted_prompt_tokens / self.prompt_tokens;
        Self {
            prompt_tokens,
            weighted_prompt_tokens: prompt_tokens * uneven,
            ..self
        }
    }

    /// The demand of `requests_per_s` such requests.
    #[must_use]
    pub fn at(&self, requests_per_s: f64) -> Demand {
        let prompt_tokens_per_s = requests_per_s * self.prompt_tokens;
        Demand {
            requests_per_s,
            prompt_tokens_per_s,
            output_tokens_per_s: requests_per_s * self.output_tokens,
            squared_prompt_tokens_per_s: prompt_tokens_per_s * self.weighted_prompt_tokens,
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
            squared_prompt_tokens: u64::from(prompt_tokens).pow(2),
        }
    }

    /// The demand of arrivals within a time; over no time, none.
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
            squared_prompt_tokens_per_s: rate(self.squared_prompt_tokens),
        }
    }

    /// The mean lengths; none of no requests.
    #[must_use]
    pub fn mix(&self) -> Option<Mix> {
        let over = self.over(SimDuration::saturating(1.0));
        (self.requests > 0).then(|| over.mix())
    }

    /// What there is more than there was.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let more = |now: u64, before: u64| now.saturating_sub(before);
        Self {
            requests: more(self.requests, before.requests),
            prompt_tokens: more(self.prompt_tokens, before.prompt_tokens),
            output_tokens: more(self.output_tokens, before.output_tokens),
            squared_prompt_tokens: more(self.squared_prompt_tokens, before.squared_prompt_tokens),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        let squared = self.squared_prompt_tokens;
        self.squared_prompt_tokens = squared.saturating_add(other.squared_prompt_tokens);
    }
}
