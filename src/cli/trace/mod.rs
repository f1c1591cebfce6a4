//! `fleetsim trace`: look at, convert and make workloads.

mod charts;
mod convert;
mod generate;
mod output;
mod stats;

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, print};
use crate::scenario::{Origin, TimeUnit, TraceFormat};
use crate::workload::{TraceReading, TraceStream};

/// Look at, convert and make traces of requests
#[derive(Debug, Args)]
pub(super) struct Trace {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what traces are like: rates, burstiness, lengths
    Stats(stats::Stats),
    /// Write a trace, or a part of it, in another format
    Convert(convert::Convert),
    /// Write the requests of a synthetic workload, or of an application of a scenario, as a trace
    Generate(generate::Generate),
}

impl Trace {
    pub(super) fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Stats(stats) => stats.execute(),
            Command::Convert(convert) => convert.execute(),
            Command::Generate(generate) => generate.execute(),
        }
    }
}

impl ValueEnum for TraceFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Splitwise, Self::Azure, Self::BurstGpt, Self::Mooncake]
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
struct Reading {
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
}

impl Reading {
    /// Opens a trace; `-` is standard input.
    fn open(&self, file: &Path) -> Result<TraceStream, Failure> {
        let reading = TraceReading {
            format: self.format,
            origin: self.origin,
            unit: self.unit,
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
