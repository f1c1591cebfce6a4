use serde::{Deserialize, Serialize};

use crate::time::SimDuration;

/// How an engine of vLLM served a request that has ended there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// How often it was preempted.
    pub preemptions: u32,
    /// Tokens found in the prefix cache when it was first admitted.
    pub cached_tokens: Option<u32>,
    /// The longest time between two of its tokens.
    pub max_tbt: Option<SimDuration>,
}
