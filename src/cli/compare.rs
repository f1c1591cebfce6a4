use std::borrow::Cow;
#[cfg(feature = "html")]
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use clap::Args;

use super::destination::Destination;
use super::input::{Format, Input, Output, json, quoted};
use super::interrupt::Interrupt;
use super::kept::Kept;
use super::replicate::{Replicate, Seeds};
use super::shell::{Failure, print};
use super::warn::Telling;
use crate::autoscale::PolicyRegistry;
#[cfg(feature = "html")]
use crate::report::comparison_page;
use crate::report::{ComparisonProgress, ReportError, comparison_table};
use crate::scenario::CheckedScenario;
use crate::simulation::{Finished, News, Simulation};
use crate::study::{Comparison, Contest, Follower, Watch};

/// Run a scenario under several policies and compare what each costs and what users feel
#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    input: Input,
    /// Policies with their parameters, as in the scenario, each with a name before it if it is to have one:
    /// `None, HpaGpu, wide: HeteroScale(max: 50)`; `all` stands for None and every policy that the scenario
    /// has the instance roles for; @FILE reads the list from a file
    #[arg(long, value_name = "POLICIES")]
    policies: String,
    /// Contenders that run at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Keep each contender's own results, with its report, in `runs` in the results directory
    #[arg(long)]
    keep_runs: bool,
    /// Go on with a comparison that was interrupted: contenders whose figures are in the results
    /// directory, of the same scenario, seed and version, are not run again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    replicate: Replicate,
    #[command(flatten)]
    output: Output,
}

impl Compare {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        let command = self.input.command("compare");
        let strict = self.input.changes.strict;
        let checked = self.input.load(policies)?;
        let list = listed(&self.policies)?;
        let mut contest = Contest::new(&checked, policies, &list).map_err(Failure::input)?;
        let telling = Telling {
            quiet: output.quiet,
            strict,
        };
        telling.tell(checked.warnings())?;
        let name = format!("{}-comparison", checked.scenario().name);
        let destination = output.directory(&name, self.resume)?;
        let results = destination.results();
        if self.resume
            && let Some(earlier) = earlier(destination.path())
        {
            contest.resume(&earlier);
        }
        let again = self.resume || output.overwrites();
        let runs = if self.keep_runs {
            kept_runs(&contest, destination.path(), again, &command)?
        } else {
            Vec::new()
        };
        let interrupt = Interrupt::listen().map_err(Failure::running)?;
        let labels = contest.labels().map(str::to_owned).collect();
        let progress =
            (!output.quiet).then(|| ComparisonProgress::new(labels, checked.scenario().end));
        let on_the_side = OnTheSide {
            runs,
            progress,
            interrupt,
        };
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok());
        let jobs = jobs.unwrap_or(NonZero::<usize>::MIN);
        let comparison = contest.run(jobs, &on_the_side);
        if let Some(progress) = on_the_side.progress {
            progress.finish();
        }
        let seeds = Seeds {
            interrupt: &on_the_side.interrupt,
            loud: !output.quiet,
        };
        let comparison = self
            .replicate
            .compare(comparison, &checked, policies, &list, jobs, &seeds)?;
        let written = results.write_comparison(&comparison);
        written.map_err(Failure::running)?;
        #[cfg(feature = "html")]
        {
            let reports = if self.keep_runs {
                reports(&contest, destination.path())
            } else {
                BTreeMap::new()
            };
            let command = with(&command, &self.policies) + &self.replicate.words();
            let page = comparison_page(&comparison, &command, &reports);
            let written = results.write_comparison_page(&page);
            written.map_err(Failure::running)?;
        }
        destination.settle().map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => comparison_table(&comparison) + "\n",
                Format::Json => json(&comparison)?,
            })?;
        }
        let failed = comparison.failed().count();
        if failed == 0 && !comparison.partial {
            return Ok(());
        }
        let of = comparison.contenders.len() + comparison.missing.len();
        let mut message = String::new();
        if comparison.partial {
            message += &format!(
                "interrupted: missing of {of} contenders: {}\nthe others are in {}, marked partial; go on \
                 with --resume",
                comparison.missing.join(", "),
                destination.path().display()
            );
        }
        if failed > 0 {
            let gap = if message.is_empty() { "" } else { "\n" };
            message += &format!("{gap}{failed} of {of} contenders failed");
        }
        for (policy, error) in comparison.failed() {
            message += &format!("\n{policy}: {error}");
        }
        Err(Failure::Running(message))
    }
}

