use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::charts::{figure, lengths_chart, rate_chart};
use super::reading::Reading;
use crate::cli::input::json;
use crate::cli::shell::{Failure, print};
use crate::workload::{LengthStatistics, TraceStatistics};

/// Show what traces are like: rates, burstiness, lengths
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Traces, plain or compressed; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// How it is printed
    #[arg(long, value_enum, default_value = "table")]
    output: Printed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// Figures and charts to read
    Table,
    /// An object of JSON for each file
    Json,
}

/// What is printed of a file.
#[derive(Serialize)]
struct Described<'a> {
    file: &'a Path,
    format: String,
    /// Rows of requests that failed.
    left_out: u64,
    #[serde(flatten)]
    statistics: TraceStatistics,
}

impl Stats {
    pub(super) fn execute(self) -> Result<(), Failure> {
        for (number, file) in self.files.iter().enumerate() {
            let mut trace = self.reading.open(file)?;
            let statistics = TraceStatistics::of(trace.by_ref()).map_err(Failure::input)?;
            let described = Described {
                file,
                format: trace.format().name().to_owned(),
                left_out: trace.left_out(),
                statistics,
            };
            let gap = if number > 0 { "\n" } else { "" };
            print(&match self.output {
                Printed::Table => format!("{gap}{}", table(&described)),
                Printed::Json => json(&described)?,
            })?;
        }
        Ok(())
    }
}

fn table(described: &Described<'_>) -> String {
    let TraceStatistics {
        requests,
        first_s,
        last_s,
        rate,
        gaps,
        prompt_tokens,
        output_tokens,
        prefixes,
    } = &described.statistics;
    let (file, format) = (described.file.display(), &described.format);
    let mut text = format!("{file}: {requests} requests ({format})\n");
    if described.left_out > 0 {
        let left_out = described.left_out;
        let _ = writeln!(
            text,
            "  left out    {left_out} rows without response tokens: requests that failed"
        );
    }
    let (Some(first), Some(last)) = (*first_s, *last_s) else {
        return text;
    };
    let span = last - first;
    let _ = writeln!(
        text,
        "  time        {} s, from {} s to {} s",
        figure(Some(span)),
        figure(Some(first)),
        figure(Some(last))
    );
    let _ = writeln!(
        text,
        "  rate        {} a second on average, {} in the busiest minute, {} in the busiest second",
        figure(rate.mean_per_s),
        figure(rate.peak_60s_per_s),
        figure(rate.peak_1s_per_s)
    );
    let _ = writeln!(
        text,
        "  burstiness  gaps of {} s on average, coefficient of variation {} (Poisson: 1)",
        figure(gaps.mean_s),
        figure(gaps.cv)
    );
    if let Some(prefixes) = prefixes {
        let _ = writeln!(
            text,
            "  prefixes    a prefix cache that never forgets could serve {:.1} % of the prompt tokens",
            prefixes.served_share * 100.0
        );
    }
    text += "\n  tokens         mean       min       p50       p90       p95       p99       max         total\n";
    text += &lengths_line("prompts", prompt_tokens);
    text += &lengths_line("outputs", output_tokens);
    text += "\n  requests a second over time\n";
    text += &rate_chart(&rate.over_time, last);
    text += "\n";
    text += &lengths_chart(&prompt_tokens.bins, &output_tokens.bins);
    text
}

fn lengths_line(what: &str, lengths: &LengthStatistics) -> String {
    let LengthStatistics {
        total,
        mean,
        min,
        p50,
        p90,
        p95,
        p99,
        max,
        ..
    } = lengths;
    let (min, max) = (min.map(f64::from), max.map(f64::from));
    let mut line = format!("  {what}  ");
    for value in [*mean, min, *p50, *p90, *p95, *p99, max] {
        let _ = write!(line, "{:>10}", figure(value));
    }
    let _ = writeln!(line, "{total:>14}");
    line
}
