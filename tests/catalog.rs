//! The built-in catalog, and the user's files on top of it.

use fleetsim::catalog::{Catalog, ProfileKey};
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
    assert_eq!(catalog.skus.len(), 3);
    assert_eq!(catalog.processors.len(), 4);
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
    assert_eq!(catalog.skus.len(), 3, "a bad file changes nothing");
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
