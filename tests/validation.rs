//! Measurements of real servers, read, simulated and compared; coefficients fitted to them.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use fleetsim::calibration::{calibrate, catalog_file};
use fleetsim::catalog::{Catalog, Layer, Parallelism};
use fleetsim::measured::import::{self, Served};
use fleetsim::measured::{Arrivals, Row, StepRow};
use fleetsim::serving::{Roofline, StepModel};
use fleetsim::validation::{
    ErrorSpread, Figure, Measurements, Options, Validated, tables, validate, write_csv,
};

mod shared;

const AUTO: Options = Options {
    layer: Layer::Auto,
    threads: 2,
};

fn read(file: &Path) -> Measurements {
    Measurements::read(&[file.to_owned()], &Served::default()).unwrap_or_else(|it| panic!("{it}"))
}

fn written(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

const HEADER: &str = "id,model,gpu,gpus,tp,engine,precision,arrivals,request_rate,concurrency,requests,\
                      prompt_tokens,output_tokens,tpot_mean_ms,e2e_mean_ms,use,notes\n";

#[test]
fn a_row_made_by_the_simulation_itself_is_met_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let served = "llama-3.1-8b,h100-sxm,1,1,vllm,bf16";
    let unmeasured = format!(
        "{HEADER}loop,{served},closed,,16,80,1000,200,1,1,yes,\n\
         rate,{served},\"open, constant rate\",4,,,500,100,1,1,yes,\n"
    );
    let catalog = Catalog::built_in();
    let first = validate(
        &read(&written(&directory, "a.csv", &unmeasured)),
        &catalog,
        AUTO,
    );
    let mut text = HEADER.to_owned();
    for of in &first {
        let it = of.result.as_ref().unwrap().figures;
        let (tpot, e2e) = (it.tpot.mean.unwrap(), it.e2e.mean.unwrap());
        let how = match of.row.arrivals {
            Arrivals::Closed => "closed,,16,80,1000,200",
            _ => "\"open, constant rate\",4,,,500,100",
        };
        text += &format!("{},{served},{how},{tpot},{e2e},yes,\n", of.row.id);
    }
    let second = validate(&read(&written(&directory, "b.csv", &text)), &catalog, AUTO);
    assert_eq!(second.len(), 2);
    for of in &second {
        let errors = of.result.as_ref().unwrap().errors;
        assert!(errors.tpot.unwrap().abs() < 1e-9, "{errors:?}");
        assert!(errors.e2e.unwrap().abs() < 1e-9, "{errors:?}");
        assert_eq!(errors.ttft, None);
    }
}