/// The list of policies that is given, or that is in the file after an `@`.
fn listed(policies: &str) -> Result<Cow<'_, str>, Failure> {
    let Some(path) = policies.strip_prefix('@') else {
        return Ok(Cow::Borrowed(policies));
    };
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Failure::input(format!("cannot read `{path}`: {error}")))?;
    Ok(Cow::Owned(text))
}

/// What to type to compare these policies.
fn with(command: &str, policies: &str) -> String {
    format!("{command} --policies {}", quoted(policies))
}

/// A contender's run that is kept: where, and what to type to have it again.
struct KeptRun {
    destination: Destination,
    command: String,
}

/// A results directory for each contender that is to run, beneath that of the comparison.
fn kept_runs(
    contest: &Contest<'_>,
    results: &Path,
    again: bool,
    command: &str,
) -> Result<Vec<Option<KeptRun>>, Failure> {
    let runs = contest.contenders().enumerate().map(|(position, written)| {
        if contest.is_known(position) {
            return Ok(None);
        }
        let path = results.join(kept_in(position, &written));
        Ok(Some(KeptRun {
            destination: Destination::open(path, again).map_err(Failure::input)?,
            command: format!("{} --keep-runs", with(command, &written)),
        }))
    });
    runs.collect()
}

/// Where the run of a contender is kept, within the results.
fn kept_in(position: usize, written: &str) -> String {
    format!("runs/{}", file_name(position + 1, written))
}

/// The reports of the runs that are kept, by policy, relative to the results.
#[cfg(feature = "html")]
fn reports(contest: &Contest<'_>, results: &Path) -> BTreeMap<String, String> {
    let runs = contest.policies().zip(contest.contenders()).enumerate();
    let reports = runs.map(|(position, (policy, written))| {
        let report = format!("{}/report.html", kept_in(position, &written));
        (policy.to_owned(), report)
    });
    reports
        .filter(|(_, report)| results.join(report).exists())
        .collect()
}

/// The comparison that is in a directory, if one is.
fn earlier(directory: &Path) -> Option<Comparison> {
    let text = fs::read_to_string(directory.join("comparison.json")).ok()?;
    serde_json::from_str(&text).ok()
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
    /// One for each contender, if they are kept; none for one that is not run.
    runs: Vec<Option<KeptRun>>,
    progress: Option<ComparisonProgress>,
    interrupt: Interrupt,
}

impl Follower for OnTheSide {
    fn begin(
        &self,
        position: usize,
        scenario: &CheckedScenario,
    ) -> Result<Box<dyn Watch + '_>, String> {
        let run = self.runs.get(position).and_then(Option::as_ref);
        let kept = run.map(|run| {
            let results = run.destination.results();
            Kept::new(results, scenario, &run.command)
        });
        Ok(Box::new(Side {
            position,
            kept: kept.transpose().map_err(text)?,
            destination: run.map(|run| &run.destination),
            progress: self.progress.as_ref(),
        }))
    }

    fn stops(&self) -> bool {
        self.interrupt.came()
    }
}

struct Side<'a> {
    position: usize,
    kept: Option<Kept<'a>>,
    destination: Option<&'a Destination>,
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
        if let Some(kept) = self.kept.take() {
            kept.finish(finished).map_err(text)?;
        }
        self.destination
            .map_or(Ok(()), Destination::settle)
            .map_err(text)
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
