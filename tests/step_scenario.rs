//! Scenarios whose step times come from the roofline, or from a table of the user's own.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;

use fleetsim::catalog::Catalog;
use fleetsim::observe::Summary;
use fleetsim::scenario::{CheckedScenario, Engine, EngineHardware, VllmConfig};
use fleetsim::serving::StepTimes;
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

fn run(text: &str, directory: &std::path::Path) -> Summary {
    let checked =
        CheckedScenario::from_ron(text, directory).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {}
    let summary = simulation.finish().record.summarise();
    let chat = &summary.applications[0];
    assert_eq!(chat.requests.completed, chat.requests.arrived);
    summary
}

fn mean_tbt(text: &str, directory: &std::path::Path) -> f64 {
    let summary = run(text, directory);
    summary.applications[0].metrics.tbt_s.mean.unwrap()
}

/// A scenario of `Roofline()` with this engine on an instance of `tensor` GPUs of this SKU, and a workload.
fn served(sku: &str, engine: &str, performance: &str, of: &str, workload: &str) -> String {
    let (model, tensor) = of.split_once(" on ").unwrap();
    format!(
        r#"(
            name: "engines",
            fleet: [(sku: "{sku}", count: 1)],
            applications: [(
                name: "chat", model: "{model}", performance: {performance}, scheduler: RoundRobin,
                instances: [(role: Mixed, engine: {engine}, tensor_parallelism: {tensor}, start: AllServers)],
                workload: {workload},
            )],
        )"#
    )
}

const OPEN: &str = "Synthetic(arrivals: Constant(rate: 4), requests: 40,
    prompt_tokens: Constant(500), output_tokens: Constant(101))";

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

#[test]
fn a_frontend_makes_users_wait_longer_and_slows_nothing_down() {
    let here = std::path::Path::new(".");
    let with = |frontend: &str, workload: &str| {
        let engine = format!("Vllm(frontend: {frontend})");
        let text = served(
            "p5.48xlarge",
            &engine,
            "Roofline()",
            "llama-3.1-8b on 8",
            workload,
        );
        run(&text, here)
    };
    let mean = |of: &Summary| {
        let metrics = &of.applications[0].metrics;
        [&metrics.ttft_s, &metrics.tbt_s, &metrics.e2e_s].map(|it| it.mean.unwrap())
    };
    let [ttft, tbt, e2e] = mean(&with("()", OPEN));
    let [later, same, last] = mean(&with("(constant: 0.0055, decode_steps: 2)", OPEN));
    // The mean time between tokens divides by one token less than `tbt` does.
    let more = 0.0055 + 2.0 * tbt * 101.0 / 100.0;
    assert!((later - ttft - more).abs() < 1e-9, "{later} {ttft} {more}");
    assert!((last - e2e - more).abs() < 1e-9, "{last} {e2e}");
    assert!((same - tbt).abs() < 1e-12, "{same} {tbt}");

    // A user of a closed loop sends the next request when he has the last token.
    let users = "Users(users: 1, requests: 20, think: Constant(0.0), prompt_tokens: Constant(500),
        output_tokens: Constant(50))";
    let (without, slow) = (with("()", users), with("(constant: 0.5)", users));
    let waits = slow.end_s.seconds() - without.end_s.seconds();
    assert!((waits - 19.0 * 0.5).abs() < 0.01, "{waits}");
}

#[test]
fn other_servers_are_approximated_with_limits_and_coefficients_of_their_own() {
    let catalog = Catalog::built_in();
    let gpu = &catalog.processors["b200-sxm"];
    let config = |engine: &str| {
        let engine: Engine = fleetsim::document::read("engine", engine).unwrap();
        let on = engine.on(&EngineHardware {
            gpu: "b200-sxm",
            gpu_memory_bytes: gpu.memory_bytes,
            processors: 8,
            weights_bytes: 140_000_000_000,
            kv_bytes_per_token: 327_680,
        });
        VllmConfig::of(&on).unwrap()
    };
    let (sglang, trtllm) = (config("Sglang()"), config("Trtllm()"));
    assert_eq!(
        (sglang.max_num_batched_tokens, sglang.max_num_seqs),
        (8_192, 4_096)
    );
    assert_eq!(
        (trtllm.max_num_batched_tokens, trtllm.max_num_seqs),
        (8_192, 2_048)
    );
    let tokens =
        |of: &VllmConfig| f64::from(of.num_gpu_blocks) * f64::from(of.block_size) * 327_680.0;
    let memory = gpu.memory_bytes as f64;
    let expected = (0.9 * memory - 2e9) * 8.0 - 140e9;
    assert!((tokens(&sglang) / expected - 1.0).abs() < 1e-3);
    // Of what the weights leave free.
    let expected = 0.9 * ((memory - 2e9) * 8.0 - 140e9);
    assert!((tokens(&trtllm) / expected - 1.0).abs() < 1e-3);
    let few = config("Sglang(max_total_tokens: 16000, disable_radix_cache: true)");
    assert_eq!(
        (few.num_gpu_blocks, few.enable_prefix_caching),
        (1_001, false)
    );

    let layer = |engine: &str, performance: &str| {
        let text = served(
            "p6-b200.48xlarge",
            engine,
            performance,
            "qwen3-235b-a22b on 8",
            OPEN,
        );
        let checked =
            CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|it| panic!("{it}"));
        let times = StepTimes::of(&checked.scenario().applications[0], &checked);
        run(&text, ".".as_ref());
        times[0].layer.clone()
    };
    assert_eq!(
        layer("Trtllm()", "Roofline(layer: Generic)"),
        "generic:b200-sxm/trtllm"
    );
    assert_eq!(
        layer("Vllm()", "Roofline(layer: Generic)"),
        "generic:b200-sxm/vllm"
    );
    let asked = "Roofline(layer: Generic, server: Vllm)";
    assert_eq!(layer("Trtllm()", asked), "generic:b200-sxm/vllm");
}

