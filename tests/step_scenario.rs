//! Scenarios whose step times come from the roofline, or from a table of the user's own.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;

use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;

fn scenario(performance: &str, model: &str, tensor: u32) -> String {
    format!(
        r#"(
            name: "steps",
            fleet: [(sku: "p5.48xlarge", count: 1)],
            applications: [(
                name: "chat", model: "{model}", performance: {performance},
                scheduler: RoundRobin,
                instances: [(role: Mixed, tensor_parallelism: {tensor}, start: AllServers)],
                workload: Synthetic(arrivals: Constant(rate: 4), requests: 40,
                    prompt_tokens: Constant(500), output_tokens: Constant(100)),
            )],
        )"#
    )
}

fn mean_tbt(text: &str, directory: &std::path::Path) -> f64 {
    let checked =
        CheckedScenario::from_ron(text, directory).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {}
    let summary = simulation.finish().record.summarise();
    let chat = &summary.applications[0];
    assert_eq!(chat.requests.completed, 40);
    chat.metrics.tbt_s.mean.unwrap()
}

#[test]
fn a_roofline_serves_todays_models_at_about_the_speed_of_their_memory() {
    let here = std::path::Path::new(".");
    // Weights of 16 GB at 3.35 TB/s take 4.8 ms.
    let bf16 = mean_tbt(&scenario("Roofline()", "llama-3.1-8b", 1), here);
    assert!((0.0048..0.0095).contains(&bf16), "{bf16}");
    let fp8 = mean_tbt(
        &scenario("Roofline(precision: Fp8)", "llama-3.1-8b", 1),
        here,
    );
    assert!(fp8 < 0.8 * bf16, "{fp8} {bf16}");
    let least = mean_tbt(
        &scenario("Roofline(minimum: 0.02)", "llama-3.1-8b", 1),
        here,
    );
    assert!(least > 0.019, "{least}");
}

#[test]
fn what_a_roofline_lacks_is_told() {
    let refused = |performance: &str, model: &str, tensor: u32| {
        let text = scenario(performance, model, tensor);
        let error = CheckedScenario::from_ron(&text, ".".as_ref());
        error.err().unwrap().to_string()
    };
    let said = refused("Roofline()", "llama2-70b", 8);
    assert!(
        said.contains("has no architecture in the catalog"),
        "{said}"
    );
    let said = refused("Roofline()", "deepseek-v3", 4);
    assert!(said.contains("the weights of `deepseek-v3` are"), "{said}");
    let said = refused("Roofline(precision: Fp9)", "llama-3.1-8b", 1);
    assert!(said.contains("Fp8"), "{said}");
    let said = refused("Table(path: \"absent.csv\")", "llama-3.1-8b", 1);
    assert!(said.contains("cannot read"), "{said}");
}

#[test]
fn a_table_of_ones_own_steps_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut rows = "model,gpu,precision,tp,prefill_tokens,decode_seqs,context,ms\n".to_owned();
    for requests in [1, 4, 16] {
        for context in [128, 1_024] {
            rows += &format!("llama-3.1-8b,h100-sxm,bf16,1,0,{requests},{context},30\n");
        }
    }
    fs::write(directory.path().join("steps.csv"), &rows).unwrap();
    let table = "Table(path: \"steps.csv\")";
    let tbt = mean_tbt(&scenario(table, "llama-3.1-8b", 1), directory.path());
    assert!((0.029..0.034).contains(&tbt), "{tbt}");
    let text = scenario(table, "llama-3.1-8b", 2);
    let said = CheckedScenario::from_ron(&text, directory.path())
        .err()
        .unwrap()
        .to_string();
    assert!(
        said.contains("the table has no step of `llama-3.1-8b`"),
        "{said}"
    );
}
