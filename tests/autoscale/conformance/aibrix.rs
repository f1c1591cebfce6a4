//! The two autoscalers of AIBrix, at the version before replicas that are pending held additions back.

use fleetsim::autoscale::policies::{AibrixApa, AibrixKpa, Metric};
use fleetsim::autoscale::{Load, Policy, RoleSnapshot};
use fleetsim::serving::Role::Mixed;
use fleetsim::time::SimDuration;

use super::*;
use crate::support::{decide, role, seconds, tuned};

#[test]
fn apa() {
    conforms("AibrixApa", "APA", |case, target| {
        tuned(AibrixApa::default(), |it| {
            it.metric = Metric::OutputTokensPerS;
            it.target = target;
            it.window = seconds(case.real("window_s"));
            it.up_tolerance = case.real("up_tolerance");
            it.down_tolerance = case.real("down_tolerance");
            it.max_scale_up_rate = case.real("max_scale_up_rate");
            it.max_scale_down_rate = case.real("max_scale_down_rate");
            it.up_cooldown = seconds(case.real("up_cooldown_s"));
            it.down_cooldown = seconds(case.real("down_cooldown_s"));
            it.pending_guard = false;
            it.min = case.whole("min");
            it.max = case.whole("max");
        })
    });
}

#[test]
fn kpa() {
    conforms("AibrixKpa", "KPA", |case, target| {
        tuned(AibrixKpa::default(), |it| {
            it.metric = Metric::OutputTokensPerS;
            it.target = target;
            it.window = seconds(case.real("window_s"));
            it.panic_window = seconds(case.real("panic_window_s"));
            it.panic_threshold = case.real("panic_threshold");
            it.up_tolerance = case.real("up_tolerance");
            it.down_tolerance = case.real("down_tolerance");
            it.max_scale_up_rate = case.real("max_scale_up_rate");
            it.max_scale_down_rate = case.real("max_scale_down_rate");
            it.up_cooldown = seconds(case.real("up_cooldown_s"));
            it.down_cooldown = seconds(case.real("down_cooldown_s"));
            it.pending_guard = false;
            it.min = case.whole("min");
            it.max = case.whole("max");
        })
    });
}

fn conforms<P: Policy>(name: &'static str, strategy: &str, make: impl Fn(&Row, f64) -> P) {
    let mut tally = Tally::new(name);
    for folder in sources("aibrix") {
        let cases = cases(&folder, "cases.csv", "steps.csv");
        let cases = cases
            .into_iter()
            .filter(|it| it.0.text("strategy") == strategy);
        for (case, steps) in cases {
            let Ok(target) = case.text("targets").parse() else {
                steps.iter().for_each(|_| tally.by_choice("one metric"));
                continue;
            };
            let mut policy = make(&case, target);
            assert!(policy.check().is_ok(), "{case:?}");
            for step in &steps {
                let current = step.whole("current");
                let values = step.list("values", ';');
                if values.is_empty() && current > 0 {
                    tally.by_choice("instances that are asked for start up, and are pods");
                    continue;
                }
                if current == 0 && case.whole("min") > 0 {
                    tally.by_choice("a minimum is restored even from zero");
                    continue;
                }
                let answers: Vec<f64> = values.iter().filter_map(|it| it.parse().ok()).collect();
                let measured = u32::try_from(answers.len()).unwrap();
                let now = instant(step.real("t_s"));
                // A total in millionths; a closed loop has values of more digits than that.
                let total: f64 = answers.iter().sum();
                let of = RoleSnapshot {
                    output_tokens: (total * SPAN).round() as u64,
                    ..role(Mixed, measured, Load::ZERO)
                };
                let mut signals = seen(now, vec![of]);
                signals.count(counts(Mixed, current - measured, measured, 0));
                let desired = decide(&mut policy, &signals);
                let ours = wanted(&desired, Mixed, current);
                tally.compare(step, ours, step.whole("desired"));
            }
        }
    }
    tally.finish();
}

/// With its defaults the original never settles: the load of 20 instances at the target, constant from
/// 200 s on, keeps it swinging between a few and a hundred.
#[test]
fn with_its_defaults_it_swings() {
    let swing = |policy: AibrixApa| {
        let mut policy = tuned(policy, |it| {
            it.metric = Metric::OutputTokensPerS;
            it.target = 10.0;
        });
        let (mut current, mut late) = (10_u32, Vec::new());
        for look in 1..=110 {
            let load = if look > 20 { 200.0 } else { 100.0 };
            let of = RoleSnapshot {
                output_tokens: millionths(load),
                ..role(Mixed, current, Load::ZERO)
            };
            let now = instant(10.0 * f64::from(look));
            let desired = decide(&mut policy, &seen(now, vec![of]));
            current = wanted(&desired, Mixed, current);
            if look > 60 {
                late.push(current);
            }
        }
        (*late.iter().min().unwrap(), *late.iter().max().unwrap())
    };
    let (least, most) = swing(AibrixApa::default());
    assert!(least <= 8 && most >= 60, "{least} to {most}");
    let one_sample = tuned(AibrixApa::default(), |it| {
        it.window = SimDuration::ZERO;
    });
    assert_eq!(swing(one_sample), (20, 20));
}
