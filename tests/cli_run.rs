//! `fleetsim run` through the binary: formats beside CSV, logs, and a run that is interrupted.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use binary::fleetsim;

mod binary;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn summary(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("summary.json")).expect("there is a summary");
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
fn other_formats_are_written_beside_csv() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let path = out.display().to_string();
    let end = ["--set", "end=60", "--out", &path];
    let also = [
        "run",
        "scenarios/quickstart.ron",
        "--also",
        "jsonl,prometheus",
    ];
    let ran = fleetsim([&also[..], &end].concat()).output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let lines = |name: &str| fs::read_to_string(out.join(name)).unwrap().lines().count();
    assert_eq!(lines("requests.jsonl") + 1, lines("requests.csv"));
    let metrics = fs::read_to_string(out.join("metrics.prom")).unwrap();
    assert!(metrics.contains("vllm:num_requests_running{application=\"chat\""));
    assert!(metrics.ends_with("# EOF\n"));

    // Without being asked, neither is left from before.
    let ran = fleetsim([&also[..2], &end, &["--overwrite"]].concat())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(!out.join("requests.jsonl").exists() && !out.join("metrics.prom").exists());
}

#[test]
fn a_run_logs_what_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    let run = |log: &str| {
        let end = ["--set", "end=9", "--out", &out, "--overwrite"];
        let mut run = fleetsim([&["run", "scenarios/from_zero.ron"][..], &end].concat());
        run.env("RUST_LOG", log).output().unwrap()
    };
    let ran = run("warn,fleetsim::scaling=info");
    assert!(ran.status.success());
    assert!(text(&ran.stderr).contains(" INFO fleetsim::scaling: "));

    let refused = run("fleetsim=loud");
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.starts_with("error: RUST_LOG=fleetsim=loud: "),
        "{said}"
    );
}

/// Two pools under a policy, with what comes and goes on its way.
const PARTS: &str = r#"(
    name: "parts", end: 400, sample_interval: 7,
    fleet: [(sku: "dgx-h100", count: 3, limit: 8, provision_delay: Uniform(min: 5, max: 20))],
    applications: [(
        name: "chat", model: "llama2-70b", scheduler: MixedPool(),
        instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(2))],
        scaling: (spin_up: Exponential(mean: 3), scale_up_delay: 5, drain: Poll(1)),
        autoscaler: HeteroScale(target: 30, out_cooldown: 10, in_cooldown: 20, interval: 10), slo: (ttft: 1, tbt: 0.1),
        workload: Synthetic(
            arrivals: Gamma(rate: 9, cv: 2), shape: Piecewise([(0, 1), (90, 3), (200, 0.3)]),
            prompt_tokens: LogNormal(median: 900, sigma: 0.8), output_tokens: Geometric(mean: 110),
        ),
    )],
    faults: [(at: 150, fault: InstanceCrash(instance: 1))],
)"#;

/// Runs with these arguments and `--out` in a folder of this name.
fn run_into(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    let out = folder.join(name).display().to_string();
    let run = [&["run"], arguments, &["--quiet", "--out", &out]].concat();
    fleetsim(run)
        .current_dir(folder)
        .output()
        .expect("the binary runs")
}

#[test]
fn a_run_in_two_parts_is_the_run_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("parts.ron"), PARTS).unwrap();
    let set = ["parts.ron", "--set", "seed=7"];
    let save = ["--until", "187.5", "--save", "at.state"];
    for (name, arguments) in [
        ("whole", set.to_vec()),
        ("first", [&set[..], &save].concat()),
        ("second", vec!["--from", "at.state"]),
    ] {
        let ran = run_into(folder, name, &arguments);
        assert!(ran.status.success(), "{name}: {}", text(&ran.stderr));
    }
    let read = |name: &str, file: &str| fs::read_to_string(folder.join(name).join(file)).unwrap();
    assert_eq!(
        read("second", "summary.json"),
        read("whole", "summary.json")
    );
    for table in [
        "requests.csv",
        "scaling.csv",
        "timeline.csv",
        "decisions.csv",
    ] {
        let (first, second) = (read("first", table), read("second", table));
        let rows = second.split_once('\n').unwrap().1;
        assert!(!rows.is_empty() && first.lines().count() > 1, "{table}");
        assert_eq!(first + rows, read("whole", table), "{table}");
    }
    let first = summary(&folder.join("first"));
    assert_eq!(first["partial"], true);
    assert!(first["partial_reason"].as_str().unwrap().contains("--from"));
}

