//! Forks: of a run of 40 instances under load, and of idle fleets up to 100,000 servers.

#![allow(missing_docs, reason = "criterion's macros make its functions")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fleetsim::bench::idle_fleet;
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;

/// 40 instances at four fifths of what they can do, with a policy that looks at them.
const BUSY: &str = r#"(
    name: "busy",
    fleet: [(sku: "dgx-h100", count: 40)],
    applications: [(
        name: "chat", model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        autoscaler: HpaGpu(min: 40, max: 40),
        workload: Synthetic(
            arrivals: Poisson(rate: 220.0),
            prompt_tokens: LogNormal(median: 1000.0, sigma: 0.8, max: 8000),
            output_tokens: Geometric(mean: 200.0), window: (0.0, 600.0),
        ),
    )],
)"#;

fn under_load(criterion: &mut Criterion) {
    let scenario = CheckedScenario::from_ron(BUSY, ".".as_ref()).expect("it is valid");
    let mut simulation = Simulation::new(&scenario).expect("it can be run");
    while simulation.now().seconds() < 300.0 {
        simulation.tick().expect("the clock moves on");
        simulation.take_news();
    }
    criterion.bench_function("fork of 40 instances under load", |bencher| {
        bencher.iter_with_large_drop(|| simulation.fork());
    });
}

fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fork of an idle fleet");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2));
    for servers in [10, 1_000, 100_000] {
        let mut simulation = None;
        group.bench_function(BenchmarkId::from_parameter(servers), |bencher| {
            let simulation = simulation
                .get_or_insert_with(|| idle_fleet(servers).expect("the scenario is valid"));
            bencher.iter_with_large_drop(|| simulation.fork());
        });
    }
}

criterion_group!(benches, under_load, idle);
criterion_main!(benches);
