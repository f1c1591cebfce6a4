use std::path::Path;

use super::MeasuredError;
use super::table::{Line, Table};

/// One measurement of a server: how it was loaded, and the means and percentiles that it showed.
///
/// A table of them has the columns of the same names, times in milliseconds with the ending `_ms`. Columns
/// may be absent and values empty: they are then not known. Columns that a table must have are `model`, `gpu`,
/// `engine`, `arrivals`, `prompt_tokens` and `output_tokens`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// Who measured it.
    pub source: String,
    /// The model, as in the catalog.
    pub model: String,
    /// The GPU, as in the catalog.
    pub gpu: String,
    /// All GPUs of the server that were used.
    pub gpus: Option<u32>,
    /// Tensor parallelism.
    pub tp: Option<u32>,
    /// Data parallelism of attention.
    pub dp: Option<u32>,
    /// The engine: `vllm`, `sglang`, `trtllm`.
    pub engine: String,
    /// The precision of the weights, as text; empty where not known.
    pub precision: String,
    /// Whether one server does both phases: `aggregated`, else what the source says.
    pub mode: String,
    /// How requests came.
    pub arrivals: Arrivals,
    /// Requests a second, of open arrivals.
    pub request_rate: Option<f64>,
    /// Users of a closed loop, or requests that come at once.
    pub concurrency: Option<u32>,
    /// Requests in all.
    pub requests: Option<u32>,
    /// Mean tokens of a prompt; 0 where not known.
    pub prompt_tokens: f64,
    /// Mean tokens of an answer; 0 where not known.
    pub output_tokens: f64,
    /// How lengths spread: `fixed`, `uniform 0.8-1.0 ..`, `sharegpt`.
    pub lengths: String,
    /// Tokens at the start of each prompt that others of its group have, too.
    pub shared_prefix_tokens: Option<u32>,
    /// Tokens of each prompt that are in the prefix cache.
    pub cached_tokens: Option<u32>,
    /// The engine's token budget of a step.
    pub max_batch_tokens: Option<u32>,
    /// The engine's limit of requests that run at once.
    pub max_seqs: Option<u32>,
    /// Tokens of KV cache that the engine reported.
    pub kv_tokens: Option<f64>,
    /// Time to first token.
    pub ttft: Spread,
    /// Time per output token: (E2E − TTFT) / (output tokens − 1), by request.
    pub tpot: Spread,
    /// Time between messages.
    pub itl: Spread,
    /// Time from arrival to the last token.
    pub e2e: Spread,
    /// Requests a second that the server completed.
    pub requests_per_s: Option<f64>,
    /// Tokens a second that the server generated.
    pub output_tokens_per_s: Option<f64>,
    /// What belongs together.
    pub group: String,
    /// `yes`, or why the row is not to be compared; empty is yes.
    pub usable: String,
    /// Flags of the engine, and what else the source says.
    pub notes: String,
}

/// How requests come to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// At a rate, evenly spaced.
    #[default]
    Constant,
    /// At a rate, independently of each other.
    Poisson,
    /// From users that send the next request when the last has ended.
    Closed,
    /// All at the start.
    AtOnce,
}

/// A mean and percentiles, in milliseconds; nothing where not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

/// What requests felt, in milliseconds: a mean and percentiles of each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Time to first token.
    pub ttft: Spread,
    /// Time per output token.
    pub tpot: Spread,
    /// Time from arrival to the last token.
    pub e2e: Spread,
    /// Requests a second that were completed.
    pub requests_per_s: f64,
    /// Tokens a second that were generated.
    pub output_tokens_per_s: f64,
}

const COLUMNS: [&str; 46] = [
    "id",
    "source",
    "date",
    "model",
    "gpu",
    "gpus",
    "tp",
    "ep",
    "dp",
    "engine",
    "engine_version",
    "precision",
    "mode",
    "arrivals",
    "request_rate",
    "concurrency",
    "requests",
    "prompt_tokens",
    "output_tokens",
    "lengths",
    "shared_prefix_tokens",
    "cached_tokens",
    "max_batch_tokens",
    "max_seqs",
    "kv_tokens",
    "ttft_mean_ms",
    "ttft_p50_ms",
    "ttft_p90_ms",
    "ttft_p99_ms",
    "tpot_mean_ms",
    "tpot_p50_ms",
    "tpot_p90_ms",
    "tpot_p99_ms",
    "itl_mean_ms",
    "itl_p50_ms",
    "itl_p90_ms",
    "itl_p99_ms",
    "e2e_mean_ms",
    "e2e_p50_ms",
    "e2e_p90_ms",
    "e2e_p99_ms",
    "requests_per_s",
    "output_tokens_per_s",
    "group",
    "use",
    "notes",
];

