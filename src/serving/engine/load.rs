use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What one engine holds and did, with the run under way credited up to the instant asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineLoad {
    /// Requests queued or preempted here.
    pub queued: u64,
    /// Requests in the batch.
    pub running: u64,
    /// Requests assigned here that are not finished here, transfers included.
    pub assigned: u64,
    /// Tokens still to be processed for the requests assigned here.
    pub pending_tokens: u64,
    /// Bytes in use, weights included.
    pub memory_used: u64,
    /// Bytes there are.
    pub memory: u64,
    /// Prompt tokens processed here so far.
    pub prompt_tokens: u64,
    /// Output tokens generated here so far.
    pub output_tokens: u64,
    /// Tokens of requests that looked for their blocks in the prefix cache so far.
    pub queried_tokens: u64,
    /// Of these, those that were found.
    pub hit_tokens: u64,
    /// Requests that lost their blocks and began again, so far.
    pub preemptions: u64,
    /// Seconds in which a batch with a prompt ran so far.
    pub prompt_busy_s: f64,
    /// Seconds in which a batch of tokens alone ran so far.
    pub token_busy_s: f64,
    /// Seconds since it joined, until it was taken out.
    pub up_s: f64,
}

impl EngineLoad {
    /// Of an engine that tells of nothing but its requests: those queued, and those in its batch.
    #[must_use]
    pub fn of(queued: usize, running: usize) -> Self {
        Self {
            queued: queued as u64,
            running: running as u64,
            ..Self::default()
        }
    }
}

impl AddAssign for EngineLoad {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.running += other.running;
        self.assigned += other.assigned;
        self.pending_tokens += other.pending_tokens;
        self.memory_used += other.memory_used;
        self.memory = self.memory.saturating_add(other.memory);
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        self.queried_tokens += other.queried_tokens;
        self.hit_tokens += other.hit_tokens;
        self.preemptions += other.preemptions;
        self.prompt_busy_s += other.prompt_busy_s;
        self.token_busy_s += other.token_busy_s;
        self.up_s += other.up_s;
    }
}
