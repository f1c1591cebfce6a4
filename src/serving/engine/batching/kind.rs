use std::sync::Arc;

use super::rule::Rule;
use crate::serving::engine::EngineLimits;
use crate::serving::{EngineSpec, Performance};

/// What engines that are alike have in common. It stands beside none of them: the fewer lines of the
/// cache an engine has, the faster a large fleet is served.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) rule: Rule,
    pub(crate) performance: Performance,
    /// Bytes that it may use.
    pub(crate) memory: u64,
    pub(crate) kv_bytes_per_token: u64,
    pub(crate) weights: u64,
    pub(crate) limits: EngineLimits,
}

impl Kind {
    /// The kind of `spec`: that of `last`, who joined before, if it is the same.
    pub(crate) fn of(
        spec: &EngineSpec,
        kv_bytes_per_token: u64,
        weights: u64,
        last: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let limits = spec.batching.limits();
        let kind = Self {
            rule: Rule::new(spec.batching),
            performance: spec.performance.clone(),
            memory: limits.usable_bytes(spec.memory_bytes, weights, kv_bytes_per_token),
            limits,
            kv_bytes_per_token,
            weights,
        };
        match last {
            Some(last) if last.is(&kind) => Arc::clone(last),
            _ => Arc::new(kind),
        }
    }

    /// The same whose steps take this many times as long as its step model says.
    pub(crate) fn paced(&self, factor: f64) -> Self {
        Self {
            rule: self.rule,
            performance: self.performance.paced(factor),
            memory: self.memory,
            kv_bytes_per_token: self.kv_bytes_per_token,
            weights: self.weights,
            limits: self.limits,
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.performance.is(&other.performance)
            && self.memory == other.memory
            && self.kv_bytes_per_token == other.kv_bytes_per_token
            && self.weights == other.weights
    }
}
