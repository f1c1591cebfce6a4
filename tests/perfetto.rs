//! `trace.json`: what a run looks like in Perfetto.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails fails its test, whichever function it stands in"
)]

use std::collections::BTreeMap;
use std::path::Path;

use fleetsim::fleet::{ScalingAction, ScalingEvent, Target};
use fleetsim::report::{PerfettoTrace, TraceOptions, TraceWindow};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::{Finished, Simulation};
use fleetsim::time::SimTime;
use serde_json::Value;

use binary::fleetsim;

mod binary;

/// A fleet that grows, shrinks, loses an instance, and sends KV caches about.
const CHANGING: &str = r#"(
    name: "changing",
    end: 100.0,
    fleet: [(sku: "dgx-h100", count: 2, provision_delay: Constant(5.0))],
    applications: [(
        name: "a \"quoted\" name",
        model: "llama2-70b",
        scheduler: KvJsq(transfer_gib_per_s: 20.0),
        instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(1))],
        workload: Synthetic(
            arrivals: Poisson(rate: 3.0),
            prompt_tokens: Constant(1000),
            output_tokens: Geometric(mean: 100.0),
        ),
    )],
    actions: [
        (at: 10.0, action: ScaleUpFull(application: "a \"quoted\" name", role: Token)),
        (at: 12.0, action: ScaleUpFull(application: "a \"quoted\" name", role: Prompt)),
        (at: 60.0, action: ScaleDownFull(instance: 2)),
        (at: 99.0, action: ScaleUpFull(application: "a \"quoted\" name", role: Prompt)),
    ],
    faults: [(at: 70.0, fault: InstanceCrash(instance: 1))],
)"#;

/// Two applications of mixed instances, until every request is served.
const SERVED: &str = r#"(
    name: "served",
    fleet: [(sku: "dgx-h100", count: 4)],
    applications: [
        (
            name: "one",
            model: "llama2-70b",
            instances: [(role: Mixed, start: Servers(2))],
            workload: Synthetic(
                arrivals: Poisson(rate: 4.0),
                prompt_tokens: Geometric(mean: 1000.0),
                output_tokens: Geometric(mean: 100.0),
                requests: 200,
            ),
        ),
        (
            name: "two",
            model: "bloom-176b",
            instances: [(role: Mixed, start: Servers(1))],
            workload: Synthetic(
                arrivals: Constant(rate: 1.0),
                prompt_tokens: Constant(10),
                output_tokens: Constant(10),
                requests: 20,
            ),
        ),
    ],
)"#;

/// Runs a scenario; `None` for ticks to run to the end.
fn trace(text: &str, options: TraceOptions, ticks: Option<usize>) -> (Vec<u8>, Finished) {
    let (bytes, finished, _) = trace_and_log(text, options, ticks);
    (bytes, finished)
}

fn trace_and_log(
    text: &str,
    options: TraceOptions,
    ticks: Option<usize>,
) -> (Vec<u8>, Finished, Vec<ScalingEvent>) {
    let checked = CheckedScenario::from_ron(text, ".".as_ref()).unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    simulation.record_runs();
    let mut trace = PerfettoTrace::new(options);
    let mut done = 0;
    let mut log = Vec::new();
    while ticks.is_none_or(|ticks| done < ticks) {
        let more = simulation.tick().unwrap();
        let news = simulation.take_news();
        trace.see(&news);
        log.extend(news.scaling);
        done += 1;
        if !more {
            break;
        }
    }
    if ticks.is_some() {
        simulation.stop("interrupted");
    }
    let finished = simulation.finish();
    let path = Path::new("trace.json");
    let (bytes, _) = trace.write(Vec::new(), path, &finished).unwrap();
    log.extend(&finished.scaling);
    (bytes, finished, log)
}

struct Trace {
    events: Vec<Value>,
    metadata: Value,
}

/// Start, end and name.
type Slice = (u64, u64, String);

