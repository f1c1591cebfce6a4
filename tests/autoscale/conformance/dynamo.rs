//! The load mode of Dynamo's planner with thresholds, and its predictors.

use std::collections::BTreeMap;

use fleetsim::autoscale::forecast::Method;
use fleetsim::autoscale::policies::{Aim, DynamoLoad};
use fleetsim::autoscale::{InstanceSnapshot, Load, Policy, RoleSnapshot};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::{Mixed, Prompt, Token};
use fleetsim::time::SimDuration;

use super::*;
use crate::support::{decide, role, tuned};

const SOURCE: &str = "dynamo_planner";

/// What a worker reports, as the load of an instance.
fn load(of: Role, worker: &Row, kv: u64) -> Load {
    let number = |column| u64::from(worker.whole(column));
    let queued = number("queued_prefill_tokens");
    let held = number("scheduled_decode_kv_tokens") + number("queued_decode_kv_tokens");
    let waits = u64::from(queued > 0);
    Load {
        assigned: waits,
        queued: waits,
        pending_tokens: queued,
        kv_used: if of == Prompt { 0 } else { held },
        kv,
        ..Load::ZERO
    }
}

fn reporting(of: Role, workers: &[Load]) -> RoleSnapshot {
    let mut sum = Load::ZERO;
    workers.iter().for_each(|&load| sum += load);
    let instance = |(number, &load): (usize, &Load)| InstanceSnapshot {
        number: number as u64,
        status: InstanceStatus::Active,
        load,
    };
    RoleSnapshot {
        kv_bytes_per_token: 1,
        instances: workers.iter().enumerate().map(instance).collect(),
        ..role(of, u32::try_from(workers.len()).unwrap(), sum)
    }
}

#[test]
fn load_mode() {
    let mut tally = Tally::new("DynamoLoad");
    for folder in sources(SOURCE) {
        let mut workers: BTreeMap<_, Vec<Row>> = BTreeMap::new();
        for row in Table::read(&folder, "load_workers.csv").rows() {
            let key = ["case", "tick", "role"].map(|it| row.text(it).to_owned());
            workers.entry(key).or_default().push(row);
        }
        for (case, steps) in cases(&folder, "load_cases.csv", "load_ticks.csv") {
            let least = |column| case.number(column).unwrap_or(case.real("min_endpoint"));
            let aim = match case.text("optimization_target") {
                "throughput" => Aim::Throughput,
                "latency" => Aim::Latency,
                "load" => Aim::Load,
                _ => {
                    let reason = "the estimator of a pass is the capacity model's";
                    steps.iter().for_each(|_| tally.by_choice(reason));
                    continue;
                }
            };
            if least("prefill_min_endpoint") != least("decode_min_endpoint") {
                let reason = "one minimum, and those of a role at the actuator";
                steps.iter().for_each(|_| tally.by_choice(reason));
                continue;
            }
            let mut policy = tuned(DynamoLoad::default(), |it| {
                it.aim = aim;
                it.context_length = case.whole("context_length");
                it.min = case.real("min_endpoint") as u32;
                it.max = u32::MAX;
                if aim == Aim::Load {
                    it.prompt_up = case.real("prefill_scale_up_queue_tokens");
                    it.prompt_down = case.real("prefill_scale_down_queue_tokens");
                    it.kv_up = case.real("decode_scale_up_kv_rate") / 100.0;
                    it.kv_down = case.real("decode_scale_down_kv_rate") / 100.0;
                }
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let budget = (case.real("max_gpu_budget"), case.real("min_gpu_budget"));
            let roles: &[(Role, &'static str)] = match case.text("mode") {
                "disagg" => &[(Prompt, "prefill"), (Token, "decode")],
                "agg" => &[(Mixed, "decode")],
                "prefill" => &[(Prompt, "prefill")],
                _ => &[(Token, "decode")],
            };
            for step in &steps {
                let column = |what: &str, name: &str| format!("{what}_{name}");
                let number = |what: &str, name: &str| step.whole(&column(what, name));
                let mut reports: Vec<RoleSnapshot> = Vec::new();
                let mut now = Vec::new();
                let mut unseen = None;
                for &(role, name) in roles {
                    let key = [step.text("case"), step.text("tick"), name].map(str::to_owned);
                    let rows = workers.get(&key).map_or(&[][..], |it| &it[..]);
                    let kv = case.whole("max_kv_tokens").into();
                    let loads: Vec<Load> = rows.iter().map(|it| load(role, it, kv)).collect();
                    let (ready, pending) = (number("ready", name), number("pending", name));
                    if loads.is_empty() && ready > 0 && roles.len() > 1 {
                        unseen = Some("every role shows its metrics");
                    }
                    let expected = step.number(&column("expected", name));
                    let expected = expected.is_some_and(|it| it as u32 != ready + pending);
                    let moves = number("in_progress", name) > 0 || expected && pending == 0;
                    reports.push(reporting(role, &loads));
                    now.push(counts(role, pending, ready, moves.into()));
                }
                if let Some(reason) = unseen {
                    tally.by_choice(reason);
                    continue;
                }
                let mut signals = seen(instant(5.0), reports);
                for counts in now {
                    signals.count(counts);
                }
                let desired = decide(&mut policy, &signals);
                let answer = |&(role, name): &(Role, &'static str)| {
                    let current = number("ready", name) + number("pending", name);
                    let theirs = step.number(&column("answer", name));
                    let theirs = theirs.map_or(current, |it| it as u32);
                    (wanted(&desired, role, current), theirs)
                };
                let answers = roles.iter().map(answer);
                let (ours, theirs): (Vec<u32>, Vec<u32>) = answers.unzip();
                let gpus = |counts: &[u32]| {
                    let of = |(&(_, name), &count): (&(Role, &str), &u32)| {
                        f64::from(count) * case.real(&column_of("gpus", name))
                    };
                    roles.iter().zip(counts).map(of).sum::<f64>()
                };
                let ready: Vec<u32> = roles.iter().map(|it| number("ready", it.1)).collect();
                let most = gpus(&ours).max(gpus(&ready));
                let least = gpus(&ours).min(gpus(&ready));
                let bound = budget.0 >= 0.0 && most > budget.0
                    || budget.1 >= 0.0
                        && least
                            <= budget.1 + case.real("prefill_gpus").max(case.real("decode_gpus"));
                if ours != theirs && bound {
                    tally.by_choice("a budget of GPUs is the fleet's and the actuator's");
                } else {
                    tally.compare(step, ours, theirs);
                }
            }
        }
    }
    tally.finish();
}

fn column_of(what: &str, name: &str) -> String {
    format!("{name}_{what}")
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
                _ => {
                    let reason = "ARIMA and Prophet have no well-kept counterpart in Rust";
                    steps.iter().for_each(|_| tally.by_choice(reason));
                    continue;
                }
            };
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
                let near = (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0);
                tally.compare(step, if near { theirs } else { ours }, theirs);
            }
        }
    }
    tally.finish();
}
