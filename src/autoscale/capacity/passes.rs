//! How long the steps of an engine take, for what is in them.

use super::instance::InstanceModel;
use crate::serving::{BatchShape, Performance, StepModel};

/// An engine of a role: its step times, and what limits its batches.
#[derive(Clone, Debug)]
pub struct EngineModel {
    /// Its step times.
    pub performance: Performance,
    /// The most requests in a batch; none for any number.
    pub max_batch_size: Option<u32>,
    /// The most tokens in a step; none for any number.
    pub max_batch_tokens: Option<u64>,
    /// Tokens that its KV cache holds; none for any number.
    pub kv_tokens: Option<u64>,
    /// Whether a step carries a part of a prompt beside requests that decode.
    pub chunks_prompts: bool,
    /// GPUs of an instance.
    pub gpus: u32,
}

impl EngineModel {
    pub(super) fn of(instance: &InstanceModel, gpus: u32) -> Self {
        let limit = |most: u64| Some(most).filter(|&it| it < u64::MAX);
        let size = limit(instance.tasks).and_then(|it| u32::try_from(it).ok());
        Self {
            performance: instance.performance.clone(),
            max_batch_size: size,
            max_batch_tokens: limit(instance.tokens),
            kv_tokens: limit(instance.kv_tokens),
            chunks_prompts: instance.chunks_prompts,
            gpus,
        }
    }

    /// Seconds of a step with the tokens of one prompt after `done` that are in the KV cache, and with requests
    /// that decode on `kv_tokens` KV tokens.
    #[must_use]
    pub fn step(&self, done: u64, prompt_tokens: u64, decodes: u64, kv_tokens: u64) -> f64 {
        let mut shape = BatchShape::default();
        if prompt_tokens > 0 {
            shape.add_chunk(done, prompt_tokens, self.performance.window());
        }
        shape.decodes = decodes;
        shape.decode_context = kv_tokens;
        self.performance.seconds(&shape)
    }

    /// Seconds of prompt tokens in full steps and one for the rest, each beside requests that decode on
    /// `kv_tokens` KV tokens; 0 for none.
    #[must_use]
    pub fn chunked(&self, prompt_tokens: u64, decodes: u64, kv_tokens: u64) -> f64 {
        let chunk = self.max_batch_tokens.unwrap_or(u64::MAX).max(1);
        let (full, rest) = (prompt_tokens / chunk, prompt_tokens % chunk);
        let step = |done, tokens| self.step(done, tokens, decodes, kv_tokens);
        let last = match rest {
            0 => 0.0,
            rest => step(full * chunk, rest),
        };
        if full == 0 {
            return last;
        }
        // What a chunk finds in the KV cache makes it longer in proportion.
        let first = step(0, chunk);
        let growth = if full > 1 {
            step(chunk, chunk) - first
        } else {
            0.0
        };
        let count = full as f64;
        count * first + growth * (count * (count - 1.0) / 2.0) + last
    }
}
