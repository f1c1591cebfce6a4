use std::path::Path;

use super::MeasuredError;
use super::table::{Line, Table};

/// The measured time of one step, or the median of many.
///
/// A table of them has the columns of these names, and `ms`. Required are `model`, `gpu`, `precision`,
/// `tp`, `prefill_tokens`, `decode_seqs` and `ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// The model, as in the catalog.
    pub model: String,
    /// The GPU, as in the catalog.
    pub gpu: String,
    /// The engine; `vllm` where not said.
    pub engine: String,
    /// The precision of the weights.
    pub precision: String,
    /// Tensor parallelism.
    pub tp: u32,
    /// Data parallelism; 1 where not said.
    pub dp: u32,
    /// Tokens that the step computes for prompts.
    pub prefill_tokens: u32,
    /// Tokens of those prompts that are in the KV cache before.
    pub prefill_context: u32,
    /// Requests that decode.
    pub decode_seqs: u32,
    /// The mean number of tokens that they find in the KV cache.
    pub context: f64,
    /// Its time in milliseconds.
    pub ms: f64,
    /// What it is.
    pub kind: StepKind,
    /// Whether the row is left out of fits, if the table says it of any.
    pub held_out: Option<bool>,
}

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepKind {
    /// One token for each of some requests.
    Decode,
    /// One prompt, or a part of it.
    Prefill,
    /// As many prompts as `decode_seqs` says, of `context` tokens each.
    PrefillBatch,
    /// Prompts of about `context` tokens, and requests that decode.
    Mixed,
}

const COLUMNS: [&str; 15] = [
    "model",
    "gpu",
    "precision",
    "tp",
    "dp",
    "ep",
    "engine",
    "engine_version",
    "held_out",
    "prefill_tokens",
    "prefill_context",
    "decode_seqs",
    "context",
    "ms",
    "kind",
];
const REQUIRED: [&str; 7] = [
    "model",
    "gpu",
    "precision",
    "tp",
    "prefill_tokens",
    "decode_seqs",
    "ms",
];

impl StepRow {
    /// Whether a file with these columns is a table of step times.
    #[must_use]
    pub fn is_table(columns: &[String]) -> bool {
        REQUIRED
            .iter()
            .all(|name| columns.iter().any(|it| it == name))
    }

    /// Reads a table of step times.
    ///
    /// # Errors
    /// [`MeasuredError`] with the line of the first thing that is wrong.
    pub fn read(file: &Path) -> Result<Vec<Self>, MeasuredError> {
        Table::open(file, &COLUMNS, &REQUIRED)?.read(Self::of)
    }

    fn of(line: &Line<'_>) -> Result<Self, MeasuredError> {
        let text = |column: &str, default: &str| match line.text(column) {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        let count = |column: &str| Ok(line.count(column)?.unwrap_or(0));
        let at_least_one = |column: &str| match line.count(column)? {
            Some(0) => Err(line.wrong(column, "at least 1")),
            number => Ok(number.unwrap_or(1)),
        };
        let (prefill_tokens, decode_seqs) = (count("prefill_tokens")?, count("decode_seqs")?);
        if u64::from(prefill_tokens) + u64::from(decode_seqs) == 0 {
            return Err(line.wrong("prefill_tokens", "a step with tokens"));
        }
        let context = match line.number("context")? {
            None if decode_seqs > 0 => {
                return Err(line.wrong("context", "the mean context of those that decode"));
            }
            context => context.unwrap_or(0.0),
        };
        if decode_seqs > 1_000_000 {
            return Err(line.wrong("decode_seqs", "at most 1000000"));
        }
        if context > 1e8 || prefill_tokens > 100_000_000 {
            return Err(line.wrong("context", "at most 100000000 tokens"));
        }
        let ms = line.required("ms", line.number("ms")?)?;
        if ms <= 0.0 {
            return Err(line.wrong("ms", "more than 0"));
        }
        let kind = match line.text("kind") {
            "decode" => StepKind::Decode,
            "prefill" => StepKind::Prefill,
            "prefill_batch" => StepKind::PrefillBatch,
            "mixed" => StepKind::Mixed,
            "" if prefill_tokens == 0 => StepKind::Decode,
            "" if decode_seqs == 0 => StepKind::Prefill,
            "" => StepKind::Mixed,
            _ => return Err(line.wrong("kind", "decode, prefill, prefill_batch or mixed")),
        };
        let held_out = match line.text("held_out") {
            "" => None,
            "0" => Some(false),
            "1" => Some(true),
            _ => return Err(line.wrong("held_out", "0 or 1")),
        };
        Ok(Self {
            model: text("model", ""),
            gpu: text("gpu", ""),
            engine: text("engine", "vllm"),
            precision: text("precision", ""),
            tp: at_least_one("tp")?,
            dp: at_least_one("dp")?,
            prefill_tokens,
            prefill_context: count("prefill_context")?,
            decode_seqs,
            context,
            ms,
            kind,
            held_out,
        })
    }
}
