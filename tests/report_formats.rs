//! The formats beside CSV: JSON Lines, OpenMetrics, and Parquet where its feature is on.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use fleetsim::observe::Rows;
use fleetsim::report::{CsvWriter, Exposition, JsonLinesWriter, Requests};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;

const SCENARIO: &str = r#"(
    name: "formats",
    end: 60.0,
    fleet: [(sku: "dgx-h100", count: 2)],
    applications: [(
        name: "a \"quoted\" name",
        model: "llama2-70b",
        scheduler: KvJsq(transfer_gib_per_s: 200.0),
        instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(1))],
        workload: Synthetic(
            arrivals: Poisson(rate: 2.0),
            prompt_tokens: Constant(1000),
            output_tokens: Constant(100),
        ),
    )],
)"#;

const NAME: &str = "a \"quoted\" name";

/// What a run leaves, tick by tick.
fn run() -> (CheckedScenario, Vec<Rows>) {
    let checked = CheckedScenario::from_ron(SCENARIO, ".".as_ref()).expect("it is fine");
    let mut simulation = Simulation::new(&checked).expect("it is fine");
    let mut rows = Vec::new();
    loop {
        let more = simulation.tick().expect("time goes on");
        rows.push(simulation.take_rows());
        if !more {
            break;
        }
    }
    rows.push(simulation.finish().rows);
    (checked, rows)
}

