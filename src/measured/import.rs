//! Reports of load generators, read as they are.
//!
//! A report says what users felt and how they came, and little of what served them. [`Served`] fills in
//! the rest: the GPU, the precision, and the model's name in the catalog.

use std::path::Path;

use serde_json::Value as Json;

use super::{Arrivals, MeasuredError, Row, Spread};

/// What served the requests of a report, as the user says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// The model, as in the catalog; nothing: as the report names it.
    pub model: Option<String>,
    /// The GPU, as in the catalog.
    pub gpu: Option<String>,
    /// GPUs that share each layer.
    pub tp: Option<u32>,
    /// The precision of the weights.
    pub precision: Option<String>,
    /// The engine; nothing: that of the report, else `vllm`.
    pub engine: Option<String>,
}

/// Reads the report of `vllm bench serve --save-result`, of guidellm or of AIPerf.
///
/// Read are: of vLLM the JSON file of `--save-result`, of guidellm its JSON report with one row a
/// benchmark, of AIPerf `profile_export_aiperf.json`.
///
/// # Errors
/// [`MeasuredError`] where the file is none of these, or lacks what a row needs.
pub fn read(file: &Path, served: &Served) -> Result<Vec<Row>, MeasuredError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| MeasuredError::unreadable(file, error))?;
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| MeasuredError::line(file, error.line() as u64, error.to_string()))?;
    let rows = if let Some(benchmarks) = json["benchmarks"].as_array() {
        benchmarks.iter().map(|it| guidellm(it, &json)).collect()
    } else if json["mean_ttft_ms"].is_number() {
        vec![vllm(&json)]
    } else if json["time_to_first_token"].is_object() || json["request_latency"].is_object() {
        vec![aiperf(&json)]
    } else {
        let message = "this is no report of vllm bench serve, guidellm or AIPerf";
        return Err(MeasuredError::file(file, message));
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    rows.into_iter()
        .enumerate()
        .map(|(number, row)| {
            let row = row.map_err(|message| MeasuredError::file(file, message))?;
            Ok(served.fill(row, &format!("{stem}-{number}")))
        })
        .collect()
}

impl Served {
    fn fill(&self, mut row: Row, id: &str) -> Row {
        row.id = id.to_owned();
        let set = |to: &mut String, from: &Option<String>, otherwise: &str| {
            if let Some(text) = from {
                to.clone_from(text);
            } else if to.is_empty() {
                otherwise.clone_into(to);
            }
        };
        set(&mut row.model, &self.model, "");
        set(&mut row.gpu, &self.gpu, "");
        set(&mut row.engine, &self.engine, "vllm");
        set(&mut row.precision, &self.precision, "");
        row.tp = self.tp.or(row.tp).or(Some(1));
        row.gpus = row.tp;
        "aggregated".clone_into(&mut row.mode);
        "fixed".clone_into(&mut row.lengths);
        row
    }
}

type Report = Result<Row, String>;

/// A positive number at a path of fields.
fn number(json: &Json, path: &[&str]) -> Option<f64> {
    let value = path.iter().fold(json, |at, field| &at[*field]);
    value.as_f64().filter(|it| it.is_finite() && *it >= 0.0)
}

fn required(json: &Json, path: &[&str]) -> Result<f64, String> {
    number(json, path).ok_or_else(|| format!("`{}` is missing, or no number", path.join(".")))
}

/// The last part of a name such as `meta-llama/Llama-3.1-8B`, in small letters.
fn short_name(name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    let short = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let endings = ["-instruct", "-chat", "-it", "-hf"];
    let ending = endings.iter().find(|it| short.ends_with(**it));
    ending
        .map_or(short.as_str(), |it| &short[..short.len() - it.len()])
        .to_owned()
}

/// How requests came: at a rate, or in a loop of users; else all at once.
fn arrivals(row: &mut Row, rate: Option<f64>, users: Option<f64>, poisson: bool) {
    let users = users.filter(|&it| it >= 1.0).map(|it| it as u32);
    match (rate.filter(|&it| it > 0.0), users) {
        (Some(rate), _) => {
            row.request_rate = Some(rate);
            row.arrivals = match poisson {
                true => Arrivals::Poisson,
                false => Arrivals::Constant,
            };
        }
        (None, Some(users)) => {
            row.concurrency = Some(users);
            row.arrivals = Arrivals::Closed;
        }
        (None, None) => {
            row.concurrency = row.requests;
            row.arrivals = Arrivals::AtOnce;
        }
    }
}

