//! `--set PATH=VALUE`: values replaced, fields added, and mistakes named after the override.

use std::path::{Path, PathBuf};

use fleetsim::scenario::{CheckedScenario, Diagnostics, Drain, Engine, Workload};

const TEXT: &str = r#"(
    name: "set", // a comment
    fleet: [(sku: "dgx-h100", count: 2)],
    applications: [
        (
            name: "chat",
            model: "llama2-70b",
            instances: [(role: Mixed, engine: Splitwise, start: AllServers)],
            workload: Trace(path: "trace.csv", format: Splitwise),
        ),
    ],
)"#;

fn scenario_file(directory: &Path) -> PathBuf {
    std::fs::write(directory.join("trace.csv"), "").expect("it can be written");
    let path = directory.join("scenario.ron");
    std::fs::write(&path, TEXT).expect("it can be written");
    path
}

fn load(overrides: &[&str]) -> Result<CheckedScenario, Diagnostics> {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let overrides: Vec<String> = overrides.iter().map(|of| (*of).to_owned()).collect();
    CheckedScenario::load(&scenario_file(directory.path()), &overrides)
}

#[test]
fn values_are_replaced_and_fields_added() {
    let checked = load(&[
        "name = \"other\"",
        "seed=7 // the comment goes",
        "applications[0].scaling.scale_up_delay=20",
        "applications[0].scaling.drain=OnIdle",
        "applications[0].workload.rate_scale=2",
        "applications[0].workload.format=Azure",
        "applications[0].instances[0].engine.max_batch_size=64",
        "fleet[0].count=3",
        "applications[0].slo=(ttft: 1, tbt: 2)",
        "applications[0].slo.tbt=0.5",
    ])
    .unwrap_or_else(|errors| panic!("{errors}"));
    let scenario = checked.scenario();
    let application = &scenario.applications[0];
    assert_eq!((scenario.name.as_str(), scenario.seed), ("other", 7));
    assert_eq!(application.scaling.scale_up_delay.seconds(), 20.0);
    assert_eq!(application.scaling.drain, Drain::OnIdle);
    assert!(
        matches!(&application.workload, Workload::Trace { rate_scale, .. } if *rate_scale == 2.0)
    );
    assert!(matches!(
        application.instances[0].engine,
        Engine::Splitwise {
            max_batch_size: 64,
            max_batch_tokens: 2048,
            ..
        }
    ));
    assert_eq!(checked.placement().servers.len(), 3);
    assert_eq!(application.slo.ttft.unwrap().duration().seconds(), 1.0);
    assert_eq!(application.slo.tbt.unwrap().duration().seconds(), 0.5);
    assert_ne!(checked.hash(), load(&[]).unwrap().hash());
    assert_eq!(
        load(&["seed=7"]).unwrap().hash(),
        load(&["seed=7"]).unwrap().hash()
    );
}

#[test]
fn mistakes_in_an_override_are_named_after_it() {
    for (set, said) in [
        ("seed", "--set seed: error: there is no `=` in it"),
        (
            "a..b=1",
            "--set a..b: error: `` does not begin with a field name",
        ),
        (
            "fleet[1].count=3",
            "--set fleet[1].count: error: there is no [1] in fleet: it has 1",
        ),
        ("fleet[x]=3", "`x` in `fleet[x]` is not an index"),
        (
            "seed[0]=3",
            "--set seed[0]: error: there is no list at seed to take [0] of",
        ),
        (
            "name.first=3",
            "--set name.first: error: name has no named fields, so no first",
        ),
        ("sead=3", "--set sead: error: unknown field `sead`"),
        (
            "applications[0].scaling.scale_up=3",
            "did you mean `scale_up_delay`?",
        ),
        (
            "seed=-3",
            "--set seed:1:1: error: expected at least 0, found `-3`\n1 | -3\n  | ^^",
        ),
        ("seed=(1", "--set seed:1:1: error: this `(` is not closed"),
        (
            "seed=",
            "--set seed:1:1: error: expected a value, found the end of the text",
        ),
        (
            "seed=1, end: 2",
            "--set seed:1:2: error: expected the end of the text, found `,`",
        ),
        ("name=two words", "text needs quotes: 'name=\"text\"'"),
        ("name=word", "put it into quotes: \"word\""),
        (
            "fleet[0].sku=\"dgx-h10\"",
            "--set fleet[0].sku:1:1: error: unknown SKU `dgx-h10`",
        ),
        (
            "applications[0].instances[0].start=Servers(3)",
            "--set applications[0].instances[0].start:1:1: ",
        ),
    ] {
        let errors = match load(&[set]) {
            Ok(_) => panic!("{set} is accepted"),
            Err(errors) => errors.to_string(),
        };
        assert!(errors.contains(said), "{set}:\n{errors}");
        assert!(
            errors.starts_with(&format!("--set {}", set.split('=').next().unwrap())),
            "{errors}"
        );
    }
}

#[test]
fn places_in_the_file_stay_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = scenario_file(directory.path());
    std::fs::write(
        &path,
        TEXT.replace("\"dgx-h100\", count: 2", "\"dgx\", count: 2"),
    )
    .unwrap();
    let overrides = ["name=\"a longer name\"\n".to_owned(), "seed=1".to_owned()];
    let errors = CheckedScenario::load(&path, &overrides)
        .err()
        .unwrap()
        .to_string();
    let place = format!("{}:3:19: error: unknown SKU `dgx`", path.display());
    assert!(errors.starts_with(&place), "{errors}");
}
