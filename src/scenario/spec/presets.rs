//! Engines that are approximated by the one of vLLM.

use super::{Engine, Frontend, SchedulingPolicy, ServerKind};

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
            } => Limits {
                requests: or(max_running_requests, SGLANG_REQUESTS),
                step_tokens: or(chunked_prefill_size, STEP_TOKENS),
                model_len: context_length,
                block_size: 16,
                blocks: match max_total_tokens {
                    Some(tokens) => Some((tokens / 16).saturating_add(1)),
                    None => None,
                },
                utilization: mem_fraction_static,
                prefix_caching: !disable_radix_cache,
                frontend,
            }
            .engine(),
            Self::Trtllm {
                max_batch_size,
                max_num_tokens,
                max_seq_len,
                free_gpu_memory_fraction,
                enable_block_reuse,
                frontend,
            } => Limits {
                requests: or(max_batch_size, TRTLLM_REQUESTS),
                step_tokens: or(max_num_tokens, STEP_TOKENS),
                model_len: max_seq_len,
                block_size: 32,
                blocks: None,
                utilization: free_gpu_memory_fraction,
                prefix_caching: enable_block_reuse,
                frontend,
            }
            .engine(),
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

/// What an engine that is approximated has of its own; all else is as vLLM has it.
struct Limits {
    requests: u32,
    step_tokens: u32,
    model_len: Option<u32>,
    block_size: u32,
    blocks: Option<u32>,
    utilization: f64,
    prefix_caching: bool,
    frontend: Frontend,
}

impl Limits {
    /// The engine of vLLM with these limits. In its steps each request that decodes takes one of the tokens.
    const fn engine(self) -> Engine {
        Engine::Vllm {
            max_num_seqs: Some(if self.requests > self.step_tokens {
                self.step_tokens
            } else {
                self.requests
            }),
            max_num_batched_tokens: Some(self.step_tokens),
            max_model_len: self.model_len,
            block_size: self.block_size,
            num_gpu_blocks: self.blocks,
            gpu_memory_utilization: self.utilization,
            enable_prefix_caching: self.prefix_caching,
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
            frontend: self.frontend,
        }
    }
}
