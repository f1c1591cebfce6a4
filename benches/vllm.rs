//! The engine of vLLM alone: requests served a second, on one engine.
//!
//! Prompts and answers are as long as in conversations (log-normal, means of 1,155 and 211 tokens). With
//! `shared` every prompt begins with one of 16 system prompts of 512 tokens. One kind alone:
//!
//! ```text
//! cargo bench --bench vllm -- alone
//! ```

#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleetsim::random::Stream;
use fleetsim::serving::Linear;
use fleetsim::serving::vllm::{News, Prefix, Vllm, VllmConfig, Work};
use fleetsim::time::SimTime;

/// Requests of one iteration.
const REQUESTS: u64 = 5_000;

/// Llama 2 70B on eight H100, roughly.
const MODEL: Linear = Linear {
    base: 0.012,
    prefill_token: 4.5e-5,
    decode_request: 6e-5,
    context_token: 8e-8,
};

fn log_normal(stream: &mut Stream, median: f64, sigma: f64) -> u32 {
    ((median * (sigma * stream.normal()).exp()) as u32).clamp(1, 6_000)
}

/// Requests at `rate` a second; `shared` of the ids of a prompt are those of a system prompt.
fn requests(rate: f64, shared: u64) -> Vec<Work> {
    let mut stream = Stream::new(1, "bench/vllm");
    let mut now = 0.0;
    let request = |id| {
        now += stream.exponential() / rate;
        let prompt = log_normal(&mut stream, 700.0, 1.0) + 512 * u32::from(shared > 0);
        let system = stream.below(16) as u64;
        Work {
            id,
            arrival: SimTime::saturating(now),
            prompt_tokens: prompt,
            output_tokens: log_normal(&mut stream, 150.0, 0.8),
            prefix: Prefix {
                ids: (0..shared).map(|place| system * 100 + place).collect(),
                tokens: 64,
            },
            ..Work::default()
        }
    };
    (0..REQUESTS).map(request).collect()
}

fn serve(config: VllmConfig, requests: Vec<Work>) -> u64 {
    let mut engine = Vllm::new(config);
    let mut news = News::default();
    let mut done = 0;
    let mut arrivals = requests.into_iter().peekable();
    loop {
        let event = engine.next_event();
        let arrival = arrivals.peek().map(|work| work.arrival);
        match (event, arrival) {
            (event, Some(now)) if event.is_none_or(|event| now <= event) => {
                if let Some(work) = arrivals.next() {
                    engine.enqueue(work, now);
                }
                if event.is_none() {
                    engine.start(now, &MODEL, &mut news);
                }
            }
            (Some(now), _) => {
                engine.finish(&mut news);
                engine.start(now, &MODEL, &mut news);
            }
            (None, _) => return done,
        }
        done += news.ended.len() as u64;
        news.clear();
    }
}

fn vllm(criterion: &mut Criterion) {
    for (name, shared) in [("alone", 0), ("shared", 8)] {
        let mut group = criterion.benchmark_group(name);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .throughput(Throughput::Elements(REQUESTS));
        for rate in [1.0, 4.0] {
            let requests = requests(rate, shared);
            for pipelined in [false, true] {
                let kind = if pipelined { "async" } else { "sync" };
                let config = VllmConfig {
                    async_scheduling: pipelined,
                    ..VllmConfig::of_server("H100", 80 << 30, 8_192, 80_000)
                };
                group.bench_function(BenchmarkId::new(kind, rate), |bencher| {
                    bencher.iter_batched(
                        || requests.clone(),
                        |requests| assert_eq!(serve(config, requests), REQUESTS),
                        criterion::BatchSize::LargeInput,
                    );
                });
            }
        }
    }
}

criterion_group!(benches, vllm);
criterion_main!(benches);
