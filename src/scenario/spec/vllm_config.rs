//! The options of an engine of vLLM, with nothing left open.

use serde::{Deserialize, Serialize};

use super::{Engine, SchedulingPolicy, vllm_defaults};

/// How an engine schedules: the options of vLLM, named as vLLM names them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VllmConfig {
    /// Requests that run at once, at most.
    pub max_num_seqs: u32,
    /// Tokens that a step computes, at most.
    pub max_num_batched_tokens: u32,
    /// Tokens of a request, prompt and outputs, at most; a prompt of as many is refused.
    pub max_model_len: u32,
    /// Tokens of a KV block.
    pub block_size: u32,
    /// KV blocks, the null block included, which is never used.
    pub num_gpu_blocks: u32,
    /// Whether blocks that have been computed serve later requests with equal tokens.
    pub enable_prefix_caching: bool,
    /// Whether a prompt may be computed in several steps.
    pub enable_chunked_prefill: bool,
    /// Tokens of one request in a step, at most, unless it is alone; 0 for no such limit.
    pub long_prefill_token_threshold: u32,
    /// Whether that limit is at least a fair share of the step's tokens.
    pub long_prefill_token_threshold_adaptive: bool,
    /// Who comes first.
    pub scheduling_policy: SchedulingPolicy,
    /// The part of all blocks that must stay free when a request is admitted beside others.
    pub watermark: f64,
    /// Whether a request is admitted only if all its tokens would fit now.
    pub scheduler_reserve_full_isl: bool,
    /// Requests that run at once, where that is fewer than `max_num_seqs`.
    pub max_num_active_seqs: Option<u32>,
    /// Steps from one that computes prompts to the next, at least.
    pub prefill_schedule_interval: u32,
    /// Whether a step is scheduled while the one before it runs.
    pub async_scheduling: bool,
}

impl VllmConfig {
    /// The defaults of a server with GPUs of this name and memory.
    #[must_use]
    pub fn of_server(
        gpu: &str,
        memory_bytes: u64,
        max_model_len: u32,
        num_gpu_blocks: u32,
    ) -> Self {
        let (tokens, seqs) = vllm_defaults(gpu, memory_bytes);
        Self {
            max_num_seqs: seqs,
            max_num_batched_tokens: tokens,
            max_model_len,
            block_size: 16,
            num_gpu_blocks,
            enable_prefix_caching: true,
            enable_chunked_prefill: true,
            long_prefill_token_threshold: 0,
            long_prefill_token_threshold_adaptive: false,
            scheduling_policy: SchedulingPolicy::Fcfs,
            watermark: 0.0,
            scheduler_reserve_full_isl: true,
            max_num_active_seqs: None,
            prefill_schedule_interval: 1,
            async_scheduling: true,
        }
    }

    /// The options of a scenario's engine, if it is a `Vllm` or approximated by one. What it leaves open is as
    /// on an H100 without any KV blocks: see [`Engine::on`].
    #[must_use]
    pub fn of(engine: &Engine) -> Option<Self> {
        let Engine::Vllm {
            max_num_seqs,
            max_num_batched_tokens,
            max_model_len,
            block_size,
            num_gpu_blocks,
            gpu_memory_utilization: _,
            enable_prefix_caching,
            enable_chunked_prefill,
            long_prefill_token_threshold,
            long_prefill_token_threshold_adaptive,
            scheduling_policy,
            watermark,
            scheduler_reserve_full_isl,
            max_num_active_seqs,
            prefill_schedule_interval,
            async_scheduling,
            reject_oversized: _,
            frontend: _,
        } = engine.approximated()
        else {
            return None;
        };
        Some(Self {
            max_num_seqs: max_num_seqs.unwrap_or(1_024),
            max_num_batched_tokens: max_num_batched_tokens.unwrap_or(8_192),
            max_model_len: max_model_len.unwrap_or(1),
            block_size,
            num_gpu_blocks: num_gpu_blocks.unwrap_or(0),
            enable_prefix_caching,
            enable_chunked_prefill,
            long_prefill_token_threshold,
            long_prefill_token_threshold_adaptive,
            scheduling_policy,
            watermark,
            scheduler_reserve_full_isl,
            max_num_active_seqs,
            prefill_schedule_interval,
            async_scheduling,
        })
    }