#[test]
fn json_lines_hold_what_the_table_holds() {
    let (_, rows) = run();
    let mut csv = CsvWriter::<Requests, _>::new(Vec::new(), "requests.csv").unwrap();
    let mut json = JsonLinesWriter::<Requests, _>::new(Vec::new(), "requests.jsonl");
    for (_, request) in rows.iter().flat_map(|it| &it.requests) {
        csv.write((NAME, request)).unwrap();
        json.write((NAME, request)).unwrap();
    }
    let (csv, json) = (csv.finish().unwrap(), json.finish().unwrap());
    let mut csv = csv::Reader::from_reader(&*csv);
    let names = csv.headers().unwrap().clone();
    let lines = std::str::from_utf8(&json).unwrap().lines();
    let mut compared = 0;
    for (row, line) in csv.records().zip(lines) {
        let object: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        let keys: Vec<_> = object.keys().map(String::as_str).collect();
        let mut columns: Vec<_> = names.iter().collect();
        columns.sort_unstable();
        assert_eq!(keys, columns);
        for (name, cell) in names.iter().zip(&row.unwrap()) {
            match &object[name] {
                serde_json::Value::Null => assert_eq!(cell, ""),
                serde_json::Value::String(text) => assert_eq!(cell, text),
                number => assert_eq!(number.as_f64(), Some(cell.parse().unwrap()), "{name}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared} cells");
}

/// The value of a metric at each scrape.
fn values(text: &str, metric: &str) -> Vec<(f64, f64)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
    let lines = lines.filter_map(|rest| rest.rsplit_once("} "));
    lines
        .map(|(_, rest)| {
            let (value, time) = rest.split_once(' ').expect("a time follows");
            (
                time.parse().expect("a number"),
                value.parse().expect("a number"),
            )
        })
        .collect()
}

#[test]
fn a_run_is_exposed_with_the_names_of_vllm() {
    let (checked, rows) = run();
    let expose = |rows: &[Rows]| {
        let mut exposition = Exposition::new(checked.scenario());
        rows.iter()
            .for_each(|rows| exposition.add(rows, &[NAME.to_owned()]));
        let mut text = Vec::new();
        exposition
            .write(&mut text, "metrics.prom".as_ref())
            .unwrap();
        String::from_utf8(text).unwrap()
    };
    let text = expose(&rows);
    assert!(text.ends_with("# EOF\n"));
    let labels = r#"{application="a \"quoted\" name",model_name="llama2-70b",role="Token"}"#;
    assert!(
        text.contains(&format!("vllm:num_requests_running{labels} 0 0\n")),
        "{text}"
    );

    // A scrape at each sample: 0, 10, .. 60.
    let running = values(
        &text,
        "vllm:num_requests_running{application=\"a \\\"quoted\\\" name\",model_name=\"llama2-70b\",role=\"Token\"",
    );
    let times: Vec<f64> = running.iter().map(|it| it.0).collect();
    assert_eq!(times, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);

    // Histograms are cumulative, in bounds and in time, and count what was completed.
    let requests = || rows.iter().flat_map(|it| &it.requests).map(|it| &it.1);
    let done = |by: f64| requests().filter(move |it| it.end.is_some_and(|end| end.seconds() <= by));
    let counts = values(&text, "vllm:time_to_first_token_seconds_count");
    assert_eq!(counts.len(), 7);
    for (time, count) in counts {
        assert_eq!(count, done(time).count() as f64, "at {time}");
    }
    let total = done(60.0).count() as f64;
    let buckets: Vec<_> = text
        .lines()
        .filter(|it| {
            it.starts_with("vllm:e2e_request_latency_seconds_bucket") && it.ends_with(" 60")
        })
        .map(|line| line.split("} ").nth(1).unwrap().split(' ').next().unwrap())
        .map(|count| count.parse::<f64>().unwrap())
        .collect();
    assert!(
        buckets.is_sorted() && buckets.last() == Some(&total),
        "{buckets:?}"
    );
    let tokens = values(&text, "vllm:inter_token_latency_seconds_count");
    assert_eq!(tokens.last(), Some(&(60.0, total * 99.0)));
    let sum: f64 = done(60.0).map(|it| it.ttft().unwrap().seconds()).sum();
    let exposed = values(&text, "vllm:time_to_first_token_seconds_sum")
        .last()
        .unwrap()
        .1;
    assert!((exposed / sum - 1.0).abs() < 1e-12);
    let generated = values(&text, "vllm:generation_tokens_total");
    assert!(generated.iter().all(|it| it.1.fract() == 0.0));

    // However the rows are handed over.
    let mut at_once = Rows::default();
    for rows in rows {
        at_once.requests.extend(rows.requests);
        at_once.samples.extend(rows.samples);
    }
    assert_eq!(expose(&[at_once]), text);
}

#[test]
fn scrapes_are_thinned_out_so_that_memory_stays_constant() {
    let (checked, rows) = run();
    let mut exposition = Exposition::new(checked.scenario());
    let sample = rows
        .iter()
        .find_map(|it| it.samples.first())
        .unwrap()
        .clone();
    for second in 0..10_000 {
        let time = fleetsim::time::SimTime::saturating(f64::from(second));
        let samples = vec![fleetsim::observe::Sample {
            time,
            ..sample.clone()
        }];
        let rows = Rows {
            samples,
            ..Rows::default()
        };
        exposition.add(&rows, &[NAME.to_owned()]);
    }
    let mut text = Vec::new();
    exposition
        .write(&mut text, "metrics.prom".as_ref())
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let times: Vec<f64> = values(&text, "fleetsim:instances_active")
        .iter()
        .map(|it| it.0)
        .collect();
    let expected: Vec<f64> = (0..2500).map(|n| f64::from(n * 4)).collect();
    assert_eq!(times, expected);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_what_the_table_holds() {
    use fleetsim::report::ParquetWriter;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let (_, rows) = run();
    let mut writer =
        ParquetWriter::<Requests, _>::new(tempfile::tempfile().unwrap(), "requests.parquet")
            .unwrap();
    let requests: Vec<_> = rows.iter().flat_map(|it| &it.requests).collect();
    // More than one group of rows.
    let copies = 100_000 / requests.len() + 1;
    for (_, request) in (0..copies).flat_map(|_| &requests) {
        writer.write((NAME, request)).unwrap();
    }
    let reader = SerializedFileReader::new(writer.finish().unwrap()).unwrap();
    assert!(reader.num_row_groups() > 1);
    let mut read = 0;
    for (row, (_, request)) in reader
        .get_row_iter(None)
        .unwrap()
        .zip((0..copies).flat_map(|_| &requests))
    {
        let row = row.unwrap();
        assert_eq!(row.get_long(0).unwrap(), request.id.cast_signed());
        assert_eq!(row.get_string(1).unwrap(), NAME);
        assert_eq!(row.get_double(2).unwrap(), request.arrival.seconds());
        match request.ttft() {
            Some(ttft) => assert_eq!(row.get_double(6).unwrap(), ttft.seconds()),
            None => assert!(row.get_double(6).is_err()),
        }
        read += 1;
    }
    assert_eq!(read, copies * requests.len());
}

#[cfg(feature = "parquet")]
#[test]
fn a_sweep_as_parquet_holds_what_its_table_holds() {
    use std::num::NonZero;
    use std::sync::Mutex;

    use fleetsim::autoscale::PolicyRegistry;
    use fleetsim::report::ResultsDirectory;
    use fleetsim::study::sweep::{self, Done, Heading, Plan, SweepFollower, SweepResult};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    #[derive(Default)]
    struct All(Mutex<Vec<Done>>);
    impl SweepFollower for All {
        fn ended(&self, done: &Done) -> Result<(), String> {
            self.0.lock().unwrap().push(done.clone());
            Ok(())
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("base.ron", SCENARIO);
    write(
        "sweep.ron",
        r#"(scenario: "base.ron", axes: [
            Grid(path: "applications[0].workload.arrivals", values: [Poisson(rate: 1), Poisson(rate: 3)]),
            Grid(path: "end", values: [20, 30.5]),
            Seeds(2),
        ])"#,
    );
    let registry = PolicyRegistry::built_in();
    let plan = Plan::load(&folder.path().join("sweep.ron"), &registry).unwrap();
    let runs: Vec<usize> = (0..plan.runs()).collect();
    let all = All::default();
    sweep::run(&plan, &runs, &registry, NonZero::<usize>::MIN, &all).unwrap();
    let result = SweepResult::new(Heading::of(&plan, None), all.0.into_inner().unwrap());
    let results = ResultsDirectory::create(folder.path().join("out"), false).unwrap();
    results.write_sweep(&result).unwrap();
    results.write_sweep_parquet(&result).unwrap();

    let file = std::fs::File::open(results.path().join("sweep.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut csv = csv::Reader::from_path(results.path().join("sweep.csv")).unwrap();
    let names = csv.headers().unwrap().clone();
    let mut compared = 0;
    for (row, record) in reader.get_row_iter(None).unwrap().zip(csv.records()) {
        let (row, record) = (row.unwrap(), record.unwrap());
        for (((name, field), column), cell) in row.get_column_iter().zip(&names).zip(&record) {
            assert_eq!(name, column);
            match field {
                Field::Null => assert_eq!(cell, "", "{name}"),
                Field::Long(value) => assert_eq!(cell, value.to_string(), "{name}"),
                Field::Double(value) => assert_eq!(cell.parse(), Ok(*value), "{name}"),
                Field::Str(text) => assert_eq!(cell, text, "{name}"),
                other => panic!("{name}: {other}"),
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 8 * names.len());
}
