use std::sync::Arc;

use super::batching::{BatchEngine, usable_memory};
use super::{EngineSpec, Performance};

/// What engines that are alike have in common. It stands beside none of them: the fewer lines of the
/// cache an engine has, the faster a large fleet is served.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) rule: BatchEngine,
    pub(super) performance: Performance,
    /// Bytes that it may use.
    pub(super) memory: u64,
    pub(super) kv_bytes_per_token: u64,
}

impl Kind {
    /// The kind of `spec`: that of `last`, who joined before, if it is the same.
    pub(super) fn of(
        spec: &EngineSpec,
        kv_bytes_per_token: u64,
        last: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let kind = Self {
            rule: BatchEngine::new(spec.batching),
            performance: spec.performance.clone(),
            memory: usable_memory(spec.batching, spec.memory_bytes),
            kv_bytes_per_token,
        };
        match last {
            Some(last) if last.is(&kind) => Arc::clone(last),
            _ => Arc::new(kind),
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.performance.is(&other.performance)
            && self.memory == other.memory
            && self.kv_bytes_per_token == other.kv_bytes_per_token
    }
}
