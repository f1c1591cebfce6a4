//! The built-in catalog, and the user's files on top of it.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use fleetsim::catalog::{Attention, Catalog, MemoryUse, Parallelism, Precision, ProfileKey};
use fleetsim::scenario::CheckedScenario;

mod shared;

#[test]
fn the_built_in_catalog_holds_the_reference_hardware_and_models() {
    let catalog = Catalog::built_in();
    catalog.validate().unwrap();
    for (sku, processor) in [
        ("dgx-a100", "a100-80gb"),
        ("dgx-h100", "h100-80gb"),
        ("dgx-h100-pcap", "h100-80gb-pcap"),
    ] {
        assert_eq!(catalog.skus[sku].processors, 8);
        assert_eq!(catalog.skus[sku].processor, processor);
        assert_eq!(catalog.processors[processor].memory_bytes, 80 << 30);
    }
    let model = |name: &str| {
        let model = &catalog.models[name];
        (
            model.layers,
            model.hidden_size,
            model.weights_bytes,
            model.kv_bytes_per_token(),
        )
    };
    assert_eq!(
        model("bloom-176b"),
        (70, 14_336, 329_000_000_000, 2 * 14_336 * 70 * 2)
    );
    assert_eq!(
        model("llama2-70b"),
        (80, 8_192, 135_000_000_000, 2 * 8_192 * 80 * 2)
    );
}

#[test]
fn the_built_in_profiles_are_those_of_the_reference_to_the_last_bit() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let text = std::fs::read_to_string(shared.join("reference/performance_knots.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let catalog = Catalog::built_in();
    let entries = reference.as_array().unwrap();
    assert_eq!(catalog.profiles.len(), entries.len());
    for entry in entries {
        let key = ProfileKey {
            model: entry["model"].as_str().unwrap().to_owned(),
            processor: entry["hardware"].as_str().unwrap().to_owned(),
            tensor_parallelism: entry["tensor_parallel"].as_u64().unwrap() as u32,
        };
        let profile = &catalog.profiles[&key];
        let knots = |phase: &str| -> Vec<(f64, f64)> {
            let axis = |axis: &str| entry[phase][axis].as_array().unwrap().clone();
            let pairs = axis("x").into_iter().zip(axis("y"));
            pairs
                .map(|(x, y)| (x.as_f64().unwrap(), y.as_f64().unwrap()))
                .collect()
        };
        assert_eq!(profile.prompt, knots("prompt"), "{key:?}");
        assert_eq!(profile.token, knots("token"), "{key:?}");
    }
}

#[test]
fn a_file_adds_to_the_catalog_and_takes_the_place_of_what_has_the_same_name() {
    let mut catalog = Catalog::built_in();
    catalog
        .add_ron(
            "mine.ron",
            r#"(
                skus: [(name: "dgx-h100", processor: "tiny", processors: 4, price_per_hour: 2.5)],
                processors: [(name: "tiny", memory_bytes: 1_000)],
                models: [(name: "toy", layers: 1, hidden_size: 2, weights_bytes: 3)],
                profiles: [(model: "toy", processor: "tiny", tensor_parallelism: 4,
                            prompt: [(1, 0.1), (2, 0.2)], token: [(1, 0.1), (2, 0.2)])],
            )"#,
        )
        .unwrap();
    assert_eq!(catalog.skus["dgx-h100"].price_per_hour, Some(2.5));
    let before = Catalog::built_in();
    assert_eq!(catalog.skus.len(), before.skus.len());
    assert_eq!(catalog.processors.len(), before.processors.len() + 1);
    catalog.validate().unwrap();
}