    /// Why these options cannot work together, if they cannot.
    ///
    /// # Errors
    /// The first option that is out of its range, and the range.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let positive = [
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("max_model_len", self.max_model_len),
            ("block_size", self.block_size),
            ("prefill_schedule_interval", self.prefill_schedule_interval),
        ];
        for (option, value) in positive {
            if value == 0 {
                return Err(InvalidConfig::Zero(option));
            }
        }
        if self.num_gpu_blocks < 2 {
            return Err(InvalidConfig::NoBlocks);
        }
        if self.max_num_batched_tokens < self.max_num_seqs {
            return Err(InvalidConfig::FewTokens {
                tokens: self.max_num_batched_tokens,
                seqs: self.max_num_seqs,
            });
        }
        if !self.enable_chunked_prefill && self.max_num_batched_tokens < self.max_model_len {
            return Err(InvalidConfig::NoChunks {
                tokens: self.max_num_batched_tokens,
                length: self.max_model_len,
            });
        }
        if !(0.0..1.0).contains(&self.watermark) {
            return Err(InvalidConfig::Watermark(self.watermark));
        }
        Ok(())
    }

    /// Requests that run at once, at most.
    #[must_use]
    pub fn most_running(&self) -> u32 {
        match self.max_num_active_seqs {
            Some(most) if most > 0 => most,
            _ => self.max_num_seqs,
        }
    }

    /// Blocks that `tokens` tokens take.
    #[must_use]
    pub const fn blocks_of(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// Why a request can never be served, if it cannot.
    #[must_use]
    pub fn misfit(&self, prompt_tokens: u32, output_tokens: u32) -> Option<Misfit> {
        if prompt_tokens >= self.max_model_len {
            return Some(Misfit::PromptTooLong);
        }
        let tokens = u64::from(prompt_tokens) + u64::from(output_tokens);
        (!self.holds(tokens)).then_some(Misfit::TooFewBlocks)
    }

    /// Whether the blocks hold a request of `tokens` tokens, prompt and outputs.
    #[must_use]
    #[inline]
    pub fn holds(&self, tokens: u64) -> bool {
        // The last token is sampled, never computed.
        let computed = tokens.min(self.max_model_len.into()).saturating_sub(1);
        let blocks = computed.div_ceil(self.block_size.into());
        blocks < u64::from(self.num_gpu_blocks)
    }

    pub(crate) fn watermark_blocks(&self) -> u32 {
        (self.watermark * f64::from(self.num_gpu_blocks)) as u32
    }
}

/// Why an engine can never serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The prompt has `max_model_len` tokens or more; vLLM refuses it.
    PromptTooLong,
    /// It needs more KV blocks than there are; vLLM lets it wait without end.
    TooFewBlocks,
}

/// An option of [`VllmConfig`] out of its range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidConfig {
    /// An option is zero that may not be.
    #[error("{0} is 0: expected at least 1")]
    Zero(&'static str),
    /// There is no block to use.
    #[error("num_gpu_blocks is below 2, and one block, the null block, is never used")]
    NoBlocks,
    /// A step has fewer tokens than requests.
    #[error("max_num_batched_tokens ({tokens}) is below max_num_seqs ({seqs})")]
    FewTokens {
        /// `max_num_batched_tokens`.
        tokens: u32,
        /// `max_num_seqs`.
        seqs: u32,
    },
    /// A prompt need not fit a step.
    #[error(
        "without chunked prefill max_num_batched_tokens ({tokens}) must be at least max_model_len ({length})"
    )]
    NoChunks {
        /// `max_num_batched_tokens`.
        tokens: u32,
        /// `max_model_len`.
        length: u32,
    },
    /// The watermark is no part of the blocks.
    #[error("watermark is {0}: expected at least 0 and below 1")]
    Watermark(f64),
}
