//! Scenarios that load: the reference cases, scenarios made in code, and what is there at the
//! start; and no text, however broken, that does more than come back with a problem.

use std::path::Path;

use fleetsim::catalog::Catalog;
use fleetsim::scenario::{CheckedScenario, PlacedInstance, Scenario, Start, json_schema};
use proptest::prelude::*;

mod shared;

#[test]
fn every_reference_case_loads() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let mut count = 0;
    for kind in ["requests", "scaling"] {
        for case in std::fs::read_dir(shared.join("reference").join(kind)).unwrap() {
            let path = case.unwrap().path().join("scenario.ron");
            let checked =
                CheckedScenario::load(&path, &[]).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(!checked.placement().instances.is_empty());
            count += 1;
        }
    }
    assert!(count >= 41, "{count} cases");
}

/// A scenario of one application, from its fleet, its scheduler and its templates.
fn with(fleet: &str, scheduler: &str, instances: &str) -> String {
    format!(
        r#"(
    name: "start", end: 1, fleet: [{fleet}],
    applications: [(
        name: "a", model: "llama2-70b", scheduler: {scheduler}, instances: [{instances}],
        workload: Synthetic(arrivals: Constant(rate: 1), prompt_tokens: Constant(9), output_tokens: Constant(9)),
    )],
)"#
    )
}

/// `(server, template, first processor)` of each instance at the start.
fn start(text: &str) -> Vec<(usize, usize, u32)> {
    let checked =
        CheckedScenario::from_ron(text, Path::new(".")).unwrap_or_else(|errors| panic!("{errors}"));
    let instances = checked.placement().instances.iter();
    instances
        .map(|of| (of.server, of.template, of.processors.start))
        .collect()
}

const TWO_KINDS: &str = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100", count: 2)"#;

#[test]
fn starts_by_servers_are_numbered_by_template() {
    let text = with(
        TWO_KINDS,
        "KvJsq",
        "(role: Token, start: Servers(1)), (role: Prompt, tensor_parallelism: 4, start: Servers(2))",
    );
    assert_eq!(
        start(&text),
        [(0, 0, 0), (1, 1, 0), (1, 1, 4), (2, 1, 0), (2, 1, 4)]
    );
}

