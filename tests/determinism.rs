//! The command line from end to end: the same input gives the same bytes, however the ticks fall;
//! results are not overwritten unasked; exit statuses; real hours of traffic, complete.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use binary::fleetsim;

mod binary;
mod shared;

/// Everything that draws random numbers, and scripted actions at odd times.
const EVENTFUL: &str = r#"(
    name: "eventful",
    seed: 7,
    fleet: [
        (sku: "dgx-h100", count: 3, provision_delay: Uniform(min: 3.0, max: 9.0)),
        (sku: "dgx-a100", count: 2),
    ],
    applications: [
        (
            name: "any",
            model: "llama2-70b",
            scheduler: Random,
            instances: [
                (role: Mixed, engine: Splitwise(), start: Servers(2)),
                (role: Mixed, engine: Orca(max_batch_size: 64), tensor_parallelism: 4, start: Servers(1)),
            ],
            scaling: (spin_up: Normal(mean: 5.0, std: 2.0), scale_up_delay: 1.5, drain: OnIdle),
            workload: Synthetic(
                arrivals: Gamma(rate: 6.0, cv: 2.0),
                prompt_tokens: LogNormal(median: 900.0, sigma: 1.0, max: 6000),
                output_tokens: Geometric(mean: 80.0),
                requests: 600,
            ),
        ),
        (
            name: "pools",
            model: "bloom-176b",
            scheduler: MixedPool(prompt_max_pending_tokens: 4000),
            instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(1))],
            scaling: (spin_up: Exponential(mean: 4.0), drain_timeout: 20.0),
            workload: Synthetic(
                arrivals: Poisson(rate: 2.0),
                prompt_tokens: Empirical([(100, 1.0), (1500, 2.0), (4000, 1.0)]),
                output_tokens: LogNormal(median: 60.0, sigma: 0.8, max: 500),
                requests: 200,
            ),
        ),
    ],
    actions: [
        (at: 12.3456, action: ScaleUpFull(application: "any", role: Mixed)),
        (at: 20.0, action: ScaleUpFull(application: "pools", role: Token, sku: "dgx-a100")),
        (at: 40.1, action: ScaleDownFull(instance: 1)),
        (at: 61.7, action: ScaleDownFull(instance: 5)),
        (at: 61.7, action: ScaleDownFull(instance: 99)),
    ],
)"#;

/// Without an `end`, decisions and samples would come after the last request, and something be done.
const SCALED: &str = r#"(
    name: "scaled",
    sample_interval: 70.0,
    fleet: [(sku: "dgx-h100", count: 3)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        autoscaler: Threshold(interval: 11.0),
        workload: Synthetic(
            arrivals: Constant(rate: 0.93),
            prompt_tokens: Constant(100),
            output_tokens: Constant(10),
            requests: 20,
        ),
    )],
    faults: [],
)"#;

/// What makes requests of `SCALED` wait for servers that a policy asks for in vain.
const LOST: &str = "faults: [
        (at: 7.0, fault: NoNewServers(duration: 1000000.0)),
        (at: 7.3, fault: ServerCrash(server: 0)),
        (at: 7.3, fault: ServerCrash(server: 1)),
        (at: 7.3, fault: ServerCrash(server: 2)),
    ]";

/// A policy that starts and cancels for ever, for it looks more often than an instance takes to start.
const RESTLESS: &str = r#"(
    name: "restless",
    seed: 12941965423279763592,
    sample_interval: 70.0,
    fleet: [(sku: "dgx-h100", count: 4, limit: 7, provision_delay: Constant(1.0))],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        scheduler: KvRoundRobin(),
        instances: [
            (role: Prompt, engine: Splitwise(max_batch_size: 26, max_batch_tokens: 2091, max_preemptions: 0),
                tensor_parallelism: 4, start: Servers(1)),
            (role: Token, engine: Splitwise(max_batch_size: 26, max_batch_tokens: 2091, max_preemptions: 0),
                tensor_parallelism: 4, start: Servers(1)),
        ],
        scaling: (spin_up: Constant(9.0), scale_up_delay: 2.0, drain: OnIdle, drain_timeout: 14.0),
        autoscaler: POLICY,
        signals: (scrape_interval: 6.7, scrape_delay: 4.6),
        workload: Synthetic(
            arrivals: Gamma(rate: 6.0, cv: 1.5),
            requests: 67,
            prompt_tokens: LogNormal(median: 2667.0, sigma: 1.0, max: 100000),
            output_tokens: Geometric(mean: 210.0),
        ),
    )],
    actions: [
        (at: 3.5, action: ScaleDownFull(instance: 2)),
        (at: 25.0, action: ScaleUpFull(application: "chat", role: Token)),
        (at: 39.0, action: ScaleUpInstance(application: "chat", role: Token, server: 3)),
        (at: 52.5, action: ScaleDownFull(instance: 0)),
    ],
    faults: [(at: 41.0, fault: ServerCrash(server: 1))],
)"#;

