//! The horizontal pod autoscaler.

use fleetsim::autoscale::policies::{
    Behaviour, KubernetesHpa, Metric, MetricKind, MetricTarget, RateLimit, Select,
};
use fleetsim::autoscale::{Latency, Load, Policy, RoleSnapshot, Snapshot};
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::{decide, role, seconds, tuned};

const SOURCE: &str = "kubernetes_hpa";

/// A metric that has a figure of its own in [`see`], and one that is unknown.
const KNOWN: [Metric; 3] = [
    Metric::OutputTokensPerS,
    Metric::PromptTokensPerS,
    Metric::RequestsPerS,
];
const UNKNOWN: Metric = Metric::Latency {
    of: Latency::Ttft,
    percentile: 50.0,
};

fn kind(name: &str) -> MetricKind {
    match name {
        "pods" => MetricKind::Pods,
        "resource" => MetricKind::Utilization,
        "external_value" | "object_value" => MetricKind::Value,
        "external_average" => MetricKind::AverageValue,
        other => panic!("{other}"),
    }
}

/// A target as a policy has it: in thousandths there, or in per cent.
fn target(kind: MetricKind, number: f64) -> f64 {
    match kind {
        MetricKind::Utilization => number / 100.0,
        _ => number / 1000.0,
    }
}

fn behaviour(case: &Row, way: &str) -> Behaviour {
    let limit = |text: &str| {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap();
        let (kind, value, period) = (next(), next().parse::<f64>().unwrap(), next());
        let period = seconds(period.parse().unwrap());
        match kind {
            "Pods" => RateLimit::Pods {
                value: value as u32,
                period,
            },
            _ => RateLimit::Percent { value, period },
        }
    };
    let policies = case.list(&format!("{way}_policies"), ';');
    Behaviour {
        stabilization: Some(seconds(case.real(&format!("{way}_window_s")))),
        policies: Some(policies.into_iter().map(limit).collect()),
        select: match case.text(&format!("{way}_select")) {
            "Min" => Select::Min,
            "Disabled" => Select::Disabled,
            _ => Select::Max,
        },
        tolerance: Some(case.real(&format!("tolerance_{way}"))),
    }
}

/// A pod that runs without the metric is not ready there; an instance that is active is.
fn unready(step: &Row, kind: MetricKind) -> u32 {
    match kind {
        MetricKind::Value => step.whole("missing"),
        _ => 0,
    }
}

/// What is seen of a step: pods, and each metric's usage in thousandths, none where it failed.
fn see(step: &Row, now: fleetsim::time::SimTime, usage: &[Option<u64>], unready: u32) -> Signals {
    let figure = |place: usize| usage.get(place).copied().flatten().unwrap_or(0) * 1000;
    let ready = step.whole("ready");
    let of = RoleSnapshot {
        output_tokens: figure(0),
        prompt_tokens: figure(1),
        ..role(Mixed, ready, Load::ZERO)
    };
    let snapshot = Snapshot {
        arrived: figure(2),
        ..Snapshot::default()
    };
    let mut signals = seen_with(now, vec![of], snapshot, &[]);
    let active = ready + step.whole("missing") - unready;
    let pending = step.whole("pending") + unready;
    signals.count(counts(Mixed, pending, active, step.whole("terminating")));
    signals
}

fn metrics(kinds: &[(MetricKind, f64)], usage: &[Option<u64>]) -> Vec<MetricTarget> {
    let of = |(place, &(kind, target)): (usize, &(MetricKind, f64))| MetricTarget {
        kind: Some(kind),
        ..MetricTarget::new(
            if usage[place].is_some() {
                KNOWN[place]
            } else {
                UNKNOWN
            },
            target,
        )
    };
    kinds.iter().enumerate().map(of).collect()
}

fn usage(step: &Row) -> Vec<Option<u64>> {
    let usage = step.list("usage_milli", ';');
    usage.into_iter().map(|it| it.parse().ok()).collect()
}

/// Why a step cannot be seen through signals.
fn unseen(step: &Row) -> Option<&'static str> {
    let pods = ["ready", "pending", "missing", "unready"];
    let pods: u32 = pods.iter().map(|it| step.whole(it)).sum();
    if step.whole("unready") > 0 {
        Some("an instance that runs is ready")
    } else if pods != step.whole("current") {
        Some("instances that are asked for start up, and are pods")
    } else {
        None
    }
}

