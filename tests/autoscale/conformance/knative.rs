//! Knative's pod autoscaler: the decider alone, and with its collector and its scaler.

use fleetsim::autoscale::policies::{Averaging, KnativeKpa, Metric};
use fleetsim::autoscale::{Completion, Latency, Load, Policy, RoleSnapshot, Snapshot};
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, seconds, tuned};

const SOURCE: &str = "knative_kpa";

/// The decider: averages of two windows are given. Three requests are completed, of which only the last is
/// within the short window, so that the medians of a latency are these averages.
#[test]
fn decider() {
    let mut tally = Tally::new("KnativeKpa, decider");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "scale_cases.csv", "scale_steps.csv") {
            if case.text("reachable") == "false" {
                steps
                    .iter()
                    .for_each(|_| tally.by_choice("a revision is reachable"));
                continue;
            }
            let mut policy = tuned(KnativeKpa::default(), |it| {
                it.metric = Metric::Latency {
                    of: Latency::Ttft,
                    percentile: 50.0,
                };
                it.target = case.real("target");
                it.utilization = case.real("utilization");
                it.max_scale_up_rate = case.real("max_scale_up_rate");
                it.max_scale_down_rate = case.real("max_scale_down_rate");
                it.panic_threshold = case.real("panic_threshold");
                it.stable_window = seconds(case.real("stable_window_s"));
                it.scale_down_delay = seconds(case.real("scale_down_delay_s"));
                it.target_burst_capacity = case.real("target_burst_capacity");
                it.activation_scale = case.whole("activation_scale").max(1);
                it.scale_to_zero = false;
                it.min = 0;
                it.max = u32::MAX;
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let short = policy.stable_window.seconds() * policy.panic_window;
            // The decider is made at the start, a tick before its first decision.
            let mut ready = case.whole("ready_at_start");
            for step in &steps {
                let now = instant(step.real("t_ms") / 1000.0);
                let (stable, panic) = (step.text("stable"), step.text("panic"));
                let Ok(stable) = stable.parse::<f64>() else {
                    ready = step.whole("ready");
                    tally.by_choice("a mean over looks is always there");
                    if step.text("step") == "0" {
                        break;
                    }
                    continue;
                };
                if step.text("step") == "0" && ready != step.whole("ready") {
                    tally.by_choice("the first decision sees the instances of the start");
                    break;
                }
                ready = step.whole("ready");
                let completed = |end, ttft| Completion {
                    end,
                    ttft,
                    tbt: 0.0,
                    e2e: 0.0,
                    prompt_tokens: 1,
                    output_tokens: 1,
                };
                let before = at(now.seconds() - short);
                let stable = completed(before, stable);
                let panic = completed(now, panic.parse().unwrap());
                let one = role(Mixed, 1, Load::ZERO);
                let mut signals = seen_with(
                    now,
                    vec![one],
                    Snapshot::default(),
                    &[stable, stable, panic],
                );
                signals.count(counts(Mixed, 0, ready, 0));
                let desired = decide(&mut policy, &signals);
                let ours = wanted(&desired, Mixed, ready);
                tally.compare(step, ours, step.whole("desired").max(1));
            }
        }
    }
    tally.finish();
}

