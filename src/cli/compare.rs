use std::num::NonZero;
use std::thread;

use clap::Args;

#[cfg(feature = "html")]
use super::input::quoted;
use super::input::{Format, Input, Output, json};
use super::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::compare::{Contest, Follower, Watch};
#[cfg(feature = "html")]
use crate::report::comparison_page;
use crate::report::{ComparisonProgress, Outputs, ResultsDirectory, comparison_table};
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News, Simulation};

/// Run a scenario under several policies and compare what each costs and what users feel
#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    input: Input,
    /// Policies with their parameters, as in the scenario: `None, HpaGpu, HeteroScale(max: 50)`;
    /// `all` stands for None and every policy that the scenario has the instance roles for
    #[arg(long, value_name = "POLICIES")]
    policies: String,
    /// Contenders that run at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Keep each contender's own results, in `runs` in the results directory
    #[arg(long)]
    keep_runs: bool,
    #[command(flatten)]
    output: Output,
}

impl Compare {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        #[cfg(feature = "html")]
        let command = {
            let policies = quoted(&self.policies);
            format!("{} --policies {policies}", self.input.command("compare"))
        };
        let checked = self.input.load()?;
        let contest = Contest::new(&checked, policies, &self.policies).map_err(Failure::input)?;
        let name = format!("{}-comparison", checked.scenario().name);
        let results = output.directory(&name)?;
        let runs = if self.keep_runs {
            contest_directories(&contest, &results, &output)?
        } else {
            Vec::new()
        };
        let labels = contest.contenders().map(str::to_owned).collect();
        let progress =
            (!output.quiet).then(|| ComparisonProgress::new(labels, checked.scenario().end));
        let on_the_side = OnTheSide { runs, progress };
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok());
        let comparison = contest.run(jobs.unwrap_or(NonZero::<usize>::MIN), &on_the_side);
        if let Some(progress) = on_the_side.progress {
            progress.finish();
        }
        let written = results.write_comparison(&comparison);
        written.map_err(Failure::running)?;
        #[cfg(feature = "html")]
        results
            .write_comparison_page(&comparison_page(&comparison, &command))
            .map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => comparison_table(&comparison) + "\n",
                Format::Json => json(&comparison)?,
            })?;
        }
        let failed = comparison.failed().count();
        if failed == 0 {
            return Ok(());
        }
        let of = comparison.contenders.len();
        let mut message = format!("{failed} of {of} contenders failed");
        for (policy, error) in comparison.failed() {
            message += &format!("\n{policy}: {error}");
        }
        Err(Failure::Running(message))
    }
}

/// A results directory for each contender, beneath that of the comparison.
fn contest_directories(
    contest: &Contest<'_>,
    results: &ResultsDirectory,
    output: &Output,
) -> Result<Vec<ResultsDirectory>, Failure> {
    let directories = (1..).zip(contest.contenders()).map(|(number, label)| {
        let path = results.path().join("runs").join(file_name(number, label));
        output.directory_at(path)
    });
    directories.collect()
}

/// A contender's number and what file systems take of its label.
fn file_name(number: usize, label: &str) -> String {
    let words = label.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut name = format!("{number:02}-{}", words.join("-"));
    name.truncate(64);
    name
}

/// What the command line does while the contenders run.
struct OnTheSide {
    /// One for each contender whose run is kept.
    runs: Vec<ResultsDirectory>,
    progress: Option<ComparisonProgress>,
}

impl Follower for OnTheSide {
    fn begin(
        &self,
        position: usize,
        scenario: &CheckedScenario,
    ) -> Result<Box<dyn Watch + '_>, String> {
        let run = self.runs.get(position);
        let outputs = run.map(|run| Ok((run, Outputs::new(run, scenario, &[])?)));
        Ok(Box::new(Side {
            position,
            outputs: outputs.transpose().map_err(text)?,
            progress: self.progress.as_ref(),
        }))
    }
}

struct Side<'a> {
    position: usize,
    outputs: Option<(&'a ResultsDirectory, Outputs<'a>)>,
    progress: Option<&'a ComparisonProgress>,
}

impl Watch for Side<'_> {
    fn see(&mut self, simulation: &Simulation, news: &News) -> Result<(), String> {
        if let Some(progress) = self.progress {
            progress.update(self.position, simulation.now());
        }
        match &mut self.outputs {
            Some((_, outputs)) => outputs.write(news).map_err(text),
            None => Ok(()),
        }
    }

    fn end(mut self: Box<Self>, finished: &Finished) -> Result<(), String> {
        if let Some((run, outputs)) = self.outputs.take() {
            outputs.finish(finished).map_err(text)?;
            let summary = finished.record.summarise();
            run.write_summary(&summary).map_err(text)?;
        }
        Ok(())
    }
}

impl Drop for Side<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.progress {
            progress.done(self.position);
        }
    }
}

fn text(error: crate::report::ReportError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_becomes_a_file_name() {
        assert_eq!(
            file_name(3, "HeteroScale(max: 5, tbt: 0.1)"),
            "03-HeteroScale-max-5-tbt-0.1"
        );
        assert_eq!(file_name(12, "None"), "12-None");
    }
}
