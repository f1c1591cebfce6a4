//! `fleetsim compare`, `list policies` and the decisions of `run`, through the binary.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use fleetsim::study::{Basis, Comparison};
use serde_json::Value;
use tempfile::TempDir;

use binary::fleetsim;

mod binary;

/// Mixed instances, so that a policy for prompt and token instances has to be left out.
const SCENARIO: &str = r#"(
    name: "small",
    seed: 7,
    end: 400,
    fleet: [(sku: "dgx-h100", count: 1, limit: 6)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        autoscaler: Threshold(interval: 10),
        slo: (ttft: 1, tbt: 0.1),
        workload: Synthetic(
            arrivals: Poisson(rate: 3),
            shape: Piecewise([(0, 1), (60, 3), (200, 0.5)]),
            prompt_tokens: Constant(1000),
            output_tokens: Constant(100),
        ),
    )],
)"#;

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::write(bench.path("scenario.ron"), SCENARIO).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a subcommand on the scenario with its results in `out`.
    fn command(&self, command: &str, out: &str, options: &[&str]) -> Output {
        let (scenario, out) = (self.path("scenario.ron"), self.path(out));
        let fixed = [
            command.as_ref(),
            scenario.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ];
        let arguments = fixed.into_iter().chain(options.iter().map(OsStr::new));
        fleetsim(arguments).output().unwrap()
    }

    /// The same, without trouble; gives what was printed.
    fn compare(&self, out: &str, options: &[&str]) -> String {
        let output = self.command("compare", out, options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said, "", "no progress where standard error is no terminal");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_table_has_a_row_for_each_and_fits_a_terminal() {
    let bench = Bench::new();
    let policies = "None, Threshold(up: 0.5), Clairvoyant";
    let table = bench.compare("out", &["--policies", policies]);
    assert!(
        table.lines().all(|line| line.chars().count() <= 100),
        "{table}"
    );
    for expected in [
        "SLO",
        "turns",
        "regret",
        "None",
        "Threshold(up: 0.5)",
        "on the frontier",
    ] {
        assert!(table.contains(expected), "{expected}:\n{table}");
    }
    assert_eq!(
        bench.compare("quiet", &["--policies", policies, "--quiet"]),
        ""
    );
}

#[test]
fn json_and_csv_hold_the_same_and_regret_is_relative_to_the_plan() {
    let bench = Bench::new();
    let policies = "Clairvoyant, None, Threshold";
    let printed = bench.compare("out", &["--policies", policies, "--format", "json"]);
    assert_eq!(printed, bench.read("out/comparison.json"));
    let comparison: Comparison = serde_json::from_str(&printed).unwrap();
    assert_eq!(comparison.applications, ["chat"]);
    assert_eq!(comparison.seed, 7);
    let hours = |place: usize| {
        comparison.contenders[place]
            .figures
            .as_ref()
            .unwrap()
            .gpu_hours
    };
    let [plan, none, threshold] = &comparison.contenders[..] else {
        panic!("three contenders");
    };
    for (place, of) in [plan, none, threshold].into_iter().enumerate() {
        let regret = of.regret.unwrap();
        assert_eq!(regret.gpu_hours, hours(place) - hours(0));
        let bound = comparison.lower_bound.unwrap();
        assert!(bound.gpu_hours > 0.0 && bound.gpu_hours < hours(place));
        let figures = of.figures.as_ref().unwrap();
        assert_eq!(
            figures.cost.is_some(),
            comparison.basis == Some(Basis::Dollars)
        );
        let (met, missed) = (figures.attainment.unwrap(), figures.slo_misses.unwrap());
        let share = 1.0 - missed as f64 / figures.arrived as f64;
        assert!((met - share).abs() < 1e-12);
    }
    assert_eq!(plan.regret.unwrap().slo_misses, Some(0));
    assert!(
        comparison
            .contenders
            .iter()
            .any(|it| it.frontier == Some(true))
    );
    let arrived = |of: &fleetsim::study::Standing| of.figures.as_ref().unwrap().arrived;
    assert_eq!(
        arrived(none),
        arrived(threshold),
        "the same arrivals for all"
    );

    let table = bench.read("out/comparison.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|it| it == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[1][column("policy")], "None");
    for (place, row) in rows.iter().enumerate() {
        let written: f64 = row[column("gpu_hours")].parse().unwrap();
        assert_eq!(written, hours(place));
    }

    let without = bench.compare(
        "two",
        &["--policies", "None, Threshold", "--format", "json"],
    );
    let without: Value = serde_json::from_str(&without).unwrap();
    assert_eq!(without["contenders"][0]["regret"], Value::Null);
}

#[test]
fn a_percentile_is_met_or_not_and_the_cheaper_of_those_that_meet_it_is_best() {
    let bench = Bench::new();
    // 90 % within: of those that meet it, only the cost counts.
    let slo = ["--set", "applications[0].slo=(ttft: P90(30), tbt: P50(1))"];
    let asked = ["--set", "percentiles=[75, 90, 95]"];
    let policies = ["--policies", "None, Threshold(min: 3)"];
    let table = bench.compare("table", &[&slo[..], &asked, &policies].concat());
    for word in ["met", "yes", "p75", "p90", "p95"] {
        assert!(table.contains(word), "{word}:\n{table}");
    }
    let format = ["--format", "json", "--overwrite"];
    let printed = bench.compare("table", &[&slo[..], &asked, &policies, &format].concat());
    let comparison: Comparison = serde_json::from_str(&printed).unwrap();
    let [none, three] = &comparison.contenders[..] else {
        panic!("{printed}")
    };
    let figures = none.figures.as_ref().unwrap();
    assert_eq!((figures.slo_met, figures.slo_kept), (Some(true), Some(1.0)));
    assert_eq!((none.frontier, three.frontier), (Some(true), Some(false)));
    let [p75, p90, p95] = &figures.percentiles[..] else {
        panic!("{printed}")
    };
    assert!(p75.ttft_s < p90.ttft_s && p90.ttft_s < p95.ttft_s);
    assert_eq!(
        (p90.ttft_s, p95.tbt_s),
        (figures.ttft_s.p90, figures.tbt_s.p95)
    );

    // No run keeps half a second with one server in the peak: the share of what is demanded counts.
    let slo = ["--set", "applications[0].slo=(ttft: P95(0.2), e2e: 1000)"];
    let overwrite = [&slo[..], &policies, &format].concat();
    let comparison: Comparison = serde_json::from_str(&bench.compare("table", &overwrite)).unwrap();
    for standing in &comparison.contenders {
        let of = standing.figures.as_ref().unwrap();
        let attained = of.attainment.unwrap();
        let (kept, met) = (of.slo_kept.unwrap(), of.slo_met.unwrap());
        assert_eq!(met, attained >= 0.95, "E2E is never missed");
        let share = if met { 1.0 } else { attained / 0.95 };
        // What is not over at the end has missed the limit of each request.
        let share = share.min(of.completed as f64 / of.arrived as f64);
        assert!((kept - share).abs() < 1e-9, "{kept} {share}");
    }
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let bench = Bench::new();
    let policies = ["--policies", "Threshold, None, HpaGpu, Threshold(up: 0.5)"];
    let one = bench.compare(
        "one",
        &[&policies[..], &["--jobs", "1", "--keep-runs"]].concat(),
    );
    let two = bench.compare(
        "two",
        &[&policies[..], &["--jobs", "2", "--keep-runs"]].concat(),
    );
    assert_eq!(one, two);
    for file in [
        "comparison.json",
        "comparison.csv",
        "runs/01-Threshold/requests.csv",
        "runs/03-HpaGpu/decisions.csv",
        "runs/04-Threshold-up-0.5/scaling.csv",
        "runs/02-None/summary.json",
    ] {
        let read = |out: &str| bench.read(&format!("{out}/{file}"));
        assert!(read("one").lines().count() > 1, "{file}");
        assert_eq!(read("one"), read("two"), "{file}");
    }
    assert!(!bench.path("one/runs/02-None/decisions.csv").exists());
    let report = bench.path("one/runs/02-None/report.html");
    assert_eq!(report.exists(), cfg!(feature = "html"));
    let alone = bench.command("run", "alone", &["--quiet"]);
    assert_eq!(alone.status.code(), Some(0));
    let kept = "one/runs/01-Threshold/requests.csv";
    assert_ne!(bench.read(kept), "");

    let refused = bench.command("compare", "one", &policies);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--overwrite"));
}

#[test]
fn contenders_go_by_their_names_or_by_what_tells_them_apart() {
    let bench = Bench::new();
    let list = "eager: Threshold(up: 0.5), // a name\nThreshold(up: 0.6), Threshold(up: 0.7), None";
    fs::write(bench.path("policies.ron"), list).unwrap();
    let file = format!("@{}", bench.path("policies.ron").display());
    let options = ["--keep-runs", "--format", "json", "--policies"];
    let compare = |out: &str, list: &str| {
        let printed = bench.compare(out, &[&options[..], &[list]].concat());
        serde_json::from_str::<Comparison>(&printed).unwrap()
    };
    let (typed, read) = (compare("typed", list), compare("read", &file));
    assert_eq!(typed, read, "as typed, so from a file");
    let labels: Vec<_> = typed.contenders.iter().map(|it| &*it.label).collect();
    assert_eq!(
        labels,
        ["eager", "Threshold up: 0.6", "Threshold up: 0.7", "None"]
    );
    assert_eq!(typed.contenders[0].policy, "Threshold(up: 0.5)");
    assert!(bench.path("typed/runs/01-eager-Threshold-up-0.5").exists());
    if cfg!(feature = "html") {
        let page = bench.read("typed/comparison.html");
        assert!(page.contains("href=\"runs/01-eager-Threshold-up-0.5/report.html\""));
        assert!(page.contains(">Threshold up: 0.6<"));
        assert!(!page.contains("regret"), "no columns without a figure");
    }
    let missing = bench.command("compare", "out", &["--policies", "@nowhere.ron"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot read `nowhere.ron`"));
}

#[test]
fn active_instances_are_kept_beside_what_the_arrivals_take() {
    let bench = Bench::new();
    let options = ["--policies", "None, Threshold(up: 0.5)", "--format", "json"];
    let comparison: Comparison = serde_json::from_str(&bench.compare("out", &options)).unwrap();
    let [need] = &comparison.needs[..] else {
        panic!("one role");
    };
    assert_eq!((need.window_s, need.instances.len()), (60.0, 7));
    // Three times as many requests arrive in the second minute as in the first.
    let growth = need.instances[1] / need.instances[0];
    assert!((2.0..4.5).contains(&growth), "{:?}", need.instances);
    let [none, threshold] = &comparison.contenders[..] else {
        panic!("two contenders");
    };
    assert_eq!(none.active, [vec![1.0; 7]]);
    assert!(threshold.active[0].iter().any(|active| *active > 1.0));
}

#[test]
fn what_is_wrong_with_the_policies_is_said_at_its_place() {
    let bench = Bench::new();
    for (policies, expected) in [
        ("HpaGpu(mx: 2)", "policy:1:8: error: unknown field `mx`"),
        ("None, HpaGpo", "help: did you mean `HpaGpu`?"),
        ("Threshold(up: 0.1)", "0.3 is above `up`, 0.1"),
        ("HeteroScale", "needs `Prompt` instances"),
        ("None, HpaGpu, None", "`None` is named twice"),
        ("a: None, a: HpaGpu", "two policies have the name `a`"),
        (
            "wide: HpaGpu(mx: 2)",
            "policy:1:8: error: unknown field `mx`",
        ),
        ("Threshold(up: 1", "this `(` is not closed"),
        ("", "there is no policy to compare"),
    ] {
        let refused = bench.command("compare", "out", &["--policies", policies]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{policies}: {said}");
        assert!(said.contains(expected), "{policies}: {said}");
        assert!(!bench.path("out").exists());
    }
    let no_policies = bench.command("compare", "out", &[]);
    assert_eq!(no_policies.status.code(), Some(2));
}

#[test]
fn all_leaves_out_what_the_scenario_has_no_instances_for() {
    let bench = Bench::new();
    let options = ["--policies", "all, Threshold(up: 0.5)", "--format", "json"];
    let comparison: Comparison = serde_json::from_str(&bench.compare("out", &options)).unwrap();
    let names: Vec<&str> = comparison
        .contenders
        .iter()
        .map(|it| it.policy.as_str())
        .collect();
    for name in [
        "None",
        "Threshold",
        "HpaGpu",
        "PureLatency",
        "Threshold(up: 0.5)",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let skipped = comparison
        .skipped
        .iter()
        .find(|it| it.policy == "HeteroScale");
    assert!(skipped.unwrap().reason.contains("`Prompt`"));
    assert!(!names.contains(&"HeteroScale"));
    let table = bench.read("out/comparison.csv");
    assert!(table.contains("\nHeteroScale,\"skipped: "), "{table}");
    assert!(comparison.failed().next().is_none());
}

#[test]
fn policies_are_listed_with_their_parameters() {
    let listed = fleetsim(["list", "policies"]).output().unwrap();
    assert_eq!(listed.status.code(), Some(0));
    let text = String::from_utf8(listed.stdout).unwrap();
    for expected in ["None\n", "Threshold\n", "    up = 0.8\n", "Clairvoyant\n"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_run_writes_what_its_policy_decided() {
    let bench = Bench::new();
    let output = bench.command("run", "out", &["--quiet"]);
    assert_eq!(output.status.code(), Some(0));
    let table = bench.read("out/decisions.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|it| it == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 40, "one every 10 s for 400 s");
    let started = |row: &csv::StringRecord| row[column("started")].parse::<u32>().unwrap();
    assert!(rows.iter().map(started).sum::<u32>() > 0);
    assert!(rows.iter().all(|row| &row[column("policy")] == "Threshold"));
    let up = bench
        .read("out/scaling.csv")
        .matches("scale_up_start")
        .count();
    assert_eq!(rows.iter().map(started).sum::<u32>() as usize, up);

    let none = bench.command(
        "run",
        "none",
        &["--quiet", "--set", "applications[0].autoscaler=None"],
    );
    assert_eq!(none.status.code(), Some(0));
    assert!(!bench.path("none/decisions.csv").exists());
}