#[test]
fn the_order_and_the_figures_do_not_depend_on_the_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = HEADER.to_owned();
    for users in [1, 4, 16, 64] {
        text += &format!(
            "u{users},qwen3-8b,l40s,1,1,vllm,bf16,closed,,{users},{},300,50,20,1000,yes,\n",
            users * 5
        );
    }
    let measurements = read(&written(&directory, "a.csv", &text));
    let csv = |threads| {
        let options = Options { threads, ..AUTO };
        let validated = validate(&measurements, &Catalog::built_in(), options);
        let mut bytes = Vec::new();
        write_csv(&validated, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let one = csv(1);
    assert_eq!(one, csv(3));
    let mut lines = one.lines();
    assert_eq!(
        lines.next().unwrap(),
        "id,source,gpu,model,engine,mode,tpot_error,itl_error,ttft_error,e2e_error,\
         throughput_error,layer,skipped"
    );
    let first: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(first[0], "u1");
    assert_eq!(first[7], "", "ITL was not measured");
    assert!(first[11].starts_with("own:") || first[11].starts_with("generic:"));
}

#[test]
fn rows_that_cannot_be_compared_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let row = |id: &str, rest: &str| format!("{id},{rest}\n");
    let text = [
        HEADER.to_owned(),
        row(
            "a",
            "llama-3.1-8b,h100-sxm,1,1,vllm,bf16,closed,,4,20,100,10,1,1,saturated,",
        ),
        row(
            "b",
            "llama-9,h100-sxm,1,1,vllm,bf16,closed,,4,20,100,10,1,1,yes,",
        ),
        row(
            "c",
            "llama-3.1-8b,h100-sxm,8,,vllm,bf16,closed,,4,20,100,10,1,1,yes,",
        ),
        row(
            "d",
            "llama-3.1-405b,h100-sxm,1,1,vllm,bf16,closed,,4,20,100,10,1,1,yes,",
        ),
        row(
            "e",
            "llama-3.1-8b,h100-sxm,1,1,vllm,bf16,closed,,4,20,100,10,1,1,yes,--pp-size 2",
        ),
        row(
            "f",
            "llama-3.1-8b,h100-sxm,1,1,vllm,,closed,,4,20,100,10,1,1,yes,",
        ),
        row(
            "g",
            "llama-3.1-8b,h100-sxm,1,1,vllm,bf16,closed,,4,20,,10,1,1,yes,",
        ),
    ]
    .concat();
    let validated = validate(
        &read(&written(&directory, "a.csv", &text)),
        &Catalog::built_in(),
        AUTO,
    );
    let reasons: Vec<&str> = validated
        .iter()
        .map(|it| it.result.as_ref().unwrap_err().as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "use: saturated",
            "model or gpu not in the catalog",
            "parallelism not stated",
            "weights do not fit by the memory rule",
            "pipeline parallel",
            "precision unknown",
            "lengths not stated",
        ]
    );
    let told = tables(&validated);
    assert!(told.contains("use: saturated"), "{told}");
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    for (text, part) in [
        (
            HEADER.replace("precision", "precison"),
            ":1: unknown column `precison`; did you mean `precision`?",
        ),
        (
            format!("{HEADER}a,m,g,1,1,vllm,bf16,sometimes,,4,20,100,10,1,1,yes,\n"),
            ":2: arrivals is `sometimes`: expected `closed`",
        ),
        (
            format!("{HEADER}a,m,g,1,1,vllm,bf16,closed,,4,20,-5,10,1,1,yes,\n"),
            ":2: prompt_tokens is `-5`: expected a number, 0 or more",
        ),
        (
            format!("{HEADER}a,m,g,1.5,1,vllm,bf16,closed,,4,20,5,10,1,1,yes,\n"),
            ":2: gpus is `1.5`: expected a whole number",
        ),
    ] {
        let path = written(&directory, "a.csv", &text);
        let error = Row::read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let steps = "model,gpu,precision,tp,prefill_tokens,decode_seqs,context,ms\n";
    for (row, part) in [
        (
            "m,g,bf16,1,0,4,,2.5",
            "context is ``: expected the mean context",
        ),
        ("m,g,bf16,1,0,0,,2.5", "expected a step with tokens"),
        ("m,g,bf16,1,16,0,,0", "ms is `0`: expected more than 0"),
        ("m,g,bf16,0,16,0,,1", "tp is `0`: expected at least 1"),
    ] {
        let path = written(&directory, "s.csv", &format!("{steps}{row}\n"));
        let error = StepRow::read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn reports_of_load_generators_are_read_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served {
        gpu: Some("h100-sxm".to_owned()),
        precision: Some("bf16".to_owned()),
        ..Served::default()
    };
    let of = |name: &str, text: &str| {
        let rows = import::read(&written(&directory, name, text), &served);
        rows.unwrap_or_else(|it| panic!("{it}"))
    };
    let vllm = of(
        "vllm.json",
        r#"{"date": "20260101-120000", "backend": "vllm", "model_id": "meta-llama/Llama-3.1-8B-Instruct",
            "num_prompts": 100, "request_rate": "inf", "max_concurrency": 8, "duration": 50.0, "completed": 100,
            "total_input_tokens": 51200, "total_output_tokens": 12800, "request_throughput": 2.0,
            "output_throughput": 256.0, "mean_ttft_ms": 30.0, "median_ttft_ms": 28.0, "p99_ttft_ms": 60.0,
            "mean_tpot_ms": 7.0, "median_tpot_ms": 7.0, "p99_tpot_ms": 8.0, "mean_itl_ms": 7.0,
            "median_itl_ms": 6.9, "p99_itl_ms": 12.0}"#,
    );
    let row = &vllm[0];
    assert_eq!(
        (row.model.as_str(), row.gpu.as_str()),
        ("llama-3.1-8b", "h100-sxm")
    );
    assert_eq!((row.arrivals, row.concurrency), (Arrivals::Closed, Some(8)));
    assert_eq!((row.prompt_tokens, row.output_tokens), (512.0, 128.0));
    assert_eq!((row.ttft.mean, row.ttft.p99), (Some(30.0), Some(60.0)));
    let guidellm = of(
        "guidellm.json",
        r#"{"benchmarks": [{"benchmarker": {"backend": {"model": "Qwen/Qwen3-8B"}}, "config": {"strategy": {"type_": "constant", "rate": 2.5}}, "metrics": {
            "prompt_token_count": {"successful": {"mean": 256.0}}, "output_token_count": {"successful": {"mean": 64.0}},
            "time_to_first_token_ms": {"successful": {"mean": 25.0, "median": 24.0, "percentiles": {"p90": 30.0, "p99": 40.0}}},
            "inter_token_latency_ms": {"successful": {"mean": 8.0, "median": 8.0}},
            "request_latency": {"successful": {"mean": 0.53, "median": 0.52, "count": 75}}}}]}"#,
    );
    let row = &guidellm[0];
    assert_eq!(
        (row.arrivals, row.request_rate),
        (Arrivals::Constant, Some(2.5))
    );
    assert_eq!(
        (row.e2e.mean, row.ttft.p90, row.tpot.mean),
        (Some(530.0), Some(30.0), Some(8.0))
    );
    // As version 0.6 writes them: more of everything, sums of tokens without their mean.
    let newer = of(
        "guidellm_0_6.json",
        r#"{"type_": "generative_benchmarks_report", "metadata": {"version": 1, "guidellm_version": "0.6.0"},
            "args": {"profile": "concurrent", "rate": [16], "backend": "openai_http", "max_seconds": 60},
            "benchmarks": [{"type_": "generative_benchmark", "run_index": 0,
              "config": {"strategy": {"type_": "concurrent", "worker_count": 4, "max_concurrency": 16, "streams": 16},
                         "backend": {"target": "http://localhost:8000", "model": "Qwen/Qwen3-8B", "http2": true},
                         "profile": {"type_": "concurrent"}},
              "scheduler_state": {"num_processes": 4, "created_requests": 210, "successful_requests": 200},
              "metrics": {"request_totals": {"successful": 200, "errored": 4, "incomplete": 6, "total": 210},
                "requests_per_second": {"successful": {"mean": 3.3, "median": 3.2}, "total": {"mean": 3.5}},
                "prompt_token_count": {"successful": {"total_sum": 102400, "count": 200}},
                "output_token_count": {"successful": {"total_sum": 25600, "count": 200}},
                "output_tokens_per_second": {"successful": {"mean": 422.4}},
                "time_to_first_token_ms": {"successful": {"mean": 41.0, "median": 38.0, "std_dev": 9.0,
                    "percentiles": {"p50": 38.0, "p90": 52.0, "p99": 77.5}}, "errored": {"mean": 190.0}},
                "time_per_output_token_ms": {"successful": {"mean": 8.4}},
                "inter_token_latency_ms": {"successful": {"mean": 8.1, "median": 8.0, "percentiles": {"p99": 9.5}}},
                "request_latency": {"successful": {"mean": 1.07, "median": 1.06, "percentiles": {"p99": 1.4}}}}}]}"#,
    );
    let row = &newer[0];
    assert_eq!(
        (row.model.as_str(), row.concurrency, row.requests),
        ("qwen3-8b", Some(16), Some(200))
    );
    assert_eq!((row.prompt_tokens, row.output_tokens), (512.0, 128.0));
    assert_eq!(
        (row.ttft.p99, row.tpot.mean, row.e2e.p99),
        (Some(77.5), Some(8.1), Some(1400.0))
    );
    // As its documentation shows the file: with the mode of the loop, errors, and figures of the GPUs.
    let loops = of(
        "loop_aiperf.json",
        r#"{"request_throughput": {"unit": "requests/sec", "avg": 13.1},
            "request_latency": {"unit": "ms", "avg": 6550.0, "p50": 5800.0, "p90": 8594.0, "p99": 9381.0, "std": 1171.0},
            "time_to_first_token": {"unit": "ms", "avg": 1588.0, "p50": 787.0, "p95": 4051.0},
            "inter_token_latency": {"unit": "ms", "avg": 51.7, "p50": 52.0, "p99": 55.8},
            "input_sequence_length": {"unit": "tokens", "avg": 550.0}, "output_sequence_length": {"unit": "tokens", "avg": 96.85},
            "output_token_throughput": {"unit": "tokens/sec", "avg": 1275.0},
            "benchmark_duration": {"unit": "sec", "avg": 15.2}, "request_count": {"unit": "requests", "avg": 200.0},
            "was_cancelled": false, "error_summary": [], "goodput": null, "error_request_count": null,
            "telemetry_data": {"endpoints": {}},
            "input_config": {"endpoint": {"model_names": ["openai/gpt-oss-20b"], "type": "chat", "streaming": true},
              "loadgen": {"concurrency": 100, "request_rate_mode": "concurrency_burst", "request_count": 200}}}"#,
    );
    let row = &loops[0];
    assert_eq!(
        (row.model.as_str(), row.arrivals, row.concurrency),
        ("gpt-oss-20b", Arrivals::Closed, Some(100))
    );
    assert_eq!((row.ttft.p90, row.e2e.p90), (None, Some(8594.0)));
    let aiperf = of(
        "profile_export_aiperf.json",
        r#"{"input_config": {"endpoint": {"model_names": ["Qwen/Qwen3-8B"]}, "loadgen": {"concurrency": 4}},
            "request_count": {"unit": "requests", "avg": 40.0}, "input_sequence_length": {"unit": "tokens", "avg": 550.0},
            "output_sequence_length": {"unit": "tokens", "avg": 150.0},
            "time_to_first_token": {"unit": "ms", "avg": 35.0, "p50": 33.0, "p90": 45.0, "p99": 50.0},
            "inter_token_latency": {"unit": "ms", "avg": 7.5}, "request_latency": {"unit": "ms", "avg": 1152.5}}"#,
    );
    let row = &aiperf[0];
    assert_eq!((row.model.as_str(), row.concurrency), ("qwen3-8b", Some(4)));
    assert_eq!(
        (row.ttft.p90, row.tpot.mean, row.e2e.mean),
        (Some(45.0), Some(7.5), Some(1152.5))
    );

    // Each of them can be simulated as it is.
    let measurements = Measurements {
        rows: [vllm, guidellm, newer, loops, aiperf].concat(),
        ..Measurements::default()
    };
    for of in validate(&measurements, &Catalog::built_in(), AUTO) {
        of.result.unwrap_or_else(|it| panic!("{it}"));
    }
    let other = written(&directory, "other.json", r#"{"requests": 5}"#);
    let error = import::read(&other, &served).unwrap_err().to_string();
    assert!(error.contains("no report of"), "{error}");
}

