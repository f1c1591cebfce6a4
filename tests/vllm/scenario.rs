//! The cases through the front door: a scenario, its trace, and the steps and requests that come out.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use fleetsim::observe::Rows;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::vllm::{SchedulingPolicy, StepRow};
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::Simulation;
use fleetsim::time::{SimDuration, SimTime};

use crate::case::{Case, read};
use crate::shared;

/// Seconds by which a time in a run of steps may differ from its step by step sum.
const TOLERANCE: f64 = 1e-9;

/// The scenario of a case: one engine, its options, its trace.
pub(crate) fn scenario(case: &Case, tokens: u32, trace: &str) -> String {
    let config = &case.config;
    let mut engine = format!(
        "max_num_seqs: {}, max_num_batched_tokens: {}, max_model_len: {}, block_size: {}, num_gpu_blocks: {}, \
         enable_prefix_caching: {}, enable_chunked_prefill: {}, long_prefill_token_threshold: {}, \
         long_prefill_token_threshold_adaptive: {}, watermark: {:?}, scheduler_reserve_full_isl: {}, \
         prefill_schedule_interval: {}, async_scheduling: {}, reject_oversized: false",
        config.max_num_seqs,
        config.max_num_batched_tokens,
        config.max_model_len,
        config.block_size,
        config.num_gpu_blocks,
        config.enable_prefix_caching,
        config.enable_chunked_prefill,
        config.long_prefill_token_threshold,
        config.long_prefill_token_threshold_adaptive,
        config.watermark,
        config.scheduler_reserve_full_isl,
        config.prefill_schedule_interval,
        config.async_scheduling,
    );
    if config.scheduling_policy == SchedulingPolicy::Priority {
        engine.push_str(", scheduling_policy: Priority");
    }
    if let Some(most) = config.max_num_active_seqs {
        write!(engine, ", max_num_active_seqs: {most}").expect("text takes everything");
    }
    let model = &case.model;
    format!(
        r#"(
            name: "case",
            fleet: [(sku: "dgx-h100", count: 1)],
            applications: [(
                name: "chat",
                model: "llama2-70b",
                performance: Linear(base: {:?}, prefill_token: {:?}, decode_request: {:?}, context_token: {:?}),
                scheduler: RoundRobin,
                instances: [(role: Mixed, start: Servers(1), engine: Vllm({engine}))],
                workload: Trace(path: "{trace}", format: Requests(block_tokens: {tokens})),
            )],
        )"#,
        model.base, model.prefill_token, model.decode_request, model.context_token,
    )
}

fn run(text: &str, directory: &Path) -> (Vec<StepRow>, Vec<RequestRecord>) {
    let checked = CheckedScenario::from_ron(text, directory).expect("a scenario");
    let mut simulation = Simulation::new(&checked).expect("a fleet");
    simulation.record_steps(None);
    let (mut steps, mut requests) = (Vec::new(), Vec::new());
    let mut keep = |rows: Rows| {
        steps.extend(rows.steps.into_iter().map(|(_, step)| step));
        requests.extend(rows.requests.into_iter().map(|(_, request)| request));
    };
    while simulation.tick().expect("time goes on") {
        keep(simulation.take_rows());
    }
    keep(simulation.take_rows());
    keep(simulation.finish().rows);
    (steps, requests)
}

fn near(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= TOLERANCE,
        (None, None) => true,
        _ => false,
    }
}

