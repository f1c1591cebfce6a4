//! What is likely a mistake: told on standard error with its place, kept in the summary, an error with
//! `--strict`.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use fleetsim::scenario::CheckedScenario;

use binary::fleetsim;

mod binary;

const HEAD: &str = r#"(
    name: "warned",
    end: 60.0,
    fleet: [(sku: "dgx-h100", count: 1, limit: 3)],
    applications: [(
        name: "a",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        workload: Synthetic(arrivals: Constant(rate: 1.0), prompt_tokens: Constant(500),
                            output_tokens: Constant(60), requests: 20),
    )],
"#;

fn scenario(rest: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("warned.ron");
    fs::write(&file, format!("{HEAD}{rest})")).unwrap();
    (folder, file)
}

fn check(file: &Path, more: &[&str]) -> Output {
    fleetsim(["check".as_ref(), file.as_os_str()])
        .args(more)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn warnings(rest: &str) -> Vec<(String, String)> {
    let checked = CheckedScenario::from_ron(&format!("{HEAD}{rest})"), ".".as_ref()).unwrap();
    let kinds = checked.warnings().kinds().iter();
    let first = kinds.flat_map(|kind| kind.first());
    let found = first.map(|it| (it.kind.to_owned(), it.problem.path.clone()));
    found.collect()
}

#[test]
fn a_fault_on_what_can_never_be_there_is_warned_of_at_its_place() {
    let faults = "    faults: [
        (at: 10.0, fault: InstanceCrash(instance: 7)),
        (at: 11.0, fault: ServerCrash(server: 0)),
    ],\n";
    let (_folder, file) = scenario(faults);
    let checked = check(&file, &[]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let place = format!("{}:13:51: warning: there is no instance 7", file.display());
    assert!(said(&checked).starts_with(&place), "{}", said(&checked));
    assert_eq!(said(&checked).matches("warning: ").count(), 1);

    let strict = check(&file, &["--strict"]);
    assert_eq!(strict.status.code(), Some(2));
    assert!(said(&strict).contains(&place) && said(&strict).contains("--strict"));
}

#[test]
fn warnings_are_in_the_summary_and_with_strict_nothing_is_run() {
    let (folder, file) = scenario("    faults: [(at: 61.0, fault: InstanceCrash(instance: 0))],\n");
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let ran = fleetsim([
            "run".as_ref(),
            file.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ])
        .args(more)
        .output()
        .unwrap();
        (ran, out)
    };
    let (ran, out) = run("results", &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    assert!(
        said(&ran).contains("warning: nothing happens at 61 s"),
        "{}",
        said(&ran)
    );
    let text = fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    let listed = summary["warnings"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["kind"], "after_the_end");
    assert_eq!(listed[0]["path"], "faults[0].at");
    assert_eq!(listed[0]["count"], 1);
    assert_eq!(listed[0]["time_s"], Value::Null);

    let (strict, out) = run("strict", &["--strict"]);
    assert_eq!(strict.status.code(), Some(2));
    assert!(said(&strict).contains("warning: nothing happens at 61 s"));
    assert!(!out.exists(), "nothing was run");
}

#[test]
fn of_many_warnings_a_few_are_told_and_the_rest_counted() {
    let fault = |at: u32| format!("(at: {at}.0, fault: InstanceCrash(instance: 9)),");
    let faults: String = (1..=40).map(fault).collect();
    let (_folder, file) = scenario(&format!("faults: [{faults}],"));
    let checked = check(&file, &[]);
    let said = said(&checked);
    let told = said.matches("there is no instance 9").count();
    let expected = format!("{} more of the kind no_such_target", 40 - told);
    assert!(told <= 5 && said.contains(&expected), "{said}");
}

#[test]
fn only_what_can_never_have_an_effect_is_warned_of() {
    let crash = |at: f64, what: &str| format!("(at: {at:?}, fault: {what})");
    let up = "(at: 20.0, action: ScaleUpFull(application: \"a\", role: Mixed))";
    let none: [(String, &[(&str, &str)]); 8] = [
        (format!("faults: [{}],", crash(60.0, "InstanceCrash(instance: 0)")), &[]),
        (
            format!("faults: [{}],", crash(60.5, "NoNewServers(duration: 5.0)")),
            &[("after_the_end", "faults[0].at")],
        ),
        // The action creates instance 1 and server 1, at 20 s.
        (
            format!("actions: [{up}], faults: [{}],", crash(30.0, "InstanceCrash(instance: 1)")),
            &[],
        ),
        (
            format!("actions: [{up}], faults: [{}],", crash(30.0, "ServerCrash(server: 1)")),
            &[],
        ),
        (
            format!("actions: [{up}], faults: [{}],", crash(19.0, "ServerCrash(server: 1)")),
            &[("no_such_target", "faults[0].fault.server")],
        ),
        (
            "actions: [(at: 5.0, action: ScaleDownFull(instance: 1))],".to_owned(),
            &[("no_such_target", "actions[0].action.instance")],
        ),
        (
            "actions: [(at: 5.0, action: ScaleUpServer()),
                       (at: 6.0, action: ScaleUpInstance(application: \"a\", role: Mixed, server: 1))],"
                .to_owned(),
            &[],
        ),
        (
            "actions: [(at: 75.0, action: ScaleUpServer())],".to_owned(),
            &[("after_the_end", "actions[0].at")],
        ),
    ];
    for (rest, expected) in none {
        let found = warnings(&rest);
        let found: Vec<_> = found
            .iter()
            .map(|(kind, path)| (&**kind, &**path))
            .collect();
        assert_eq!(found, expected, "{rest}");
    }
}

#[test]
fn a_policy_may_create_any_number_so_nothing_is_warned_of() {
    let text = format!("{HEAD} faults: [(at: 10.0, fault: InstanceCrash(instance: 7))],)");
    let text = text.replace("workload:", "autoscaler: HpaGpu(), workload:");
    let checked = CheckedScenario::from_ron(&text, ".".as_ref()).unwrap();
    assert!(checked.warnings().is_empty());
}

#[test]
fn limits_of_a_role_without_a_template_are_an_error() {
    let text = format!("{HEAD})");
    let text = text.replace(
        "workload:",
        "actuator: (token: (min: 3), mixed: (max: 5)), workload:",
    );
    let said = CheckedScenario::from_ron(&text, ".".as_ref())
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("there is no template of the role `Token`"),
        "{said}"
    );
}

#[test]
fn the_hash_covers_the_rows_of_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let text = HEAD.replace("end: 60.0,", "").replace(
        "workload: Synthetic(arrivals: Constant(rate: 1.0), prompt_tokens: Constant(500),
                            output_tokens: Constant(60), requests: 20)",
        "workload: Trace(path: \"t.csv\", format: BurstGpt)",
    );
    let hash = |rows: &str| {
        let trace = format!("Timestamp,Request tokens,Response tokens\n{rows}");
        fs::write(folder.path().join("t.csv"), trace).unwrap();
        let checked = CheckedScenario::from_ron(&format!("{text})"), folder.path()).unwrap();
        let other = checked.with_policy(&[0], "HpaGpu").unwrap();
        (checked.hash().to_owned(), other.hash().to_owned())
    };
    let (one, with_policy) = hash("1,10,5\n2,10,5\n");
    assert_eq!(hash("1,10,5\n2,10,5\n"), (one.clone(), with_policy.clone()));
    let (other, other_with_policy) = hash("1,10,5\n2,10,6\n");
    assert_ne!(one, other);
    assert_ne!(with_policy, other_with_policy);
    assert_ne!(one, with_policy);
}