/// Steps of a GPU that reaches less than the catalog says.
fn slower_steps(points: usize) -> String {
    let catalog = Catalog::built_in();
    let one = Parallelism::tensor(1);
    let shipped = Roofline::of(&catalog, "qwen3-14b", "l40s", "vllm", one).unwrap();
    let mut values = *shipped.coefficients();
    values.weight_bandwidth *= 0.8;
    values.kv_bandwidth *= 0.7;
    values.s_per_step += 0.002;
    let real = shipped.with_coefficients(values);
    let mut text = "model,gpu,precision,tp,prefill_tokens,decode_seqs,context,ms\n".to_owned();
    for point in 0..points {
        let (tokens, requests, context) = match point % 3 {
            0 => (256 << (point % 5), 0, 0),
            _ => (0, 1 << (point % 8), 100 + 400 * (point % 7)),
        };
        let mut shape = fleetsim::serving::BatchShape::default();
        if tokens > 0 {
            shape.add_chunk(0, tokens, None);
        }
        for _ in 0..requests {
            shape.add_decode(context as u64 + 1);
        }
        let ms = real.seconds(&shape) * 1e3;
        text += &format!("qwen3-14b,l40s,bf16,1,{tokens},{requests},{context},{ms}\n");
    }
    text
}

#[test]
fn coefficients_behind_step_times_are_found_and_used_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    for points in [9, 40] {
        let path = written(&directory, "steps.csv", &slower_steps(points));
        let mut catalog = Catalog::built_in();
        let (fitted, left_out) = calibrate(&read(&path), &catalog);
        assert!(left_out.is_empty(), "{left_out:?}");
        let fit = &fitted[0];
        assert!(fit.before_percent > 10.0, "{fit:?}");
        assert!(fit.after_percent < 4.0, "{fit:?}");
        catalog
            .add_ron("fitted.ron", &catalog_file(&fitted))
            .unwrap_or_else(|it| panic!("{it}"));
        let one = Parallelism::tensor(1);
        let own = Roofline::of(&catalog, "qwen3-14b", "l40s", "vllm", one).unwrap();
        assert_eq!(own.layer().to_string(), "own:calibrated");
        assert_eq!(*own.coefficients(), fit.set.values);
        assert!(own.error_percent().unwrap() < 4.0);
    }
}

