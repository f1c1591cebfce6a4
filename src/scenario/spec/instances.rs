//! Instances: what they are made from, how they come and go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::open::{Term, open_enum};
use super::{Frontend, Stage, StartUpFailure};
use crate::random::Delay;
use crate::time::SimDuration;

/// What an instance may serve.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Role {
    /// The prompt phase (prefill).
    Prompt,
    /// The token phase (decode).
    Token,
    /// Both phases.
    Mixed,
}

/// An instance template.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What its instances serve. Required.
    pub role: Role,
    /// How its instances batch. Default `Splitwise` with its defaults.
    #[serde(default)]
    pub engine: Engine,
    /// Processors that share each layer. Default 8, a full server of the built-in SKUs.
    #[serde(default = "default_tensor_parallelism")]
    #[schemars(range(min = 1))]
    pub tensor_parallelism: u32,
    /// Groups of processors that share the layers out. Default 1.
    #[serde(default = "default_pipeline_parallelism")]
    #[schemars(range(min = 1))]
    pub pipeline_parallelism: u32,
    /// What is there, already active, at time zero. Default `None`.
    #[serde(default)]
    pub start: Start,
}

impl Template {
    /// Processors that one instance takes.
    #[must_use]
    pub const fn processors(&self) -> u32 {
        self.tensor_parallelism
            .saturating_mul(self.pipeline_parallelism)
    }
}

fn default_tensor_parallelism() -> u32 {
    8
}

fn default_pipeline_parallelism() -> u32 {
    1
}