/// The whole chain, with a look each second.
#[test]
fn chain() {
    let mut tally = Tally::new("KnativeKpa");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "chain_cases.csv", "chain_steps.csv") {
            let window = seconds(case.real("stable_window_s"));
            let mut policy = tuned(KnativeKpa::default(), |it| {
                it.metric = Metric::PendingTokens;
                it.target = case.real("target") * 1000.0;
                it.utilization = case.real("utilization");
                it.max_scale_up_rate = case.real("max_scale_up_rate");
                it.max_scale_down_rate = case.real("max_scale_down_rate");
                it.panic_threshold = case.real("panic_threshold");
                it.panic_window = case.real("panic_window_percent") / 100.0;
                it.stable_window = window;
                it.scale_down_delay = seconds(case.real("scale_down_delay_s"));
                it.averaging = match case.text("averaging") {
                    "mean" => Averaging::Mean,
                    _ => Averaging::Exponential,
                };
                // In thousandths of a request, as the target.
                it.target_burst_capacity = case.real("target_burst_capacity") * 1000.0;
                it.scale_to_zero = case.text("scale_to_zero") == "true";
                it.scale_to_zero_grace = seconds(case.real("grace_s"));
                it.scale_to_zero_retention = seconds(case.real("retention_s"));
                it.min = case.whole("min");
                it.max = Some(case.whole("max"))
                    .filter(|&it| it > 0)
                    .unwrap_or(u32::MAX);
            });
            assert!(policy.check().is_ok(), "{case:?}");
            let mut signals = Signals::new(window, SimDuration::ZERO);
            let mut current = case.whole("replicas_at_start");
            for step in &steps {
                let (now, ready) = (step.real("t_s"), step.whole("ready"));
                let samples = step.list("samples", ';');
                for (place, sample) in samples.iter().enumerate() {
                    let thousandths = (sample.parse::<f64>().unwrap() * 1000.0).round();
                    let load = Load {
                        pending_tokens: thousandths as u64,
                        ..Load::ZERO
                    };
                    let back = (samples.len() - 1 - place) as f64;
                    signals.scrape(Snapshot {
                        time: instant(now - back),
                        roles: vec![RoleSnapshot {
                            ..role(Mixed, ready, load)
                        }],
                        ..Snapshot::default()
                    });
                }
                assert!(signals.look(instant(now)));
                signals.count(counts(Mixed, current.saturating_sub(ready), ready, 0));
                let shown = current.max(ready);
                let desired = decide(&mut policy, &signals);
                let ours = wanted(&desired, Mixed, shown);
                if !tally.compare(step, ours, step.whole("replicas")) {
                    break;
                }
                current = step.whole("replicas");
            }
        }
    }
    tally.finish();
}

/// What is recorded at a second, and the average asked for then. The number wanted is the average in hundred
/// thousandths.
#[test]
fn windows() {
    let mut tally = Tally::new("KnativeKpa, windows");
    for folder in sources(SOURCE) {
        let mut windows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in Table::read(&folder, "windows.csv").rows() {
            windows
                .entry(row.text("case").to_owned())
                .or_default()
                .push(row);
        }
        for steps in windows.into_values() {
            let window = seconds(steps[0].real("window_s"));
            let mut policy = tuned(KnativeKpa::default(), |it| {
                it.metric = Metric::PendingTokens;
                (it.target, it.utilization) = (0.01, 1.0);
                (it.max_scale_up_rate, it.max_scale_down_rate) = (1e12, 1e12);
                it.panic_threshold = 1e12;
                it.stable_window = window;
                it.averaging = match steps[0].text("kind") {
                    "mean" => Averaging::Mean,
                    _ => Averaging::Exponential,
                };
                (it.scale_to_zero, it.min, it.max) = (false, 0, u32::MAX);
            });
            assert!(policy.check().is_ok());
            let mut signals = Signals::new(window, SimDuration::ZERO);
            let mut last: Option<f64> = None;
            let look = |signals: &mut Signals, time: f64, value: f64| {
                let load = Load {
                    pending_tokens: (value * 1000.0).round() as u64,
                    ..Load::ZERO
                };
                signals.scrape(Snapshot {
                    time: instant(time),
                    roles: vec![role(Mixed, 1, load)],
                    ..Snapshot::default()
                });
            };
            for step in &steps {
                let now = step.real("t_s");
                let recorded = step.list("recorded", ';').into_iter();
                let recorded: Vec<f64> = recorded.map(|it| it.parse().unwrap()).collect();
                if !recorded.is_empty() {
                    // A second without a record counts as nothing, but a window without any begins anew.
                    let silent = last.map_or(0.0, |last| now - last - 1.0);
                    let silent = if silent + 1.0 < window.seconds() {
                        silent as u32
                    } else {
                        0
                    };
                    for back in (1..=silent).rev() {
                        look(&mut signals, now - f64::from(back), 0.0);
                    }
                    look(&mut signals, now, recorded.iter().sum());
                    last = Some(now);
                }
                if step.text("empty") == "true" {
                    tally.by_choice("a mean over looks is always there");
                    continue;
                }
                assert!(signals.look(instant(now)));
                let ours = wanted(&decide(&mut policy, &signals), Mixed, 1);
                let theirs = step.real("average") * 1e5;
                let near = (f64::from(ours) - theirs).abs() <= 1.0;
                if recorded.is_empty() && !near {
                    tally.by_choice("the latest look is not older than a decision");
                    continue;
                }
                tally.compare(step, if near { theirs } else { ours.into() }, theirs);
            }
        }
    }
    tally.finish();
}
