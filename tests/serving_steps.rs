//! Steps whose time depends on what is in the KV cache: timelines worked out by hand, and runs of steps
//! beside the same steps one by one.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod serving_support;

use std::sync::Arc;

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{
    BatchShape, Endpoint, EngineSpec, Linear, Performance, RequestRecord, StepModel,
};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;
use proptest::prelude::*;

use serving_support::{ENGINES, Fleet, arrival, at, combinations, nothing, stream};

/// Powers of two, so that sums are exact.
const LINEAR: Linear = Linear {
    base: 1.0,
    prefill_token: 1.0 / 64.0,
    decode_request: 1.0 / 8.0,
    context_token: 1.0 / 1024.0,
};

/// The same, one step at a time.
#[derive(Debug)]
struct StepByStep(Linear);

impl StepModel for StepByStep {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        self.0.seconds(shape)
    }
}

fn build(fleet: &Fleet, arrivals: &[Arrival], performance: &Performance) -> Endpoint {
    let mut endpoint = fleet.endpoint(stream(arrivals));
    for (instance, &role) in (0..).zip(&fleet.roles) {
        let engine = endpoint.add_engine(EngineSpec {
            performance: performance.clone(),
            ..fleet.engine(instance, role)
        });
        endpoint.open(engine);
    }
    endpoint
}

fn serve(fleet: &Fleet, arrivals: &[Arrival], performance: &Performance) -> Vec<RequestRecord> {
    let mut endpoint = build(fleet, arrivals, performance);
    endpoint.serve_until(SimTime::MAX);
    endpoint.recount().unwrap();
    assert!(endpoint.is_done());
    let mut records: Vec<_> = endpoint.take_ended().collect();
    records.sort_by_key(|record| record.id);
    records
}

/// The prompt: 1 + 128/64 + 128/1024. Token k: 1 + 1/8 + (128 + k)/1024, as the cache grows.
#[test]
fn a_request_alone_takes_the_sum_of_its_steps() {
    let linear = Performance::Linear(LINEAR);
    for engine in ENGINES {
        let fleet = Fleet::new(Scheduler::Jsq, engine, 1);
        let record = serve(&fleet, &[arrival(0, 0.0, 128, 5)], &linear).remove(0);
        let first = 1.0 + 2.0 + 0.125;
        assert_eq!(record.first_token, Some(at(first)));
        let tokens = |k: f64| 1.0 + 0.125 + (128.0 + k) / 1024.0;
        let end = first + tokens(1.0) + tokens(2.0) + tokens(3.0) + tokens(4.0);
        assert_eq!(record.end, Some(at(end)));
    }
}

/// Two decode together until the first is done; each adds its own cache to the steps.
#[test]
fn a_batch_reads_the_cache_of_all_its_requests() {
    let fleet = Fleet::new(Scheduler::Jsq, Engine::Orca { max_batch_size: 8 }, 1);
    let arrivals = [arrival(0, 0.0, 64, 3), arrival(1, 0.0, 192, 4)];
    let records = serve(&fleet, &arrivals, &Performance::Linear(LINEAR));
    // The first prompt runs alone, then the second beside the first token of the first.
    let first = 1.0 + 1.0 + 64.0 / 1024.0;
    let second = first + 1.0 + 3.0 + 0.125 + (192.0 + 65.0) / 1024.0;
    assert_eq!(records[0].first_token, Some(at(first)));
    assert_eq!(records[1].first_token, Some(at(second)));
    let both = second + 1.0 + 0.25 + (66.0 + 193.0) / 1024.0;
    assert_eq!(records[0].end, Some(at(both)));
    let alone = |context: f64| 1.0 + 0.125 + context / 1024.0;
    assert_eq!(records[1].end, Some(at(both + alone(194.0) + alone(195.0))));
}