#[test]
fn mistakes_in_a_file_are_all_found() {
    let text = r#"(
    skus: [(name: "a", processor: "h100-80bg", processors: 0), (name: "a", processor: "h100-80gb", processors: 8)],
    processors: [(name: "p", memory_bytes: -1)],
    models: [(name: "m", layer: 3, layers: 3, hidden_size: 2, weights_bytes: 1.5)],
    profiles: [
        (model: "mm", processor: "p", tensor_parallelism: 1, prompt: [(2, 0.1), (1, 0.2)], token: [(1, 0.1)]),
        (model: "llama2-70b", processor: "a100-80gb", tensor_parallelism: 1, prompt: [(1, 0), (2, NaN)], token: [(1, 1), (2, 2)]),
    ],
)"#;
    let mut catalog = Catalog::built_in();
    let said = catalog.add_ron("mine.ron", text).unwrap_err().to_string();
    for part in [
        "mine.ron:2:60: error: expected at least 1, found `0`",
        "mine.ron:3:44: error: expected at least 1, found `-1`",
        "mine.ron:4:26: error: unknown field `layer`",
        "mine.ron:4:78: error: expected a whole number, found `1.5`",
        "mine.ron:6:99: error: expected at least 2 in this list, found 1",
        "mine.ron:7:99: error: expected a finite number, found `NaN`",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let text = text
        .replace("-1", "1")
        .replace("1.5", "1")
        .replace("NaN", "-2")
        .replace("processors: 0", "processors: 4")
        .replace("(1, 0.1)]", "(1, 0.1), (2, 1)]");
    let said = catalog.add_ron("mine.ron", &text).unwrap_err().to_string();
    for part in [
        "mine.ron:2:35: error: the catalog has no `h100-80bg`\n",
        "did you mean `h100-80gb`?",
        "mine.ron:2:71: error: there is another `a` in this file",
        "mine.ron:6:17: error: the catalog has no `mm`",
        "mine.ron:6:82: error: 1 batch tokens do not follow 2",
        "mine.ron:7:91: error: an iteration cannot take 0 s",
        "mine.ron:7:99: error: an iteration cannot take -2 s",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let before = Catalog::built_in();
    assert_eq!(catalog.skus, before.skus, "a bad file changes nothing");
    assert_eq!(catalog.models, before.models);
}

#[test]
fn a_scenario_names_catalog_files_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let scenario = r#"(
        name: "own",
        catalog: ["hardware.ron"],
        end: 1,
        fleet: [(sku: "toy-server", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", performance: Constant(prompt_time: 1, token_time: 1),
            instances: [(role: Mixed, tensor_parallelism: 2, start: AllServers)],
            workload: Synthetic(arrivals: Constant(rate: 1), prompt_tokens: Constant(1), output_tokens: Constant(1)),
        )],
    )"#;
    let load = || CheckedScenario::from_ron(scenario, directory.path());
    let said = load().err().unwrap().to_string();
    assert!(
        said.starts_with("<scenario>:3:19: error: cannot read "),
        "{said}"
    );

    write(
        "hardware.ron",
        r#"(skus: [(name: "toy-server", processor: "h100-80gb", processors: 2)])"#,
    );
    let first = load().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(first.placement().instances.len(), 1);
    write(
        "hardware.ron",
        r#"(skus: [(name: "toy-server", processor: "h100-80gb", processors: 4)])"#,
    );
    let second = load().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(second.placement().instances.len(), 2);
    assert_ne!(first.hash(), second.hash());

    write("hardware.ron", r#"(skus: [(name: "toy-server")])"#);
    let said = load().err().unwrap().to_string();
    let place = format!(
        "{}:1:9: error: the field `processor` is missing",
        directory.path().join("hardware.ron").display()
    );
    assert!(said.starts_with(&place), "{said}");
}

#[test]
fn parameters_computed_from_dimensions_meet_the_published_totals() {
    let catalog = Catalog::built_in();
    let mut models = 0;
    for (name, model) in &catalog.models {
        let Some(computed) = model.parameters() else {
            continue;
        };
        models += 1;
        let published = model.published_parameters.unwrap() as f64;
        let error = computed.total as f64 / published - 1.0;
        assert!(error.abs() < 0.002, "{name}: {error:+.4}");
        assert!(computed.active <= computed.total, "{name}");
    }
    assert_eq!(models, 39);
    let billions = |name: &str| catalog.models[name].parameters().unwrap().active as f64 / 1e9;
    for (name, published) in [
        ("deepseek-v3", 37.0),
        ("qwen3-30b-a3b", 3.0),
        ("qwen3-235b-a22b", 22.0),
        ("mixtral-8x7b", 13.0),
        ("gpt-oss-120b", 5.1),
        ("llama-4-maverick", 17.0),
    ] {
        let error = billions(name) / published - 1.0;
        assert!(error.abs() < 0.08, "{name}: {} active", billions(name));
    }
}

#[test]
fn todays_hardware_is_in_the_catalog_and_priced_only_with_a_source_and_a_date() {
    let catalog = Catalog::built_in();
    let with_speeds = catalog.processors.values();
    assert_eq!(with_speeds.filter(|it| it.speeds.is_some()).count(), 24);
    assert_eq!(
        catalog.skus.len(),
        34 + 2,
        "and the capped server of SplitwiseSim, and one of two machines"
    );
    for (name, sku) in &catalog.skus {
        assert_eq!(sku.price_per_hour.is_some(), sku.price.is_some(), "{name}");
    }
    for (name, processor) in &catalog.processors {
        assert!(
            processor.speeds.is_some() || processor.same_as.is_some() || name == "h100-80gb-pcap"
        );
    }
    let h100 = &catalog.processors["h100-sxm"];
    assert_eq!(h100.memory_bytes, 80 << 30);
    assert_eq!(h100.speeds.as_ref().unwrap().memory_bandwidth, 3350e9);
    assert_eq!(h100.speeds.as_ref().unwrap().bf16_flops, 989e12);
}

