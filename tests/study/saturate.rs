use crate::desk::{BASE, Desk};

/// One server that takes 1 s a request, at regular intervals: the k-th request waits k (1 − 1/λ). Of 1,000
/// requests 990 wait at most 5 s less the millisecond of the prompt up to λ = 1 / (1 − 4.999 / 989).
#[test]
fn the_knee_of_a_single_server_is_where_the_last_request_but_one_in_a_hundred_waits_too_long() {
    let scenario = r#"(
        name: "server", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: RoundRobin,
            performance: Constant(prompt_time: 0.001, token_time: 0.001),
            instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
            slo: (ttft: 5.0),
            workload: Synthetic(
                arrivals: Constant(rate: 0.37), prompt_tokens: Constant(1),
                output_tokens: Constant(1000), requests: 1000,
            ),
        )],
    )"#;
    let desk = Desk::with(&[("server.ron", scenario)]);
    let options = [
        "saturate",
        "server.ron",
        "--tolerance",
        "0.05%",
        "--replications",
        "1",
    ];
    let printed = desk.done(&[&options[..], &["--out", "out"]].concat());
    assert!(printed.contains("server: up to 1.00"), "{printed}");
    let found = desk.json("out/saturation.json");
    let scale = found["scale"].as_f64().unwrap();
    let knee = 1.0 / (1.0 - 4.999 / 989.0) / 0.37;
    assert!((scale / knee - 1.0).abs() < 1e-3, "{scale}, not {knee}");
    assert_eq!(found["monotone"], true);
    assert!(desk.read("out/saturation.csv").lines().count() > 8);
}

#[test]
fn a_scenario_without_an_objective_has_no_knee() {
    let desk = Desk::with(&[(
        "base.ron",
        &BASE.replace("slo: (ttft: 0.5, tbt: 0.08),", ""),
    )]);
    let told = desk.refused(2, &["saturate", "base.ron", "--out", "out"]);
    assert!(told.contains("give an application an `slo`"), "{told}");
}