/// A run under way is credited with the steps that are over, and cut short at the boundary of one.
#[test]
fn a_growing_run_is_cut_short_at_the_end_of_a_step() {
    let fleet = Fleet::new(Scheduler::Jsq, Engine::Orca { max_batch_size: 8 }, 1);
    let arrivals = [arrival(0, 0.0, 128, 100), arrival(1, 6.0, 64, 1)];
    let mut endpoint = build(&fleet, &arrivals, &Performance::Linear(LINEAR));
    // Tokens of the first come at 3.125 + 1.125 k + (128 k + k (k + 1) / 2) / 1024.
    let end_of = |k: f64| 3.125 + 1.125 * k + (128.0 * k + k * (k + 1.0) / 2.0) / 1024.0;
    assert!(end_of(2.0) < 6.0 && 6.0 < end_of(3.0));
    endpoint.serve_until(at(5.75));
    assert_eq!(endpoint.counts().output_tokens, 1);
    endpoint.serve_until(at(1_000.0));
    endpoint.recount().unwrap();
    let records: Vec<_> = endpoint.take_ended().collect();
    assert_eq!(records[0].id, 1);
    assert_eq!(records[0].prompt_start, Some(at(end_of(3.0))));
}

#[test]
fn coefficients_out_of_range_are_refused() {
    use fleetsim::catalog::Catalog;
    use fleetsim::scenario::Performance as Spec;
    let catalog = Catalog::built_in();
    let new = |base, prefill_token| {
        let spec = Spec::Linear {
            base,
            prefill_token,
            decode_request: 0.0,
            context_token: 0.0,
        };
        Performance::new(
            &spec,
            &catalog,
            "llama2-70b",
            &catalog.skus["dgx-h100"],
            8,
            &Engine::default(),
        )
    };
    assert!(new(0.01, 0.0).is_ok());
    for (base, prefill_token) in [(0.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0), (0.01, -1e-9)] {
        assert!(new(base, prefill_token).is_err(), "{base} {prefill_token}");
    }
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let one = (0.0..6.0_f64, 1u32..60, 1u32..40);
    prop::collection::vec(one, 1..40).prop_map(|gaps| {
        let mut time = 0.0;
        let arrival = |(id, (gap, prompt, output))| {
            time += gap;
            arrival(id, time, prompt, output)
        };
        (0..).zip(gaps).map(arrival).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where nothing else happens, a batch goes on as it is, in one run or in many.
    #[test]
    fn a_run_is_as_its_steps_one_by_one(arrivals in arrivals(), memory in 150u64..2_000) {
        let linear = Linear { base: 0.125, prefill_token: 0.001, decode_request: 0.003, context_token: 1e-4 };
        for (scheduler, engine) in combinations(1e-6) {
            let fleet = Fleet { room: memory, ..Fleet::new(scheduler, engine, 2) };
            let runs = serve(&fleet, &arrivals, &Performance::Linear(linear));
            let steps = serve(&fleet, &arrivals, &Performance::Model(Arc::new(StepByStep(linear))));
            prop_assert_eq!(runs.len(), steps.len());
            for (run, step) in runs.iter().zip(&steps) {
                let times = |it: &RequestRecord| [it.prompt_start, it.first_token, it.token_start, it.end];
                for (run, step) in times(run).into_iter().zip(times(step)) {
                    let seconds = |time: Option<SimTime>| time.map_or(-1.0, SimTime::seconds);
                    let (run, step) = (seconds(run), seconds(step));
                    prop_assert!((run - step).abs() < 1e-6, "{:?} {} {}", engine, run, step);
                }
            }
        }
    }

    /// Engines that come and go keep their sums.
    #[test]
    fn sums_survive_withdrawals(arrivals in arrivals(), when in 0.0..60.0_f64) {
        for (scheduler, engine) in combinations(1e-6) {
            let fleet = Fleet { room: 300, ..Fleet::new(scheduler, engine, 2) };
            let mut endpoint = build(&fleet, &[], &Performance::Linear(LINEAR));
            for arrival in arrivals.iter().cloned() {
                prop_assert!(endpoint.submit(arrival).is_ok());
            }
            endpoint.serve_until(at(when));
            endpoint.recount().map_err(TestCaseError::fail)?;
            let first = fleet.build(nothing()).1[0];
            endpoint.withdraw(first, at(when));
            endpoint.recount().map_err(TestCaseError::fail)?;
            let role = fleet.roles[0];
            let engine = endpoint.add_engine(EngineSpec {
                performance: Performance::Linear(LINEAR),
                ..fleet.engine(9, role)
            });
            endpoint.open(engine);
            endpoint.flush(at(when));
            endpoint.serve_until(at(1e6));
            endpoint.recount().map_err(TestCaseError::fail)?;
            prop_assert!(endpoint.is_done());
        }
    }
}
