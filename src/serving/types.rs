use std::ops::AddAssign;

use crate::random::Stream;
use crate::scenario::{Engine, Scheduler};
use crate::time::SimTime;

use super::{Performance, Role};

/// An engine of an [`Endpoint`](super::Endpoint): the batch engine of one instance. Numbered in the
/// order of joining and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId(pub(super) u32);

impl EngineId {
    /// So many there may ever be at one endpoint.
    pub(super) const MOST: u32 = 1 << 24;

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn order(self) -> u64 {
        self.0 as u64
    }
}

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct EngineSpec {
    /// The instance's number in the fleet, for the records.
    pub instance: u64,
    /// What it may serve.
    pub role: Role,
    /// How it batches.
    pub batching: Engine,
    /// Bytes of memory of its processors together.
    pub memory_bytes: u64,
    /// How long its iterations take.
    pub performance: Performance,
}

/// What an endpoint is made from.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Bytes of the model's weights, on each engine.
    pub weights_bytes: u64,
    /// Bytes that a token takes in the KV cache.
    pub kv_bytes_per_token: u64,
    /// Which instance serves a request.
    pub scheduler: Scheduler,
    /// What the `Random` scheduler draws from.
    pub random: Stream,
    /// Every `(role, batching, bytes of memory)` that an instance of the application could ever have.
    /// A request that fits on none is turned away on arrival.
    pub possible: Vec<(Role, Engine, u64)>,
}

/// How many requests stand where: `arrived = completed + rejected + waiting + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What one engine holds and did, with the run under way credited up to the instant asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Seconds in which a batch with a prompt ran so far.
    pub prompt_busy_s: f64,
    /// Seconds in which a batch of tokens alone ran so far.
    pub token_busy_s: f64,
    /// Seconds since it joined, until it was taken out.
    pub up_s: f64,
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
        self.prompt_busy_s += other.prompt_busy_s;
        self.token_busy_s += other.token_busy_s;
        self.up_s += other.up_s;
    }
}

/// An engine cannot be removed while it has work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the engine still has {assigned} requests: close it and wait until it is idle, or withdraw it"
)]
pub struct EngineBusy {
    /// Requests assigned to it.
    pub assigned: u64,
}

/// Why a request that a host hands over is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It has no prompt.
    #[error("request {id} has prompt_tokens 0: a request has at least 1 token of prompt")]
    NoPromptTokens {
        /// The request's number.
        id: u64,
    },
    /// It asks for nothing.
    #[error(
        "request {id} has output_tokens 0: a request asks for at least 1 token; ask for 1 to have its prompt processed alone"
    )]
    NoOutputTokens {
        /// The request's number.
        id: u64,
    },
    /// It would arrive in the past.
    #[error(
        "request {id} cannot arrive at {arrival} s: the endpoint has served up to {served} s already"
    )]
    Late {
        /// The request's number.
        id: u64,
        /// When it was to arrive.
        arrival: SimTime,
        /// Up to when has been served.
        served: SimTime,
    },
    /// Another request with the same number is to come or has not ended.
    #[error("request {id} is there already: a number is free again once its request has ended")]
    IdInUse {
        /// The number.
        id: u64,
    },
}
