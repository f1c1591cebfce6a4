//! What engines can hold and do at most, as they tell of themselves.

use super::{Engine, Frontend};

/// What an engine can hold and do at most, as it tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineLimits {
    /// The most requests in a batch. None: any number.
    pub requests: Option<u32>,
    /// The most tokens in a step. None: any number.
    pub step_tokens: Option<u64>,
    /// The most tokens of a prompt. None: as memory allows.
    pub prompt_tokens: Option<u64>,
    /// Requests that can never fit into memory are taken in all the same, and wait.
    pub takes_oversized: bool,
    /// The most tokens of a request, prompt and output together. None: as memory allows.
    pub request_tokens: Option<u64>,
    /// Whether a step carries a part of a prompt beside requests that decode.
    pub chunks_prompts: bool,
    /// How it uses memory.
    pub memory: KvMemory,
}

/// How an engine uses the memory of its processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum KvMemory {
    /// The KV cache of a phase is reserved when the phase starts.
    #[default]
    Reserved,
    /// The KV cache grows block by block.
    Paged {
        /// The share of all memory that weights and KV cache may take.
        utilization: f64,
        /// Tokens in a block.
        block_tokens: u32,
        /// Blocks that requests can use. None: as many as fit beside the weights.
        blocks: Option<u64>,
    },
    /// It does not count memory.
    Unlimited,
}

impl EngineLimits {
    /// Any batch, any step, any request, and no count of memory.
    pub const NONE: Self = Self {
        prompt_tokens: None,
        takes_oversized: false,
        requests: None,
        step_tokens: None,
        request_tokens: None,
        chunks_prompts: false,
        memory: KvMemory::Unlimited,
    };

    /// Bytes that weights and KV cache may take together on processors with `memory_bytes`.
    #[must_use]
    pub fn usable_bytes(
        &self,
        memory_bytes: u64,
        weights_bytes: u64,
        kv_bytes_per_token: u64,
    ) -> u64 {
        match self.memory {
            KvMemory::Reserved => memory_bytes,
            KvMemory::Unlimited => u64::MAX,
            KvMemory::Paged {
                blocks: Some(blocks),
                block_tokens,
                ..
            } => blocks
                .saturating_mul(block_tokens.into())
                .saturating_mul(kv_bytes_per_token)
                .saturating_add(weights_bytes),
            // A cast of a float saturates.
            KvMemory::Paged { utilization, .. } => (memory_bytes as f64 * utilization) as u64,
        }
    }

    /// Whether memory is counted at all.
    #[must_use]
    pub fn counts_memory(&self) -> bool {
        self.memory != KvMemory::Unlimited
    }

    /// Whether a prompt of these many tokens is not too long.
    #[must_use]
    pub fn takes_prompt(&self, tokens: u64) -> bool {
        self.prompt_tokens.is_none_or(|most| tokens <= most)
    }

    /// Whether a request of these many tokens, prompt and output together, is not too long.
    #[must_use]
    pub fn takes(&self, tokens: u64) -> bool {
        self.request_tokens.is_none_or(|most| tokens <= most)
    }
}

impl Engine {
    /// What its server takes around it.
    #[must_use]
    pub const fn frontend(&self) -> Frontend {
        match self.approximated() {
            Self::Vllm { frontend, .. } => frontend,
            _ => Frontend::NONE,
        }
    }

    /// What an instance can hold and do at most. Of one that is not built in nothing is known here.
    #[must_use]
    pub const fn limits(&self) -> EngineLimits {
        let (requests, step_tokens, memory) = match self.approximated() {
            Self::Vllm {
                max_num_seqs,
                max_num_batched_tokens,
                max_model_len,
                block_size,
                num_gpu_blocks,
                gpu_memory_utilization,
                enable_chunked_prefill,
                reject_oversized,
                ..
            } => {
                return EngineLimits {
                    requests: max_num_seqs,
                    step_tokens: match max_num_batched_tokens {
                        Some(tokens) => Some(tokens as u64),
                        None => None,
                    },
                    prompt_tokens: match max_model_len {
                        Some(length) => Some(length.saturating_sub(1) as u64),
                        None => None,
                    },
                    takes_oversized: !reject_oversized,
                    request_tokens: None,
                    chunks_prompts: enable_chunked_prefill,
                    memory: KvMemory::Paged {
                        utilization: gpu_memory_utilization,
                        block_tokens: block_size,
                        blocks: match num_gpu_blocks {
                            Some(blocks) => Some(blocks.saturating_sub(1) as u64),
                            None => None,
                        },
                    },
                };
            }
            Self::Splitwise {
                max_batch_size,
                max_batch_tokens,
                ..
            } => (max_batch_size, Some(max_batch_tokens), KvMemory::Reserved),
            Self::Orca { max_batch_size } => (max_batch_size, None, KvMemory::Reserved),
            Self::Fcfs => (1, None, KvMemory::Unlimited),
            // Those that are approximated are a `Vllm` here.
            Self::Named(_) | Self::Sglang { .. } | Self::Trtllm { .. } => {
                return EngineLimits::NONE;
            }
        };
        EngineLimits {
            requests: Some(requests),
            step_tokens,
            prompt_tokens: None,
            takes_oversized: false,
            request_tokens: None,
            chunks_prompts: false,
            memory,
        }
    }
}
