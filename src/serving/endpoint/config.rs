use crate::random::Stream;
use crate::scenario::{Engine, EngineLimits, Scheduler};
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
    /// An instance of this role and batch engine, on processors with so many bytes of memory together.
    #[must_use]
    pub const fn new(role: Role, engine: Engine, memory_bytes: u64) -> Self {
        Self {
            role,
            limits: engine.limits(),
            memory_bytes,
        }
    }
}