/// How an instance batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(remote = "Engine")]
pub enum Engine {
    /// Prompts first within a token budget; token tasks that fall out are preempted.
    Splitwise {
        /// The most tasks in a batch. Default 512, as in Splitwise.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
        /// The most tokens in an iteration. Default 2048, as in Splitwise.
        #[serde(default = "default_max_batch_tokens")]
        #[schemars(range(min = 1))]
        max_batch_tokens: u64,
        /// A task preempted this often goes first. Default 4, as in Splitwise.
        #[serde(default = "default_max_preemptions")]
        max_preemptions: u32,
    },
    /// Iteration-level batching in arrival order, without preemption.
    Orca {
        /// The most tasks in a batch. Default 512.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
    },
    /// One task at a time, first come first served, without a memory limit.
    Fcfs,
    /// vLLM 0.33.0: chunked prefill, paged KV blocks, prefix cache, preemption by recomputation. All options
    /// have the names and meanings of vLLM's.
    Vllm {
        /// The most requests that run at once. Default as in vLLM: 1024, and 256 on an A100 or with less than
        /// 70 GiB a GPU.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_num_seqs: Option<u32>,
        /// The most tokens of a step. Default as in vLLM: 8192; 16384 with 160 GiB or more a GPU; 2048 on an
        /// A100 or with less than 70 GiB.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_num_batched_tokens: Option<u32>,
        /// The most tokens of a request, prompt and outputs; a prompt of as many is rejected. Default: as many
        /// as all KV blocks hold.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_model_len: Option<u32>,
        /// Tokens of a KV block. Default 16.
        #[serde(default = "default_block_size")]
        #[schemars(range(min = 1))]
        block_size: u32,
        /// KV blocks, the null block included, which is never used. Default: what fits into
        /// `gpu_memory_utilization` beside the weights and 2 GB a GPU for activations.
        #[serde(default)]
        #[schemars(range(min = 2))]
        num_gpu_blocks: Option<u32>,
        /// The share of the memory for weights, activations and KV cache. Default 0.9.
        #[serde(default = "default_utilization")]
        #[schemars(range(min = 0, max = 1))]
        gpu_memory_utilization: f64,
        /// Whether computed blocks serve later requests with equal tokens. Default true.
        #[serde(default = "yes")]
        enable_prefix_caching: bool,
        /// Whether a prompt may take several steps. Default true.
        #[serde(default = "yes")]
        enable_chunked_prefill: bool,
        /// The most tokens of one request in a step, unless it is alone; 0 for no limit. Default 0.
        #[serde(default)]
        long_prefill_token_threshold: u32,
        /// Whether that limit is at least an equal share of the step. Default false.
        #[serde(default)]
        long_prefill_token_threshold_adaptive: bool,
        /// Who is admitted first, and preempted. Default `Fcfs`.
        #[serde(default)]
        scheduling_policy: SchedulingPolicy,
        /// The share of all blocks that stays free when a request is admitted beside others. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0, max = 1))]
        watermark: f64,
        /// Whether a request is admitted only if all its tokens fit now. Default true.
        #[serde(default = "yes")]
        scheduler_reserve_full_isl: bool,
        /// The most requests that run at once, where that is fewer than `max_num_seqs`. Default: no such limit.
        #[serde(default)]
        max_num_active_seqs: Option<u32>,
        /// Steps from one with prompts to the next, at least. Default 1.
        #[serde(default = "default_interval")]
        #[schemars(range(min = 1))]
        prefill_schedule_interval: u32,
        /// Whether a step is scheduled while the one before runs. Default true, as in a server.
        #[serde(default = "yes")]
        async_scheduling: bool,
        /// Whether a request that can never fit is rejected. False lets it wait without end, as vLLM
        /// does. Default true.
        #[serde(default = "yes")]
        reject_oversized: bool,
        /// What the server takes around the engine until a user has a token. Default: nothing.
        #[serde(default)]
        frontend: Frontend,
    },
    /// SGLang, approximated: its limits and coefficients, with the scheduling of `Vllm`. SGLang itself computes
    /// prompts in steps of their own unless told otherwise, and keeps pages of one token.
    Sglang {
        /// The most requests that run at once. Default 4096.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_running_requests: Option<u32>,
        /// The most prompt tokens of a step. Default 8192.
        #[serde(default)]
        #[schemars(range(min = 1))]
        chunked_prefill_size: Option<u32>,
        /// The most tokens of a request, prompt and outputs. Default: as many as the KV cache holds.
        #[serde(default)]
        #[schemars(range(min = 1))]
        context_length: Option<u32>,
        /// Tokens of the KV cache. Default: what fits into `mem_fraction_static` beside the weights.
        #[serde(default)]
        #[schemars(range(min = 16))]
        max_total_tokens: Option<u32>,
        /// The share of the memory for weights, KV cache and 2 GB of activations a GPU. Default 0.9, as
        /// SGLang's documentation has it; it works out its own, which is lower on many GPUs.
        #[serde(default = "default_utilization")]
        #[schemars(range(min = 0, max = 1))]
        mem_fraction_static: f64,
        /// Whether computed pages serve nobody else. Default false.
        #[serde(default)]
        disable_radix_cache: bool,
        /// What the server takes around the engine until a user has a token. Default: nothing.
        #[serde(default)]
        frontend: Frontend,
    },
    /// TensorRT-LLM, approximated: its limits and coefficients, with the scheduling of `Vllm`. TensorRT-LLM itself
    /// admits a request only where all its tokens fit, and so preempts nobody.
    Trtllm {
        /// The most requests that run at once. Default 2048.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_batch_size: Option<u32>,
        /// The most tokens of a step. Default 8192.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_num_tokens: Option<u32>,
        /// The most tokens of a request, prompt and outputs. Default: as many as the KV cache holds.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_seq_len: Option<u32>,
        /// The share, for the KV cache, of the memory that the weights and 2 GB of activations a GPU leave
        /// free. Default 0.9, as in its documentation.
        #[serde(default = "default_utilization")]
        #[schemars(range(min = 0, max = 1))]
        free_gpu_memory_fraction: f64,
        /// Whether computed blocks serve later requests with equal tokens. Default true.
        #[serde(default = "yes")]
        enable_block_reuse: bool,
        /// What the server takes around the engine until a user has a token. Default: nothing.
        #[serde(default)]
        frontend: Frontend,
    },
    /// One that is not built in, by its name in a registry.
    #[schemars(skip)]
    Named(Term),
}

