//! KubernetesHpa. Examples are those of "Horizontal Pod Autoscaling" in the documentation of
//! Kubernetes, of its sections "Algorithm details", "Scaling policies" and "Default behavior".

use fleetsim::autoscale::policies::{
    Behaviour, KubernetesHpa, Metric, MetricKind, MetricTarget, RateLimit, Select, Starting,
};
use fleetsim::autoscale::{Desire, Latency, Policy, RoleSnapshot};
use fleetsim::serving::Role::{Mixed, Prompt, Token};

use super::*;
use crate::support::*;

/// A hundred requests for each instance, and nothing that slows a change down.
fn eager() -> KubernetesHpa {
    tuned(KubernetesHpa::default(), |it| {
        it.metrics = vec![MetricTarget::new(Metric::Requests, 100.0)];
        it.scale_up = at_once();
        it.scale_down = at_once();
    })
}

fn at_once() -> Behaviour {
    behaviour(&[RateLimit::Percent {
        value: 900.0,
        period: seconds(15.0),
    }])
}

fn behaviour(policies: &[RateLimit]) -> Behaviour {
    Behaviour {
        stabilization: Some(seconds(0.0)),
        policies: Some(policies.to_vec()),
        select: Select::Max,
        tolerance: None,
    }
}

fn wanted(policy: &mut KubernetesHpa, of: RoleSnapshot) -> u32 {
    let role = of.role;
    exactly(&decide(policy, &seen(30.0, vec![of])), role)
}

#[test]
fn twice_the_metric_doubles_and_half_of_it_halves() {
    // 200m for a target of 100m, and 50m.
    let by = |each: u64| wanted(&mut eager(), role(Mixed, 4, requests(4 * each)));
    assert_eq!(by(200), 8);
    assert_eq!(by(50), 2);
}

#[test]
fn within_a_tenth_nothing_changes_and_beyond_it_is_rounded_up() {
    for (requested, count) in [
        (1100, 10),
        (1101, 12),
        (900, 10),
        (899, 9),
        (891, 9),
        (800, 8),
    ] {
        let of = role(Mixed, 10, requests(requested));
        assert_eq!(wanted(&mut eager(), of), count, "{requested}");
    }
}

#[test]
fn eighty_pods_shrink_by_a_tenth_a_minute_and_then_by_four() {
    let policies = [
        RateLimit::Pods {
            value: 4,
            period: seconds(60.0),
        },
        RateLimit::Percent {
            value: 10.0,
            period: seconds(60.0),
        },
    ];
    let policy = |select| {
        tuned(eager(), |it| {
            it.scale_down = Behaviour {
                select,
                ..behaviour(&policies)
            };
        })
    };
    // Ten would do. A tenth of 72 is 7.2, "rounded up to 8"; from 40 down it is four at a time.
    let changes = Run::new(policy(Select::Max), 80).steps(60, requests(1000));
    let numbers: Vec<u32> = changes.iter().map(|it| it.1).collect();
    assert_eq!(
        numbers,
        [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10]
    );
    let times: Vec<f64> = changes.iter().map(|it| it.0).collect();
    assert_eq!(times[..3], [15.0, 75.0, 135.0]);

    assert_eq!(Run::new(policy(Select::Min), 80).step(requests(1000)), 76);
    let stays = Run::new(policy(Select::Disabled), 80).steps(60, requests(1000));
    assert_eq!(stays, []);
}

#[test]
fn by_default_four_pods_or_as_many_again_are_added_every_fifteen_seconds() {
    let policy = tuned(eager(), |it| {
        it.scale_up = Behaviour::default();
    });
    let changes = Run::new(policy, 1).steps(8, requests(10_000));
    assert_eq!(
        changes,
        [
            (15.0, 5),
            (30.0, 10),
            (45.0, 20),
            (60.0, 40),
            (75.0, 80),
            (90.0, 100)
        ]
    );
}

#[test]
fn a_percentage_to_add_is_rounded_up_and_counts_from_the_periods_begin() {
    let policy = tuned(eager(), |it| {
        it.scale_up = behaviour(&[RateLimit::Percent {
            value: 10.0,
            period: seconds(60.0),
        }]);
    });
    let changes = Run::new(policy, 12).steps(9, requests(10_000));
    assert_eq!(changes, [(15.0, 14), (75.0, 16), (135.0, 18)]);
}

#[test]
fn by_default_the_highest_recommendation_of_five_minutes_holds() {
    let policy = || {
        tuned(eager(), |it| {
            it.scale_down = Behaviour::default();
        })
    };
    // What was there at first counts as recommended at the first decision.
    let mut run = Run::new(policy(), 10);
    assert_eq!(run.steps(20, requests(200)), []);
    assert_eq!(run.steps(1, requests(200)), [(315.0, 2)]);
    // A peak in between holds for as long again.
    let mut run = Run::new(policy(), 10);
    assert_eq!(run.steps(19, requests(200)), []);
    assert_eq!(run.steps(1, requests(780)), []);
    assert_eq!(run.steps(1, requests(200)), [(315.0, 8)]);
    assert_eq!(run.steps(18, requests(200)), []);
    assert_eq!(run.steps(1, requests(200)), [(600.0, 2)]);
}

#[test]
fn a_window_to_add_takes_the_lowest_recommendation() {
    let mut policy = eager();
    policy.scale_up.stabilization = Some(seconds(60.0));
    let mut run = Run::new(policy, 2);
    assert_eq!(run.steps(3, requests(800)), []);
    assert_eq!(run.steps(1, requests(600)), []);
    // The two that there were at first no longer count.
    assert_eq!(run.steps(1, requests(800)), [(75.0, 6)]);
}

