//! What a run writes: the bytes of each file, the directory's rules, the table.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use fleetsim::catalog::{Processor, Sku};
use fleetsim::fleet::{ScalingAction, ScalingEvent, Target};
use fleetsim::observe::{
    ApplicationRecord, ApplicationStatistics, InstanceUsage, RunRecord, Sample, ScalingCounts,
    ServerUsage, Summary,
};
use fleetsim::report::{
    CsvWriter, Requests, ResultsDirectory, Scaling, Timeline, summary_table, write_summary,
};
use fleetsim::scenario::{Role, Slo};
use fleetsim::serving::{Outcome, Rejection, RequestRecord, Served};
use fleetsim::time::{SimDuration, SimTime};
use serde_json::Value;

#[test]
fn requests_are_rows_with_empty_cells_for_what_is_absent() {
    let mut writer = CsvWriter::<Requests, _>::new(Vec::new(), "requests.csv").unwrap();
    writer.write(("chat", &completed())).unwrap();
    let one_token = RequestRecord {
        id: 8,
        output_tokens: 1,
        token_start: None,
        end: at(1.25),
        token_instance: None,
        ..completed()
    };
    writer.write(("say \"hi\", twice", &one_token)).unwrap();
    let in_flight = RequestRecord {
        end: None,
        token_start: None,
        token_instance: None,
        restarts: 2,
        outcome: Outcome::InFlight,
        details: None,
        ..completed()
    };
    writer.write(("chat", &in_flight)).unwrap();
    writer.write(("chat", &unserved(Outcome::Waiting))).unwrap();
    let rejected = unserved(Outcome::Rejected(Rejection::TooLarge));
    writer.write(("chat", &rejected)).unwrap();
    assert_eq!(
        text(writer.finish().unwrap()),
        "request_id,application,arrival_s,prompt_tokens,output_tokens,queue_s,ttft_s,tbt_s,e2e_s,\
         second_token_s,prompt_instance,token_instance,outcome,restarts,preemptions,cached_tokens,max_tbt_s,\
         priority,session\n\
         7,chat,1,100,5,0.0000020000000000575113,0.25,0.1,0.75,0.125,3,4,completed,0,,,,,\n\
         8,\"say \"\"hi\"\", twice\",1,100,1,0.0000020000000000575113,0.25,0,0.25,,3,3,completed,0,,,,,\n\
         7,chat,1,100,5,0.0000020000000000575113,0.25,,,,3,,in_flight,2,,,,,\n\
         9,chat,0.1,100,5,,,,,,,,waiting,0,,,,,\n\
         9,chat,0.1,100,5,,,,,,,,rejected:too_large,0,,,,,\n"
    );
}

#[test]
fn scaling_events_are_rows() {
    let mut writer = CsvWriter::<Scaling, _>::new(Vec::new(), "scaling.csv").unwrap();
    for (seconds, action, target, status) in [
        (
            0.5,
            ScalingAction::ScaleUpServer,
            Target::Server(2),
            "active",
        ),
        (
            10.0,
            ScalingAction::ScaleUpStart,
            Target::Instance(12),
            "scaling_up",
        ),
        (1e7, ScalingAction::ScaleUpFailed, Target::NoServer, "none"),
    ] {
        let time = SimTime::saturating(seconds);
        writer
            .write(&ScalingEvent {
                fleet: 0,
                time,
                action,
                target,
                status,
            })
            .unwrap();
    }
    assert_eq!(
        text(writer.finish().unwrap()),
        "time,action,target,status\n\
         0.5,scale_up_server,server_2,active\n\
         10,scale_up_start,instance_12,scaling_up\n\
         10000000,scale_up_failed,server,none\n"
    );
}

