//! `fleetsim run` through the binary: formats beside CSV, and a run that is interrupted.

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
