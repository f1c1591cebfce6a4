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
use crate::scenario::TraceFormat;
use crate::workload::TraceStream;

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

/// A format's name, as in a scenario.
fn name(format: TraceFormat) -> String {
    format!("{format:?}")
}

/// Opens a trace; `-` is standard input.
fn open(file: &Path, format: Option<TraceFormat>) -> Result<TraceStream, Failure> {
    let trace = if file == Path::new("-") {
        TraceStream::read(&PathBuf::from("<stdin>"), io::stdin(), format)
    } else {
        TraceStream::open(file, format)
    };
    trace.map_err(Failure::input)
}
