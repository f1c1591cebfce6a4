use serde::{Deserialize, Serialize};

/// How many requests stand where: `arrived = completed + rejected + failed + waiting + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that arrived so far.
    pub arrived: u64,
    /// Tokens of their prompts.
    pub arrived_prompt_tokens: u64,
    /// Requests that got every token.
    pub completed: u64,
    /// Requests turned away.
    pub rejected: u64,
    /// Requests whose instance was lost and that did not begin again.
    pub failed: u64,
    /// Requests that wait at the application for an instance.
    pub waiting: u64,
    /// Requests that an instance has.
    pub in_flight: u64,
    /// How often a request was taken back from an instance, to begin again elsewhere.
    pub restarted: u64,
    /// Tokens of prompts and outputs that were processed for requests before these lost their instance.
    pub lost_tokens: u64,
    /// How often a request was evicted from a memory in which nothing could run any more.
    pub evicted: u64,
    /// How often a request was moved to another instance with its KV cache.
    pub moved: u64,
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Output tokens generated.
    pub output_tokens: u64,
    /// Events handled: arrivals, ends of runs, steps of transfers.
    pub events: u64,
}

impl Counts {
    /// Requests that have ended, each in its way.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.completed + self.rejected + self.failed
    }

    /// Whether each request that arrived stands somewhere, once.
    #[must_use]
    pub const fn add_up(&self) -> bool {
        self.arrived == self.ended() + self.waiting + self.in_flight
    }
}
