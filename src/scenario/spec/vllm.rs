//! What an engine `Vllm` comes to on the GPUs of a server.

use super::Engine;

/// Bytes on each GPU for activations and graphs; within 1.3 % of what vLLM 0.15 reports.
const RESERVED_BYTES: f64 = 2.0e9;

/// What an instance runs on, and what it runs.
#[derive(Clone, Copy, Debug)]
pub struct EngineHardware<'a> {
    /// The name of its GPUs.
    pub gpu: &'a str,
    /// Bytes of memory of each.
    pub gpu_memory_bytes: u64,
    /// How many they are.
    pub processors: u32,
    /// Bytes of the weights, on all of them together.
    pub weights_bytes: u64,
    /// Bytes that a token takes in the KV cache, on all of them together.
    pub kv_bytes_per_token: u64,
}

/// The defaults of vLLM 0.33.0 for a server: the tokens of a step, and the requests that run at once.
///
/// ```
/// use fleetsim::scenario::vllm_defaults;
/// assert_eq!(vllm_defaults("h100", 80 << 30), (8_192, 1_024));
/// assert_eq!(vllm_defaults("a100-80gb", 80 << 30), (2_048, 256));
/// assert_eq!(vllm_defaults("b200", 180 << 30), (16_384, 1_024));
/// ```
#[must_use]
pub fn vllm_defaults(gpu: &str, memory_bytes: u64) -> (u32, u32) {
    const GIB: u64 = 1 << 30;
    let is_a100 = gpu.to_ascii_lowercase().contains("a100");
    if memory_bytes >= 160 * GIB {
        (16_384, 1_024)
    } else if memory_bytes >= 70 * GIB && !is_a100 {
        (8_192, 1_024)
    } else {
        (2_048, 256)
    }
}

impl Engine {
    /// The same engine with every default filled in that depends on the hardware.
    #[must_use]
    pub fn on(self, hardware: &EngineHardware<'_>) -> Self {
        let of_free = matches!(self, Self::Trtllm { .. });
        let mut engine = self.approximated();
        let Self::Vllm {
            max_num_seqs,
            max_num_batched_tokens,
            max_model_len,
            block_size,
            num_gpu_blocks,
            gpu_memory_utilization,
            enable_chunked_prefill,
            ..
        } = &mut engine
        else {
            return engine;
        };
        let size = (*block_size).max(1);
        let blocks = *num_gpu_blocks.get_or_insert_with(|| {
            let all = f64::from(hardware.processors);
            let (memory, share) = (hardware.gpu_memory_bytes as f64, *gpu_memory_utilization);
            let beside =
                |memory: f64| (memory - RESERVED_BYTES) * all - hardware.weights_bytes as f64;
            let free = match of_free {
                true => share * beside(memory),
                false => beside(share * memory),
            };
            let block = hardware.kv_bytes_per_token.max(1) as f64 * f64::from(size);
            // A cast of a float saturates.
            ((free / block) as u32).min(u32::MAX / size)
        });
        let length =
            *max_model_len.get_or_insert(blocks.saturating_sub(1).saturating_mul(size).max(1));
        let (mut tokens, seqs) = vllm_defaults(hardware.gpu, hardware.gpu_memory_bytes);
        if !*enable_chunked_prefill {
            tokens = tokens.max(length);
        }
        let seqs = *max_num_seqs.get_or_insert(seqs.min(max_num_batched_tokens.unwrap_or(tokens)));
        max_num_batched_tokens.get_or_insert(tokens.max(seqs));
        engine
    }
}