#[test]
fn pods_that_start_up_count_as_zero_on_the_way_up() {
    let with = |starting, each: u64, as_what| {
        let mut policy = tuned(eager(), |it| {
            it.starting = as_what;
        });
        wanted(
            &mut policy,
            with_instances(Mixed, &[requests(each); 4], starting),
        )
    };
    for as_what in [Starting::NotReady, Starting::Missing] {
        assert_eq!(with(0, 150, as_what), 6);
        // 600 for five are 120 each; for six it is the target; for eight it would be too few.
        assert_eq!(with(1, 150, as_what), 6);
        assert_eq!(with(2, 150, as_what), 6);
        assert_eq!(with(4, 150, as_what), 8);
    }
    // On the way down those that are not ready do not count, the missing ones count as on target.
    assert_eq!(with(1, 50, Starting::NotReady), 2);
    assert_eq!(with(1, 50, Starting::Missing), 3);
}

#[test]
fn of_several_metrics_the_highest_counts_and_one_unknown_keeps_what_is_there() {
    let ttft = MetricTarget::new(
        Metric::Latency {
            of: Latency::Ttft,
            percentile: 90.0,
        },
        0.5,
    );
    let policy = || {
        let mut policy = eager();
        policy.metrics.push(ttft);
        policy
    };
    let with = |requested, ttft| {
        let roles = vec![role(Mixed, 4, requests(requested))];
        exactly(
            &decide(&mut policy(), &with_latency(30.0, roles, ttft, 0.1)),
            Mixed,
        )
    };
    assert_eq!(with(800, 0.6), 8);
    assert_eq!(with(800, 1.5), 12);
    assert_eq!(with(200, 0.1), 2);
    let silent = |requested| {
        let signals = seen(30.0, vec![role(Mixed, 4, requests(requested))]);
        decide(&mut policy(), &signals).of(Mixed).unwrap().0
    };
    assert_eq!(silent(800), Desire::Exactly(8));
    assert_eq!(silent(200), Desire::Keep);
}

#[test]
fn a_metric_may_be_meant_for_one_role() {
    let mut policy = eager();
    policy.metrics[0].role = Some(Prompt);
    policy.metrics.push(MetricTarget {
        role: Some(Token),
        ..MetricTarget::new(Metric::Kv, 0.5)
    });
    let kv = Load {
        kv_used: 90,
        kv: 100,
        ..requests(1000)
    };
    let roles = vec![role(Prompt, 2, requests(600)), role(Token, 5, kv)];
    assert_eq!(both(&decide(&mut policy, &seen(30.0, roles))), (6, 9));
}

#[test]
fn a_number_out_of_its_limits_is_brought_back_first() {
    let mut policy = tuned(eager(), |it| {
        it.min = 3;
        it.max = 6;
    });
    let mut by = |count, requested| wanted(&mut policy, role(Mixed, count, requests(requested)));
    assert_eq!(by(1, 0), 3);
    assert_eq!(by(9, 2000), 6);
    assert_eq!(by(4, 2000), 6);
    assert_eq!(by(4, 0), 3);
    let mut policy = tuned(eager(), |it| {
        it.min = 0;
        it.scale_up = Behaviour::default();
    });
    // No pod answers, so a metric of pods is unknown; a total is not.
    let none = || seen(30.0, vec![role(Mixed, 0, Load::ZERO)]);
    let kept = decide(&mut policy, &none());
    assert_eq!(kept.of(Mixed).unwrap().0, Desire::Keep);
    policy.metrics[0].kind = Some(MetricKind::AverageValue);
    assert_eq!(exactly(&decide(&mut policy, &none()), Mixed), 0);
    let waits = waiting(vec![role(Mixed, 0, Load::ZERO)], 150);
    assert_eq!(exactly(&decide(&mut policy, &waits), Mixed), 2);
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let mut policy = eager();
    policy.scale_down.policies = Some(Vec::new());
    assert_eq!(policy.check().unwrap_err().field, "scale_down");
    policy.scale_down.select = Select::Disabled;
    assert!(policy.check().is_ok());
    policy.metrics[0].target = 0.0;
    assert_eq!(policy.check().unwrap_err().field, "metrics");
}

#[test]
fn every_metric_is_one_of_each_instance() {
    // Four instances, five times as much as the target: twenty.
    let load = Load {
        assigned: 60,
        queued: 50,
        running: 20,
        pending_tokens: 2000,
        memory_used: 10,
        memory: 20,
        kv_used: 5,
        kv: 20,
    };
    let of = RoleSnapshot {
        busy_s: 60.0,
        up_s: 120.0,
        prompt_tokens: 30_000,
        output_tokens: 3000,
        ..role(Mixed, 4, load)
    };
    for (metric, target) in [
        (Metric::Requests, 3.0),
        (Metric::Waiting, 2.0),
        (Metric::Running, 1.0),
        (Metric::PendingTokens, 100.0),
        (Metric::Memory, 0.1),
        (Metric::Kv, 0.05),
        (Metric::Busy, 0.1),
        (Metric::PromptTokensPerS, 50.0),
        (Metric::OutputTokensPerS, 5.0),
    ] {
        let mut policy = tuned(eager(), |it| {
            it.metrics = vec![MetricTarget::new(metric, target)];
            it.window = seconds(30.0);
        });
        assert_eq!(wanted(&mut policy, of.clone()), 20, "{metric}");
    }
}
