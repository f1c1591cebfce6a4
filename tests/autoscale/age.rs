//! Metrics are late; how many instances there are, and were asked for, is known at once.

use fleetsim::autoscale::{Decision, PolicyRegistry};

use crate::support::*;

/// 24 requests that last 3,000 s, on two instances that take as many as they like.
fn overloaded(policy: &str, delay: f64) -> Vec<Decision> {
    let text = format!(
        r#"(
    name: "late",
    end: 900,
    fleet: [(sku: "dgx-h100", count: 2, limit: 20)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scaling: (scale_up_delay: 20, drain: OnIdle),
        performance: Constant(prompt_time: 0.05, token_time: 1),
        autoscaler: {policy},
        signals: (scrape_interval: 15, scrape_delay: {delay}),
        workload: Synthetic(
            arrivals: Constant(rate: 24),
            prompt_tokens: Constant(500),
            output_tokens: Constant(3000),
            requests: 24,
        ),
    )],
)"#
    );
    decisions(&checked(&text)).0
}

#[test]
fn an_autoscaler_counts_what_it_asked_for() {
    let one_a_minute = "KubernetesHpa(metrics: [(metric: Requests, target: 4)], \
                        scale_up: (policies: [Pods(value: 1, period: 60)]), max: 10)";
    let fresh = overloaded(one_a_minute, 0.0);
    let wants = [
        "15: 3 +1 ~0 -0 !0",
        "75: 4 +1 ~0 -0 !0",
        "135: 5 +1 ~0 -0 !0",
        "195: 6 +1 ~0 -0 !0",
    ];
    assert_eq!(changes(&fresh), wants);
    let late = overloaded(one_a_minute, 45.0);
    let wants = [
        "60: 3 +1 ~0 -0 !0",
        "120: 4 +1 ~0 -0 !0",
        "180: 5 +1 ~0 -0 !0",
        "240: 6 +1 ~0 -0 !0",
    ];
    assert_eq!(changes(&late), wants);
}

/// Under a load that only rises no start-up is given up, whatever the policy and however late its metrics;
/// those that take one step at a time take one at a time.
#[test]
fn no_policy_gives_up_what_it_asked_for() {
    let registry = PolicyRegistry::built_in();
    for policy in registry.policies().map(|it| it.name()) {
        let (term, flaps) = match policy {
            // These need other roles, or have no rule by load.
            "HeteroScale" | "Periodic" | "Clairvoyant" => continue,
            // Its rule takes one away whenever it does not add one, and the mended one does not.
            "Chiron" => ("Chiron(rules: Mended)".to_owned(), false),
            // Its removals go to the lowest wish of five minutes, as published.
            "AibrixApa" | "AibrixKpa" => (format!("{policy}(metric: Requests, target: 4)"), true),
            "KubernetesHpa" => (
                "KubernetesHpa(metrics: [(metric: Requests, target: 4)])".to_owned(),
                false,
            ),
            "Keda" => ("Keda(target: 4)".to_owned(), false),
            "KnativeKpa" => ("KnativeKpa(target: 4)".to_owned(), false),
            _ => (policy.to_owned(), false),
        };
        let alone = ["SaturationV1", "DynamoLoad", "SageServeReactive", "Chiron"];
        for delay in [0.0, 7.0, 45.0, 130.0] {
            let decided = overloaded(&term, delay);
            let given_up: u32 = decided.iter().map(|it| it.cancelled).sum();
            assert!(
                given_up == 0 || flaps,
                "{term}, {delay} s late: {:#?}",
                changes(&decided)
            );
            if alone.contains(&policy) {
                let most = decided.iter().map(|it| it.scaling_up + it.started).max();
                assert!(
                    most <= Some(1),
                    "{term}, {delay} s late: {:#?}",
                    changes(&decided)
                );
            }
        }
    }
}
