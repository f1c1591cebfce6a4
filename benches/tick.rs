//! Ticks, for fleets of 10 to 100,000 servers: with nothing due, and with one timer due. What they
//! cost does not depend on the fleet.

#![allow(missing_docs, reason = "criterion's macros make its functions")]

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use fleetsim::bench::{BenchError, draining_fleet, idle_fleet};
use fleetsim::fleet::FleetWorldExt;
use fleetsim::simulation::Simulation;

fn empty(criterion: &mut Criterion) {
    ticks(criterion.benchmark_group("empty tick"), idle_fleet);
}

fn one_timer(criterion: &mut Criterion) {
    let group = criterion.benchmark_group("tick with one timer due");
    ticks(group, draining_fleet);
}

fn ticks(
    mut group: BenchmarkGroup<'_, WallTime>,
    fleet: impl Fn(u32) -> Result<Simulation, BenchError>,
) {
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    for servers in [10, 1_000, 100_000] {
        let mut simulation = None;
        group.bench_function(BenchmarkId::from_parameter(servers), |bencher| {
            let simulation =
                simulation.get_or_insert_with(|| fleet(servers).expect("the scenario is valid"));
            let world = simulation.world_mut();
            bencher.iter(|| world.tick().expect("the clock moves on"));
        });
    }
}

criterion_group!(benches, empty, one_timer);
criterion_main!(benches);
