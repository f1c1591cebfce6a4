use std::path::Path;

use serde_json::Value as Json;

use super::MeasuredError;
use super::table::Table;

/// Every request of one run of a server: when it came, and when its first and last token were there.
///
/// A CSV file with the columns `arrival_s`, `prompt_tokens`, `output_tokens`, `first_token_s` and
/// `last_token_s`, seconds since the start, in order of arrival. What served them stands in a JSON file
/// of the same name: `model`, `gpu`, `engine`, `precision`, `tensor_parallel`, `data_parallel`,
/// `max_seqs`, `max_batch_tokens` and, where known, `expert_parallel` and `kv_cache.num_kv_tokens`.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Its name: that of the file.
    pub id: String,
    /// Who measured it.
    pub source: String,
    /// The model, as in the catalog.
    pub model: String,
    /// The GPU, as in the catalog.
    pub gpu: String,
    /// The engine.
    pub engine: String,
    /// The precision of the weights.
    pub precision: String,
    /// Tensor parallelism.
    pub tp: u32,
    /// Data parallelism: the number of ranks that share the requests.
    pub dp: u32,
    /// Whether the ranks share the experts out, so that they step together.
    pub expert_parallel: bool,
    /// The engine's limit of requests that run at once, in a rank.
    pub max_seqs: u32,
    /// The engine's token budget of a step, in a rank.
    pub max_batch_tokens: u32,
    /// Tokens of KV cache that the engine reported.
    pub kv_tokens: Option<f64>,
    /// The requests, by arrival.
    pub requests: Vec<Replayed>,
}

/// A request of a replay; instants are seconds since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replayed {
    /// When it came.
    pub arrival_s: f64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens of its answer.
    pub output_tokens: u32,
    /// When its first token was there.
    pub first_token_s: f64,
    /// When its last token was there.
    pub last_token_s: f64,
}

const COLUMNS: [&str; 7] = [
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "queued_s",
    "scheduled_s",
    "first_token_s",
    "last_token_s",
];
const REQUIRED: [&str; 5] = [
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "first_token_s",
    "last_token_s",
];

impl Replay {
    /// Whether a file with these columns is one.
    #[must_use]
    pub fn is_table(columns: &[String]) -> bool {
        REQUIRED
            .iter()
            .all(|name| columns.iter().any(|it| it == name))
    }

    /// Reads a run and what served it.
    ///
    /// # Errors
    /// [`MeasuredError`] with the place of the first thing that is wrong.
    pub fn read(file: &Path) -> Result<Self, MeasuredError> {
        let table = Table::open(file, &COLUMNS, &REQUIRED)?;
        let requests = table.read(|line| {
            let number = |column: &str| line.required(column, line.number(column)?);
            let count = |column: &str| {
                let count = line.required(column, line.count(column)?)?;
                match count {
                    0 => Err(line.wrong(column, "at least 1")),
                    _ => Ok(count),
                }
            };
            let of = Replayed {
                arrival_s: number("arrival_s")?,
                prompt_tokens: count("prompt_tokens")?,
                output_tokens: count("output_tokens")?,
                first_token_s: number("first_token_s")?,
                last_token_s: number("last_token_s")?,
            };
            if of.first_token_s < of.arrival_s {
                return Err(line.wrong("first_token_s", "an instant after the arrival"));
            }
            if of.last_token_s < of.first_token_s {
                return Err(line.wrong("last_token_s", "an instant after the first token"));
            }
            Ok(of)
        })?;
        let beside = file.with_extension("json");
        let text = std::fs::read_to_string(&beside)
            .map_err(|error| MeasuredError::unreadable(&beside, error))?;
        let json: Json = serde_json::from_str(&text)
            .map_err(|error| MeasuredError::file(&beside, error.to_string()))?;
        let text = |field: &str| {
            let value = json[field].as_str().map(str::to_owned);
            let message = format!("`{field}` is missing, or no text");
            value.ok_or_else(|| MeasuredError::file(&beside, message))
        };
        let number = |field: &str| {
            let value = json[field].as_u64().and_then(|it| u32::try_from(it).ok());
            let message = format!("`{field}` is missing, or no whole number from 1");
            value
                .filter(|&it| it > 0)
                .ok_or_else(|| MeasuredError::file(&beside, message))
        };
        let id = file.file_stem().unwrap_or_default();
        Ok(Self {
            id: id.to_string_lossy().into_owned(),
            source: text("source").unwrap_or_default(),
            model: text("model")?,
            gpu: text("gpu")?,
            engine: text("engine")?,
            precision: text("precision")?,
            tp: number("tensor_parallel")?,
            dp: number("data_parallel")?,
            expert_parallel: json["expert_parallel"].as_bool().unwrap_or(false),
            max_seqs: number("max_seqs")?,
            max_batch_tokens: number("max_batch_tokens")?,
            kv_tokens: json["kv_cache"]["num_kv_tokens"].as_f64(),
            requests,
        })
    }
}
