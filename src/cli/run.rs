use clap::Args;

use super::input::{Format, Input, Output, json};
use super::{Failure, print};
use crate::autoscale::PolicyRegistry;
#[cfg(feature = "html")]
use crate::report::RunReport;
use crate::report::{Progress, Tables, summary_table};
use crate::simulation::Simulation;

/// Run a scenario to its end and write what happened
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
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
        let mut tables = Tables::new(&results, &checked).map_err(Failure::running)?;
        #[cfg(feature = "html")]
        let mut report = RunReport::new(&checked, command);
        let mut progress = (!output.quiet).then(|| Progress::new(scenario.end));
        let ran = simulation.run(|simulation, news| {
            if let Some(progress) = &mut progress {
                progress.update(simulation.now(), simulation.completed());
            }
            #[cfg(feature = "html")]
            report.see(simulation, &news);
            tables.write(&news)
        });
        let ran = ran.map_err(Failure::running)?;
        if let Some(progress) = progress {
            progress.finish();
        }
        let finished = simulation.finish();
        tables.finish(&finished).map_err(Failure::running)?;
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
        match (ran, &record.stopped) {
            (Err(error), _) => Err(Failure::running(error)),
            (Ok(()), Some(reason)) => Err(Failure::input(format!(
                "{reason}\nthe results up to there are in {}, marked partial",
                results.path().display()
            ))),
            (Ok(()), None) => Ok(()),
        }
    }
}
