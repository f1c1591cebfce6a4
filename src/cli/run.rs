use std::io::{self, Write};
use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::input::{Changes, Format, Output, json};
use super::interrupt::Interrupt;
use super::kept::Kept;
#[cfg(not(feature = "parquet"))]
use super::parquet::no_parquet;
use super::part::Part;
use super::replicate::Replicate;
use super::shell::{Failure, print};
use super::warn::Telling;
use crate::autoscale::PolicyRegistry;
use crate::fleet::{FleetsExt, RunWarnings};
use crate::observe::Rows;
use crate::report::{
    self, MetricsOptions, Omitted, OutputOptions, PerfettoTrace, Progress, ReportError,
    TraceExcerpts, TraceOptions, TraceWindow, summary_table,
};
use crate::time::{SimDuration, SimTime};
use crate::warning::Warnings;
use crate::workload::seconds_since_1970;

/// Run a scenario to its end and write what happened
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The scenario file; with --from, that of the run that goes on unless it is named
    #[arg(value_name = "SCENARIO.ron", required_unless_present = "from")]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    part: Part,
    /// Threads that serve applications at once; worth something with several applications. With
    /// `--replications`, runs at once [default: 1; with `--replications` one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    #[command(flatten)]
    replicate: Replicate,
    #[command(flatten)]
    output: Output,
    /// Formats to write beside CSV
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "FORMATS",
        conflicts_with = "replications"
    )]
    also: Vec<Also>,
    /// Files to leave out; summary.json is always written
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FILES")]
    without: Vec<Without>,
    /// Leave requests.csv out: the same as `--without requests`
    #[arg(long)]
    no_requests: bool,
    /// Write steps.csv, a row for each step of the engines `Vllm`; with INSTANCES, of these alone
    #[arg(
        long,
        value_name = "INSTANCES",
        num_args = 0..,
        require_equals = true,
        value_delimiter = ',',
        conflicts_with = "replications"
    )]
    steps: Option<Vec<u64>>,
    #[command(flatten)]
    metrics: Metrics,
    #[command(flatten)]
    trace: Trace,
}

/// How metrics.prom is written.
#[derive(Debug, Args)]
struct Metrics {
    /// What time zero is in metrics.prom, as 2026-01-05 or 2026-01-05T08:00:00Z [default: 1970-01-01]
    #[arg(long, value_name = "DATE", value_parser = date)]
    metrics_start: Option<f64>,
    /// A series for each instance in metrics.prom, of what an instance of vLLM tells
    #[arg(long)]
    metrics_by_instance: bool,
}

fn date(text: &str) -> Result<f64, String> {
    let expected = || format!("`{text}` is no date such as 2026-01-05 or 2026-01-05T08:00:00Z");
    seconds_since_1970(text).ok_or_else(expected)
}

/// Whether and how trace.json is written.
#[derive(Debug, Args)]
struct Trace {
    /// Write trace.json, which opens in ui.perfetto.dev; with FROM..UNTIL in simulated seconds,
    /// batches and requests are only recorded there
    #[arg(long, value_name = "FROM..UNTIL", num_args = 0..=1, require_equals = true, conflicts_with = "replications")]
    perfetto: Option<Option<TraceWindow>>,
    /// Megabytes that trace.json may take; where batches and requests need more, it has excerpts of
    /// them, evenly spread over the run
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
    /// Every table as Parquet, in a build with the feature `parquet`
    Parquet,
}

/// A file that a run may go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Without {
    /// requests.csv: a row a request
    Requests,
    /// scaling.csv: a row an event
    Scaling,
    /// timeline.csv: a row a sample of each role
    Timeline,
    /// decisions.csv: a row a decision of a policy
    Decisions,
    /// report.html: the charts
    Report,
}

impl Without {
    const fn table(self) -> Option<Omitted> {
        Some(match self {
            Self::Requests => Omitted::Requests,
            Self::Scaling => Omitted::Scaling,
            Self::Timeline => Omitted::Timeline,
            Self::Decisions => Omitted::Decisions,
            Self::Report => return None,
        })
    }
}

