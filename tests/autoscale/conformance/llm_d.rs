//! The two saturation analysers of llm-d's variant autoscaler.

use fleetsim::autoscale::policies::{SaturationV1, SaturationV2};
use fleetsim::autoscale::{Completion, InstanceSnapshot, Load, Policy, RoleSnapshot, Snapshot};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, tuned};

const SOURCE: &str = "llm_d_wva";
const VARIANTS: &str = "which of several variants grows or shrinks is the actuator's";

/// A role whose instances have these loads.
fn loaded(loads: &[Load]) -> RoleSnapshot {
    let mut sum = Load::ZERO;
    loads.iter().for_each(|&load| sum += load);
    let instance = |(number, &load): (usize, &Load)| InstanceSnapshot {
        number: number as u64,
        status: InstanceStatus::Active,
        load,
    };
    RoleSnapshot {
        kv_bytes_per_token: 1,
        instances: loads.iter().enumerate().map(instance).collect(),
        ..role(Mixed, u32::try_from(loads.len()).unwrap(), sum)
    }
}

fn queued(queued: u64) -> Load {
    Load {
        assigned: queued,
        queued,
        ..Load::ZERO
    }
}

fn numbers(row: &Row, column: &str) -> Vec<f64> {
    let cells = row.list(column, ';').into_iter();
    cells.map(|it| it.parse().unwrap()).collect()
}

/// The target of the only variant.
fn target(row: &Row) -> u32 {
    let (_, target) = row.text("enforced").split_once('=').unwrap();
    target.parse().unwrap()
}

#[test]
fn first_analyser() {
    let mut tally = Tally::new("SaturationV1");
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "v1.csv").rows() {
            let variants = row.list("variants", ';');
            let [variant] = variants[..] else {
                tally.by_choice(VARIANTS);
                continue;
            };
            let fields: Vec<&str> = variant.split(':').collect();
            let [current, asked] = [2, 3].map(|it| fields[it].parse::<u32>().unwrap());
            let mut policy = tuned(SaturationV1::default(), |it| {
                it.kv_threshold = row.real("kv_threshold");
                it.queue_threshold = row.real("queue_threshold");
                it.kv_spare = row.real("kv_spare");
                it.queue_spare = row.real("queue_spare");
            });
            assert!(policy.check().is_ok(), "{row:?}");
            let kv = numbers(&row, "kv");
            let loads: Vec<Load> = (kv.iter().zip(numbers(&row, "queue")))
                .map(|(share, waiting)| Load {
                    kv_used: millionths(*share),
                    kv: 1_000_000,
                    ..queued(waiting as u64)
                })
                .collect();
            let measured = u32::try_from(loads.len()).unwrap();
            if asked > 0 {
                // What it asks for while nothing shows its metrics is what there is.
                let mut before = seen(instant(0.0), vec![loaded(&[])]);
                before.count(counts(Mixed, asked, 0, 0));
                drop(decide(&mut policy, &before));
            }
            let mut signals = seen(instant(60.0), vec![loaded(&loads)]);
            signals.count(counts(Mixed, current - measured, measured, 0));
            let ours = wanted(&decide(&mut policy, &signals), Mixed, current);
            tally.compare(&row, ours, target(&row));
        }
    }
    tally.finish();
}

#[test]
fn second_analyser() {
    let mut tally = Tally::new("SaturationV2");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "v2_cases.csv", "v2_steps.csv") {
            if case.list("variant_costs", ';').len() > 1 {
                steps.iter().for_each(|_| tally.by_choice(VARIANTS));
                continue;
            }
            let mut policy = tuned(SaturationV2::default(), |it| {
                it.kv_threshold = case.real("kv_threshold");
                it.queue_threshold = case.real("queue_threshold");
                it.scale_up = case.real("scale_up");
                it.scale_down = case.real("scale_down");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            for (number, step) in steps.iter().enumerate() {
                let held = numbers(step, "held_tokens");
                let loads: Vec<Load> = (held.iter().zip(numbers(step, "queue")))
                    .map(|(held, waiting)| Load {
                        kv_used: *held as u64,
                        kv: case.whole("kv_tokens").into(),
                        ..queued(waiting as u64)
                    })
                    .collect();
                let limit = |column| Some(case.whole(column)).filter(|&it| it > 0);
                let of = RoleSnapshot {
                    max_batch_tokens: limit("max_batch_tokens").map(u64::from),
                    max_batch_size: limit("max_batch_size"),
                    ..loaded(&loads)
                };
                let snapshot = Snapshot {
                    waiting: step.whole("scheduler_queue").into(),
                    ..Snapshot::default()
                };
                let now = instant(30.0 * (number as f64 + 1.0));
                // Of a hundred requests the mean lengths have two decimals.
                let hundredth = |column, place: u32| {
                    let sum = (step.real(column) * 100.0).round() as u32;
                    sum / 100 + u32::from(place < sum % 100)
                };
                let known = step.number("prompt_tokens").is_some();
                let completions: Vec<Completion> = (0..if known { 100 } else { 0 })
                    .map(|place| Completion {
                        end: now,
                        ttft: 0.1,
                        tbt: 0.01,
                        e2e: 1.0,
                        prompt_tokens: hundredth("prompt_tokens", place),
                        output_tokens: hundredth("output_tokens", place),
                    })
                    .collect();
                let mut signals = seen_with(now, vec![of], snapshot, &completions);
                let current = step.whole("current");
                let ready = u32::try_from(loads.len()).unwrap();
                signals.count(counts(Mixed, current - ready, ready, 0));
                let ours = wanted(&decide(&mut policy, &signals), Mixed, current);
                tally.compare(step, ours, target(step));
            }
        }
    }
    tally.finish();
}