#[test]
fn the_kv_cache_beside_the_weights_is_about_what_vllm_reports() {
    let catalog = Catalog::built_in();
    // Blocks of 16 tokens that vLLM 0.15 printed, on H100.
    for (model, tensor, blocks) in [
        ("llama-3.1-70b", 4, 30_425.0),
        ("qwen2.5-7b", 1, 65_352.0),
        ("mistral-nemo-12b", 1, 19_251.0),
        ("mistral-nemo-12b", 2, 48_009.0),
        ("yi-34b", 2, 20_793.0),
        ("llama-2-7b", 1, 7_463.0),
    ] {
        let tokens = catalog.models[model].kv_tokens(
            catalog.processors["h100-sxm"].memory_bytes,
            Precision::Bf16,
            Parallelism::tensor(tensor),
            2,
            MemoryUse::default(),
        );
        let error = tokens.unwrap() as f64 / 16.0 / blocks - 1.0;
        assert!(error.abs() < 0.013, "{model} on {tensor}: {error:+.4}");
    }
}

/// Every figure of the reference's tables, computed or stated.
#[test]
fn dimensions_and_data_sheets_are_those_of_the_reference() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let catalog = Catalog::built_in();
    for row in table(&shared.join("reference/models.csv")) {
        let model = &catalog.models[&row["name"]];
        let of = model.parameters().unwrap();
        let architecture = model.architecture.as_ref().unwrap();
        let attention = &architecture.attention;
        let same = |column: &str, value: u64| {
            assert_eq!(
                number(&row, column),
                value as f64,
                "{column} of {}",
                model.name
            );
        };
        same("params_total", of.total);
        same("params_published", model.published_parameters.unwrap());
        same("params_active", of.active);
        same("params_outside_experts", of.outside_experts);
        same("params_per_expert", of.per_expert);
        same("params_embedding", of.embedding);
        same("params_head", of.head);
        same("weight_bytes_bf16", of.total * 2);
        same("weight_bytes_native", model.weights_bytes);
        same("kv_elements_per_layer", attention.kv_elements());
        same(
            "attn_flops_per_pair_prefill",
            attention.prefill_flops_a_pair(),
        );
        same(
            "attn_flops_per_pair_decode",
            attention.decode_flops_a_pair(),
        );
        same(
            "full_attention_layers",
            attention.full_layers(model.layers).into(),
        );
        if let Attention::Grouped {
            linear: Some(linear),
            ..
        } = attention
        {
            same(
                "fixed_state_bytes_per_request",
                linear.state_bytes(model.layers),
            );
        }
        if attention.window().is_none() {
            same("kv_bytes_per_token_bf16", model.kv_bytes_per_token());
        }
    }
    for row in table(&shared.join("reference/gpus.csv")) {
        let processor = &catalog.processors[&row["name"]];
        let speeds = processor.speeds.as_ref().unwrap();
        assert_eq!(number(&row, "memory_bytes"), processor.memory_bytes as f64);
        assert_eq!(number(&row, "memory_bandwidth"), speeds.memory_bandwidth);
        assert_eq!(number(&row, "bf16_dense_flops"), speeds.bf16_flops);
        assert_eq!(
            number(&row, "fp8_dense_flops"),
            speeds.fp8_flops.unwrap_or(0.0)
        );
        assert_eq!(
            number(&row, "fp4_dense_flops"),
            speeds.fp4_flops.unwrap_or(0.0)
        );
        assert_eq!(
            number(&row, "interconnect_bytes_per_s_one_way"),
            speeds.link_bandwidth
        );
        assert_eq!(
            row["coefficients_of"],
            processor.coefficients_of.clone().unwrap_or_default()
        );
    }
    for row in table(&shared.join("reference/servers.csv")) {
        let sku = &catalog.skus[&row["name"]];
        assert_eq!(row["gpus"], sku.processors.to_string());
        let of = &catalog.processors[&sku.processor];
        let gpu = of.same_as.as_ref().unwrap_or(&sku.processor);
        assert_eq!(&row["gpu"], gpu);
    }
}

/// The rows of a CSV file by column.
fn table(path: &std::path::Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut rows = csv::Reader::from_path(path).unwrap();
    rows.deserialize().map(Result::unwrap).collect()
}

fn number(row: &std::collections::BTreeMap<String, String>, column: &str) -> f64 {
    match row[column].as_str() {
        "" => 0.0,
        text => text.parse().unwrap(),
    }
}
