//! KEDA's executor of scaled objects, with the pod autoscaler beneath it.

use fleetsim::autoscale::policies::{Fallback, FallbackBehaviour, Keda, Metric, MetricKind};
use fleetsim::autoscale::{Load, Policy, RoleSnapshot};
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, seconds, tuned};

const SOURCE: &str = "keda";

/// Vectors begin at a whole number of every polling interval.
const WHOLE: f64 = 1_200_000.0;

#[test]
fn decisions() {
    let mut tally = Tally::new("Keda");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "cases.csv", "steps.csv") {
            let mut policy = tuned(Keda::default(), |it| {
                it.metric = Metric::OutputTokensPerS;
                it.target = case.real("target_milli") / 1000.0;
                it.activation = case.real("activation_milli") / 1000.0;
                it.polling = seconds(case.real("polling_s"));
                it.cooldown = seconds(case.real("cooldown_s"));
                it.initial_cooldown = seconds(case.real("initial_cooldown_s"));
                it.idle_at_zero = case.number("idle").is_some();
                it.min = case.whole("min");
                it.max = case.whole("max");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            for step in steps {
                let current = step.whole("current");
                let of = RoleSnapshot {
                    output_tokens: u64::from(step.whole("metric_milli")) * 1000,
                    ..role(Mixed, current, Load::ZERO)
                };
                let now = at(WHOLE + step.real("t_s"));
                let desired = decide(&mut policy, &seen(now, vec![of]));
                let ours = wanted(&desired, Mixed, current);
                tally.compare(&step, ours, step.whole("desired"));
            }
        }
    }
    tally.finish();
}

#[test]
fn what_stands_in_for_a_metric_that_failed() {
    let mut tally = Tally::new("Keda, fallback");
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "fallback.csv").rows() {
            let behaviour = match row.text("behaviour") {
                "static" => FallbackBehaviour::Static,
                "currentReplicas" => FallbackBehaviour::CurrentReplicas,
                "currentReplicasIfHigher" => FallbackBehaviour::CurrentReplicasIfHigher,
                _ => FallbackBehaviour::CurrentReplicasIfLower,
            };
            let fallback = Fallback {
                replicas: row.whole("fallback_replicas"),
                behaviour,
            };
            let kind = match row.text("target_type") {
                "Value" => MetricKind::Value,
                _ => MetricKind::AverageValue,
            };
            let (current, ready) = (row.whole("current"), row.whole("ready"));
            let ours = fallback.stand_in(kind, row.whole("target_milli").into(), current, ready);
            let theirs = row.text("metric_milli").parse().ok();
            tally.compare(&row, ours, theirs);
        }
    }
    tally.finish();
}
