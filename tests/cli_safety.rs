//! What users give by mistake, and what happens to results when something comes in between.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use binary::fleetsim;

mod binary;

const SCENARIO: &str = r#"(
    name: "small",
    seed: 7,
    end: 20000,
    fleet: [(sku: "dgx-h100", count: 1, limit: 6)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        slo: (ttft: 1, tbt: 0.1),
        workload: Synthetic(
            arrivals: Poisson(rate: 3),
            prompt_tokens: Constant(1000),
            output_tokens: Constant(20),
        ),
    )],
)"#;

fn scenario() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.ron");
    fs::write(&file, SCENARIO).unwrap();
    (folder, file)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn start(arguments: &[&str]) -> Child {
    fleetsim(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until something is there.
#[track_caller]
fn wait_for(mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let process = child.id().to_string();
    let sent = Command::new("kill")
        .args([name, &process])
        .status()
        .unwrap();
    assert!(sent.success());
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// What `check` says of a file, and the most memory that it took in bytes.
#[cfg(target_os = "linux")]
fn checked(file: &Path) -> (Output, u64) {
    let mut child = start(&["check", &file.display().to_string()]);
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(100), "it hangs");
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        most = most.max(kilobytes.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    (child.wait_with_output().unwrap(), most)
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_no_scenario_is_refused_in_few_words_and_little_memory() {
    const SIZE: usize = 20_000_000;
    let folder = tempfile::tempdir().unwrap();
    let many = |piece: &str| piece.repeat(SIZE / piece.len());
    for (name, text, words) in [
        (
            "a text that is never closed",
            format!("\"{}", many("a")),
            "never closed",
        ),
        ("parentheses", many("("), "nested more than 64 deep"),
        ("one word", many("a"), "found `aaaaa"),
        ("one number", many("1"), "found"),
        (
            "one text",
            format!("\"{}\"", many("a")),
            "expected a struct",
        ),
        ("words", many("word "), "expected the end of the text"),
        ("commas", format!("({}", many(",")), "expected a value"),
        (
            "a trace",
            many("0,2,0,0.5,1,10,5\n"),
            "expected the end of the text",
        ),
        (
            "lists",
            format!("[{}]", many("[1],")),
            "more than 2000000 values",
        ),
        (
            "minified JSON",
            format!("{{\"a\":[{}1]}}", many("1,")),
            "looks like JSON",
        ),
    ] {
        let file = folder.path().join("file.ron");
        fs::write(&file, &text).unwrap();
        let (output, memory) = checked(&file);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = said(&output);
        assert!(said.contains(words), "{name}: {:.500}", said);
        // Each of twenty places may have its line.
        let most = if name == "commas" { 20_000 } else { 2_000 };
        assert!(said.len() < most, "{name}: {} bytes", said.len());
        if name != "lists" {
            let limit = 3 * SIZE as u64;
            assert!(memory < limit, "{name}: {memory} bytes of memory");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_larger_than_any_scenario_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.ron");
    fs::File::create(&file).unwrap().set_len(100 << 20).unwrap();
    for path in [&*file, Path::new("/dev/zero")] {
        let (output, memory) = checked(path);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            said(&output).contains("is this a trace?"),
            "{}",
            said(&output)
        );
        assert!(memory < 250 << 20, "{memory}");
    }
}

#[test]
fn a_long_line_is_quoted_around_the_place_and_the_mark_stands_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.ron");
    let line = SCENARIO.replace('\n', " ").replace("rate: 3", "rate: fast");
    let line = format!("/* {} */ {line} // {}", "é".repeat(500), "z".repeat(500));
    fs::write(&file, line).unwrap();
    let output = fleetsim(["check".as_ref(), file.as_os_str()])
        .output()
        .unwrap();
    let said = said(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].contains("expected a number, found `fast`"),
        "{said}"
    );
    assert!(
        lines[1].chars().count() < 220 && lines[1].starts_with("1 | …") && lines[1].ends_with('…')
    );
    let before = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
    assert_eq!(before(lines[1], "fast"), before(lines[2], "^^^^"));
}

#[test]
fn other_languages_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, language) in [
        ("a.ron", "{\n  \"name\": \"x\"\n}", "JSON"),
        ("a.json", "[1]", "JSON"),
        ("a.ron", "# comment\nname: x\nfleet:\n  - sku: y\n", "YAML"),
        ("a.yaml", "- sku: y\n", "YAML"),
        ("a.ron", "---\nname: x\n", "YAML"),
        ("a.toml", "name = \"x\"\n", "TOML"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let output = fleetsim(["check".as_ref(), file.as_os_str()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let words = format!("looks like {language}, and a scenario is written in RON");
        assert!(said(&output).contains(&words), "{text}: {}", said(&output));
    }
    // RON under another name is RON.
    let file = folder.path().join("a.json");
    fs::write(&file, SCENARIO).unwrap();
    let output = fleetsim(["check".as_ref(), file.as_os_str()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn numbers_with_which_a_run_would_stand_still_are_errors_with_a_place() {
    let (_folder, file) = scenario();
    let file = file.display().to_string();
    let application = |field: &str| format!("applications[0].{field}");
    for (assignment, words) in [
        ("max_tick=1e-300".to_owned(), "expected at least 0.001"),
        (
            application("signals.scrape_interval=1e-300"),
            "0 or at least 0.001",
        ),
        (application("signals.scrape_delay=1e12"), "are 31688 years"),
        (
            application("scaling.scale_up_delay=1e12"),
            "are 31688 years",
        ),
        (
            application("scaling.spin_up=Constant(1e10)"),
            "are 317 years",
        ),
        (
            application("scaling.spin_up=Uniform(min: 1, max: 1e10)"),
            "are 317 years",
        ),
        (
            "fleet[0].provision_delay=Constant(1e10)".to_owned(),
            "are 317 years",
        ),
        (
            application("performance=Constant(prompt_time: 1e10, token_time: 1)"),
            "are 317 years",
        ),
        (
            application("workload.arrivals=Poisson(rate: 1e308)"),
            "expected at most 1000000",
        ),
        (
            application("workload.shape=Piecewise([(0, 1e308)])"),
            "requests a second",
        ),
        (
            application("workload.shape=OnOff(on: 1, off: 1, low: 1e308)"),
            "requests a second",
        ),
        (
            application("workload.rate_scale=1e300"),
            "requests a second",
        ),
    ] {
        let output = fleetsim(["check", &file, "--set", &assignment])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{assignment}");
        assert!(
            said(&output).contains(words),
            "{assignment}: {}",
            said(&output)
        );
        let path = assignment.split('=').next().unwrap();
        assert!(said(&output).contains(path), "{}", said(&output));
    }
    for good in [
        "max_tick=0.001",
        "applications[0].signals.scrape_interval=0.001",
    ] {
        let output = fleetsim(["check", &file, "--set", good]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_that_passes_requests_over() {
    let (folder, file) = scenario();
    let out = folder.path().join("out");
    let (file, to) = (file.display().to_string(), out.display().to_string());
    let set = |it: &'static str| ["--set", it];
    let mut arguments = vec!["run", &*file, "--out", &*to, "--quiet"];
    arguments.extend(set(
        "applications[0].workload.arrivals=Constant(rate: 1000)",
    ));
    arguments.extend(set("applications[0].workload.window=(1e9, 2e9)"));
    arguments.extend(set("end=None"));
    let child = start(&arguments);
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "-TERM");
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[cfg(unix)]
#[test]
fn a_directory_that_a_run_writes_to_is_refused_to_a_second() {
    let (folder, file) = scenario();
    let out = folder.path().join("out");
    let (file, to) = (file.display().to_string(), out.display().to_string());
    let run = ["run", &*file, "--out", &*to, "--overwrite", "--quiet"];
    let long = start(&[&run[..], &["--set", "end=100000000"]].concat());
    wait_for(|| fs::metadata(out.join("requests.csv")).is_ok_and(|it| it.len() > 0));
    let second = fleetsim(run).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        said(&second).contains("a run is writing here"),
        "{}",
        said(&second)
    );
    signal(&long, "-TERM");
    let ended = long.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    let summary = json(&out.join("summary.json"));
    assert_eq!(summary["partial"], true);
    let rows = fs::read_to_string(out.join("requests.csv"))
        .unwrap()
        .lines()
        .count()
        - 1;
    assert_eq!(
        summary["applications"][0]["requests"]["arrived"], rows,
        "one run's files"
    );

    // Now that it has ended, the directory is free.
    let third = fleetsim([&run[..], &["--set", "end=10"]].concat())
        .output()
        .unwrap();
    assert_eq!(third.status.code(), Some(0), "{}", said(&third));
    assert_eq!(json(&out.join("summary.json"))["end_s"], 10.0);
    let hidden = fs::read_dir(&out).unwrap().filter(|it| {
        let name = it.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(hidden.count(), 0, "nothing is left behind");
}

#[cfg(unix)]
#[test]
fn results_are_there_until_those_that_replace_them_are_whole() {
    let (folder, file) = scenario();
    let out = folder.path().join("out");
    let (file, to) = (file.display().to_string(), out.display().to_string());
    let run = [
        "run",
        &*file,
        "--out",
        &*to,
        "--overwrite",
        "--quiet",
        "--set",
    ];
    let first = fleetsim([&run[..], &["end=10"]].concat()).output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let before = |name: &str| fs::read(out.join(name)).unwrap();
    let files = ["summary.json", "requests.csv", "timeline.csv"].map(|name| (name, before(name)));

    let mut second = start(&[&run[..], &["end=100000000"]].concat());
    let staged = out.join(".unfinished").join("requests.csv");
    wait_for(|| fs::metadata(&staged).is_ok_and(|it| it.len() > 0));
    second.kill().unwrap();
    second.wait().unwrap();
    for (name, content) in &files {
        assert_eq!(&before(name), content, "{name}");
    }

    // What the killed run left does not stand in the way.
    let third = fleetsim([&run[..], &["end=20"]].concat()).output().unwrap();
    assert_eq!(third.status.code(), Some(0), "{}", said(&third));
    assert_eq!(json(&out.join("summary.json"))["end_s"], 20.0);
    assert!(!out.join(".unfinished").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_keeps_what_is_done_and_can_be_resumed() {
    let (folder, file) = scenario();
    let file = file.display().to_string();
    let policies =
        "None, Threshold(up: 0.5), Threshold(up: 0.6), Threshold(up: 0.7), Threshold(up: 0.8)";
    let compare = |out: &Path, more: &[&str]| -> Vec<String> {
        let out = out.display().to_string();
        let fixed = [
            "compare",
            &file,
            "--policies",
            policies,
            "--out",
            &out,
            "--jobs",
            "1",
            "--keep-runs",
            "--quiet",
        ];
        let all = fixed.iter().chain(more);
        all.map(|it| (*it).to_owned()).collect()
    };
    let out = folder.path().join("out");
    let arguments = compare(&out, &[]);
    let child = start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    // The last contender runs first.
    let done = || {
        let runs = fs::read_dir(out.join("runs")).ok()?;
        let mut runs = runs.filter_map(Result::ok);
        runs.find(|it| it.path().join("report.html").exists())
    };
    wait_for(|| done().is_some());
    signal(&child, "-TERM");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    for words in ["interrupted", "missing", "None", "--resume"] {
        assert!(said(&ended).contains(words), "{}", said(&ended));
    }
    let partial = json(&out.join("comparison.json"));
    assert_eq!(partial["partial"], true);
    let (there, missing) = (
        partial["contenders"].as_array().unwrap().len(),
        partial["missing"].as_array().unwrap().len(),
    );
    assert!(
        there >= 1 && missing >= 1 && there + missing == 5,
        "{there} {missing}"
    );
    let rows = fs::read_to_string(out.join("comparison.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + there);
    assert!(out.join("comparison.html").exists());
    // A run that was cut off says so.
    for run in fs::read_dir(out.join("runs")).unwrap() {
        let run = run.unwrap().path();
        let label = run.file_name().unwrap().to_string_lossy().into_owned();
        if run.join("requests.csv").exists() {
            let partial = json(&run.join("summary.json"))["partial"] == true;
            let whole = label.starts_with("05");
            assert!(partial || whole || there > 1, "{label}");
        }
    }

    let modified = fs::metadata(out.join("runs/05-Threshold-up-0.8/summary.json"))
        .unwrap()
        .modified()
        .unwrap();
    let resumed = fleetsim(compare(&out, &["--resume"])).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", said(&resumed));
    let again = fs::metadata(out.join("runs/05-Threshold-up-0.8/summary.json")).unwrap();
    assert_eq!(
        again.modified().unwrap(),
        modified,
        "what was done is not run again"
    );

    let whole = folder.path().join("whole");
    let output = fleetsim(compare(&whole, &[])).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut names = vec!["comparison.json", "comparison.csv"];
    if cfg!(feature = "html") {
        names.push("comparison.html");
    }
    for name in names {
        assert_eq!(
            fs::read_to_string(out.join(name)).unwrap(),
            fs::read_to_string(whole.join(name)).unwrap(),
            "{name}"
        );
    }

    // Another seed is another comparison.
    let other = fleetsim(compare(&out, &["--resume", "--seed", "8"]))
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(0), "{}", said(&other));
    let other = json(&out.join("comparison.json"));
    assert_eq!(other["seed"], 8);
    let figures = |of: &Value| of["contenders"][4]["figures"].clone();
    assert_ne!(figures(&other), figures(&partial_free(&whole)));
}

fn partial_free(folder: &Path) -> Value {
    json(&folder.join("comparison.json"))
}
