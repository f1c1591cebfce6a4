//! Dynamo's planner: its load mode, its throughput mode, and its predictors.
//!
//! The estimator of a forward pass that the original ran with is a straight line; here the same line is the step
//! model of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetsim::autoscale::forecast::Method;
use fleetsim::autoscale::policies::{
    Aim, DynamoLoad, DynamoSla, Prediction, RoleReports, StepReport,
};
use fleetsim::autoscale::{CapacityModel, DesiredInstances, EngineModel, Policy};
use fleetsim::serving::Role::{Mixed, Prompt, Token};
use fleetsim::serving::{BatchShape, Performance, StepModel};
use fleetsim::time::SimDuration;

use super::*;
use crate::support::{seconds, tuned};

const SOURCE: &str = "dynamo_planner";

/// Milliseconds of a pass, linear in its prompt tokens, KV tokens and requests.
#[derive(Debug)]
struct Line {
    base: f64,
    prefill: f64,
    kv: f64,
    request: f64,
}

impl StepModel for Line {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        let prefill = self.prefill * shape.prefill_tokens as f64;
        let kv = self.kv * shape.decode_context as f64;
        (self.base + prefill + kv + self.request * shape.decodes as f64) / 1000.0
    }
}

/// The roles of a mode, and their names in the vectors.
fn roles(case: &Row) -> &'static [(Role, &'static str)] {
    match case.text("mode") {
        "disagg" => &[(Prompt, "prefill"), (Token, "decode")],
        "agg" => &[(Mixed, "decode")],
        "prefill" => &[(Prompt, "prefill")],
        _ => &[(Token, "decode")],
    }
}

/// The engines of a case.
fn engines(case: &Row) -> CapacityModel {
    let whole = |column: &str| case.real(column) as u64;
    let mut capacity = CapacityModel::default();
    for &(role, name) in roles(case) {
        let line = Line {
            base: case.real("base_ms"),
            prefill: case.real("prefill_ms"),
            kv: case.real("kv_ms"),
            request: case.real("request_ms"),
        };
        let engine = EngineModel {
            performance: Performance::Model(Arc::new(line)),
            max_batch_size: Some(case.whole("max_num_seqs")),
            max_batch_tokens: Some(whole("max_num_batched_tokens")),
            kv_tokens: Some(whole("max_kv_tokens")),
            chunks_prompts: true,
            gpus: case.whole(&format!("{name}_gpus")),
        };
        capacity = capacity.with_engine(role, engine);
    }
    capacity
}

/// A limit; −1 is none.
fn limit(case: &Row, column: &str) -> Option<u32> {
    let limit = case.real(column);
    (limit >= 0.0).then_some(limit as u32)
}

fn own_minimum(case: &Row, column: &str) -> Option<u32> {
    case.number(column).map(|it| it as u32)
}

fn throughput_mode(case: &Row) -> DynamoSla {
    tuned(DynamoSla::default(), |it| {
        it.ttft = seconds(case.real("ttft_ms") / 1000.0);
        it.tbt = seconds(case.real("itl_ms") / 1000.0);
        it.max_change = case.whole("max_throughput_scaling_replicas");
        it.max_gpu_budget = limit(case, "max_gpu_budget");
        it.min_gpu_budget = limit(case, "min_gpu_budget");
        it.min = case.whole("min_endpoint");
        it.prompt_min = own_minimum(case, "prefill_min_endpoint");
        it.token_min = own_minimum(case, "decode_min_endpoint");
        it.max = u32::MAX;
    })
}

fn load_mode_of(case: &Row) -> DynamoLoad {
    let aim = match case.text("optimization_target") {
        "throughput" => Aim::Throughput,
        "latency" => Aim::Latency,
        "load" => Aim::Load,
        _ => Aim::Sla,
    };
    tuned(DynamoLoad::default(), |it| {
        it.aim = aim;
        it.context_length = case.whole("context_length");
        it.ttft = case.real("ttft_ms") / 1000.0;
        it.tbt = case.real("itl_ms") / 1000.0;
        it.sensitivity = case.real("load_scaling_down_sensitivity") / 100.0;
        it.max_gpu_budget = limit(case, "max_gpu_budget");
        it.min_gpu_budget = limit(case, "min_gpu_budget");
        it.min = case.whole("min_endpoint");
        it.prompt_min = own_minimum(case, "prefill_min_endpoint");
        it.token_min = own_minimum(case, "decode_min_endpoint");
        it.max = u32::MAX;
        if aim == Aim::Load {
            it.prompt_up = case.real("prefill_scale_up_queue_tokens");
            it.prompt_down = case.real("prefill_scale_down_queue_tokens");
            it.kv_up = case.real("decode_scale_up_kv_rate") / 100.0;
            it.kv_down = case.real("decode_scale_down_kv_rate") / 100.0;
        }
        if case.text("enable_throughput_scaling") == "True" {
            it.throughput = Some(throughput_mode(case));
        }
    })
}

