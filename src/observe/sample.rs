use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::serving::Role;
use crate::time::SimTime;

/// What one instance held at a sample. Only where it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSample {
    /// When.
    pub time: SimTime,
    /// The instance's number.
    pub instance: u64,
    /// The position of its application.
    pub application: usize,
    /// Its role.
    pub role: Role,
    /// Requests queued or preempted on it.
    pub queued: u64,
    /// Requests in its batch.
    pub running: u64,
    /// Bytes of the KV cache in use: memory in use less the weights.
    pub kv_used_bytes: u64,
    /// Bytes that it has for the KV cache; none where there is no limit.
    pub kv_bytes: Option<u64>,
    /// Prompt tokens processed on it so far.
    pub prompt_tokens: u64,
    /// Output tokens generated on it so far.
    pub output_tokens: u64,
    /// Tokens of requests that looked for their blocks in its prefix cache so far.
    pub prefix_queries: u64,
    /// Of these, those that were found.
    pub prefix_hits: u64,
    /// Requests that lost their blocks and began again, so far.
    pub preemptions: u64,
}

impl InstanceSample {
    /// The share of the KV cache that is in use, 0 to 1; none where there is no limit.
    #[must_use]
    pub fn kv_usage(&self) -> Option<f64> {
        let all = self.kv_bytes?.max(1);
        Some(self.kv_used_bytes as f64 / all as f64)
    }
}

/// One row of `timeline.csv`: the instances of one role of one application at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub time: SimTime,
    /// The application's name.
    pub application: Arc<str>,
    /// The role of the instances counted.
    pub role: Role,
    /// Instances that start up.
    pub scaling_up: u32,
    /// Instances that take requests.
    pub active: u32,
    /// Instances that finish their work.
    pub draining: u32,
    /// Servers that carry one of them.
    pub servers: u32,
    /// Requests that wait at the application for an instance (the same on each role's row).
    pub waiting: u64,
    /// Requests queued or preempted on these instances.
    pub queued: u64,
    /// Requests in these instances' batches.
    pub running: u64,
    /// Prompt tokens processed a second since the sample before.
    pub prompt_tokens_per_s: f64,
    /// Output tokens generated a second since the sample before.
    pub output_tokens_per_s: f64,
    /// Share of the instances' time since the sample before in which a batch ran, 0 to 1.
    pub utilisation: f64,
    /// Bytes in use on these instances, weights included.
    pub memory_used_bytes: u64,
    /// Bytes that these instances have; none where there is no limit.
    pub memory_bytes: Option<u64>,
    /// Bytes of the KV cache in use on these instances: memory in use less the weights.
    pub kv_used_bytes: u64,
    /// Bytes that these instances have for the KV cache; none where there is no limit.
    pub kv_bytes: Option<u64>,
    /// Tokens of requests that looked for their blocks in a prefix cache so far.
    pub prefix_queries: u64,
    /// Of these, those that were found.
    pub prefix_hits: u64,
    /// The share that was found since the sample before; none where nobody looked.
    pub prefix_hit_rate: Option<f64>,
    /// Requests that lost their blocks and began again, so far.
    pub preemptions: u64,
}

impl Sample {
    /// The share of the KV cache that is in use, 0 to 1; none where there is no limit.
    #[must_use]
    pub fn kv_usage(&self) -> Option<f64> {
        let all = self.kv_bytes?.max(1);
        Some(self.kv_used_bytes as f64 / all as f64)
    }
}
