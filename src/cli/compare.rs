use std::num::NonZero;
use std::thread;

use clap::Args;

use super::input::{Format, Input, Output, json, quoted};
use super::kept::Kept;
use super::warn::Telling;
use super::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::compare::{Contest, Follower, Watch};
#[cfg(feature = "html")]
use crate::report::comparison_page;
use crate::report::{ComparisonProgress, ReportError, ResultsDirectory, comparison_table};
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
    /// Keep each contender's own results, with its report, in `runs` in the results directory
    #[arg(long)]
    keep_runs: bool,
    #[command(flatten)]
    output: Output,
}

impl Compare {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        let command = self.input.command("compare");
        let strict = self.input.strict;
        let checked = self.input.load()?;
        let contest = Contest::new(&checked, policies, &self.policies).map_err(Failure::input)?;
        let telling = Telling {
            quiet: output.quiet,
            strict,
        };
        telling.tell(checked.warnings())?;
        let name = format!("{}-comparison", checked.scenario().name);
        let results = output.directory(&name)?;
        let runs = if self.keep_runs {
            kept_runs(&contest, &results, &output, &command)?
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
        {
            let page = comparison_page(&comparison, &with(&command, &self.policies));
            let written = results.write_comparison_page(&page);
            written.map_err(Failure::running)?;
        }
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

/// What to type to compare these policies.
fn with(command: &str, policies: &str) -> String {
    format!("{command} --policies {}", quoted(policies))
}

/// A contender's run that is kept: where, and what to type to have it again.
struct KeptRun {
    results: ResultsDirectory,
    command: String,
}

/// A results directory for each contender, beneath that of the comparison.
fn kept_runs(
    contest: &Contest<'_>,
    results: &ResultsDirectory,
    output: &Output,
    command: &str,
) -> Result<Vec<KeptRun>, Failure> {
    let runs = (1..).zip(contest.contenders()).map(|(number, label)| {
        let path = results.path().join("runs").join(file_name(number, label));
        Ok(KeptRun {
            results: output.directory_at(path)?,
            command: format!("{} --keep-runs", with(command, label)),
        })
    });
    runs.collect()
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
    /// One for each contender, if they are kept.
    runs: Vec<KeptRun>,
    progress: Option<ComparisonProgress>,
}

impl Follower for OnTheSide {
    fn begin(
        &self,
        position: usize,
        scenario: &CheckedScenario,
    ) -> Result<Box<dyn Watch + '_>, String> {
        let run = self.runs.get(position);
        let kept = run.map(|run| Kept::new(&run.results, scenario, &[], &run.command));
        Ok(Box::new(Side {
            position,
            kept: kept.transpose().map_err(text)?,
            progress: self.progress.as_ref(),
        }))
    }
}

struct Side<'a> {
    position: usize,
    kept: Option<Kept<'a>>,
    progress: Option<&'a ComparisonProgress>,
}

impl Watch for Side<'_> {
    fn see(&mut self, simulation: &Simulation, news: &News) -> Result<(), String> {
        if let Some(progress) = self.progress {
            progress.update(self.position, simulation.now());
        }
        match &mut self.kept {
            Some(kept) => kept.see(simulation, news).map_err(text),
            None => Ok(()),
        }
    }

    fn end(mut self: Box<Self>, finished: &Finished) -> Result<(), String> {
        match self.kept.take() {
            Some(kept) => kept.finish(finished).map(drop).map_err(text),
            None => Ok(()),
        }
    }
}

impl Drop for Side<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.progress {
            progress.done(self.position);
        }
    }
}

fn text(error: ReportError) -> String {
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