/// Which request a `Vllm` engine admits first, and which it preempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SchedulingPolicy {
    /// By arrival; the last admitted is preempted.
    #[default]
    Fcfs,
    /// The smallest priority first, then by arrival; the largest priority is preempted.
    Priority,
}

open_enum!(Engine);

impl Default for Engine {
    fn default() -> Self {
        Self::Splitwise {
            max_batch_size: default_max_batch_size(),
            max_batch_tokens: default_max_batch_tokens(),
            max_preemptions: default_max_preemptions(),
        }
    }
}

fn default_block_size() -> u32 {
    16
}

fn default_utilization() -> f64 {
    0.9
}

fn default_interval() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn default_max_batch_size() -> u32 {
    512
}

fn default_max_batch_tokens() -> u64 {
    2048
}

fn default_max_preemptions() -> u32 {
    4
}

/// What of a template is there at time zero, already active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Start {
    /// Nothing.
    #[default]
    None,
    /// The next `n` servers with room for one, in fleet order.
    Servers(u32),
    /// Every server.
    AllServers,
    /// Every server of this SKU.
    Sku(String),
}

/// How an application's instances come and go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scaling {
    /// The allocator's overhead before an instance joins. Default `Constant(0.0)`.
    pub spin_up: Delay,
    /// Seconds from the server being ready until a new instance is active. Default 10, the
    /// value of the scaling manager that fleetsim carries over.
    pub scale_up_delay: SimDuration,
    /// What an instance goes through between its spin-up and joining, one after another. Default: nothing.
    pub stages: Vec<Stage>,
    /// Start-ups that fail or hang. Default: none does.
    pub start_up_failure: Option<StartUpFailure>,
    /// Seconds between two checks of whether instances are alive, at multiples of it. Until the next one a fault that takes
    /// an active or draining instance is not noticed: it counts as it did, is paid for and keeps its processors, and the
    /// router sends it requests. These, and those that it had, are stuck; then they meet `crash`. Restarts begin then, and
    /// what is repaired before comes back then. Caches on their way from it are lost at once. Default 0, at once.
    pub health_check: SimDuration,
    /// What becomes of the work of a draining instance. Default `Poll(1.0)`, its `drain_check_interval`.
    pub drain: Drain,
    /// Seconds of draining after which the remaining work is put back. Default: never.
    pub drain_timeout: Option<SimDuration>,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            spin_up: Delay::ZERO,
            scale_up_delay: SimDuration::saturating(10.0),
            stages: Vec::new(),
            start_up_failure: None,
            health_check: SimDuration::ZERO,
            drain: Drain::default(),
            drain_timeout: None,
        }
    }
}

/// What becomes of the work of a draining instance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Drain {
    /// It is finished. Whether it is, is looked at at once and then at this interval, in seconds.
    Poll(#[schemars(range(min = 0.001))] SimDuration),
    /// It is finished, and the instance goes at the exact instant at which it is.
    OnIdle,
    /// It is put back at once and begins again elsewhere, from the prompt: the instance goes at once.
    Requeue,
    /// Each request whose prompt is done goes to another open instance with its KV cache, and goes on there without a new
    /// prefill; the others are put back. The instance goes when the last cache is gone. A request goes to the instance
    /// with the fewest pending tokens of those that have room for it; while none has, it waits for room at that with the
    /// fewest, tried each second. With no other instance that could hold it, it is put back. The step under way is lost.
    /// Only built-in engines can do it.
    Migrate {
        /// GiB/s of each cache on its way; as transfers between `Prompt` and `Token` instances, they do not share it.
        /// Required.
        #[schemars(extend("exclusiveMinimum" = 0))]
        bandwidth_gib_per_s: f64,
    },
}

impl Default for Drain {
    fn default() -> Self {
        Self::Poll(SimDuration::saturating(1.0))
    }
}
