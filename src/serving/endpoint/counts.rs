use serde::{Deserialize, Serialize};

/// How many requests stand where: `arrived = completed + rejected + waiting + in_flight`.
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
    /// Requests that wait at the application for an instance.
    pub waiting: u64,
    /// Requests that an instance has.
    pub in_flight: u64,
    /// How often a request was taken back from an instance, to begin again elsewhere.
    pub restarted: u64,
    /// How often a request was evicted from a memory in which nothing could run any more.
    pub evicted: u64,
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Output tokens generated.
    pub output_tokens: u64,
    /// Events handled: arrivals, ends of runs, steps of transfers.
    pub events: u64,
}
