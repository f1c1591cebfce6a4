use crate::desk::{BASE, Desk};

/// As good as a queue with c servers: a batch of at most c requests, each of whose steps takes 1 ms, a
/// request about 1 s; 8 requests a second.
const SERVERS: &str = r#"(
    name: "servers", seed: 11, fleet: [(sku: "dgx-h100", count: 1)],
    applications: [(
        name: "chat", model: "llama2-70b", scheduler: RoundRobin,
        performance: Constant(prompt_time: 0.001, token_time: 0.001),
        instances: [(role: Mixed, engine: Orca(max_batch_size: 9), start: AllServers)],
        slo: (ttft: 1.0),
        workload: Synthetic(
            arrivals: Poisson(rate: 8), prompt_tokens: Constant(1),
            output_tokens: Geometric(mean: 1000), requests: 4000,
        ),
    )],
)"#;

/// By Erlang's C formula the mean wait with 8 Erlang is 0.653 s with 9 servers, 0.205 s with 10, 0.082 s
/// with 11 and 0.035 s with 12.
#[test]
fn the_smallest_number_of_servers_is_that_of_erlang() {
    for (limit, servers) in [(0.35, 10), (0.13, 11)] {
        let search = format!(
            r#"(
                scenario: "base.ron",
                meets: [AtMost(figure: "chat.metrics.queue_s.mean", value: {limit})],
                find: Smallest(
                    path: "applications[0].instances[0].engine", from: 9, to: 40,
                    value: "Orca(max_batch_size: {{}})",
                ),
            )"#
        );
        let desk = Desk::with(&[("base.ron", SERVERS), ("search.ron", &search)]);
        desk.done(&["search", "search.ron", "--out", "out"]);
        let found = desk.json("out/search.json");
        let set = found["answer"]["set"][0].as_str().unwrap();
        let engine = format!("Orca(max_batch_size: {servers})");
        assert!(set.ends_with(&engine), "{set}");
        assert_eq!(found["sure"], true);
        assert_eq!(found["monotone"], true);
        let binding = found["binding"][0].as_str().unwrap();
        assert!(
            binding.starts_with("chat.metrics.queue_s.mean"),
            "{binding}"
        );
    }
}

/// Constant(rate: 1) and 3.5 s a request keep four servers busy for 0.875 of the time. Kubernetes' autoscaler
/// leaves them alone while that is at most 1.1 times its target (its tolerance), so from a target of
/// 0.875 / 1.1 = 0.7955 on: in whole per cent, 80. Below it, there is a fifth server.
#[test]
fn the_smallest_threshold_of_a_policy_is_the_one_worked_out_by_hand() {
    let base = r#"(
        name: "threshold", end: 1800, fleet: [(sku: "dgx-h100", count: 4, limit: 16)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: RoundRobin,
            performance: Constant(prompt_time: 0.5, token_time: 0.01),
            instances: [(role: Mixed, engine: Orca(max_batch_size: 1), start: AllServers)],
            autoscaler: KubernetesHpa(),
            workload: Synthetic(
                arrivals: Constant(rate: 1), prompt_tokens: Constant(1), output_tokens: Constant(301),
            ),
        )],
    )"#;
    let search = r#"(
        scenario: "base.ron",
        meets: [AtMost(figure: "gpu_hours", value: 16)],
        find: Smallest(
            path: "applications[0].autoscaler", from: 50, to: 99,
            value: "KubernetesHpa(metrics: [(metric: Busy, target: 0.{})])",
        ),
    )"#;
    let desk = Desk::with(&[("base.ron", base), ("search.ron", search)]);
    desk.done(&["search", "search.ron", "--out", "out"]);
    let found = desk.json("out/search.json");
    let set = found["answer"]["set"][0].as_str().unwrap();
    assert!(set.ends_with("target: 0.80)])"), "{set}");
    assert_eq!(found["monotone"], true);
}

#[test]
fn the_cheapest_sample_that_meets_the_limits_is_found_and_says_what_binds() {
    // More servers cost more and wait less: the answer is the cheapest sample that is fast enough.
    let search = r#"(
        scenario: "base.ron",
        set: ["applications[0].workload.arrivals=Poisson(rate: 20)", "end=15", "applications[0].instances[0].start=AllServers"],
        meets: [AtMost(figure: "ttft_s.p99", value: 0.8)],
        find: Cheapest(
            samples: 12, by: "gpu_hours",
            ranges: [(path: "fleet[0].count", from: 0.5, to: 8.5, whole: true)],
        ),
        replications: 4, most_replications: 12, runs: 300,
    )"#;
    let desk = Desk::with(&[("base.ron", BASE), ("search.ron", search)]);
    desk.done(&["search", "search.ron", "--out", "out", "--jobs", "1"]);
    let found = desk.json("out/search.json");
    let tried = found["tried"].as_array().unwrap();
    let hours = |it: &serde_json::Value| it["figures"]["gpu_hours"]["mean"].as_f64().unwrap();
    let answer = &found["answer"];
    assert_eq!(answer["meets"], true);
    for other in tried.iter().filter(|it| it["meets"] == true) {
        assert!(hours(other) >= hours(answer) - 1e-9, "{other}");
    }
    assert!(found["runs"].as_u64().unwrap() <= 300);
    let text = desk.read("out/search.json");
    desk.done(&["search", "search.ron", "--out", "again", "--jobs", "3"]);
    assert_eq!(text, desk.read("again/search.json"));
}

#[test]
fn a_budget_that_is_spent_and_a_limit_that_nothing_meets_are_told() {
    let search = |meets: &str, runs: u32| {
        format!(
            r#"(
                scenario: "base.ron", runs: {runs}, meets: [{meets}],
                find: Smallest(path: "applications[0].instances[0].start", from: 1, to: 4, value: "Servers({{}})"),
            )"#
        )
    };
    let met = r#"AtLeast(figure: "attainment", value: 0.5)"#;
    let never = r#"AtMost(figure: "ttft_s.p50", value: 0.001)"#;
    let unknown = r#"AtMost(figure: "ttft_s.p42", value: 1)"#;
    for (meets, runs, status, told) in [
        (met, 6, 1, "the budget of 6 runs is spent"),
        (never, 500, 1, "no setting that was tried meets the limits"),
        (unknown, 500, 2, "no such figure is known"),
        ("", 500, 2, "there is no limit to meet"),
    ] {
        let desk = Desk::with(&[("base.ron", BASE), ("search.ron", &search(meets, runs))]);
        let message = desk.refused(status, &["search", "search.ron", "--out", "out"]);
        assert!(message.contains(told), "{meets}: {message}");
    }
}