impl Trace {
    fn read(bytes: &[u8]) -> Self {
        let Value::Object(mut object) = serde_json::from_slice(bytes).unwrap() else {
            panic!("a trace is an object");
        };
        let Some(Value::Array(events)) = object.remove("traceEvents") else {
            panic!("with an array of events");
        };
        let metadata = object.remove("otherData").unwrap();
        Self { events, metadata }
    }

    fn with<'a>(&'a self, phase: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |it| it["ph"] == phase)
    }

    /// The slices of each thread as (start, end, name), in nanoseconds, by start.
    fn slices(&self) -> BTreeMap<(u64, u64), Vec<Slice>> {
        let mut threads = BTreeMap::<_, Vec<_>>::new();
        for event in self.with("X") {
            let start = nanos(&event["ts"]);
            let slice = (start, start + nanos(&event["dur"]), text(&event["name"]));
            threads.entry(track(event)).or_default().push(slice);
        }
        threads.values_mut().for_each(|slices| slices.sort());
        threads
    }

    /// The name of each thread.
    fn threads(&self) -> BTreeMap<(u64, u64), String> {
        self.with("M")
            .filter(|event| event["name"] == "thread_name")
            .map(|event| (track(event), text(&event["args"]["name"])))
            .collect()
    }
}

fn track(event: &Value) -> (u64, u64) {
    (
        event["pid"].as_u64().unwrap(),
        event["tid"].as_u64().unwrap(),
    )
}