/// `RESTLESS` with its policy: every six seconds one role is to grow and the other to shrink, so that some
/// instance always starts up.
fn restless() -> String {
    let hours = |seconds: i32| f64::from(seconds) / 3600.0;
    let periods: Vec<String> = (0..330)
        .map(|number| {
            let (from, to) = (hours(12 * number), hours(12 * number + 6));
            format!("(from: {from}, to: {to}, instances: (prompt: 2, token: 1))")
        })
        .collect();
    let policy = format!(
        "Periodic(interval: 6, otherwise: (prompt: 1, token: 2), periods: [{}])",
        periods.join(", ")
    );
    RESTLESS.replace("POLICY", &policy)
}

#[test]
fn a_policy_that_never_rests_does_not_keep_a_run_from_ending() {
    let scenario = restless();
    let summary = summary(&Bench::new(&scenario).results("out", &["--quiet"]));
    let end = summary["end_s"].as_f64().unwrap();
    assert!((3600.0..4000.0).contains(&end), "{end}");
}

/// A scenario file with a place for results beside it.
struct Bench(TempDir);

impl Bench {
    fn new(scenario: &str) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("scenario.ron", scenario);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs the scenario with its results in `out`.
    fn run(&self, out: &str, options: &[&str]) -> Output {
        let (scenario, out) = (self.path("scenario.ron"), self.path(out));
        let command = [
            "run".as_ref(),
            scenario.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ];
        let arguments = command.into_iter().chain(options.iter().map(OsStr::new));
        fleetsim(arguments).output().unwrap()
    }

