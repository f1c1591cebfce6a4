//! Which files `fleetsim run` writes, and what it says where it writes to no terminal.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use binary::fleetsim;

mod binary;

/// Runs the first minute of a scenario with a policy; gives the names of the files.
fn files(out: &Path, options: &[&str]) -> BTreeSet<String> {
    let folder = out.display().to_string();
    let run = [
        "run",
        "scenarios/autoscale.ron",
        "--set",
        "end=60",
        "--quiet",
        "--overwrite",
        "--out",
        &folder,
    ];
    let ran = fleetsim([&run[..], options].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    let entries = fs::read_dir(out).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn files_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let all = files(&out, &["--also", "jsonl"]);
    let summary = fs::read_to_string(out.join("summary.json")).unwrap();
    for name in [
        "requests.csv",
        "requests.jsonl",
        "scaling.csv",
        "timeline.csv",
        "decisions.csv",
        "summary.json",
    ] {
        assert!(all.contains(name), "{name} in {all:?}");
    }

    let without = files(&out, &["--also", "jsonl", "--no-requests"]);
    let gone: Vec<_> = all.difference(&without).collect();
    assert_eq!(
        gone,
        ["requests.csv", "requests.jsonl"],
        "none is left from before"
    );
    assert_eq!(
        files(&out, &["--without", "requests"]),
        files(&out, &["--no-requests"])
    );

    let least = files(
        &out,
        &["--without", "requests,scaling,timeline,decisions,report"],
    );
    assert_eq!(least, BTreeSet::from(["summary.json".to_owned()]));
    assert_eq!(
        fs::read_to_string(out.join("summary.json")).unwrap(),
        summary
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    let run = [
        "run",
        "scenarios/quickstart.ron",
        "--also",
        "parquet",
        "--out",
        &out,
    ];
    let ran = fleetsim(run).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        said.contains("cargo install --path . --features parquet"),
        "{said}"
    );
    assert!(!folder.path().join("run").exists(), "nothing was begun");
}

#[test]
fn progress_is_told_in_lines_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let said = |every: &str, name: &str, command: &[&str]| {
        let out = folder.path().join(name).display().to_string();
        let mut command = fleetsim([command, &["--out", &out]].concat());
        let ran = command.env("FLEETSIM_PROGRESS", every).output().unwrap();
        assert!(ran.status.success());
        String::from_utf8(ran.stderr).unwrap()
    };
    let run = ["run", "scenarios/quickstart.ron"];
    let often = said("0.000001", "often", &run);
    assert!(often.lines().count() > 10, "{often}");
    let line = often.lines().last().unwrap();
    for part in ["simulated  ", "left  ", "requests  ", "× speed"] {
        assert!(line.contains(part), "{line}");
    }
    // A run that takes less than a minute, and one that is to be quiet, say nothing.
    assert_eq!(said("60", "seldom", &run), "");
    assert_eq!(
        said("0.000001", "quiet", &[&run[..], &["--quiet"]].concat()),
        ""
    );
    assert_eq!(said("0", "never", &run), "");

    let compare = [
        "compare",
        "scenarios/autoscale.ron",
        "--policies",
        "None, Threshold",
    ];
    let often = said(
        "0.000001",
        "compare",
        &[&compare[..], &["--set", "end=300"]].concat(),
    );
    assert!(often.contains("0 of 2 policies"), "{often}");
}

#[test]
fn metrics_start_at_a_date_and_have_a_series_for_each_instance_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = |name: &str, options: &[&str]| {
        let out = folder.path().join(name);
        files(
            &out,
            &[&["--also", "prometheus", "--set", "end=900"], options].concat(),
        );
        fs::read_to_string(out.join("metrics.prom")).unwrap()
    };
    let plain = metrics("plain", &[]);
    let start = ["--metrics-start", "2026-01-05T08:00:00Z"];
    let each = metrics("each", &[&start[..], &["--metrics-by-instance"]].concat());
    assert!(each.ends_with("# EOF\n"));

    // The sum over the instances is what the role has, at every scrape.
    let name = "vllm:generation_tokens_total{";
    let role = series(&plain, name);
    let instances = series(&each, name);
    assert!(instances.len() > role.len(), "there are several instances");
    assert!(
        instances
            .keys()
            .all(|labels| labels.contains(",instance=\""))
    );
    assert!(role.keys().all(|labels| !labels.contains("instance")));
    let first = &role.values().next().unwrap()[0];
    assert_eq!(first.0, 0.0);
    let times: BTreeSet<u64> = instances.values().flatten().map(|it| it.0 as u64).collect();
    assert_eq!(times.first(), Some(&1_767_600_000));
    assert_eq!(times.last(), Some(&(1_767_600_000 + 900)));
    for (labels, points) in &role {
        let of_role: Vec<_> = instances
            .iter()
            .filter(|(it, _)| it.starts_with(&**labels))
            .collect();
        assert!(!of_role.is_empty(), "{labels}");
        for (time, total) in points {
            let at = |it: &&(f64, f64)| it.0 == time + 1_767_600_000.0;
            let points = of_role.iter().flat_map(|(_, points)| points.iter());
            let sum: f64 = points.filter(at).map(|it| it.1).sum();
            // What an instance did that is gone stays with the role.
            assert!(sum <= total + 0.5, "{sum} and {total} at {time}");
        }
    }
    // What no instance of vLLM tells stays by role.
    let active = "fleetsim:instances_active{";
    assert_eq!(series(&each, active).len(), series(&plain, active).len());

    let wrong = [
        "run",
        "scenarios/quickstart.ron",
        "--metrics-start",
        "5 January",
    ];
    let ran = fleetsim(wrong).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("2026-01-05T08:00:00Z"));
}

/// The points of each series of a metric, as (time, value), by its labels.
fn series(text: &str, name: &str) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(name)) {
        let (labels, point) = line.split_once("} ").unwrap();
        let (value, time) = point.split_once(' ').unwrap();
        let points = all.entry(labels.to_owned()).or_default();
        points.push((time.parse().unwrap(), value.parse().unwrap()));
    }
    assert!(!all.is_empty(), "{name}");
    all
}