fn nanos(microseconds: &Value) -> u64 {
    (microseconds.as_f64().unwrap() * 1000.0).round() as u64
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn time(time: SimTime) -> u64 {
    (time.seconds() * 1e9).round() as u64
}

#[test]
fn every_event_says_where_and_when_and_no_slices_of_a_thread_overlap() {
    for text in [CHANGING, SERVED] {
        let (bytes, finished) = trace(text, TraceOptions::default(), None);
        let trace = Trace::read(&bytes);
        assert!(trace.events.len() > 1000);
        let end = time(finished.record.end);
        for event in &trace.events {
            assert!(event["ph"].is_string() && event["name"].is_string());
            track(event);
            assert!(nanos(&event["ts"]) <= end, "{event}");
        }
        let names = trace.threads();
        for (thread, slices) in trace.slices() {
            assert!(names.contains_key(&thread));
            for pair in slices.windows(2) {
                assert!(pair[0].1 <= pair[1].0, "{pair:?} of {thread:?}");
            }
        }
        for event in trace.with("b").chain(trace.with("e")) {
            assert!(event["id"].is_u64() && event["cat"] == "request");
        }
        assert_eq!(trace.metadata["batch_runs_left_out"], 0);
        assert_eq!(trace.metadata["requests_left_out"], 0);
        assert!(trace.with("C").count() > 10);
    }
}

#[test]
fn the_slices_of_batches_add_up_to_the_busy_time() {
    for (text, ticks) in [(CHANGING, None), (SERVED, None), (SERVED, Some(60))] {
        let (bytes, finished) = trace(text, TraceOptions::default(), ticks);
        let trace = Trace::read(&bytes);
        let names = trace.threads();
        let (mut prompts, mut tokens) = (0.0, 0.0);
        for (thread, slices) in trace.slices() {
            if !names[&thread].ends_with("batches") {
                continue;
            }
            for (start, end, name) in slices {
                let sum = if name.starts_with("prompts") {
                    &mut prompts
                } else {
                    &mut tokens
                };
                *sum += (end - start) as f64 / 1e9;
            }
        }
        let usage: Vec<_> = finished.record.applications.iter().collect();
        let usage = || usage.iter().flat_map(|it| &it.instances);
        let expected: f64 = usage().map(|it| it.prompt_busy_s).sum();
        assert!((prompts - expected).abs() < 1e-6, "{prompts} {expected}");
        let expected: f64 = usage().map(|it| it.token_busy_s).sum();
        assert!((tokens - expected).abs() < 1e-6, "{tokens} {expected}");
        assert!(prompts > 1.0 && tokens > 1.0);
    }
}

#[test]
fn the_phases_of_lives_are_those_of_the_scaling_log() {
    let (bytes, finished, log) = trace_and_log(CHANGING, TraceOptions::default(), None);
    let trace = Trace::read(&bytes);
    let mut lives = BTreeMap::<u64, Vec<(u64, &str)>>::new();
    for instance in [0, 1] {
        lives.insert(instance, vec![(0, "active")]);
    }
    for event in &log {
        let Target::Instance(instance) = event.target else {
            continue;
        };
        let phase = match event.action {
            ScalingAction::ScaleUpStart => "scaling_up",
            ScalingAction::ScaleUpComplete => "active",
            ScalingAction::ScaleDownStart => "draining",
            ScalingAction::ScaleDownComplete | ScalingAction::Crash => "gone",
            _ => continue,
        };
        let life = lives.entry(instance).or_default();
        life.push((time(event.time), phase));
    }
    assert!(lives.len() >= 5);
    let slices = trace.slices();
    let threads = trace.threads();
    let end = time(finished.record.end);
    for (instance, mut life) in lives {
        if life.last().is_some_and(|last| last.1 != "gone") {
            life.push((end, "gone"));
        }
        let expected: Vec<_> = life
            .windows(2)
            .map(|pair| (pair[0].0, pair[1].0, pair[0].1.to_owned()))
            .filter(|(start, end, _)| start < end)
            .collect();
        let prefix = format!("instance_{instance} a \"quoted\" name");
        let thread = threads.iter().find(|it| it.1.starts_with(&prefix)).unwrap();
        assert_eq!(slices[thread.0], expected, "{prefix}");
    }
}

#[test]
fn the_counters_of_instances_add_up_to_those_of_their_role() {
    for scenario in [CHANGING, SERVED] {
        let (bytes, finished) = trace(scenario, TraceOptions::default(), None);
        let trace = Trace::read(&bytes);
        assert_eq!(trace.metadata["instance_samples_one_in"], 1);
        let accounts = finished.ledger.instances();
        let gone = |number: usize| {
            let end = finished.record.end;
            time(accounts[number].span(None, end).unwrap().end)
        };
        let mut of_roles = BTreeMap::<_, u64>::new();
        let mut of_instances = BTreeMap::<_, u64>::new();
        for event in trace.with("C") {
            let name = text(&event["name"]);
            let args = &event["args"];
            let Some(queued) = args["queued"].as_u64() else {
                continue;
            };
            let requests = queued + args["running"].as_u64().unwrap();
            let at = nanos(&event["ts"]);
            match name.strip_prefix("instance_") {
                None => *of_roles.entry(at).or_default() += requests,
                Some(rest) => {
                    let number = rest.split(' ').next().unwrap().parse().unwrap();
                    assert!(at <= gone(number), "{event}");
                    *of_instances.entry(at).or_default() += requests;
                }
            }
        }
        assert!(of_roles.values().any(|it| *it > 0));
        for (at, requests) in of_roles {
            assert_eq!(
                of_instances.get(&at).copied().unwrap_or(0),
                requests,
                "{at}"
            );
        }
    }
}

#[test]
fn arrows_lead_from_the_batch_of_the_prompt_to_that_of_the_tokens() {
    for (text, window) in [(CHANGING, ".."), (SERVED, ".."), (SERVED, "10..20")] {
        let options = TraceOptions {
            window: window.parse().unwrap(),
            ..TraceOptions::default()
        };
        let (bytes, _) = trace(text, options, None);
        let trace = Trace::read(&bytes);
        let slices = trace.slices();
        let starts = |event: &Value| {
            let at = nanos(&event["ts"]);
            let slice = slices[&track(event)].iter().find(|slice| slice.0 == at);
            slice.map(|slice| slice.2.clone())
        };
        let ends: BTreeMap<u64, &Value> = trace
            .with("f")
            .map(|event| (event["id"].as_u64().unwrap(), event))
            .collect();
        assert!(ends.len() > 10);
        assert_eq!(trace.with("s").count(), ends.len());
        for event in trace.with("s") {
            assert!(starts(event).unwrap().starts_with("prompts"), "{event}");
            let end = ends[&event["id"].as_u64().unwrap()];
            assert!(starts(end).unwrap().contains("tokens"), "{end}");
            assert_eq!(end["bp"], "e");
        }
    }
}

#[test]
fn requests_are_only_recorded_within_the_window() {
    let window: TraceWindow = "10..20".parse().unwrap();
    let options = TraceOptions {
        window,
        ..TraceOptions::default()
    };
    let (bytes, _) = trace(SERVED, options, None);
    let trace = Trace::read(&bytes);
    let batches = trace.threads();
    let mut found = 0;
    for (thread, slices) in trace.slices() {
        for (start, end, _) in slices {
            if batches[&thread].ends_with("batches") {
                assert!(start < time(window.until) && end >= time(window.from));
                found += 1;
            }
        }
    }
    assert_eq!(trace.metadata["batch_runs"], found);
    assert!(trace.metadata["batch_runs_left_out"].as_u64() > Some(0));
    assert!(trace.metadata["requests_left_out"].as_u64() > Some(0));
    assert_eq!(trace.metadata["excerpt_s"], Value::Null);
}

#[test]
fn a_trace_stays_within_its_limit_and_says_what_is_missing() {
    let text = SERVED.replace(
        "name: \"served\",",
        "name: \"served\", sample_interval: 0.05,",
    );
    for limit_bytes in [50_000, 100_000, 200_000] {
        let options = TraceOptions {
            limit_bytes,
            ..TraceOptions::default()
        };
        let (bytes, finished) = trace(&text, options, None);
        assert!(bytes.len() as u64 <= limit_bytes, "{}", bytes.len());
        let trace = Trace::read(&bytes);
        assert!(trace.metadata["requests_left_out"].as_u64() > Some(0));
        assert!(trace.metadata["samples_one_in"].as_u64() > Some(1));
        assert!(trace.metadata["excerpt_s"].is_f64());
        let lives = trace.threads().into_values();
        let lives = lives.filter(|it| it.ends_with("Mixed")).count();
        assert_eq!(lives, finished.ledger.instances().len());
        let last = trace.with("C").map(|event| nanos(&event["ts"])).max();
        assert!(last > Some(time(finished.record.end) / 2));
    }
}

/// An hour of traffic in the room of a few minutes of it.
#[test]
fn excerpts_of_a_long_run_are_whole_and_go_on_to_its_end() {
    let text = SERVED
        .replace("name: \"served\",", "name: \"served\", end: 3600,")
        .replace("requests: 200,", "")
        .replace("requests: 20,", "");
    let limit_bytes = 1_000_000;
    let options = TraceOptions {
        limit_bytes,
        ..TraceOptions::default()
    };
    let (bytes, finished) = trace(&text, options, None);
    assert!(bytes.len() as u64 <= limit_bytes, "{}", bytes.len());
    assert!(bytes.len() as u64 > limit_bytes / 5, "{}", bytes.len());
    let trace = Trace::read(&bytes);
    let figure = |name: &str| trace.metadata[name].as_f64().unwrap();
    let (length, period) = (figure("excerpt_s"), figure("excerpt_every_s"));
    assert!(length < 60.0 && period < 600.0, "{length} of {period}");
    let end = time(finished.record.end);
    let mut last = 0;
    let requests = trace.with("b").filter(|it| it["name"] == "request");
    let batches = trace
        .with("X")
        .filter(|it| it["args"]["iterations"].is_u64());
    for event in requests.chain(batches) {
        let at = nanos(&event["ts"]);
        assert!((at as f64 / 1e9) % period < length + 1e-6, "{event}");
        last = last.max(at);
    }
    assert!(last > end - end / 10, "the last excerpt begins at {last}");
    assert!(trace.with("f").count() > 10, "arrows within an excerpt");
}

#[test]
fn the_bytes_are_the_same_however_the_run_is_stepped() {
    let (bytes, _) = trace(SERVED, TraceOptions::default(), None);
    assert_eq!(trace(SERVED, TraceOptions::default(), None).0, bytes);
    let stepped = SERVED.replace("name: \"served\",", "name: \"served\", max_tick: 0.37,");
    let (stepped, _) = trace(&stepped, TraceOptions::default(), None);
    let lines = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let events = text.rsplit_once("\n]").unwrap().0;
        events.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(stepped), lines(bytes), "all but the hash");
}

