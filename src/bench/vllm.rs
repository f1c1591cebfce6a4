use std::path::Path;

use super::fleet::{application, conversation, scenario, template};
use crate::catalog::Catalog;
use crate::scenario::{
    Application, CheckedScenario, Diagnostics, Engine, Frontend, Performance, Role, Scheduler,
    SchedulingPolicy, SystemPrompts, TraceFormat, Workload,
};

const MODEL: &str = "llama2-70b";

/// Step times about those that are measured for the model on eight H100, in seconds.
const STEP: Performance = Performance::Linear {
    base: 0.012,
    prefill_token: 4.5e-5,
    decode_request: 6e-5,
    context_token: 8e-8,
};

/// The highest rate, in requests a second and instance, at which queues stay bounded: there a step with a full
/// batch takes as long as it takes for the tokens that it serves to be asked for.
///
/// The mean request has 1,155 tokens of prompt and 196 of output, so its prompt takes 52 ms, and each of its
/// outputs 60 µs and 80 ns for each of 1,250 tokens of context; 12 ms a step are shared by those in the batch.
const CAPACITY: f64 = 10.0;

/// System prompts that share the prefix cache, and tokens of each.
const SYSTEM_PROMPTS: SystemPrompts = SystemPrompts {
    count: 16,
    tokens: 512,
};

/// A fleet of llama2-70b on engines `Vllm`, each on a server of eight H100, under a conversation workload.
///
/// With the prefix cache each prompt begins with one of 16 system prompts of 512 tokens more.
///
/// ```
/// use fleetsim::bench::{VllmBench, measure_vllm};
///
/// let bench = VllmBench { requests: 200, ..VllmBench::new(4, true) };
/// assert_eq!(measure_vllm(&bench)?.completed, 200);
/// # Ok::<(), fleetsim::bench::BenchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VllmBench {
    /// Servers, each with one instance.
    pub servers: u32,
    /// Requests in all.
    pub requests: u64,
    /// Whether computed blocks serve later requests.
    pub prefix_cache: bool,
    /// The rate of requests, as a share of the highest at which queues stay bounded.
    pub load: f64,
}

impl VllmBench {
    /// A million requests at 70 % of what the fleet can serve.
    #[must_use]
    pub const fn new(servers: u32, prefix_cache: bool) -> Self {
        Self {
            servers,
            requests: 1_000_000,
            prefix_cache,
            load: 0.7,
        }
    }

    /// The scenario.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub fn scenario(&self) -> Result<CheckedScenario, Diagnostics> {
        let rate = self.load * CAPACITY * f64::from(self.servers);
        let prompts = self.prefix_cache.then_some(SYSTEM_PROMPTS);
        let workload = conversation(rate, prompts, self.requests);
        let served = served(workload, self.servers, self.prefix_cache);
        CheckedScenario::new(scenario(self.servers, served), Catalog::built_in(), ".")
    }
}

/// The hour of Mooncake's conversation trace at `path`, on 8 instances of eight H100 with the prefix cache.
///
/// # Errors
/// When the trace cannot be read.
pub fn conversation_hour(path: &Path) -> Result<CheckedScenario, Diagnostics> {
    const SERVERS: u32 = 8;
    let workload = Workload::Trace {
        path: path.to_owned(),
        format: TraceFormat::Mooncake,
        origin: None,
        unit: None,
        reorder_window: 10_000,
        repeat: 1,
        rate_scale: 1.0,
        window: None,
        resample: None,
        requests: None,
    };
    let served = served(workload, SERVERS, true);
    CheckedScenario::new(scenario(SERVERS, served), Catalog::built_in(), ".")
}

/// The application with `servers` engines.
fn served(workload: Workload, servers: u32, prefix_cache: bool) -> Application {
    Application {
        model: MODEL.to_owned(),
        performance: STEP,
        scheduler: Scheduler::Jsq,
        instances: vec![template(Role::Mixed, engine(prefix_cache), servers)],
        ..application(workload)
    }
}

/// An engine with the defaults of a server.
pub(super) const fn engine(prefix_cache: bool) -> Engine {
    Engine::Vllm {
        max_num_seqs: None,
        max_num_batched_tokens: None,
        max_model_len: None,
        block_size: 16,
        num_gpu_blocks: None,
        gpu_memory_utilization: 0.9,
        enable_prefix_caching: prefix_cache,
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
        frontend: Frontend::NONE,
    }
}
