//! A policy that can never do anything, or has nothing to go by, is refused with its place.

use fleetsim::autoscale::PolicyRegistry;
use fleetsim::simulation::Simulation;

use crate::support::*;

/// What is wrong with a policy and an actuator on one `Mixed` instance of this engine.
fn wrong(engine: &str, autoscaler: &str, actuator: &str) -> String {
    let fields = format!("autoscaler: {autoscaler}, actuator: ({actuator})");
    let template = format!("engine: {engine}, start: AllServers");
    let found = scenario_of(r#"(sku: "dgx-h100", count: 1)"#, &template, &fields);
    match found.and_then(|checked| PolicyRegistry::built_in().check(&checked)) {
        Ok(_) => String::new(),
        Err(wrong) => wrong.to_string(),
    }
}

const ENGINE: &str = "Splitwise()";

#[test]
fn a_role_that_is_named_has_a_template() {
    let wrong = |autoscaler, actuator| wrong(ENGINE, autoscaler, actuator);
    let periodic = wrong("Periodic()", "");
    assert!(periodic.contains("no template of that role"), "{periodic}");
    assert_eq!(
        wrong("Periodic(periods: [], otherwise: (mixed: 2))", ""),
        ""
    );
    let other = "KubernetesHpa(metrics: [(metric: Busy, target: 0.8, role: Token)])";
    let other = wrong(other, "");
    assert!(
        other.contains("`Token`") && other.contains("no template"),
        "{other}"
    );
    let limits = wrong("Threshold()", "token: (min: 3)");
    assert!(
        limits.contains("no template of the role `Token`"),
        "{limits}"
    );
    assert_eq!(wrong("Threshold()", "mixed: (min: 1, max: 3)"), "");
}

#[test]
fn a_policy_has_a_metric_for_each_role() {
    let none = wrong(ENGINE, "KubernetesHpa(metrics: [])", "");
    assert!(none.contains("no metric for `Mixed`"), "{none}");
}

#[test]
fn a_policy_by_a_share_of_memory_needs_a_limit_of_it() {
    let registry = PolicyRegistry::built_in();
    let by_memory = [
        "HpaGpu",
        "AibrixApa",
        "AibrixKpa",
        "SaturationV1",
        "SaturationV2",
        "DynamoLoad",
        "SageServeReactive",
        "SageServeLtI",
        "SageServeLtU",
        "SageServeLtUa",
    ];
    for policy in registry.policies().map(|it| it.name()) {
        let wrong = wrong("Fcfs", policy, "");
        if by_memory.contains(&policy) {
            assert!(wrong.contains("no limit of memory"), "{policy}: {wrong}");
        } else {
            assert!(!wrong.contains("memory"), "{policy}: {wrong}");
        }
    }
    assert!(
        wrong(
            "Fcfs",
            "KubernetesHpa(metrics: [(metric: Kv, target: 0.8)])",
            ""
        )
        .contains("Kv")
    );
}

#[test]
fn an_engine_without_a_limit_of_memory_has_none_in_the_samples() {
    let text = r#"engine: Fcfs, start: AllServers"#;
    let checked = scenario_of(r#"(sku: "dgx-h100", count: 2)"#, text, "slo: ()").unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {}
    let samples = simulation.take_rows().samples;
    assert!(!samples.is_empty());
    assert!(
        samples
            .iter()
            .all(|it| it.memory_bytes.is_none() && it.kv_bytes.is_none())
    );
}

/// A delay in the wrong unit: nothing ever reaches the policy, and the run ends.
#[test]
fn a_run_ends_however_late_its_signals_are() {
    for delay in ["1e6", "1e9"] {
        let fields =
            format!("autoscaler: Threshold(interval: 15), signals: (scrape_delay: {delay})");
        let checked = scenario(r#"(sku: "dgx-h100", count: 1)"#, &fields).unwrap();
        let (decided, _) = decisions(&checked);
        assert!(decided.is_empty(), "{delay}");
    }
}

/// The kinds of the warnings about a policy.
fn warned(template: &str, fields: &str) -> Vec<String> {
    let checked = scenario_of(r#"(sku: "dgx-h100", count: 1)"#, template, fields).unwrap();
    let warnings = PolicyRegistry::built_in().check(&checked).unwrap();
    warnings
        .kinds()
        .iter()
        .map(|it| it.name().to_owned())
        .collect()
}

#[test]
fn a_policy_without_a_decision_before_the_end_is_warned_of() {
    let warned = |fields| warned("start: AllServers", fields);
    assert_eq!(warned("autoscaler: Threshold()"), [""; 0]);
    assert_eq!(warned("autoscaler: Threshold(interval: 200)"), [""; 0]);
    assert_eq!(
        warned("autoscaler: Threshold(interval: 201)"),
        ["no_decision"]
    );
    let late = "autoscaler: Threshold(), signals: (scrape_delay: 1000)";
    assert_eq!(warned(late), ["no_decision"]);
}

#[test]
fn a_target_that_a_metric_cannot_exceed_is_warned_of() {
    let warned = |engine: &str, target: &str| {
        let template = format!("engine: {engine}, start: AllServers");
        let fields = format!("autoscaler: KubernetesHpa(metrics: [({target})])");
        warned(&template, &fields)
    };
    let running = "metric: Running, target: 2";
    assert_eq!(
        warned("Splitwise(max_batch_size: 1)", running),
        ["target_out_of_reach"]
    );
    assert_eq!(warned("Splitwise(max_batch_size: 3)", running), [""; 0]);
    assert_eq!(
        warned("Splitwise()", "metric: Kv, target: 80"),
        ["target_out_of_reach"]
    );
    assert_eq!(warned("Splitwise()", "metric: Kv, target: 0.8"), [""; 0]);
}