#[test]
fn the_command_line_writes_it_where_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = directory.path().join("served.ron");
    std::fs::write(&scenario, SERVED).unwrap();
    let run = |options: &[&str]| {
        let out = directory.path().join("out");
        let output = fleetsim(["run", "--overwrite", "--out"])
            .arg(&out)
            .args(options)
            .arg(&scenario)
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code(),
            errors,
            std::fs::read(out.join("trace.json")).ok(),
        )
    };
    let (status, _, trace) = run(&["--quiet"]);
    assert_eq!((status, trace), (Some(0), None));
    let (status, errors, trace) = run(&["--quiet", "--perfetto"]);
    assert_eq!((status, &*errors), (Some(0), ""));
    let whole = trace.unwrap();
    assert_eq!(Trace::read(&whole).metadata["requests"], 220);
    let (_, _, trace) = run(&["--perfetto=5..6"]);
    assert!(trace.unwrap().len() < whole.len() / 2);
    let (status, errors, _) = run(&["--perfetto", "--perfetto-limit=0"]);
    assert_eq!(status, Some(0));
    assert!(errors.contains("--perfetto=FROM..UNTIL"), "{errors}");
    let (status, errors, _) = run(&["--perfetto=6..5"]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("FROM..UNTIL"), "{errors}");
}