impl Also {
    fn format(self) -> Result<report::Format, Failure> {
        match self {
            Self::Jsonl => Ok(report::Format::JsonLines),
            Self::Prometheus => Ok(report::Format::Prometheus),
            #[cfg(feature = "parquet")]
            Self::Parquet => Ok(report::Format::Parquet),
            #[cfg(not(feature = "parquet"))]
            Self::Parquet => Err(no_parquet()),
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
        let formats: Result<Vec<_>, _> = self.also.into_iter().map(Also::format).collect();
        let formats = formats?;
        let telling = Telling {
            quiet: output.quiet,
            strict: self.changes.strict,
        };
        let part = self.part;
        let command = part.command(self.scenario.as_deref(), &self.changes);
        let begun = part.begin(self.scenario, &self.changes, policies)?;
        let (checked, mut simulation) = (&begun.checked, begun.simulation);
        if let Some(count) = self.replicate.count() {
            telling.tell(&policies.check(checked).map_err(Failure::input)?)?;
            return self
                .replicate
                .run(count, checked, policies, &output, self.threads);
        }
        let scenario = checked.scenario();
        if !checked.regions().is_empty() {
            let instances = "instances of regions have numbers of their own";
            let refuse = |option: &str| {
                Failure::Input(format!(
                    "{option} is not for scenarios with regions: {instances}"
                ))
            };
            if self.steps.is_some() {
                return Err(refuse("--steps"));
            }
            if self.trace.options().is_some() {
                return Err(refuse("--perfetto"));
            }
        }
        let until = part.until(&simulation)?;
        telling.tell(&simulation.warnings())?;
        if let Some(threads) = self.threads {
            if threads.get() > 1 && scenario.applications.len() == 1 {
                telling.note("--threads has no effect: the scenario has one application");
            }
            simulation.serve_on(threads);
        }
        let destination = output.directory(&scenario.name, false)?;
        let results = destination.results();
        let mut without = self.without;
        without.extend(self.no_requests.then_some(Without::Requests));
        let report = !without.contains(&Without::Report);
        let options = OutputOptions {
            formats,
            omitted: without.iter().filter_map(|it| it.table()).collect(),
            metrics: MetricsOptions {
                start: self.metrics.metrics_start.unwrap_or(0.0),
                by_instance: self.metrics.metrics_by_instance,
            },
        };
        if options.metrics.by_instance {
            simulation.record_instances();
        }
        let kept = Kept::with(results, checked, &command, &options, report);
        let mut kept = kept.map_err(Failure::running)?;
        if let Some(instances) = self.steps {
            simulation.record_steps((!instances.is_empty()).then_some(instances));
            kept.write_steps().map_err(Failure::running)?;
        }
        let mut trace = self.trace.options().map(|options| {
            simulation.record_runs();
            PerfettoTrace::new(options)
        });
        let interrupt = Interrupt::listen().map_err(Failure::running)?;
        let end = Some(until).filter(|&it| it < SimTime::MAX).or(scenario.end);
        let mut progress = (!output.quiet).then(|| Progress::new(end));
        let ran = simulation.run_until(until, |simulation, news| {
            if let Some(progress) = &mut progress {
                progress.update(simulation.now(), simulation.completed());
            }
            kept.see(simulation, &news).map_err(Halt::Report)?;
            if let Some(trace) = &mut trace {
                trace.see(&news);
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
        let saved = match failed {
            None => part.save(&mut simulation, begun.file, begun.overrides)?,
            Some(_) => None,
        };
        let world = simulation.world();
        let mut came_up = Warnings::default();
        for &fleet in world.fleets() {
            if let Some(warnings) = world.get::<RunWarnings>(fleet) {
                came_up.merge(warnings.all());
            }
        }
        let mut finished = simulation.finish();
        if saved.is_some() {
            // What has not ended is in the part that goes on from here.
            finished.rows = Rows::default();
        }
        let summary = kept.finish(&finished).map_err(Failure::running)?;
        if let Some(trace) = trace {
            let written = results.write_trace(trace, &finished);
            let excerpts = written.map_err(Failure::running)?;
            if let Some(excerpts) = excerpts.filter(|_| !output.quiet) {
                tell_of_excerpts(excerpts);
            }
        }
        destination.settle().map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => summary_table(&summary) + "\n",
                Format::Json => json(&summary)?,
            })?;
        }
        let told = telling.tell(&came_up);
        if let Some(saved) = saved {
            if !output.quiet {
                // Nothing is lost with this line.
                _ = writeln!(io::stderr().lock(), "{saved}");
            }
            return told;
        }
        let partial = |reason: &str| {
            let results = destination.path().display();
            format!("{reason}\nthe results up to there are in {results}, marked partial")
        };
        match (failed, &finished.record.stopped) {
            (Some(reason), _) => Err(Failure::Running(partial(&reason))),
            (None, Some(reason)) => Err(Failure::Input(partial(reason))),
            (None, None) => told,
        }
    }
}

fn tell_of_excerpts(excerpts: TraceExcerpts) {
    let [length, period] = [excerpts.length, excerpts.period].map(SimDuration::seconds);
    // Nothing is lost with this line.
    _ = writeln!(
        io::stderr().lock(),
        "trace.json: no room for all batches and requests: it has those that began in the first \
         {length} s of every {period} s; choose a part of the run with --perfetto=FROM..UNTIL, or \
         a larger --perfetto-limit"
    );
}