#[test]
fn samples_are_rows() {
    let mut writer = CsvWriter::<Timeline, _>::new(Vec::new(), "timeline.csv").unwrap();
    writer
        .write(&Sample {
            time: SimTime::saturating(30.0),
            application: "chat".into(),
            role: Role::Token,
            scaling_up: 1,
            active: 2,
            draining: 3,
            servers: 4,
            waiting: 5,
            queued: 6,
            running: 7,
            prompt_tokens_per_s: 0.0,
            output_tokens_per_s: 812.5,
            utilisation: f64::NAN,
            memory_used_bytes: 8,
            memory_bytes: Some(687_194_767_360),
            kv_used_bytes: 3,
            kv_bytes: Some(687_194_767_355),
            prefix_queries: 8,
            prefix_hits: 6,
            prefix_hit_rate: Some(0.75),
            preemptions: 9,
        })
        .unwrap();
    assert_eq!(
        text(writer.finish().unwrap()),
        "time,application,role,scaling_up,active,draining,servers,waiting,queued,running,\
         prompt_tokens_per_s,output_tokens_per_s,utilisation,memory_used_bytes,memory_bytes,\
         kv_used_bytes,kv_bytes,kv_usage,prefix_hit_rate,preemptions\n\
         30,chat,Token,1,2,3,4,5,6,7,0,812.5,,8,687194767360,3,687194767355,0.0000000000043655745685418194,0.75,9\n"
    );
}

#[test]
fn a_directory_in_use_is_refused_and_only_results_are_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("results").join("run");
    let results = ResultsDirectory::create(&path, false).unwrap();
    results.csv::<Requests>().unwrap().finish().unwrap();
    results.csv::<Scaling>().unwrap().finish().unwrap();
    results.csv::<Timeline>().unwrap().finish().unwrap();
    results.write_summary(&run("chat").summarise()).unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    assert_eq!(fs::read_dir(results.path()).unwrap().count(), 5);

    let refused = ResultsDirectory::create(&path, false)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("--overwrite") && refused.contains("run"),
        "{refused}"
    );
    assert!(
        path.join("requests.csv").exists(),
        "a refusal leaves all as it is"
    );

    ResultsDirectory::create(&path, true).unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(path.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn what_is_in_the_way_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    fs::write(&path, "").unwrap();
    let error = ResultsDirectory::create(&path, true)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not a directory"), "{error}");

    let results = ResultsDirectory::create(parent.path().join("run"), false).unwrap();
    fs::create_dir(results.path().join("scaling.csv")).unwrap();
    let error = results.csv::<Scaling>().unwrap_err().to_string();
    assert!(error.contains("scaling.csv: cannot create"), "{error}");
    let error = ResultsDirectory::create(results.path(), true)
        .unwrap_err()
        .to_string();
    assert!(error.contains("scaling.csv: cannot remove"), "{error}");
}

/// A disk with room for so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let complains = |error: String| {
        assert!(error.starts_with("out/file: cannot write:"), "{error}");
        assert!(error.contains("free some space"), "{error}");
    };
    let mut writer = CsvWriter::<Requests, _>::new(Disk(500_000), "out/file").unwrap();
    let failed = (0..100_000).find_map(|_| writer.write(("chat", &completed())).err());
    complains(failed.expect("the disk is too small").to_string());

    let mut writer = CsvWriter::<Requests, _>::new(Disk(100), "out/file").unwrap();
    writer.write(("chat", &completed())).unwrap();
    complains(
        writer
            .finish()
            .err()
            .expect("the disk is too small")
            .to_string(),
    );

    let summary = run("chat").summarise();
    let error = write_summary(Disk(100), Path::new("out/file"), &summary).unwrap_err();
    complains(error.to_string());
}

