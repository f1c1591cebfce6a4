//! `fleetsim trace`: look at, convert and make workloads.

mod charts;
mod convert;
mod generate;
mod output;
mod reading;
mod stats;

use clap::{Args, Subcommand};

use super::shell::Failure;

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
