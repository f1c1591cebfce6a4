use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::reading::Reading;
use crate::cli::shell::Failure;
use crate::scenario::TraceFormat;
use crate::time::SimTime;
use crate::workload::Limits;

/// Write a trace, or a part of it, in another format
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// The trace, plain or compressed; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// The format to write
    #[arg(long, value_name = "FORMAT", ignore_case = true)]
    to: TraceFormat,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: Output,
}

/// Which of the requests are written, and how fast they come.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Leave out requests before this time in seconds, which becomes time zero
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    from: Option<SimTime>,
    /// Leave out requests at this time in seconds or later, before scaling
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    until: Option<SimTime>,
    /// Multiply the rate of requests by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    rate_scale: f64,
    /// Maximum number of requests to write
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Selection {
    pub(super) fn limits(&self) -> Limits {
        let window = (self.from.is_some() || self.until.is_some()).then(|| {
            let from = self.from.unwrap_or(SimTime::ZERO);
            (from, self.until.unwrap_or(SimTime::MAX))
        });
        Limits {
            window,
            rate_scale: self.rate_scale,
            requests: self.limit,
        }
    }

    /// Whether it ends a workload that has no end.
    pub(super) const fn ends(&self) -> bool {
        self.until.is_some() || self.limit.is_some()
    }
}

fn seconds(text: &str) -> Result<SimTime, String> {
    let seconds = text.parse().ok().and_then(|it| SimTime::new(it).ok());
    seconds.ok_or_else(|| "a number of seconds, not negative, such as 3600".to_owned())
}

impl Convert {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let trace = self.reading.open(&self.file)?;
        let to = match (self.to, trace.format()) {
            // Blocks keep their size.
            (TraceFormat::Requests { .. }, from @ TraceFormat::Requests { .. }) => from,
            (to, _) => to,
        };
        let limits = self.selection.limits();
        let mut arrivals = limits.apply(trace).map_err(Failure::input)?;
        let written = self.output.write(to, arrivals.by_ref())?;
        written.tell(arrivals.source().left_out());
        Ok(())
    }
}
