//! Engines that are approximated by the one of vLLM.

use super::{Engine, SchedulingPolicy, ServerKind};

/// Tokens of a step, and requests at once, where `Sglang` and `Trtllm` leave them open.
const STEP_TOKENS: u32 = 8_192;
const SGLANG_REQUESTS: u32 = 4_096;
const TRTLLM_REQUESTS: u32 = 2_048;

impl Engine {
    /// The server that it stands for, as measurements and coefficients name it.
    #[must_use]
    pub const fn server(&self) -> ServerKind {
        match self {
            Self::Sglang { .. } => ServerKind::Sglang,
            Self::Trtllm { .. } => ServerKind::Trtllm,
            _ => ServerKind::Vllm,
        }
    }

    /// Whether another engine is approximated by the one of vLLM.
    #[must_use]
    pub const fn is_approximated(&self) -> bool {
        matches!(self, Self::Sglang { .. } | Self::Trtllm { .. })
    }

    /// The same engine; in the place of one that is approximated, the `Vllm` with its limits.
    #[must_use]
    pub const fn approximated(self) -> Self {
        match self {
            Self::Sglang {
                max_running_requests,
                chunked_prefill_size,
                context_length,
                max_total_tokens,
                mem_fraction_static,
                disable_radix_cache,
                frontend,
            } => Self::Vllm {
                max_num_seqs: Some(at_most(
                    or(max_running_requests, SGLANG_REQUESTS),
                    or(chunked_prefill_size, STEP_TOKENS),
                )),
                max_num_batched_tokens: Some(or(chunked_prefill_size, STEP_TOKENS)),
                max_model_len: context_length,
                block_size: 16,
                num_gpu_blocks: match max_total_tokens {
                    Some(tokens) => Some((tokens / 16).saturating_add(1)),
                    None => None,
                },
                gpu_memory_utilization: mem_fraction_static,
                enable_prefix_caching: !disable_radix_cache,
                enable_chunked_prefill: true,
                long_prefill_token_threshold: 0,
                long_prefill_token_threshold_adaptive: false,
                scheduling_policy: SchedulingPolicy::Fcfs,
                watermark: 0.0,
                scheduler_reserve_full_isl: true,
                max_num_active_seqs: None,
                prefill_schedule_interval: 1,
                async_scheduling: true,
                reject_oversized: true,
                frontend,
            },
            Self::Trtllm {
                max_batch_size,
                max_num_tokens,
                max_seq_len,
                free_gpu_memory_fraction,
                enable_block_reuse,
                frontend,
            } => Self::Vllm {
                max_num_seqs: Some(at_most(
                    or(max_batch_size, TRTLLM_REQUESTS),
                    or(max_num_tokens, STEP_TOKENS),
                )),
                max_num_batched_tokens: Some(or(max_num_tokens, STEP_TOKENS)),
                max_model_len: max_seq_len,
                block_size: 32,
                num_gpu_blocks: None,
                gpu_memory_utilization: free_gpu_memory_fraction,
                enable_prefix_caching: enable_block_reuse,
                enable_chunked_prefill: true,
                long_prefill_token_threshold: 0,
                long_prefill_token_threshold_adaptive: false,
                scheduling_policy: SchedulingPolicy::Fcfs,
                watermark: 0.0,
                scheduler_reserve_full_isl: true,
                max_num_active_seqs: None,
                prefill_schedule_interval: 1,
                async_scheduling: true,
                reject_oversized: true,
                frontend,
            },
            other => other,
        }
    }
}

const fn or(given: Option<u32>, otherwise: u32) -> u32 {
    match given {
        Some(given) => given,
        None => otherwise,
    }
}

/// In a step of the engine of vLLM each request that decodes takes one of the tokens.
const fn at_most(requests: u32, tokens: u32) -> u32 {
    if requests > tokens { tokens } else { requests }
}