fn vllm(json: &Json) -> Report {
    let completed = required(json, &["completed"])?;
    if completed < 1.0 {
        return Err("no request was completed".to_owned());
    }
    let spread = |name: &str| {
        let of = |part: &str| number(json, &[&format!("{part}_{name}_ms")]);
        Spread {
            mean: of("mean"),
            p50: of("median"),
            p90: of("p90"),
            p99: of("p99"),
        }
    };
    let mut row = Row {
        source: "vllm bench serve".to_owned(),
        model: short_name(json["model_id"].as_str()),
        engine: json["backend"]
            .as_str()
            .filter(|it| matches!(*it, "vllm" | "sglang"))
            .unwrap_or_default()
            .to_owned(),
        requests: number(json, &["num_prompts"]).map(|it| it as u32),
        prompt_tokens: required(json, &["total_input_tokens"])? / completed,
        output_tokens: required(json, &["total_output_tokens"])? / completed,
        ttft: spread("ttft"),
        tpot: spread("tpot"),
        itl: spread("itl"),
        e2e: spread("e2el"),
        requests_per_s: number(json, &["request_throughput"]),
        output_tokens_per_s: number(json, &["output_throughput"]),
        ..Row::default()
    };
    // An infinite rate is written as text.
    let rate = number(json, &["request_rate"]);
    let users = number(json, &["max_concurrency"]);
    arrivals(&mut row, rate, users, true);
    Ok(row)
}

/// One benchmark of a report. Where things stand differs by version: what is looked for first is that of 0.6.
fn guidellm(json: &Json, report: &Json) -> Report {
    let metrics = &json["metrics"];
    let of = |name: &str, part: &[&str]| {
        let path: Vec<&str> = [&[name, "successful"], part].concat();
        number(metrics, &path)
    };
    let spread = |name: &str, scale: f64| {
        let of = |part: &[&str]| of(name, part).map(|it| it * scale);
        Spread {
            mean: of(&["mean"]),
            p50: of(&["median"]),
            p90: of(&["percentiles", "p90"]),
            p99: of(&["percentiles", "p99"]),
        }
    };
    let tokens = |name: &str| {
        let (sum, count) = (of(name, &["total_sum"]), of(name, &["count"]));
        let mean = of(name, &["mean"]).or_else(|| Some(sum? / count.filter(|&it| it > 0.0)?));
        mean.ok_or_else(|| format!("`metrics.{name}.successful.mean` is missing"))
    };
    let named = [
        &json["config"]["backend"]["model"],
        &json["benchmarker"]["backend"]["model"],
        &json["worker"]["backend_model"],
        &report["args"]["backend_kwargs"]["model"],
        &report["args"]["model"],
    ];
    let completed = number(metrics, &["request_totals", "successful"]);
    let strategy = [&json["config"]["strategy"], &json["args"]["strategy"]]
        .into_iter()
        .find(|it| it.is_object())
        .ok_or_else(|| "the benchmark does not say its strategy".to_owned())?;
    let kind = strategy["type_"].as_str().unwrap_or_default();
    let mut row = Row {
        source: "guidellm".to_owned(),
        model: short_name(named.into_iter().find_map(Json::as_str)),
        requests: completed
            .or_else(|| of("request_latency", &["count"]))
            .map(|it| it as u32),
        prompt_tokens: tokens("prompt_token_count")?,
        output_tokens: tokens("output_token_count")?,
        ttft: spread("time_to_first_token_ms", 1.0),
        // Its time per output token counts the first one; its time between tokens does not.
        tpot: spread("inter_token_latency_ms", 1.0),
        e2e: spread("request_latency", 1e3),
        requests_per_s: of("requests_per_second", &["mean"]),
        output_tokens_per_s: of("output_tokens_per_second", &["mean"]),
        ..Row::default()
    };
    let users = match kind {
        "synchronous" => Some(1.0),
        _ => number(strategy, &["streams"]).or_else(|| number(strategy, &["max_concurrency"])),
    };
    let rate = match kind {
        "constant" | "poisson" => number(strategy, &["rate"]),
        _ => None,
    };
    arrivals(&mut row, rate, users, kind == "poisson");
    Ok(row)
}

fn aiperf(json: &Json) -> Report {
    let spread = |name: &str| {
        // Seconds are possible, milliseconds are the rule.
        let scale = match json[name]["unit"].as_str() {
            Some("s" | "sec" | "seconds") => 1e3,
            _ => 1.0,
        };
        let of = |part: &str| number(json, &[name, part]).map(|it| it * scale);
        Spread {
            mean: of("avg"),
            p50: of("p50"),
            p90: of("p90"),
            p99: of("p99"),
        }
    };
    let config = &json["input_config"];
    let model = config["endpoint"]["model_names"][0].as_str();
    let mut row = Row {
        source: "aiperf".to_owned(),
        model: short_name(model),
        requests: number(json, &["request_count", "avg"]).map(|it| it as u32),
        prompt_tokens: required(json, &["input_sequence_length", "avg"])?,
        output_tokens: required(json, &["output_sequence_length", "avg"])?,
        ttft: spread("time_to_first_token"),
        tpot: spread("inter_token_latency"),
        e2e: spread("request_latency"),
        requests_per_s: number(json, &["request_throughput", "avg"]),
        output_tokens_per_s: number(json, &["output_token_throughput", "avg"]),
        ..Row::default()
    };
    let load = &config["loadgen"];
    let rate = number(load, &["request_rate"]);
    let users = number(load, &["concurrency"]);
    let mode = load["request_rate_mode"].as_str().unwrap_or("poisson");
    arrivals(&mut row, rate, users, mode.contains("poisson"));
    Ok(row)
}
