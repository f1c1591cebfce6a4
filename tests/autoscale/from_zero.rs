//! Requests that wait bring an instance, even where there is none.

use fleetsim::autoscale::PolicyRegistry;
use fleetsim::simulation::Simulation;

use crate::support::*;

/// Of three requests, how many are completed.
fn completed(template: &str, autoscaler: &str, actuator: &str, delay: f64) -> usize {
    let text = format!(
        r#"(
    name: "from-zero",
    end: 1800,
    fleet: [(sku: "dgx-h100", count: 2, limit: 6)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        {template},
        scaling: (scale_up_delay: 20, drain: OnIdle),
        autoscaler: {autoscaler},
        actuator: ({actuator}),
        signals: (scrape_delay: {delay}),
        workload: Synthetic(
            arrivals: Constant(rate: 0.002),
            prompt_tokens: Constant(500),
            output_tokens: Constant(50),
            requests: 3,
        ),
    )],
)"#
    );
    let mut simulation = Simulation::with_policies(&checked(&text), &registry()).unwrap();
    while simulation.tick().unwrap() {}
    let requests = simulation.finish().rows.requests;
    assert_eq!(requests.len(), 3);
    requests.iter().filter(|(_, it)| it.end.is_some()).count()
}

#[test]
fn every_policy_serves_requests_that_find_no_instance() {
    let registry = PolicyRegistry::built_in();
    for policy in registry.policies().map(|it| it.name()) {
        let term = match policy {
            "Periodic" => "Periodic(periods: [], otherwise: (mixed: 0))".to_owned(),
            "HeteroScale" => continue,
            name => format!("{name}(min: 0)"),
        };
        for delay in [0.0, 20.0] {
            let template = "instances: [(role: Mixed, start: None)]";
            let completed = completed(template, &term, "mixed: (min: 0)", delay);
            assert_eq!(completed, 3, "{term}, {delay} s late");
        }
    }
    let template = "scheduler: MixedPool(), \
                    instances: [(role: Prompt, start: None), (role: Token, start: None)]";
    for policy in [
        "HeteroScale",
        "HpaGpu",
        "IndependentTps",
        "PureLatency",
        "LatencyBased",
    ] {
        let limits = "prompt: (min: 0), token: (min: 0)";
        let term = format!("{policy}(min: 0)");
        assert_eq!(completed(template, &term, limits, 0.0), 3, "{term}");
    }
}

/// After a pause longer than its window nothing was completed in it: the lengths of requests are unknown,
/// and not 0.
#[test]
fn a_pause_longer_than_the_window_does_not_hide_what_waits() {
    let text = r#"(
    name: "pause",
    end: 1800,
    fleet: [(sku: "dgx-h100", count: 1, limit: 4)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scaling: (scale_up_delay: 20, drain: OnIdle),
        autoscaler: SaturationV2(min: 0),
        actuator: (mixed: (min: 0)),
        workload: Synthetic(
            arrivals: Poisson(rate: 1),
            shape: Piecewise([(0, 1), (3, 0), (901, 1)]),
            prompt_tokens: Constant(500),
            output_tokens: Constant(50),
            window: (0, 904),
        ),
    )],
)"#;
    let (decided, _) = decisions(&checked(text));
    let at = |time: f64| decided.iter().find(|it| it.time.seconds() == time).unwrap();
    assert_eq!((at(900.0).desired, at(900.0).active), (0, 0));
    assert_eq!((at(930.0).desired, at(930.0).started), (1, 1));
}