#[test]
fn ranks_share_experts_and_nothing_else() {
    let here = std::path::Path::new(".");
    let ranks = |count: u32, model: &str| {
        let performance = format!("Roofline(data_parallelism: {count})");
        served(
            "p5en.48xlarge",
            "Vllm()",
            &performance,
            &format!("{model} on 1"),
            OPEN,
        )
    };
    // 671 GB of weights do not fit an H200, an eighth of the experts beside the rest does.
    let refused = |text: &str| {
        CheckedScenario::from_ron(text, here)
            .err()
            .unwrap()
            .to_string()
    };
    let said = refused(&ranks(1, "deepseek-v3"));
    assert!(said.contains("the weights of `deepseek-v3` are"), "{said}");
    let tbt = mean_tbt(&ranks(8, "deepseek-v3"), here);
    assert!((0.005..0.1).contains(&tbt), "{tbt}");
    let said = refused(&ranks(16, "deepseek-v3"));
    assert!(said.contains("take 16 processors"), "{said}");
    let said = refused(&ranks(8, "llama-3.1-8b"));
    assert!(said.contains("no experts that ranks could share"), "{said}");
}

#[test]
fn a_model_that_fits_no_machine_is_served_by_several() {
    let check = |sku: &str, of: &str| {
        let text = served(sku, "Vllm()", "Roofline()", of, OPEN);
        CheckedScenario::from_ron(&text, ".".as_ref()).map_err(|errors| errors.to_string())
    };
    // Weights of 671 GB, and 687 GB of memory on one machine, of which the engine takes nine tenths.
    let wrong = check("dgx-h100", "deepseek-v3 on 8").unwrap_err();
    assert!(wrong.contains("has no room for a KV cache"), "{wrong}");
    let wrong = check("dgx-h100", "deepseek-v3 on 16").unwrap_err();
    assert!(wrong.contains("2x-dgx-h100"), "{wrong}");
    let wrong = check("2x-dgx-h100", "llama-3.1-8b on 12").unwrap_err();
    assert!(
        wrong.contains("do not fill machines of 8 evenly"),
        "{wrong}"
    );
    let measured = served(
        "2x-dgx-h100",
        "Vllm()",
        "Roofline(all_reduce: Measured)",
        "deepseek-v3 on 16",
        OPEN,
    );
    let wrong = CheckedScenario::from_ron(&measured, ".".as_ref())
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("no all-reduce between 16"), "{wrong}");

    let here = std::path::Path::new(".");
    let text = served(
        "2x-dgx-h100",
        "Vllm()",
        "Roofline()",
        "deepseek-v3 on 16",
        OPEN,
    );
    run(&text, here);
    // On a machine of the pair the network is not used.
    let tbt = |sku| {
        mean_tbt(
            &served(sku, "Vllm()", "Roofline()", "llama-3.3-70b on 8", OPEN),
            here,
        )
    };
    let pair = mean_tbt(
        &served(
            "2x-dgx-h100",
            "Vllm()",
            "Roofline()",
            "llama-3.3-70b on 16",
            OPEN,
        ),
        here,
    );
    let alone = tbt("dgx-h100");
    assert!(pair > 0.5 * alone && pair < alone, "{pair} {alone}");
}

#[test]
fn energy_is_told_as_far_as_there_are_sources() {
    let here = std::path::Path::new(".");
    let on = |sku: &str| {
        run(
            &served(sku, "Vllm()", "Roofline()", "llama-3.1-8b on 8", OPEN),
            here,
        )
        .fleet
    };
    // Both powers of an H100 are known, the idle power of an H200 is not.
    let known = on("p5.48xlarge");
    assert_eq!(known.step_energy_kwh, None);
    let unknown = on("p5en.48xlarge");
    assert_eq!(unknown.energy_kwh, None);
    let steps = unknown.step_energy_kwh.unwrap();
    let busiest = unknown.gpu_hours * 0.9 * 0.7;
    assert!(steps > 0.0 && steps < busiest, "{steps} {busiest}");
    let idle = known.gpu_hours * 0.075;
    assert!(known.energy_kwh.unwrap() > idle, "{:?}", known.energy_kwh);
}