/// What a worker reports.
fn report(worker: &Row) -> StepReport {
    let number = |column| worker.real(column) as u64;
    StepReport {
        queued_prompt_tokens: number("queued_prefill_tokens"),
        queued_prompts: number("queued_prefill_requests"),
        queued_kv_tokens: number("queued_decode_kv_tokens"),
        queued_decodes: number("queued_decode_requests"),
        prompt_tokens: number("scheduled_prefill_tokens"),
        prompts: number("scheduled_prefill_requests"),
        kv_tokens: number("scheduled_decode_kv_tokens"),
        decodes: number("scheduled_decode_requests"),
    }
}

/// A role at a step, without reports.
fn counted((role, name): (Role, &str), case: &Row, step: &Row) -> RoleReports {
    RoleReports {
        role,
        ready: step.whole(&format!("ready_{name}")),
        pending: step.whole(&format!("pending_{name}")),
        moving: false,
        reports: Vec::new(),
        kv_tokens: case.real("max_kv_tokens"),
        hit_rate: None,
    }
}

fn predicted(step: &Row, duration: f64) -> Prediction {
    Prediction {
        requests_per_s: step.real("predicted_requests") / duration,
        prompt_tokens: step.real("predicted_isl"),
        output_tokens: step.real("predicted_osl"),
        hit_rate: step.number("kv_hit_rate"),
    }
}

/// The numbers wanted, none for a role that is left alone, and those of the original.
fn answers(
    desired: &DesiredInstances,
    roles: &[(Role, &str)],
    step: &Row,
) -> (Vec<Option<u32>>, Vec<Option<u32>>) {
    let ours = roles.iter().map(|&(role, _)| match desired.of(role) {
        Some((Desire::Exactly(count), _)) => Some(count),
        _ => None,
    });
    let theirs = |&(_, name): &(Role, &str)| {
        let count = step.number(&format!("answer_{name}"))?;
        Some(count as u32)
    };
    (ours.collect(), roles.iter().map(theirs).collect())
}

#[test]
fn load_mode() {
    let mut tally = Tally::new("DynamoLoad");
    for folder in sources(SOURCE) {
        let mut workers: BTreeMap<_, Vec<StepReport>> = BTreeMap::new();
        for row in Table::read(&folder, "load_workers.csv").rows() {
            let key = ["case", "tick", "role"].map(|it| row.text(it).to_owned());
            workers.entry(key).or_default().push(report(&row));
        }
        for (case, steps) in cases(&folder, "load_cases.csv", "load_ticks.csv") {
            let (mut policy, capacity) = (load_mode_of(&case), engines(&case));
            assert!(policy.check().is_ok(), "{case:?}");
            let mut hit_rate = None;
            for step in &steps {
                hit_rate = step.number("kv_hit_rate").or(hit_rate);
                let seen = |&(role, name): &(Role, &'static str)| {
                    let key = [step.text("case"), step.text("tick"), name].map(str::to_owned);
                    let of = counted((role, name), &case, step);
                    let expected = step.number(&format!("expected_{name}"));
                    let expected = expected.is_some_and(|it| it as u32 != of.ready);
                    RoleReports {
                        moving: expected || step.whole(&format!("in_progress_{name}")) > 0,
                        reports: workers.get(&key).cloned().unwrap_or_default(),
                        hit_rate,
                        ..of
                    }
                };
                let seen: Vec<RoleReports> = roles(&case).iter().map(seen).collect();
                if step.number("predicted_requests").is_some() {
                    policy.expect(&predicted(step, 180.0), &seen, &capacity);
                }
                let mut desired = DesiredInstances::default();
                policy.decide_by(&seen, &capacity, &mut desired);
                let (ours, theirs) = answers(&desired, roles(&case), step);
                tally.compare(step, ours, theirs);
            }
        }
    }
    tally.finish();
}