const REQUIRED: [&str; 6] = [
    "model",
    "gpu",
    "engine",
    "arrivals",
    "prompt_tokens",
    "output_tokens",
];

impl Row {
    /// Whether a file with these columns is a table of such rows.
    #[must_use]
    pub fn is_table(columns: &[String]) -> bool {
        REQUIRED
            .iter()
            .all(|name| columns.iter().any(|it| it == name))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`MeasuredError`] with the line of the first thing that is wrong.
    pub fn read(file: &Path) -> Result<Vec<Self>, MeasuredError> {
        let table = Table::open(file, &COLUMNS, &REQUIRED)?;
        let mut rows = table.read(Self::of)?;
        for (number, row) in rows.iter_mut().enumerate() {
            if row.id.is_empty() {
                row.id = format!("row-{number}");
            }
        }
        Ok(rows)
    }

    fn of(line: &Line<'_>) -> Result<Self, MeasuredError> {
        let text = |column: &str| line.text(column).to_owned();
        let spread = |name: &str| -> Result<Spread, MeasuredError> {
            let of = |part: &str| line.number(&format!("{name}_{part}_ms"));
            Ok(Spread {
                mean: of("mean")?,
                p50: of("p50")?,
                p90: of("p90")?,
                p99: of("p99")?,
            })
        };
        let arrivals = match line.text("arrivals") {
            "open, poisson" | "poisson" => Arrivals::Poisson,
            "closed" => Arrivals::Closed,
            "all at once" => Arrivals::AtOnce,
            other if other.starts_with("open") || other == "constant" => Arrivals::Constant,
            _ => {
                let expected = "`closed`, `all at once`, `open, constant rate` or `open, poisson`";
                return Err(line.wrong("arrivals", expected));
            }
        };
        let tokens = |column: &str| -> Result<f64, MeasuredError> {
            let number = line.number(column)?.unwrap_or(0.0);
            // More tokens than any context has are a mistake, and memory for nobody.
            if number > 1e8 {
                return Err(line.wrong(column, "at most 100000000 tokens"));
            }
            Ok(number)
        };
        Ok(Self {
            id: text("id"),
            source: text("source"),
            model: text("model"),
            gpu: text("gpu"),
            gpus: line.count("gpus")?,
            tp: line.count("tp")?,
            dp: line.count("dp")?,
            engine: text("engine"),
            precision: text("precision"),
            mode: text("mode"),
            arrivals,
            request_rate: line.number("request_rate")?.filter(|&rate| rate > 0.0),
            concurrency: line.count("concurrency")?.filter(|&users| users > 0),
            requests: line.count("requests")?.filter(|&count| count > 0),
            prompt_tokens: tokens("prompt_tokens")?,
            output_tokens: tokens("output_tokens")?,
            lengths: text("lengths"),
            shared_prefix_tokens: line.count("shared_prefix_tokens")?,
            cached_tokens: line.count("cached_tokens")?,
            max_batch_tokens: line.count("max_batch_tokens")?.filter(|&it| it > 0),
            max_seqs: line.count("max_seqs")?.filter(|&it| it > 0),
            kv_tokens: line.number("kv_tokens")?.filter(|&it| it > 0.0),
            ttft: spread("ttft")?,
            tpot: spread("tpot")?,
            itl: spread("itl")?,
            e2e: spread("e2e")?,
            requests_per_s: line.number("requests_per_s")?,
            output_tokens_per_s: line.number("output_tokens_per_s")?,
            group: text("group"),
            usable: text("use"),
            notes: text("notes"),
        })
    }
}

impl Spread {
    /// Mean and percentiles of values in milliseconds, linear between order statistics.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_by(f64::total_cmp);
        let quantile = |share: f64| Some(crate::measured::quantile(&values, share));
        Self {
            mean: Some(values.iter().sum::<f64>() / values.len() as f64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        }
    }
}