#[test]
fn starts_by_sku_are_numbered_by_server() {
    let text = with(
        TWO_KINDS,
        "MixedPool",
        r#"(role: Token, start: Sku("dgx-h100")), (role: Mixed), (role: Prompt, start: Sku("dgx-a100"))"#,
    );
    assert_eq!(start(&text), [(0, 2, 0), (1, 0, 0), (2, 0, 0)]);
    let mixed = text.replace(r#"Sku("dgx-a100")"#, "Servers(1)");
    assert_eq!(start(&mixed), [(1, 0, 0), (2, 0, 0), (0, 2, 0)]);
}

#[test]
fn templates_take_free_processors_only() {
    let text = with(
        r#"(sku: "dgx-h100", count: 2)"#,
        "TokenJsq",
        "(role: Mixed, start: AllServers)",
    );
    assert_eq!(start(&text), [(0, 0, 0), (1, 0, 0)]);
    let over = text.replace(
        "start: AllServers",
        "start: AllServers), (role: Mixed, start: Servers(1)",
    );
    let said = CheckedScenario::from_ron(&over, Path::new("."))
        .err()
        .unwrap()
        .to_string();
    assert!(said.contains("this start cannot be met"), "{said}");
}

#[test]
fn a_start_of_many_servers_is_refused_before_memory_runs_out() {
    let text = with(
        r#"(sku: "dgx-h100", count: 4000000000)"#,
        "TokenJsq",
        "(role: Mixed, start: AllServers)",
    );
    let said = CheckedScenario::from_ron(&text, Path::new("."))
        .err()
        .unwrap()
        .to_string();
    assert!(
        said.contains("4000000000 servers are more than fleetsim can hold"),
        "{said}"
    );
}

#[test]
fn a_scenario_made_in_code_is_checked_as_a_file_is() {
    let text = with(
        TWO_KINDS,
        "TokenJsq",
        "(role: Mixed, engine: Splitwise, start: AllServers)",
    );
    let text = text.replace(
        "scheduler",
        "autoscaler: HeteroScale(max: 5, of: [1, 2]), scheduler",
    );
    let from_text = CheckedScenario::from_ron(&text, Path::new("."))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let scenario: Scenario = from_text.scenario().clone();
    let made = CheckedScenario::new(scenario.clone(), Catalog::built_in(), ".").unwrap();
    assert_eq!(made.placement(), from_text.placement());
    assert_eq!(
        made.placement().instances[2],
        PlacedInstance {
            server: 2,
            application: 0,
            template: 0,
            processors: 0..8
        }
    );

    let mut bad = scenario;
    bad.applications[0].model = "llama".to_owned();
    bad.applications[0].instances[0].tensor_parallelism = 0;
    bad.applications[0].instances[0].start = Start::Servers(9);
    bad.applications[0].slo.ttft = None;
    let said = CheckedScenario::new(bad, Catalog::built_in(), ".")
        .err()
        .unwrap()
        .to_string();
    for part in [
        "error: applications[0].model: unknown model `llama`\nhelp: did you mean `llama-2-70b`?",
        "error: applications[0].instances[0].tensor_parallelism: expected at least 1, found `0`",
        "error: applications[0].instances[0].start: this start cannot be met",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct HeteroScale {
    max: u32,
    #[serde(default)]
    of: Vec<f64>,
}

#[test]
fn a_policy_reads_its_own_term() {
    let text = with(TWO_KINDS, "TokenJsq", "(role: Mixed, start: AllServers)");
    let with_policy = |term: &str| {
        let text = text.replace("scheduler", &format!("autoscaler: {term}, scheduler"));
        CheckedScenario::from_ron(&text, Path::new(".")).unwrap_or_else(|errors| panic!("{errors}"))
    };
    let checked = with_policy("HeteroScale(max: 5, of: [1, 2])");
    let policy = Some(HeteroScale {
        max: 5,
        of: vec![1.0, 2.0],
    });
    assert_eq!(checked.read_autoscaler(0).unwrap(), policy);
    let raw = checked.scenario().applications[0].autoscaler.as_ref();
    assert_eq!(raw.unwrap().name(), "HeteroScale");
    let made = CheckedScenario::new(checked.scenario().clone(), Catalog::built_in(), ".").unwrap();
    assert_eq!(made.read_autoscaler(0).unwrap(), policy);
    let problem = checked.problem_at("applications[0].autoscaler.of[1]", "too much");
    assert!(
        problem
            .to_string()
            .starts_with("<scenario>:4:81: error: too much"),
        "{problem}"
    );

    let wrong = with_policy("HeteroScale(max: -1, off: [])");
    let said = wrong
        .read_autoscaler::<HeteroScale>(0)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("<scenario>:4:70: error: expected at least 0, found `-1`"),
        "{said}"
    );
    assert!(
        said.contains("<scenario>:4:74: error: unknown field `off`"),
        "{said}"
    );
    let none = CheckedScenario::from_ron(&text, Path::new(".")).unwrap();
    assert_eq!(none.read_autoscaler::<HeteroScale>(0).unwrap(), None);
}

#[test]
fn the_schema_describes_every_field() {
    let schema = json_schema();
    assert_eq!(schema["title"], "Scenario");
    for (_, definition) in schema["$defs"].as_object().unwrap() {
        for (name, field) in definition["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{name}");
        }
    }
}

/// Either it loads, or something is said about it.
fn survives(text: &str) {
    if let Err(errors) = CheckedScenario::from_ron(text, Path::new(".")) {
        assert!(!errors.problems().is_empty());
        assert!(
            errors
                .problems()
                .iter()
                .all(|problem| !problem.message.is_empty())
        );
        assert!(!errors.to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn no_heap_of_pieces_is_too_strange(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "[", "]", "{", "}", ",", ":", "name", "fleet", "\"a\"", "r#\"b\"#", "'c'", "-1", "1e9",
                "0xf", "inf", "Some", "None", "//", "/*", "*/", "\n", " ", "b\"", "r#x", "#![enable(", "\\", "é",
            ]),
            0..40,
        )
    ) {
        survives(&pieces.concat());
    }

    #[test]
    fn no_damage_is_too_great(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, 0..8_usize, any::<u8>()), 1..6)
    ) {
        let text = with(
            TWO_KINDS,
            "MixedPool(transfer_gib_per_s: 200.0)",
            "(role: Prompt, engine: Splitwise, start: Servers(1)), (role: Token, start: Sku(\"dgx-h100\"))",
        );
        let mut bytes = text.into_bytes();
        for (index, kind, length, byte) in edits {
            let from = index.index(bytes.len());
            let to = (from + length).min(bytes.len());
            match kind {
                0 => drop(bytes.drain(from..to)),
                1 => drop(bytes.splice(from..from, bytes[from..to].to_vec())),
                _ => bytes[from] = byte,
            }
        }
        survives(&String::from_utf8_lossy(&bytes));
    }
}