#[test]
fn a_run_goes_on_otherwise_where_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("parts.ron"), PARTS).unwrap();
    let save = ["parts.ron", "--until", "100", "--save", "at.state"];
    assert!(run_into(folder, "first", &save).status.success());
    let from = |name: &str, sets: &[&str]| {
        let sets = sets.iter().flat_map(|it| ["--set", *it]);
        run_into(
            folder,
            name,
            &[&["--from", "at.state"][..], &sets.collect::<Vec<_>>()].concat(),
        )
    };
    let end = |name: &str| summary(&folder.join(name))["end_s"].as_f64().unwrap();

    let ran = from(
        "longer",
        &[
            "end=500",
            "fleet[0].limit=9",
            "applications[0].autoscaler=HpaGpu(max: 6)",
        ],
    );
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(end("longer"), 500.0);
    let decisions = fs::read_to_string(folder.join("longer/decisions.csv")).unwrap();
    assert!(decisions.contains("HpaGpu") && !decisions.contains("HeteroScale"));
    // What is scripted for later may change.
    assert!(from("sooner", &["faults[0].at=120"]).status.success());
    let scaling = fs::read_to_string(folder.join("sooner/scaling.csv")).unwrap();
    assert!(scaling.contains("\n120,crash,instance_1"), "{scaling}");
    // What went on otherwise can be saved, and goes on so.
    let twice = [
        "--from",
        "at.state",
        "--set",
        "end=500",
        "--until",
        "300",
        "--save",
        "later.state",
    ];
    assert!(run_into(folder, "later", &twice).status.success());
    assert!(
        run_into(folder, "last", &["--from", "later.state"])
            .status
            .success()
    );
    assert_eq!(end("last"), 500.0);

    for (assignment, why) in [
        ("seed=3", "settled"),
        ("applications[0].workload=Host", "settled"),
        ("fleet[0].count=9", "settled"),
        ("end=50", "100"),
        ("faults[0].at=90", "done"),
    ] {
        let ran = from("refused", &[assignment]);
        assert_eq!(ran.status.code(), Some(2), "{assignment}");
        assert!(text(&ran.stderr).contains(why), "{}", text(&ran.stderr));
    }
    let bytes = fs::read(folder.join("at.state")).unwrap();
    let short = &bytes[..bytes.len() / 2];
    for (content, why) in [(short, "cut short"), (b"name: chat", "no snapshot")] {
        fs::write(folder.join("at.state"), content).unwrap();
        let ran = from("refused", &[]);
        assert_eq!(ran.status.code(), Some(2));
        assert!(text(&ran.stderr).contains(why), "{}", text(&ran.stderr));
    }
    // The scenario is another by now.
    fs::write(folder.join("at.state"), bytes).unwrap();
    fs::write(
        folder.join("parts.ron"),
        PARTS.replace("rate: 9", "rate: 8"),
    )
    .unwrap();
    let ran = from("refused", &[]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("hash"), "{}", text(&ran.stderr));
}

/// Runs a scenario that takes long, and interrupts it once there are rows.
#[cfg(unix)]
fn interrupted(out: &Path) -> Output {
    let folder = out.display().to_string();
    let set = ["--set", "end=100000000", "--out", &folder, "--quiet"];
    let run = ["run", "scenarios/quickstart.ron"];
    let child = fleetsim([&run[..], &set].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    let rows = out.join("requests.csv");
    while fs::metadata(&rows).map_or(0, |file| file.len()) == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no row was written"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-INT", &process])
        .status()
        .expect("there is a kill");
    assert!(sent.success());
    child.wait_with_output().expect("it ends")
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_what_was_done_marked_partial() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let ended = interrupted(&out);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("interrupted") && said.contains("marked partial"),
        "{said}"
    );

    let summary = summary(&out);
    assert_eq!(summary["partial"], true);
    assert_eq!(summary["partial_reason"], "interrupted");
    let arrived = &summary["applications"][0]["requests"]["arrived"];
    let rows = csv::Reader::from_path(out.join("requests.csv"))
        .unwrap()
        .into_records();
    let rows: Vec<_> = rows.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        arrived.as_u64(),
        Some(rows.len() as u64),
        "every request has its row"
    );
    let ended = |outcome: &str| rows.iter().filter(|row| &row[12] == outcome).count();
    assert!(ended("completed") > 100 && ended("in_flight") > 0);
}
