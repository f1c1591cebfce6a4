use crate::random::Stream;
use crate::scenario::{Engine, EngineLimits, KvMemory, Scheduler};
use crate::serving::{Performance, Role};

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
    /// What an instance of the application could ever be. A request that fits on none is turned away on
    /// arrival.
    pub possible: Vec<PossibleEngine>,
}

/// What an instance of an application could be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PossibleEngine {
    /// What it may serve.
    pub role: Role,
    /// What its engine can hold.
    pub limits: EngineLimits,
    /// Bytes of memory of its processors together.
    pub memory_bytes: u64,
}

impl PossibleEngine {
    /// An instance of this role and batch engine, on processors with this memory together, in bytes.
    #[must_use]
    pub const fn new(role: Role, engine: Engine, memory_bytes: u64) -> Self {
        Self {
            role,
            limits: engine.limits(),
            memory_bytes,
        }
    }

    /// Whether its KV cache is in blocks.
    pub(crate) const fn is_paged(&self) -> bool {
        matches!(self.limits.memory, KvMemory::Paged { .. })
    }

    /// Whether a prompt of `tokens` tokens is not too long.
    pub(crate) fn takes_prompt(&self, tokens: u64) -> bool {
        self.limits.takes_prompt(tokens)
    }

    /// Whether an empty instance holds a request of `tokens`, prompt and outputs.
    #[inline]
    pub(crate) fn could_hold(&self, tokens: u64, config: &EndpointConfig) -> bool {
        if self.limits.takes_oversized {
            return true;
        }
        if let KvMemory::Paged {
            blocks: Some(blocks),
            block_tokens,
            ..
        } = self.limits.memory
        {
            // It ends at the longest context; the last token is sampled, never computed.
            let longest = self.limits.prompt_tokens.unwrap_or(u64::MAX - 1) + 1;
            let computed = tokens.min(longest).saturating_sub(1);
            return computed.div_ceil(block_tokens.max(1).into()) <= blocks;
        }
        let (weights, token) = (config.weights_bytes, config.kv_bytes_per_token);
        let usable = self.limits.usable_bytes(self.memory_bytes, weights, token);
        weights.saturating_add(token.saturating_mul(tokens)) <= usable
    }
}