#[test]
fn a_trace_in_unix_time_is_refused_by_check_and_run_and_runs_from_its_first_row() {
    let folder = tempfile::tempdir().unwrap();
    let text = HEAD.replace("end: 60.0,", "").replace(
        "workload: Synthetic(arrivals: Constant(rate: 1.0), prompt_tokens: Constant(500),
                            output_tokens: Constant(60), requests: 20)",
        "workload: Trace(path: \"t.csv\", format: Splitwise)",
    );
    let file = folder.path().join("epoch.ron");
    fs::write(&file, format!("{text})")).unwrap();
    let header = "request_id,arrival_timestamp,prompt_size,token_size";
    let rows = "0,1700000000,10,5\n1,1700000030,10,5\n2,1700000060,10,5\n";
    fs::write(folder.path().join("t.csv"), format!("{header}\n{rows}")).unwrap();

    let checked = check(&file, &[]);
    assert_eq!(checked.status.code(), Some(2));
    let place = format!("{}:9:19: error: ", file.display());
    for words in [&*place, "origin: First", "window"] {
        assert!(said(&checked).contains(words), "{}", said(&checked));
    }
    let run = |more: &[&str]| {
        let out = folder.path().join("out");
        let ran = fleetsim([
            "run".as_ref(),
            file.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ])
        .args(more)
        .output()
        .unwrap();
        (ran, out.join("summary.json"))
    };
    let (ran, _) = run(&[]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(said(&ran).contains("origin: First"), "{}", said(&ran));

    let (ran, summary) = run(&["--set", "applications[0].workload.origin=First"]);
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    assert!(summary["end_s"].as_f64().unwrap() < 70.0);
}