#[test]
fn throughput_mode_and_the_floors_that_it_sets() {
    let mut tally = Tally::new("DynamoSla");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "throughput_cases.csv", "throughput_ticks.csv") {
            let (policy, capacity) = (throughput_mode(&case), engines(&case));
            assert!(policy.check().is_ok(), "{case:?}");
            for step in &steps {
                let next = predicted(step, step.real("duration_s"));
                let of = |&it: &(Role, &'static str)| counted(it, &case, step);
                let seen: Vec<RoleReports> = roles(&case).iter().map(of).collect();
                let close = roles(&case).iter().all(|&(role, name)| {
                    let theirs = step.number(&format!("engine_rps_{name}"));
                    let ours = policy.rate(role, &next, &capacity);
                    match (ours, theirs) {
                        (Some(ours), Some(theirs)) => (ours / theirs - 1.0).abs() < 1e-6,
                        (ours, theirs) => ours == theirs,
                    }
                });
                assert!(close, "{step:?}");
                if case.text("enable_load_scaling") == "True" {
                    let floors = policy.floors(&next, &seen, &capacity);
                    let ours: Vec<u32> = roles(&case).iter().map(|it| floors[&it.0]).collect();
                    let theirs = roles(&case).iter();
                    let theirs = theirs.map(|it| step.whole(&format!("floor_{}", it.1)));
                    tally.compare(step, ours, theirs.collect());
                    continue;
                }
                let mut desired = DesiredInstances::default();
                policy.decide_for(&next, &seen, &capacity, &mut desired);
                let (ours, theirs) = answers(&desired, roles(&case), step);
                let other = match case.text("mode") {
                    "prefill" => "pending_decode",
                    _ => "pending_prefill",
                };
                if roles(&case).len() == 1 && step.whole(other) > 0 && ours != theirs {
                    tally.by_choice("a role that the application does not have does not start up");
                } else {
                    tally.compare(step, ours, theirs);
                }
            }
        }
    }
    tally.finish();
}

#[test]
fn predictors() {
    let mut tally = Tally::new("Dynamo's predictors");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "predictor_cases.csv", "predictor_steps.csv") {
            let method = match case.text("load_predictor") {
                "kalman" => Method::Kalman {
                    level: case.real("kalman_q_level"),
                    trend: case.real("kalman_q_trend"),
                    noise: case.real("kalman_r"),
                    warm_up: case.whole("kalman_min_points"),
                    log: case.text("log1p") == "True",
                },
                "constant" => Method::Last,
                "arima" => Method::Arima {
                    log: case.text("log1p") == "True",
                },
                _ => {
                    let reason = "Prophet has no well-kept counterpart in Rust";
                    steps.iter().for_each(|_| tally.by_choice(reason));
                    continue;
                }
            };
            // Series on which the original finds an order, and fits it with an optimizer that stops early.
            let name = case.text("case");
            let ordered = ["wave", "trend", "gaps", "walk_021", "idle_first_040"];
            let ordered = matches!(method, Method::Arima { .. })
                && ordered.iter().any(|it| name.contains(it));
            use fleetsim::autoscale::forecast::Forecaster;
            let mut forecaster = method.forecaster(SimDuration::saturating(180.0));
            for step in &steps {
                let value: f64 = step.text("value").parse().unwrap();
                if method == Method::Last && value.is_nan() {
                    tally.by_choice("a rate is a number");
                    break;
                }
                forecaster.observe(value);
                let ours = forecaster.forecast(1).unwrap();
                let theirs: f64 = step.text("prediction_of_next").parse().unwrap();
                // The vectors have ten digits, and the source's matrices another order of sums.
                let digits = if matches!(method, Method::Arima { .. }) {
                    1e-2
                } else {
                    1e-6
                };
                let near = (ours - theirs).abs() <= digits * theirs.abs().max(1.0);
                if ordered && !near {
                    tally.by_choice("an order found by an optimizer that stops early");
                    continue;
                }
                tally.compare(step, if near { theirs } else { ours }, theirs);
            }
        }
    }
    tally.finish();
}
