//! When traffic ends.

use crate::support::*;

fn scenario_with(policy: &str, workload: &str) -> String {
    format!(
        r#"(
    name: "traffic-ends",
    seed: 1,
    end: 3600,
    fleet: [(sku: "dgx-h100", count: 2, limit: 20, provision_delay: Constant(60))],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scaling: (spin_up: Constant(20), scale_up_delay: 10, drain: OnIdle),
        autoscaler: {policy},
        workload: {workload},
    )],
)"#
    )
}

#[test]
fn policies_by_latency_go_to_their_minimum() {
    let workload = "Synthetic(arrivals: Poisson(rate: 25), shape: Piecewise([(0, 1), (900, 0)]), \
                    prompt_tokens: LogNormal(median: 1000, sigma: 0.6), \
                    output_tokens: Geometric(mean: 150), window: (0, 3600))";
    for policy in ["LatencyBased(rules: Mended)", "PureLatency"] {
        let (decided, _) = decisions(&checked(&scenario_with(policy, workload)));
        let last = decided
            .iter()
            .find(|it| it.time.seconds() >= 1080.0)
            .unwrap();
        assert_eq!((last.scaling_up, last.active), (0, 1), "{policy}");
    }
    let stays = "PureLatency(idle: AsPublished)";
    let (decided, _) = decisions(&checked(&scenario_with(stays, workload)));
    assert!(decided.last().unwrap().active > 1);
}

#[test]
fn a_prompt_that_is_too_slow_keeps_no_second_planner_instance() {
    let workload = "Synthetic(arrivals: Poisson(rate: 1), prompt_tokens: Constant(7000), \
                    output_tokens: Constant(50), window: (0, 600))";
    let policy = "DynamoSla(interval: 60, ttft: 0.25, predictor: Last)";
    let (decided, _) = decisions(&checked(&scenario_with(policy, workload)));
    let after = decided.iter().filter(|it| it.time.seconds() >= 720.0);
    assert!(after.into_iter().all(|it| it.desired == 1));
}

/// Its default predictor forecasts the mean of all that it saw, once the first values showed no order: when
/// traffic ends it comes down late, as the original does.
#[test]
fn a_planner_by_the_mean_of_all_keeps_what_traffic_needed() {
    let workload = "Synthetic(arrivals: Poisson(rate: 25), prompt_tokens: Constant(1000), \
                    output_tokens: Constant(150), window: (0, 1200))";
    let after_four_minutes = |predictor: &str| {
        let policy = format!("DynamoSla(interval: 60, predictor: {predictor})");
        let (decided, _) = decisions(&checked(&scenario_with(&policy, workload)));
        let at = decided.iter().find(|it| it.time.seconds() == 1440.0);
        at.unwrap().desired
    };
    assert_eq!(after_four_minutes("Last"), 1);
    assert!(after_four_minutes("Arima()") > 1);
}

#[test]
fn each_way_has_a_tolerance() {
    // 41 long requests on ten instances meant for four each: a ratio of 1.025.
    let wants = |policy: &str, requests: u32| {
        let text = format!(
            r#"(
    name: "tolerance",
    end: 700,
    fleet: [(sku: "dgx-h100", count: 10, limit: 40)],
    applications: [(
        name: "cameras",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scheduler: Jsq,
        performance: Constant(prompt_time: 0.05, token_time: 1),
        autoscaler: {policy},
        workload: Synthetic(
            arrivals: Constant(rate: 41),
            prompt_tokens: Constant(500),
            output_tokens: Constant(3000),
            requests: {requests},
        ),
    )],
)"#
        );
        decisions(&checked(&text)).0.last().unwrap().desired
    };
    let metric = "metrics: [(metric: Requests, target: 4)]";
    let eager = format!("KubernetesHpa({metric}, scale_up: (tolerance: 0.0))");
    let calm = format!("KubernetesHpa({metric})");
    assert_eq!([36, 41, 44].map(|it| wants(&calm, it)), [10, 10, 10]);
    assert_eq!(
        [36, 41, 44, 45].map(|it| wants(&eager, it)),
        [10, 11, 11, 12]
    );
}
