use crate::serving::RequestRecord;

/// A histogram that vLLM exposes: its name there, its buckets, and what a request adds to it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Upper bounds, rising; one without a bound comes after them.
    pub(super) bounds: &'static [f64],
    /// A value, and how many times it was observed.
    observed: fn(&RequestRecord) -> Option<(f64, u64)>,
}

const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
const BETWEEN_TOKENS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];
const LATENCY: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];
const TOKENS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0,
    50000.0, 100000.0,
];

/// The buckets are those of vLLM's `v1/metrics/loggers.py`, as of 2026.
pub(super) const DEFINITIONS: [Definition; 11] = [
    Definition {
        name: "vllm:time_to_first_token_seconds",
        help: "Time to first token",
        bounds: FIRST_TOKEN,
        observed: |it| Some((it.ttft()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:inter_token_latency_seconds",
        help: "Time between tokens: for each request its mean, once for each token after the first",
        bounds: BETWEEN_TOKENS,
        observed: between_tokens,
    },
    Definition {
        name: "vllm:time_per_output_token_seconds",
        help: "The same under its older name",
        bounds: BETWEEN_TOKENS,
        observed: between_tokens,
    },
    Definition {
        name: "vllm:request_time_per_output_token_seconds",
        help: "Mean time between the tokens of a request",
        bounds: BETWEEN_TOKENS,
        observed: |it| Some((between_tokens(it)?.0, 1)),
    },
    Definition {
        name: "vllm:e2e_request_latency_seconds",
        help: "Arrival to last token",
        bounds: LATENCY,
        observed: |it| Some((it.e2e()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:request_queue_time_seconds",
        help: "Arrival to the first run of the prompt",
        bounds: LATENCY,
        observed: |it| Some((it.queue()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:request_prefill_time_seconds",
        help: "First run of the prompt to the first token",
        bounds: LATENCY,
        observed: |it| Some((it.ttft()?.seconds() - it.queue()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:request_decode_time_seconds",
        help: "First token to last token",
        bounds: LATENCY,
        observed: |it| Some((it.e2e()?.seconds() - it.ttft()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:request_inference_time_seconds",
        help: "First run of the prompt to the last token",
        bounds: LATENCY,
        observed: |it| Some((it.e2e()?.seconds() - it.queue()?.seconds(), 1)),
    },
    Definition {
        name: "vllm:request_prompt_tokens",
        help: "Prompt tokens of a request",
        bounds: TOKENS,
        observed: |it| Some((it.prompt_tokens.into(), 1)),
    },
    Definition {
        name: "vllm:request_generation_tokens",
        help: "Output tokens of a request",
        bounds: TOKENS,
        observed: |it| Some((it.output_tokens.into(), 1)),
    },
];

fn between_tokens(request: &RequestRecord) -> Option<(f64, u64)> {
    let decode = request.e2e()?.seconds() - request.ttft()?.seconds();
    let gaps = u64::from(request.output_tokens) - 1;
    (gaps > 0).then(|| (decode / gaps as f64, gaps))
}

/// What was observed so far.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// By bucket, not cumulative; the last has no bound.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(of: &Definition) -> Self {
        Self {
            counts: vec![0; of.bounds.len() + 1],
            sum: 0.0,
        }
    }

    pub(super) fn observe(&mut self, of: &Definition, request: &RequestRecord) {
        if let Some((value, times)) = (of.observed)(request) {
            let bucket = of.bounds.partition_point(|&bound| bound < value);
            self.counts[bucket] += times;
            self.sum += value * times as f64;
        }
    }
}