    /// The same, without trouble; gives the files.
    fn results(&self, out: &str, options: &[&str]) -> Files {
        let output = self.run(out, options);
        assert_eq!(status(&output), 0, "{}", said(&output));
        files(&self.path(out))
    }
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(directory: &Path) -> Files {
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn status_of<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> i32 {
    status(&fleetsim(arguments).output().unwrap())
}

/// What went to standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Scenarios that everything must be the same for: one made to be eventful, and those in the repository.
fn scenarios() -> Vec<Bench> {
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/quickstart.ron");
    let quickstart = fs::read_to_string(quickstart).unwrap();
    vec![Bench::new(EVENTFUL), Bench::new(&quickstart)]
}

/// Names of the files in which two results differ.
fn differing<'a>(one: &'a Files, other: &'a Files) -> Vec<&'a str> {
    assert!(one.keys().eq(other.keys()));
    let names = one.keys().filter(|name| one[*name] != other[*name]);
    names.map(String::as_str).collect()
}

#[test]
fn the_same_scenario_gives_the_same_bytes() {
    for bench in scenarios() {
        let first = bench.results("first", &["--quiet"]);
        for name in [
            "requests.csv",
            "scaling.csv",
            "summary.json",
            "timeline.csv",
        ] {
            assert!(
                first[name].iter().filter(|&&byte| byte == b'\n').count() > 1,
                "{name}"
            );
        }
        let second = bench.results("second", &[]);
        assert_eq!(differing(&first, &second), [""; 0]);
    }
}

#[test]
fn ticks_do_not_matter() {
    let in_vain = SCALED.replace("faults: []", LOST);
    let scaled = [SCALED, &in_vain, &restless()].map(Bench::new);
    for bench in scenarios().into_iter().chain(scaled) {
        let free = bench.results("free", &["--quiet"]);
        for max_tick in ["0.37", "7", "1000"] {
            let set = format!("max_tick={max_tick}");
            let bound = bench.results(max_tick, &["--quiet", "--set", &set]);
            let differing = differing(&free, &bound);
            // The report shows the scenario and its hash, which are others for another `max_tick`.
            let differing: Vec<_> = differing
                .into_iter()
                .filter(|it| *it != "report.html")
                .collect();
            assert_eq!(differing, ["summary.json"], "max_tick {max_tick}");
            assert_eq!(summary(&free), summary(&bound), "max_tick {max_tick}");
        }
    }
}

#[test]
fn threads_do_not_matter() {
    for bench in [EVENTFUL, SCALED].map(Bench::new) {
        let one = bench.results("one", &["--quiet"]);
        for threads in ["2", "5"] {
            let several = bench.results(threads, &["--quiet", "--threads", threads]);
            assert_eq!(differing(&one, &several), [""; 0], "{threads} threads");
        }
    }
}

/// The summary without the scenario's hash, which is another for another `max_tick`.
fn summary(files: &Files) -> serde_json::Value {
    let mut summary: serde_json::Value = serde_json::from_slice(&files["summary.json"]).unwrap();
    assert!(summary.as_object_mut().unwrap().remove("hash").is_some());
    summary
}

#[test]
fn another_seed_gives_other_requests() {
    let bench = Bench::new(EVENTFUL);
    let own = bench.results("own", &["--quiet"]);
    let same = bench.results("same", &["--quiet", "--seed", "7"]);
    let other = bench.results("other", &["--quiet", "--seed", "8"]);
    for name in ["requests.csv", "scaling.csv", "timeline.csv"] {
        assert_eq!(own[name], same[name], "{name}");
        assert_ne!(own[name], other[name], "{name}");
    }
}

#[test]
fn results_are_not_overwritten_unasked() {
    let bench = Bench::new(EVENTFUL);
    let before = bench.results("out", &["--quiet"]);
    bench.write("out/notes.txt", "mine");
    let refused = bench.run("out", &["--seed=8"]);
    assert_eq!(status(&refused), 2);
    assert!(said(&refused).contains("--overwrite"), "{}", said(&refused));
    assert_eq!(
        files(&bench.path("out"))["requests.csv"],
        before["requests.csv"]
    );

    let after = bench.results("out", &["--seed=8", "--overwrite", "--quiet"]);
    assert_ne!(after["requests.csv"], before["requests.csv"]);
    assert_eq!(after["notes.txt"], b"mine");
}

#[test]
fn exit_statuses_tell_whose_fault_it_was() {
    let bench = Bench::new(EVENTFUL);
    let scenario = bench.path("scenario.ron");
    assert_eq!(status_of(["check".as_ref(), scenario.as_os_str()]), 0);
    assert_eq!(status_of(["--help"]), 0);
    assert_eq!(status_of(["fly"]), 2);
    assert_eq!(status_of(["run", "no such file.ron"]), 2);
    assert_eq!(
        status(&bench.run("a", &["--set", "fleet[0].count=many"])),
        2
    );
    assert_eq!(
        status(&bench.run("b", &["--set", "applications[0].scheduler=KvJsq()"])),
        2
    );
    assert!(!bench.path("b").exists());

    bench.write("file", "");
    assert_eq!(status(&bench.run("file", &[])), 2);

    bench.write(
        "wrong.ron",
        &EVENTFUL.replace("requests: 600", "request: 600"),
    );
    let path = bench.path("wrong.ron");
    let wrong = fleetsim(["check".as_ref(), path.as_os_str()])
        .output()
        .unwrap();
    assert_eq!(status(&wrong), 2);
    let message = said(&wrong);
    assert!(message.contains("wrong.ron:22:"), "{message}");
    assert!(message.contains("`requests`"), "{message}");
}

#[test]
fn a_trace_that_breaks_off_leaves_what_came_before() {
    let bench = Bench::new(&hour("trace.csv", "Splitwise", 2));
    bench.write(
        "trace.csv",
        "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n\
         0,2,0,0.5,1,100,10\n\
         1,2,0,1.5,1,many,10\n",
    );
    let broken = bench.run("out", &[]);
    assert_eq!(status(&broken), 2);
    assert!(said(&broken).contains("trace.csv:3:"), "{}", said(&broken));
    let results = files(&bench.path("out"));
    assert!(results["requests.csv"].ends_with(b",completed,0,,,,,\n"));
    assert_eq!(summary(&results)["partial"], true);
}

/// Bloom-176b on so many servers, eight GPUs an instance.
fn hour(trace: &str, format: &str, servers: u32) -> String {
    format!(
        r#"(
    name: "hour",
    fleet: [(sku: "dgx-h100", count: {servers})],
    applications: [(
        name: "service", model: "bloom-176b", scheduler: TokenJsq,
        instances: [(role: Mixed, engine: Splitwise(), tensor_parallelism: 8, start: AllServers)],
        workload: Trace(path: "{trace}", format: {format}, reorder_window: 1),
    )],
)"#
    )
}

#[test]
fn every_request_of_real_hours_is_completed() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let traces = fs::canonicalize(shared.join("traces")).unwrap();
    for (file, requests) in [
        ("azure_llm_2023_conv.csv", 19_366),
        ("azure_llm_2023_code.csv", 8_819),
    ] {
        let trace = traces.join(file);
        let bench = Bench::new(&hour(trace.to_str().unwrap(), "Azure", 20));
        let results = bench.results("out", &["--quiet"]);
        let table = String::from_utf8_lossy(&results["requests.csv"]);
        assert_eq!(table.lines().count(), 1 + requests, "{file}");
        let completed = table
            .lines()
            .filter(|line| line.ends_with(",completed,0,,,,,"));
        assert_eq!(completed.count(), requests, "{file}");
    }
}