#[test]
fn decisions() {
    let mut tally = Tally::new("KubernetesHpa");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "cases.csv", "steps.csv") {
            let kinds: Vec<(MetricKind, f64)> = case
                .list("metrics", ';')
                .into_iter()
                .map(|metric| {
                    let (name, number) = metric.split_once(':').unwrap();
                    let kind = kind(name);
                    (kind, target(kind, number.parse().unwrap()))
                })
                .collect();
            let with = case.text("behavior") == "yes";
            let way = |way: &str| match with {
                true => behaviour(&case, way),
                false => Behaviour {
                    tolerance: Some(case.real(&format!("tolerance_{way}"))),
                    ..Behaviour::default()
                },
            };
            let mut policy = tuned(KubernetesHpa::default(), |it| {
                it.behaviour = with;
                it.scale_up = way("up");
                it.scale_down = way("down");
                it.min = case.whole("min");
                it.max = case.whole("max");
            });
            assert!(policy.check().is_ok(), "{case:?}");
            for step in &steps {
                if let Some(reason) = unseen(step) {
                    tally.by_choice(reason);
                    break;
                }
                let usage = usage(step);
                policy.metrics = metrics(&kinds, &usage);
                let now = instant(step.real("t_ms") / 1000.0);
                let desired = decide(&mut policy, &see(step, now, &usage, 0));
                let ours = wanted(&desired, Mixed, step.whole("current"));
                tally.compare(step, ours, step.whole("desired"));
            }
        }
    }
    tally.finish();
}

/// Two of ten instances leave, and for minutes they finish what they have; then the load is back. What eight
/// lack is ordered for ten by a figure of the application, and for eight by a metric of pods.
#[test]
fn pods_that_leave_count_for_a_figure_of_the_application() {
    let wants = |kind| {
        let mut policy = tuned(KubernetesHpa::default(), |it| {
            it.metrics = metrics(&[(kind, target(kind, 1000.0))], &[Some(1250)]);
            it.scale_down.stabilization = Some(SimDuration::ZERO);
        });
        // The figure is 1.25 of its target, as is the mean of the eight.
        let usage = match kind {
            MetricKind::Value => 1250,
            _ => 8 * 1250,
        };
        let of = RoleSnapshot {
            output_tokens: usage * 1000,
            ..role(Mixed, 8, Load::ZERO)
        };
        let mut signals = seen(instant(15.0), vec![of]);
        signals.count(counts(Mixed, 0, 8, 2));
        wanted(&decide(&mut policy, &signals), Mixed, 8)
    };
    assert_eq!(wants(MetricKind::Pods), 10);
    assert_eq!(wants(MetricKind::Value), 13);
}

#[test]
fn proposals() {
    let mut tally = Tally::new("KubernetesHpa, one metric");
    let anything = || Behaviour {
        stabilization: Some(SimDuration::ZERO),
        policies: Some(vec![RateLimit::Pods {
            value: 1_000_000,
            period: seconds(15.0),
        }]),
        ..Behaviour::default()
    };
    for folder in sources(SOURCE) {
        for row in Table::read(&folder, "proposals.csv").rows() {
            if let Some(reason) = unseen(&row) {
                tally.by_choice(reason);
                continue;
            }
            let kind = kind(row.text("kind"));
            let usage = usage(&row);
            let mut policy = tuned(KubernetesHpa::default(), |it| {
                it.metrics = metrics(&[(kind, target(kind, row.real("target")))], &usage);
                it.scale_up = Behaviour {
                    tolerance: row.number("tolerance_up"),
                    ..anything()
                };
                it.scale_down = Behaviour {
                    tolerance: row.number("tolerance_down"),
                    ..anything()
                };
                it.min = 0;
                it.max = u32::MAX;
            });
            let now = instant(15.0);
            let desired = decide(&mut policy, &see(&row, now, &usage, unready(&row, kind)));
            let current = row.whole("current");
            let theirs = row.text("proposal").parse().unwrap_or(current);
            tally.compare(&row, wanted(&desired, Mixed, current), theirs);
        }
    }
    tally.finish();
}