/// Ready at 15. An attempt fails when its engine has started, six seconds later, or is up.
#[test]
fn the_stages_of_a_start_up_stand_under_its_phase() {
    let scenario = |stages: &str, delay: u32| {
        format!(
            r#"(
                name: "staged", end: 60,
                fleet: [(sku: "dgx-h100", count: 1, provision_delay: Constant(5))],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: Servers(1))],
                    scaling: (scale_up_delay: {delay}, stages: [{stages}], start_up_failure: (probability: 1, attempts: 2)),
                    workload: Host,
                )],
                actions: [(at: 10, action: ScaleUpFull(application: "chat", role: Mixed))],
            )"#
        )
    };
    let life = |stages: &str, delay| {
        let options = TraceOptions::default();
        let (bytes, ..) = trace(&scenario(stages, delay), options, None);
        let trace = Trace::read(&bytes);
        let names = trace.threads();
        let is_life = |it: &(&(u64, u64), &String)| it.1.starts_with("instance_1 chat");
        let (thread, _) = names.iter().find(is_life).unwrap();
        let slices = trace.slices()[thread].clone();
        let seconds = |nanos: u64| nanos / 1_000_000_000;
        let mut slices: Vec<_> = slices
            .into_iter()
            .map(|(start, end, name)| (seconds(start), seconds(end), name))
            .collect();
        slices.sort();
        slices
    };
    let named = |slices: &[(u64, u64, &str)]| -> Vec<(u64, u64, String)> {
        let slices = slices.iter();
        slices
            .map(|&(a, b, name)| (a, b, name.to_owned()))
            .collect()
    };
    let staged = life("StartEngine(time: Constant(6))", 0);
    let expected = [
        (10, 15, "allocate"),
        (10, 37, "scaling_up"),
        (15, 21, "start_engine"),
        (21, 31, "back_off"),
        (31, 37, "start_engine"),
    ];
    assert_eq!(staged, named(&expected));
    let plain = life("", 4);
    let expected = [
        (10, 19, "attempt"),
        (10, 33, "scaling_up"),
        (19, 29, "back_off"),
        (29, 33, "attempt"),
    ];
    assert_eq!(plain, named(&expected));
}