#[test]
fn the_summary_has_the_keys_of_the_contract() {
    let summary = run("chat").summarise();
    let mut bytes = Vec::new();
    write_summary(&mut bytes, Path::new("summary.json"), &summary).unwrap();
    assert_eq!(serde_json::from_slice::<Summary>(&bytes).unwrap(), summary);

    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["scenario"], "quickstart");
    assert_eq!(json["hash"], "abc");
    assert_eq!(json["seed"], 42);
    assert_eq!(json["fleetsim_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["end_s"], 3600.0);
    assert_eq!(json["partial"], false);
    assert_eq!(json["partial_reason"], Value::Null);

    let chat = &json["applications"][0];
    assert_eq!(chat["name"], "chat");
    keys(
        &chat["requests"],
        "arrived completed evicted failed in_flight lost_tokens moved rejected restarted waiting",
    );
    assert_eq!(chat["requests"]["rejected"]["too_large"], 1);
    keys(
        &chat["throughput"],
        "output_tokens_per_s prompt_tokens_per_s requests_per_s",
    );
    keys(&chat["slo"], "attainment goodput_per_s limits");
    keys(
        &chat["metrics"],
        "e2e_s queue_s second_token_s tbt_s ttft_s",
    );
    for metric in chat["metrics"].as_object().unwrap().values() {
        keys(
            metric,
            "count geomean max mean mean_half_width min p50 p90 p95 p99 p999 percentile_error std",
        );
    }
    keys(
        &chat["instances"][0],
        "active_s draining_s gpu_hours mean peak processors prompt_busy_s role scaling_up_s sku \
         token_busy_s",
    );
    assert_eq!(chat["instances"][0]["role"], "Prompt");
    keys(
        &json["fleet"],
        "cost cost_per_day cost_per_million_output_tokens cost_per_million_tokens cost_per_month \
         energy_kwh gpu_hours scaling_events server_hours servers",
    );
    keys(
        &json["fleet"]["servers"][0],
        "cost energy_kwh gpu_hours mean peak server_hours sku",
    );
    let events = json["fleet"]["scaling_events"].as_object().unwrap();
    for action in ScalingAction::ALL {
        assert!(events.contains_key(action.name()), "{}", action.name());
    }
}

#[test]
fn a_run_of_nothing_has_null_for_what_is_not_known() {
    let empty = RunRecord {
        stopped: Some("interrupted".to_owned()),
        applications: vec![ApplicationRecord {
            name: "idle".into(),
            statistics: ApplicationStatistics::default(),
            instances: Vec::new(),
            step_times: Vec::new(),
            start_up: Vec::new(),
            start_up_attempts: None,
            resilience: None,
        }],
        ..RunRecord::default()
    };
    let mut bytes = Vec::new();
    write_summary(&mut bytes, Path::new("summary.json"), &empty.summarise()).unwrap();
    let written = text(bytes);
    assert!(!written.contains("NaN") && !written.contains("inf") && !written.contains("-0"));
    let json: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(json["partial_reason"], "interrupted");
    let idle = &json["applications"][0];
    assert_eq!(idle["metrics"]["ttft_s"]["count"], 0);
    assert_eq!(idle["metrics"]["ttft_s"]["mean"], Value::Null);
    assert_eq!(idle["slo"]["attainment"], Value::Null);
    assert_eq!(idle["throughput"]["requests_per_s"], 0.0);

    let table = summary_table(&empty.summarise());
    assert!(table.contains("interrupted"), "{table}");
}

#[test]
fn the_table_answers_in_order_and_fits() {
    let table = summary_table(&run("chat").summarise());
    let place = |what: &str| {
        table
            .find(what)
            .unwrap_or_else(|| panic!("no {what:?} in\n{table}"))
    };
    let places = [
        "met by 50.00 % of requests",
        "TTFT          0.2500",
        "8.000 GPU-hours",
        "98.32 dollars",
        "mean 0.5000, peak 2",
        "scale_up_start 1",
        "a request: 0.0 % queued, 33.3 % prompt, 16.7 % to its second token, 50.0 % tokens",
        "Prompt instances on dgx-h100: 5.6 % prompts, 0.0 % tokens alone, 93.9 % idle, 0.6 %",
        "2 arrived: 1 completed",
        "(too_large 1)",
    ]
    .map(place);
    assert!(places.is_sorted(), "{table}");

    let long = "a name that goes on and on without telling anyone anything at all ".repeat(3);
    let mut wide = run(&long);
    wide.applications.push(wide.applications[0].clone());
    wide.scenario = long.replace(' ', "_");
    wide.stopped = Some(long);
    (0..1_000_000).for_each(|_| wide.scaling.record(ScalingAction::ScaleDownServerInvalid));
    for table in [table, summary_table(&wide.summarise())] {
        for line in table.lines() {
            assert!(line.chars().count() <= 100, "too wide:\n{table}");
        }
    }
}

#[test]
fn several_applications_have_a_total() {
    assert_eq!(run("chat").summarise().total, None);
    let mut several = run("chat");
    let mut without_objective = ApplicationStatistics::new(Slo::default());
    (0..7).for_each(|_| without_objective.record(&completed()));
    for statistics in [
        several.applications[0].statistics.clone(),
        without_objective,
    ] {
        several.applications.push(ApplicationRecord {
            statistics,
            ..several.applications[0].clone()
        });
    }
    let summary = several.summarise();
    let total = summary.total.as_ref().unwrap();
    assert_eq!((total.requests.arrived, total.requests.completed), (11, 9));
    assert_eq!(total.metrics.ttft_s.count, 9);
    assert_eq!(total.throughput.requests_per_s, 9.0 / 3600.0);
    assert_eq!(
        total.slo.attainment,
        Some(0.5),
        "of those with an objective"
    );
    assert_eq!(total.slo.goodput_per_s, Some(2.0 / 3600.0));
    let table = summary_table(&summary);
    for expected in [
        "all applications",
        "SLO of each application: met by 50.00 % of requests",
        "11 arrived: 9 completed",
    ] {
        assert!(table.contains(expected), "{table}");
    }
}

fn keys(object: &Value, expected: &str) {
    let object = object.as_object().expect("the contract has an object here");
    let mut keys: Vec<_> = object.keys().cloned().collect();
    keys.sort();
    assert_eq!(keys.join(" "), expected);
}

/// One completed request, one rejected, one instance for half of an hour.
fn run(application: &str) -> RunRecord {
    let mut statistics = ApplicationStatistics::new(Slo {
        ttft: Some(SimDuration::saturating(2.0)),
        ..Slo::default()
    });
    statistics.record(&completed());
    statistics.record(&unserved(Outcome::Rejected(Rejection::TooLarge)));
    let mut scaling = ScalingCounts::default();
    scaling.record(ScalingAction::ScaleUpStart);
    RunRecord {
        warnings: Default::default(),
        scenario: "quickstart".to_owned(),
        hash: "abc".to_owned(),
        seed: 42,
        percentiles: vec![50.0, 95.0, 99.0],
        end: SimTime::saturating(3600.0),
        stopped: None,
        regions: Vec::new(),
        applications: vec![ApplicationRecord {
            name: application.into(),
            statistics,
            instances: vec![InstanceUsage {
                role: Role::Prompt,
                sku: "dgx-h100".into(),
                processors: 8,
                scaling_up_s: 10.0,
                active_s: 1780.0,
                draining_s: 10.0,
                prompt_busy_s: 100.0,
                token_busy_s: 0.0,
                peak: 2,
            }],
            step_times: Vec::new(),
            start_up: Vec::new(),
            start_up_attempts: None,
            resilience: None,
        }],
        servers: vec![ServerUsage {
            sku: Arc::new(Sku {
                name: "dgx-h100".to_owned(),
                processor: "h100".to_owned(),
                processors: 8,
                idle_power_w: 2000.0,
                price_per_hour: Some(98.32),
                ..Sku::default()
            }),
            processor: Arc::new(Processor {
                name: "h100".to_owned(),
                memory_bytes: 80 << 30,
                idle_power_w: 100.0,
                prompt_power_w: 700.0,
                token_power_w: 500.0,
                ..Processor::default()
            }),
            seconds: 3600.0,
            peak: 1,
            bills: Vec::new(),
        }],
        deserted: None,
        faults: None,
        power_cap: None,
        scaling,
    }
}

fn completed() -> RequestRecord {
    RequestRecord {
        id: 7,
        arrival: SimTime::saturating(1.0),
        prompt_start: at(1.000_002),
        first_token: at(1.25),
        token_start: at(1.375),
        end: at(1.75),
        prompt_instance: Some(3),
        token_instance: Some(4),
        ..unserved(Outcome::Completed)
    }
}

fn unserved(outcome: Outcome) -> RequestRecord {
    RequestRecord {
        id: 9,
        arrival: SimTime::saturating(0.1),
        prompt_tokens: 100,
        output_tokens: 5,
        prompt_start: None,
        first_token: None,
        token_start: None,
        end: None,
        frontend: SimDuration::ZERO,
        prompt_instance: None,
        token_instance: None,
        restarts: 0,
        served: Served::default(),
        outcome,
        details: None,
    }
}

fn at(seconds: f64) -> Option<SimTime> {
    Some(SimTime::saturating(seconds))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("results are text")
}