#[test]
fn means_of_servers_fix_one_factor() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = Catalog::built_in();
    let row = |users: u32, tpot: f64| {
        format!("u{users},qwen3-14b,l40s,1,1,vllm,bf16,closed,,{users},,400,60,{tpot},,yes,\n")
    };
    let text = [4, 8, 16].map(|users| row(users, 1.0)).concat();
    let path = written(&directory, "a.csv", &format!("{HEADER}{text}"));
    let shown = validate(&read(&path), &catalog, AUTO);
    let tpot = |of: &Validated| of.result.as_ref().unwrap().figures.tpot.mean.unwrap();
    let text: String = [4, 8, 16]
        .into_iter()
        .zip(&shown)
        .map(|(users, of)| row(users, 1.25 * tpot(of)))
        .collect();
    let path = written(&directory, "b.csv", &format!("{HEADER}{text}"));
    let (fitted, _) = calibrate(&read(&path), &catalog);
    assert!((fitted[0].before_percent - 20.0).abs() < 0.1, "{fitted:?}");
    assert!(fitted[0].after_percent < 0.1, "{fitted:?}");
    let mut with = catalog.clone();
    with.add_ron("fitted.ron", &catalog_file(&fitted)).unwrap();
    for of in validate(&read(&path), &with, AUTO) {
        let error = of.result.unwrap().errors.tpot.unwrap();
        assert!(error.abs() < 0.02, "{error}");
    }
}

