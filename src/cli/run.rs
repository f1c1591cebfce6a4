use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, print};
use crate::autoscale::Decision;
use crate::fleet::ScalingEvent;
use crate::observe::{Rows, Summary};
use crate::report::{
    CsvWriter, Decisions, Progress, ReportError, Requests, ResultsDirectory, Scaling, Timeline,
    summary_table,
};
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, Simulation};

/// Run a scenario to its end and write what happened
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The scenario file
    #[arg(value_name = "SCENARIO.ron")]
    scenario: PathBuf,
    /// Replace a value, as in `applications[0].scaling.scale_up_delay=20`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Where results go [default: results/<scenario name>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the results that are there
    #[arg(long)]
    overwrite: bool,
    /// Seed of every random stream, instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How the summary is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table to read
    Table,
    /// summary.json
    Json,
}

impl Run {
    pub(super) fn execute(mut self) -> Result<(), Failure> {
        if let Some(seed) = self.seed {
            self.overrides.push(format!("seed={seed}"));
        }
        let checked =
            CheckedScenario::load(&self.scenario, &self.overrides).map_err(Failure::input)?;
        let name = &checked.scenario().name;
        let out = self
            .out
            .unwrap_or_else(|| PathBuf::from("results").join(name));
        let mut simulation = Simulation::new(&checked).map_err(Failure::input)?;
        let results = ResultsDirectory::create(out, self.overwrite).map_err(Failure::input)?;
        let mut writers = Writers::new(&results, &checked).map_err(Failure::running)?;
        let mut progress = (!self.quiet).then(|| Progress::new(checked.scenario().end));
        let failed = loop {
            let more = simulation.tick();
            let (rows, scaling) = (simulation.take_rows(), simulation.take_scaling());
            writers.write(&rows, &scaling).map_err(Failure::running)?;
            let decisions = simulation.take_decisions();
            writers.decide(&decisions).map_err(Failure::running)?;
            if let Some(progress) = &mut progress {
                progress.update(simulation.now(), simulation.completed());
            }
            match more {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => {
                    simulation.stop(error.to_string());
                    break Some(Failure::running(error));
                }
            }
        };
        if let Some(progress) = progress {
            progress.finish();
        }
        let Finished {
            rows,
            scaling,
            record,
        } = simulation.finish();
        writers.write(&rows, &scaling).map_err(Failure::running)?;
        writers.finish().map_err(Failure::running)?;
        let summary = record.summarise();
        results.write_summary(&summary).map_err(Failure::running)?;
        if !self.quiet {
            print(&render(&summary, self.format)?)?;
        }
        match (failed, &record.stopped) {
            (Some(failure), _) => Err(failure),
            (None, Some(reason)) => Err(Failure::input(format!(
                "{reason}\nthe results up to there are in {}, marked partial",
                results.path().display()
            ))),
            (None, None) => Ok(()),
        }
    }
}

fn render(summary: &Summary, format: Format) -> Result<String, Failure> {
    match format {
        Format::Table => Ok(summary_table(summary) + "\n"),
        Format::Json => serde_json::to_string_pretty(summary)
            .map(|json| json + "\n")
            .map_err(|error| Failure::Running(format!("cannot write the summary: {error}"))),
    }
}

/// The tables of a results directory, being written.
struct Writers {
    names: Vec<String>,
    requests: CsvWriter<Requests>,
    scaling: CsvWriter<Scaling>,
    timeline: CsvWriter<Timeline>,
    /// Only where an application has a policy.
    decisions: Option<CsvWriter<Decisions>>,
}

impl Writers {
    fn new(results: &ResultsDirectory, checked: &CheckedScenario) -> Result<Self, ReportError> {
        let applications = &checked.scenario().applications;
        let decides = applications.iter().any(|of| of.autoscaler.is_some());
        Ok(Self {
            names: applications.iter().map(|of| of.name.clone()).collect(),
            requests: results.csv()?,
            scaling: results.csv()?,
            timeline: results.csv()?,
            decisions: decides.then(|| results.csv()).transpose()?,
        })
    }

    fn write(&mut self, rows: &Rows, scaling: &[ScalingEvent]) -> Result<(), ReportError> {
        for (application, request) in &rows.requests {
            self.requests.write((&self.names[*application], request))?;
        }
        for event in scaling {
            self.scaling.write(event)?;
        }
        for sample in &rows.samples {
            self.timeline.write(sample)?;
        }
        Ok(())
    }

    fn decide(&mut self, decisions: &[Decision]) -> Result<(), ReportError> {
        let Some(writer) = &mut self.decisions else {
            return Ok(());
        };
        decisions.iter().try_for_each(|row| writer.write(row))
    }

    fn finish(self) -> Result<(), ReportError> {
        self.requests.finish()?;
        self.scaling.finish()?;
        self.timeline.finish()?;
        self.decisions.map(CsvWriter::finish).transpose()?;
        Ok(())
    }
}
