//! Users that send the next request when the last has ended.

use fleetsim::observe::Summary;
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;

/// A second a request: ten tokens of a tenth each, one request at a time on each of `servers`.
fn run(servers: u32, users: &str, end: &str) -> (Summary, f64) {
    let text = format!(
        r#"(
            name: "users", {end}
            fleet: [(sku: "dgx-h100", count: {servers})],
            applications: [(
                name: "chat", model: "llama2-70b",
                performance: Constant(prompt_time: 0.1, token_time: 0.1),
                scheduler: Jsq,
                instances: [(role: Mixed, engine: Fcfs, tensor_parallelism: 8, start: AllServers)],
                workload: Users({users}, prompt_tokens: Constant(100), output_tokens: Constant(10)),
            )],
        )"#
    );
    let checked =
        CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {}
    let record = simulation.finish().record;
    let end = record.end.seconds();
    (record.summarise(), end)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn users_keep_a_server_busy_until_all_requests_are_done() {
    let (summary, end) = run(1, "users: 4, requests: 40", "");
    let chat = &summary.applications[0];
    assert_eq!(chat.requests.arrived, 40);
    assert_eq!(chat.requests.completed, 40);
    assert!(close(end, 40.0), "{end}");
    // The first four wait for 0, 1, 2 and 3 seconds, every later one for the three others.
    let mean = (1.0 + 2.0 + 3.0 + 36.0 * 4.0 + 4.0) / 40.0;
    assert!(close(chat.metrics.e2e_s.mean.unwrap(), mean));
}

#[test]
fn a_user_thinks_between_an_answer_and_the_next_request() {
    let (summary, end) = run(4, "users: 4, requests: 40, think: Constant(3)", "");
    let chat = &summary.applications[0];
    assert_eq!(chat.requests.completed, 40);
    assert!(close(end, 10.0 * 1.0 + 9.0 * 3.0), "{end}");
    assert!(close(chat.metrics.e2e_s.max.unwrap(), 1.0));
}

#[test]
fn as_many_requests_as_users_are_in_the_system_at_any_time() {
    let (summary, _) = run(1, "users: 5, think: Exponential(mean: 2)", "end: 500,");
    let requests = &summary.applications[0].requests;
    let open = requests.arrived - requests.completed;
    assert!(open <= 5, "{open}");
    // One server of a request a second is busy nearly always: five users ask for 1.7 a second.
    assert!((450..=500).contains(&requests.completed), "{requests:?}");
}

#[test]
fn users_without_an_end_are_refused() {
    let text = r#"(
        name: "users",
        fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b",
            instances: [(role: Mixed, start: AllServers)],
            workload: Users(users: 3, prompt_tokens: Constant(100), output_tokens: Constant(10)),
        )],
    )"#;
    let said = CheckedScenario::from_ron(text, ".".as_ref())
        .err()
        .unwrap()
        .to_string();
    assert!(said.contains("these users never stop"), "{said}");
}
