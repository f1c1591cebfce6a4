//! The time to price a step: nanoseconds for each step model and each kind of batch.
//!
//! *decode* prices decode steps of ever other sizes, *run* a run of them, *prompt* steps with a chunk of a
//! prompt of ever other length, as they come in a server, and *mixed* such a chunk beside 32 requests that decode.

#![allow(missing_docs, reason = "criterion's macros make its functions")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleetsim::catalog::{Catalog, Parallelism};
use fleetsim::random::Stream;
use fleetsim::serving::{BatchShape, Linear, Roofline, StepModel};

/// Steps of one iteration.
const STEPS: usize = 4_096;

/// A model with eight GPUs of each kind of architecture: dense, windows, experts, latent attention.
const MODELS: [&str; 4] = [
    "llama-3.3-70b",
    "gpt-oss-120b",
    "qwen3-235b-a22b",
    "deepseek-v3",
];

fn shapes(kind: &str, window: Option<u64>) -> Vec<BatchShape> {
    let mut stream = Stream::new(1, "bench/steps");
    let mut shape = || {
        let mut shape = BatchShape::default();
        let decodes = match kind {
            "prompt" => 0,
            "mixed" => 32,
            _ => 1 + stream.below(256),
        };
        for _ in 0..decodes {
            shape.add_decode(500 + stream.below(3_000) as u64);
        }
        if matches!(kind, "prompt" | "mixed") {
            shape.add_chunk(0, 1 + stream.below(8_000) as u64, window);
        }
        shape
    };
    (0..STEPS).map(|_| shape()).collect()
}

fn steps(criterion: &mut Criterion) {
    let catalog = Catalog::built_in();
    let linear = Linear {
        base: 0.012,
        prefill_token: 4.5e-5,
        decode_request: 6e-5,
        context_token: 8e-8,
    };
    let mut models: Vec<(&str, Box<dyn StepModel>)> = vec![("linear", Box::new(linear))];
    for name in MODELS {
        let roofline = Roofline::of(&catalog, name, "h200-sxm", "vllm", Parallelism::tensor(8));
        models.push((name, Box::new(roofline.expect("the catalog has it"))));
    }
    for kind in ["decode", "run", "prompt", "mixed"] {
        let mut group = criterion.benchmark_group(kind);
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(700))
            .throughput(Throughput::Elements(STEPS as u64));
        for (name, model) in &models {
            let shapes = shapes(kind, model.window());
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    for shape in black_box(&shapes) {
                        match kind {
                            "run" => drop(black_box(model.decode_run(shape, 100))),
                            _ => drop(black_box(model.seconds(shape))),
                        }
                    }
                });
            });
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