/// The bounds of what may be claimed, on the measurements themselves.
#[test]
fn errors_against_real_servers_stay_within_what_is_claimed() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let catalog = Catalog::built_in();
    let measured = shared.join("reference/measured");
    let generic = Options {
        layer: Layer::Generic,
        threads: 2,
    };
    let validated = validate(&read(&measured.join("e2e_blis.csv")), &catalog, generic);
    let on_h100 = |of: &&Validated| of.row.gpu == "h100-sxm";
    let of = |figure| ErrorSpread::of(validated.iter().filter(on_h100), figure).unwrap();
    let (e2e, ttft) = (of(Figure::E2e), of(Figure::Ttft));
    assert!(e2e.rows >= 52, "{e2e:?}");
    assert!(e2e.mean < 0.06, "{e2e:?}");
    assert!(ttft.mean < 0.10, "{ttft:?}");
}

/// A run of two ranks that share the experts: it is fitted on its first half, and met in its second.
#[test]
fn a_run_of_ranks_that_step_together_is_met_after_calibration() {
    let Some(shared) = shared::directory() else {
        return;
    };
    let run = "reference/measured/requests_rtx-pro-6000_qwen3-30b-a3b.csv";
    let mut catalog = Catalog::built_in();
    let measured = read(&shared.join(run));
    let (fitted, left_out) = calibrate(&measured, &catalog);
    assert!(left_out.is_empty(), "{left_out:?}");
    let fit = &fitted[0];
    assert!(fit.after_percent < 3.0, "{fit:?}");
    catalog
        .add_ron("fitted.ron", &catalog_file(&fitted))
        .unwrap();
    let shown = validate(&measured, &catalog, AUTO);
    let errors = shown[0].result.as_ref().unwrap().errors;
    assert!(errors.e2e.unwrap().abs() < 0.03, "{errors:?}");
    assert!(errors.tpot.unwrap().abs() < 0.03, "{errors:?}");
}

const TOGETHER: &str = r#"{"model": "qwen3-30b-a3b", "gpu": "rtx-pro-6000", "engine": "vllm", "precision": "bf16",
    "tensor_parallel": 1, "data_parallel": 2, "max_seqs": 8, "max_batch_tokens": 2048, "expert_parallel": true}"#;

#[test]
fn in_ranks_that_step_together_a_prompt_of_one_holds_up_the_other() {
    let directory = tempfile::tempdir().unwrap();
    // Every second request goes to the same rank: one decodes, the other gets long prompts.
    let tpot = |prompts: u32, together: bool| {
        let mut text =
            "arrival_s,prompt_tokens,output_tokens,first_token_s,last_token_s\n".to_owned();
        for number in 0..20 {
            let prompt = if number % 2 == 0 { 100 } else { prompts };
            text += &format!(
                "{},{prompt},60,{},{}\n",
                0.1 * f64::from(number),
                100.0,
                200.0
            );
        }
        let path = written(&directory, "run.csv", &text);
        let beside = TOGETHER.replace("true", if together { "true" } else { "false" });
        written(&directory, "run.json", &beside);
        let shown = validate(&read(&path), &Catalog::built_in(), AUTO);
        shown[0].result.as_ref().unwrap().figures.tpot.mean.unwrap()
    };
    // By itself, the rank of short prompts never sees the others'.
    let (apart_short, apart_long) = (tpot(100, false), tpot(8_000, false));
    assert!((apart_short / apart_long - 1.0).abs() < 1e-12);
    assert!(tpot(8_000, true) > 1.2 * tpot(100, true));
}
