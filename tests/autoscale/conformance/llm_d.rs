//! The two saturation analysers of llm-d's variant autoscaler, and its limiter.

use fleetsim::autoscale::limiter::{Claim, share_out};
use fleetsim::autoscale::policies::{SaturationV1, SaturationV2};
use fleetsim::autoscale::{
    Completion, InstanceSnapshot, Load, Policy, RoleSnapshot, Snapshot, Variant,
};
use fleetsim::fleet::InstanceStatus;
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, tuned};

const SOURCE: &str = "llm_d_wva";

/// A variant of a model: how many of it there are, and what one costs.
#[derive(Clone, Copy)]
struct Several {
    price: f64,
    current: u32,
}

/// A role whose instances have these loads, each on the SKU of its variant.
fn loaded(loads: &[Load], skus: &[usize]) -> RoleSnapshot {
    let mut sum = Load::ZERO;
    loads.iter().for_each(|&load| sum += load);
    let instance = |(number, (&load, &sku)): (usize, (&Load, &usize))| InstanceSnapshot {
        number: number as u64,
        status: InstanceStatus::Active,
        sku,
        load,
    };
    RoleSnapshot {
        kv_bytes_per_token: 1,
        instances: loads.iter().zip(skus).enumerate().map(instance).collect(),
        ..role(Mixed, u32::try_from(loads.len()).unwrap(), sum)
    }
}

/// What there is of each variant at a decision, `skus` being where active instances are.
fn there(variants: &[Several], skus: &[usize]) -> InstanceCounts {
    let variant = |(sku, it): (usize, &Several)| {
        let active = skus.iter().filter(|&&of| of == sku).count() as u32;
        Variant {
            sku,
            price_per_hour: it.price,
            starting: it.current - active,
            active,
        }
    };
    let variants: Vec<Variant> = variants.iter().enumerate().map(variant).collect();
    let sum = |of: fn(&Variant) -> u32| variants.iter().map(of).sum();
    InstanceCounts {
        variants: variants.clone(),
        ..counts(Mixed, sum(|it| it.starting), sum(|it| it.active), 0)
    }
}

/// The numbers by variant; of a single one the number of the role.
fn numbers_of(desired: &DesiredInstances, variants: &[Several]) -> Vec<u32> {
    let current: Vec<u32> = variants.iter().map(|it| it.current).collect();
    match desired.skus(Mixed) {
        Some(skus) => (0..current.len())
            .map(|sku| {
                skus.iter()
                    .find(|it| it.0 == sku)
                    .map_or(current[sku], |it| it.1)
            })
            .collect(),
        None => vec![wanted(desired, Mixed, current.iter().sum())],
    }
}

/// `a=1;b=2` as numbers; what is not mentioned stays.
fn targets(row: &Row, variants: &[Several]) -> Vec<u32> {
    let mut targets: Vec<u32> = variants.iter().map(|it| it.current).collect();
    for of in row.list("enforced", ';') {
        let (name, count) = of.split_once('=').unwrap();
        targets[place(name)] = count.parse().unwrap();
    }
    targets
}

/// Variants are named `a`, `b`, `c`.
fn place(name: &str) -> usize {
    (name.as_bytes()[0] - b'a').into()
}

fn skus(row: &Row) -> Vec<usize> {
    row.list("replica_variant", ';')
        .into_iter()
        .map(place)
        .collect()
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

#[test]
fn first_analyser() {
    let mut tally = Tally::new("SaturationV1");
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "v1.csv").rows() {
            let mut variants = Vec::new();
            let mut asked = Vec::new();
            for variant in row.list("variants", ';') {
                let fields: Vec<&str> = variant.split(':').collect();
                let [current, of] = [2, 3].map(|it| fields[it].parse::<u32>().unwrap());
                let price = fields[1].parse().unwrap();
                variants.push(Several { price, current });
                asked.push(Several {
                    price,
                    current: if of > 0 { of } else { current },
                });
            }
            let mut policy = tuned(SaturationV1::default(), |it| {
                it.kv_threshold = row.real("kv_threshold");
                it.queue_threshold = row.real("queue_threshold");
                it.kv_spare = row.real("kv_spare");
                it.queue_spare = row.real("queue_spare");
            });
            assert!(policy.check().is_ok(), "{row:?}");
            let loads: Vec<Load> = (numbers(&row, "kv").iter().zip(numbers(&row, "queue")))
                .map(|(share, waiting)| Load {
                    kv_used: millionths(*share),
                    kv: 1_000_000,
                    ..queued(waiting as u64)
                })
                .collect();
            let skus = skus(&row);
            if row
                .text("variants")
                .split(';')
                .any(|it| it.split(':').nth(3) != Some("0"))
            {
                // What it asks for while nothing shows its metrics is what there is.
                let mut before = seen(instant(0.0), vec![loaded(&[], &[])]);
                before.count(there(&asked, &[]));
                drop(decide(&mut policy, &before));
            }
            let mut signals = seen(instant(60.0), vec![loaded(&loads, &skus)]);
            signals.count(there(&variants, &skus));
            let ours = numbers_of(&decide(&mut policy, &signals), &variants);
            tally.compare(&row, ours, targets(&row, &variants));
        }
    }
    tally.finish();
}

#[test]
fn second_analyser() {
    let mut tally = Tally::new("SaturationV2");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "v2_cases.csv", "v2_steps.csv") {
            let prices = numbers(&case, "variant_costs");
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
                let skus = skus(step);
                let of = RoleSnapshot {
                    max_batch_tokens: limit("max_batch_tokens").map(u64::from),
                    max_batch_size: limit("max_batch_size"),
                    ..loaded(&loads, &skus)
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
                let current = numbers(step, "current");
                let several = |(price, current): (&f64, f64)| Several {
                    price: *price,
                    current: current as u32,
                };
                let variants: Vec<Several> = prices.iter().zip(current).map(several).collect();
                signals.count(there(&variants, &skus));
                let ours = numbers_of(&decide(&mut policy, &signals), &variants);
                tally.compare(step, ours, targets(step, &variants));
            }
        }
    }
    tally.finish();
}

#[test]
fn limiter() {
    let mut tally = Tally::new("llm-d's limiter");
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "limiter.csv").rows() {
            let stock = row.list("stock", ';').into_iter();
            let (names, stock): (Vec<&str>, Vec<u32>) = stock
                .map(|it| it.split_once('=').unwrap())
                .map(|(name, count)| (name, count.parse::<u32>().unwrap()))
                .unzip();
            let column = |name| numbers(&row, name).into_iter().map(|it| it as u32);
            let whole = |name| -> Vec<u32> { column(name).collect() };
            let (gpus, current, asked) =
                (whole("gpus_per_replica"), whole("current"), whole("target"));
            let (spare, price) = (numbers(&row, "spare"), numbers(&row, "cost"));
            let kinds = row.list("accelerator", ';');
            let claim = |place: usize| Claim {
                gpu: names.iter().position(|it| *it == kinds[place]).unwrap(),
                spare: spare[place],
                price: price[place],
                gpus: gpus[place],
                current: current[place],
                wanted: asked[place],
            };
            let claims: Vec<Claim> = (0..kinds.len()).map(claim).collect();
            let ours = share_out(&stock, &claims);
            let limited: Vec<bool> = ours.iter().zip(&asked).map(|(a, b)| a < b).collect();
            let flags = row.list("limited", ';').into_iter();
            let theirs = (whole("allowed"), flags.map(|it| it == "true").collect());
            tally.compare(&row, (ours, limited), theirs);
        }
    }
    tally.finish();
}
