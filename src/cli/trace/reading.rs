use std::io;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::cli::shell::Failure;
use crate::scenario::{Origin, TimeUnit, TraceFormat};
use crate::workload::{TraceReading, TraceStream};

impl ValueEnum for TraceFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Splitwise,
            Self::Azure,
            Self::BurstGpt,
            Self::Mooncake,
            Self::REQUESTS,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Splitwise => (
                "Splitwise",
                "CSV with request_id, arrival_timestamp and more",
            ),
            Self::Azure => (
                "Azure",
                "CSV with TIMESTAMP, ContextTokens, GeneratedTokens",
            ),
            Self::BurstGpt => ("BurstGpt", "CSV with Timestamp, Request tokens and more"),
            Self::Mooncake => (
                "Mooncake",
                "Lines of JSON with timestamp, input_length and more",
            ),
            Self::Named(_) => return None,
            Self::Requests { .. } => (
                "Requests",
                "CSV with arrival_s, prompt_tokens, output_tokens; priority, session, prefix_blocks",
            ),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for Origin {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::First, Self::Zero]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::First => ("First", "The earliest row"),
            Self::Zero => ("Zero", "The zero of the trace's own times; of dates, 1970"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for TimeUnit {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Seconds, Self::Milliseconds]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
        }))
    }
}

/// How a trace is read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// The format of the trace [default: by its first line]
    #[arg(long, value_name = "FORMAT", ignore_case = true)]
    format: Option<TraceFormat>,
    /// Which instant is time zero [default: Zero for Splitwise, First for the other formats]
    #[arg(long, value_name = "ORIGIN", ignore_case = true)]
    origin: Option<Origin>,
    /// What the times of Splitwise, BurstGpt and Mooncake count [default: Seconds; Mooncake:
    /// Milliseconds]
    #[arg(long, value_name = "UNIT", ignore_case = true)]
    unit: Option<TimeUnit>,
    /// Tokens that an id of prefix_blocks stands for, in Requests [default: 512]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    block_tokens: Option<u32>,
    /// Take only rows of this application, where the trace says which application each is of
    #[arg(long = "of-application", value_name = "NAME")]
    application: Option<String>,
}

impl Reading {
    /// Opens a trace; `-` is standard input.
    pub(super) fn open(&self, file: &Path) -> Result<TraceStream, Failure> {
        let format = match (self.format, self.block_tokens) {
            (None | Some(TraceFormat::Requests { .. }), Some(block_tokens)) => {
                Some(TraceFormat::Requests { block_tokens })
            }
            (format, _) => format,
        };
        let reading = TraceReading {
            format,
            origin: self.origin,
            unit: self.unit,
            application: self.application.clone(),
            ..TraceReading::default()
        };
        let trace = if file == Path::new("-") {
            reading.read(&PathBuf::from("<stdin>"), io::stdin())
        } else {
            reading.open(file)
        };
        trace.map_err(Failure::input)
    }
}
