//! The data plane in its steady state, for each scheduler and for 10 to 100,000 instances.
//!
//! Criterion gives the time of [`SLICE`] requests and the requests a second; a line after it says
//! what that is for an event. One scheduler or size alone:
//!
//! ```text
//! cargo bench --bench schedulers -- TokenJsq/1000
//! ```

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark prints, and criterion's macros make its functions"
)]

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use fleetsim::bench::{DataPlane, SCHEDULERS, bare_queue};

/// Requests of one iteration: so many that a slice of time has about as many as the next.
const SLICE: u32 = 2_000;

/// Requests for each instance before anything is measured. At 70 % of its capacity an instance
/// has about 20 at once.
const WARM_UP: f64 = 30.0;

fn schedulers(criterion: &mut Criterion) {
    for (name, scheduler) in SCHEDULERS {
        let mut group = criterion.benchmark_group(name);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Elements(u64::from(SLICE)));
        for instances in [10_u32, 100, 1_000, 10_000, 100_000] {
            let id = BenchmarkId::from_parameter(instances);
            let mut spent = Spent::default();
            let mut plane = None;
            group.bench_function(id, |bencher| {
                let plane = plane.get_or_insert_with(|| {
                    let mut plane =
                        DataPlane::new(scheduler, instances).expect("there are instances");
                    plane.serve(f64::from(instances) * WARM_UP);
                    plane
                });
                bencher.iter_custom(|iterations| spent.serve(plane, iterations));
            });
            spent.print(instances);
        }
    }
}

/// What was measured of one benchmark so far.
#[derive(Default)]
struct Spent {
    time: Duration,
    requests: u64,
    events: u64,
}

impl Spent {
    fn serve(&mut self, plane: &mut DataPlane, iterations: u64) -> Duration {
        let (requests, events) = (plane.arrived(), plane.events());
        let time = (0..iterations).map(|_| plane.serve(f64::from(SLICE))).sum();
        self.time += time;
        self.requests += plane.arrived() - requests;
        self.events += plane.events() - events;
        time
    }

    /// Nothing for a benchmark that was not run.
    fn print(&self, instances: u32) {
        if self.events == 0 {
            return;
        }
        let nanoseconds = self.time.as_nanos() as f64 / self.events as f64;
        println!(
            "{:24}{nanoseconds:.0} ns an event, {:.1} times the bare queue; {:.2} events a request\n",
            "",
            nanoseconds / bare_queue(instances, 500_000),
            self.events as f64 / self.requests as f64,
        );
    }
}

criterion_group!(benches, schedulers);
criterion_main!(benches);