/// The scenario's run against the engine alone, step by step.
fn compare(directory: &Path) {
    let case = read(directory);
    if case.max_steps < 1_000_000 {
        // It would be tried without end.
        return;
    }
    let tokens = case.requests.first().map_or(512, |work| work.prefix.tokens);
    let (steps, requests) = run(&scenario(&case, tokens, "trace.csv"), directory);
    let (expected, fates) = case.run(true, true);
    for (ours, theirs) in steps.iter().zip(&expected) {
        let times = StepRow {
            start_s: theirs.start_s,
            duration_s: theirs.duration_s,
            ..ours.clone()
        };
        assert_eq!(&times, theirs, "{}", directory.display());
        assert!(near(Some(ours.start_s), Some(theirs.start_s)));
        assert!(near(Some(ours.duration_s), Some(theirs.duration_s)));
    }
    assert_eq!(steps.len(), expected.len(), "{}", directory.display());

    assert_eq!(requests.len(), fates.len());
    let seconds = |time: Option<SimTime>| time.map(SimTime::seconds);
    for request in &requests {
        let details = request.details.as_ref().expect("ids have leading zeros");
        let name = details.name.as_deref();
        let same = |work: &&fleetsim::serving::vllm::Work| work.name.as_deref() == name;
        let work = case.requests.iter().find(same).expect("a row of the trace");
        let fate = &fates[work.owner as usize];
        let end = match request.outcome {
            Outcome::Completed => "finished",
            Outcome::Rejected(_) => "rejected",
            Outcome::Failed => "failed",
            Outcome::InFlight | Outcome::Waiting => "unfinished",
        };
        assert_eq!(end, fate.end, "{} {name:?}", directory.display());
        let progress = &fate.progress;
        let start = progress.first_scheduled;
        assert!(
            near(seconds(request.prompt_start), seconds(start)),
            "{request:?}\n{fate:?}"
        );
        assert!(near(
            seconds(request.first_token),
            seconds(progress.first_token)
        ));
        if end == "finished" {
            assert!(near(seconds(request.end), seconds(progress.last_token)));
            let served = &request.served;
            assert_eq!(served.preemptions, progress.preemptions);
            assert_eq!(served.cached_tokens, Some(progress.cached_tokens));
            let gap = served.max_tbt.map(SimDuration::seconds);
            assert!(near(gap, progress.max_gap), "{request:?}\n{fate:?}");
        }
    }
}

fn compare_all(directory: &Path) {
    let entries = std::fs::read_dir(directory).expect("a folder of cases");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.join("scenario.json").exists() {
            compare(&path);
        }
    }
}

#[test]
fn golden_cases_come_out_of_scenarios() {
    compare_all(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/vllm"
    )));
}

#[test]
fn all_cases_of_the_reference_come_out_of_scenarios() {
    let Some(shared) = shared::directory() else {
        return;
    };
    compare_all(&shared.join("reference/vllm/cases"));
    compare_all(&shared.join("reference/vllm/cases_async"));
}

/// The binary's `steps.csv` has the columns of the case behind the number of the instance, and its rows.
#[test]
fn the_binary_writes_the_steps_of_a_case() {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/vllm"));
    for name in ["conversations_starved", "async_full_hits", "priority_ties"] {
        let directory = golden.join(name);
        let case = read(&directory);
        let tokens = case.requests.first().map_or(512, |work| work.prefix.tokens);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(directory.join("trace.csv"), folder.path().join("trace.csv"))
            .expect("a trace");
        let file = folder.path().join("case.ron");
        std::fs::write(&file, scenario(&case, tokens, "trace.csv")).expect("a scenario");
        let out = folder.path().join("out");
        let ran = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .args(["run", "--steps", "--quiet", "--out"])
            .args([&out, &file])
            .output()
            .expect("cargo built it");
        assert!(ran.status.success(), "{ran:?}");

        let table = |path: &Path| -> Vec<Vec<String>> {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_path(path)
                .expect("a table");
            let rows = reader.records().map(|row| row.expect("a row"));
            rows.map(|row| row.iter().map(str::to_owned).collect())
                .collect()
        };
        let ours = table(&out.join("steps.csv"));
        let theirs = table(&directory.join("steps.csv"));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (line, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours[0], if line == 0 { "instance" } else { "0" });
            for (ours, theirs) in ours[1..].iter().zip(theirs) {
                let same = match (ours.parse(), theirs.parse()) {
                    (Ok(ours), Ok(theirs)) => near(Some(ours), Some(theirs)),
                    _ => ours == theirs,
                };
                assert!(same, "{name}, line {}: {ours}, not {theirs}", line + 1);
            }
            assert_eq!(ours.len(), theirs.len() + 1);
        }
    }
}
