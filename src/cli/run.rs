use std::io::{self, Write};

use clap::{Args, ValueEnum};

use super::input::{Format, Input, Output, json};
use super::interrupt::Interrupt;
use super::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::fleet::Ledger;
#[cfg(feature = "html")]
use crate::report::RunReport;
use crate::report::{
    self, Outputs, Progress, ReportError, TraceOptions, TraceWindow, summary_table,
};
use crate::simulation::Simulation;
use crate::time::SimTime;

/// Run a scenario to its end and write what happened
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// Formats to write beside CSV
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMATS")]
    also: Vec<Also>,
    #[command(flatten)]
    trace: Trace,
}

/// Whether and how trace.json is written.
#[derive(Debug, Args)]
struct Trace {
    /// Write trace.json, which opens in ui.perfetto.dev; with FROM..UNTIL in simulated seconds,
    /// batches and requests are only recorded there
    #[arg(long, value_name = "FROM..UNTIL", num_args = 0..=1, require_equals = true)]
    perfetto: Option<Option<TraceWindow>>,
    /// Megabytes that trace.json may take
    #[arg(long, value_name = "MB", requires = "perfetto", default_value_t = 100)]
    perfetto_limit: u32,
}

impl Trace {
    fn options(&self) -> Option<TraceOptions> {
        Some(TraceOptions {
            window: self.perfetto?.unwrap_or_default(),
            limit_bytes: u64::from(self.perfetto_limit) * 1_000_000,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Also {
    /// requests.jsonl: JSON Lines
    Jsonl,
    /// metrics.prom: OpenMetrics with vLLM's names, a scrape at each sample
    Prometheus,
    /// Every table as Parquet
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Also {
    const fn format(self) -> report::Format {
        match self {
            Self::Jsonl => report::Format::JsonLines,
            Self::Prometheus => report::Format::Prometheus,
            #[cfg(feature = "parquet")]
            Self::Parquet => report::Format::Parquet,
        }
    }
}

/// Why a run is not followed to its end.
enum Halt {
    Interrupted,
    Report(ReportError),
}

impl Run {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        #[cfg(feature = "html")]
        let command = self.input.command("run");
        let checked = self.input.load()?;
        let scenario = checked.scenario();
        let simulation = Simulation::with_policies(&checked, policies);
        let mut simulation = simulation.map_err(Failure::input)?;
        let results = output.directory(&scenario.name)?;
        let formats: Vec<_> = self.also.into_iter().map(Also::format).collect();
        let mut outputs = Outputs::new(&results, &checked, &formats).map_err(Failure::running)?;
        let trace = self.trace.options().map(|options| {
            simulation.record_runs();
            results.trace(&checked, options)
        });
        let mut trace = trace.transpose().map_err(Failure::running)?;
        let interrupt = Interrupt::listen().map_err(Failure::running)?;
        #[cfg(feature = "html")]
        let mut report = RunReport::new(&checked, command);
        let mut progress = (!output.quiet).then(|| Progress::new(scenario.end));
        let ran = simulation.run(|simulation, news| {
            if let Some(progress) = &mut progress {
                progress.update(simulation.now(), simulation.completed());
            }
            #[cfg(feature = "html")]
            report.see(simulation, &news);
            outputs.write(&news).map_err(Halt::Report)?;
            if let Some(trace) = &mut trace {
                let ledger = simulation.world().resource::<Ledger>();
                trace.write(ledger, &news).map_err(Halt::Report)?;
            }
            if interrupt.came() {
                return Err(Halt::Interrupted);
            }
            Ok(())
        });
        if let Some(progress) = progress {
            progress.finish();
        }
        let failed = match ran {
            Ok(ran) => ran.err().map(|error| error.to_string()),
            Err(Halt::Report(error)) => return Err(Failure::running(error)),
            Err(Halt::Interrupted) => {
                simulation.stop("interrupted");
                Some("interrupted".to_owned())
            }
        };
        let finished = simulation.finish();
        outputs.finish(&finished).map_err(Failure::running)?;
        if let Some(trace) = trace {
            let (_, full) = trace.finish(&finished).map_err(Failure::running)?;
            if let Some(from) = full.filter(|_| !output.quiet) {
                warn_of_full_trace(from);
            }
        }
        let record = &finished.record;
        let summary = record.summarise();
        results.write_summary(&summary).map_err(Failure::running)?;
        #[cfg(feature = "html")]
        results
            .write_report(&report.page(&finished, &summary))
            .map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => summary_table(&summary) + "\n",
                Format::Json => json(&summary)?,
            })?;
        }
        let partial = |reason: &str| {
            let results = results.path().display();
            format!("{reason}\nthe results up to there are in {results}, marked partial")
        };
        match (failed, &record.stopped) {
            (Some(reason), _) => Err(Failure::Running(partial(&reason))),
            (None, Some(reason)) => Err(Failure::Input(partial(reason))),
            (None, None) => Ok(()),
        }
    }
}

fn warn_of_full_trace(from: SimTime) {
    // Nothing is left to tell the user if the terminal is gone.
    _ = writeln!(
        io::stderr().lock(),
        "trace.json: no room for batches and requests from {:.1} s on; \
         choose a part of the run with --perfetto=FROM..UNTIL, or a larger --perfetto-limit",
        from.seconds()
    );
}
