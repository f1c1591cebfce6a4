use std::num::NonZero;
use std::path::Path;
use std::thread;

use clap::Args;

use super::input::{Format, Output, json};
use super::interrupt::Interrupt;
use super::shell::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::report::{SweepProgress, replications_json, replications_table};
use crate::scenario::CheckedScenario;
use crate::study::{Comparison, Contest, Follower, Precision, Replicated, Replications, Watch};

/// How often a run is repeated with another seed.
#[derive(Debug, Args)]
pub(super) struct Replicate {
    /// Repeat with N seeds, the scenario's and those behind it, and give each figure's mean with its
    /// 95 % interval
    #[arg(long, value_name = "N")]
    replications: Option<NonZero<usize>>,
    /// Stop early, after five seeds or more, once half the interval of SLO attainment, of the 99th
    /// percentile of TTFT and of cost is within this share of the mean, such as 5%
    #[arg(long, value_name = "P%", requires = "replications")]
    precision: Option<Precision>,
}

impl Replicate {
    /// What to type for the same, with a blank before it; nothing where there is one run.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        if let Some(count) = self.count() {
            words += &format!(" --replications {count}");
        }
        if let Some(precision) = self.precision {
            words += &format!(" --precision {precision}");
        }
        words
    }

    /// How many seeds, if several.
    pub(super) fn count(&self) -> Option<NonZero<usize>> {
        self.replications.filter(|it| it.get() > 1)
    }

    /// Runs a scenario with each seed and leaves replications.csv and replications.json.
    pub(super) fn run(
        &self,
        count: NonZero<usize>,
        checked: &CheckedScenario,
        policies: &PolicyRegistry,
        output: &Output,
        jobs: Option<NonZero<usize>>,
    ) -> Result<(), Failure> {
        let destination = output.directory(&checked.scenario().name, false)?;
        let interrupt = Interrupt::listen().map_err(Failure::running)?;
        let progress = (!output.quiet).then(|| SweepProgress::new(count.get()));
        let replications = Replications::run(
            checked,
            policies,
            count,
            self.precision,
            jobs.unwrap_or_else(cores),
            &|| {
                if let Some(progress) = &progress {
                    progress.done();
                }
            },
            &|| interrupt.came(),
        );
        if let Some(progress) = progress {
            progress.finish();
        }
        let replications = replications.map_err(Failure::input)?;
        let written = destination
            .results()
            .write_replications(checked, &replications);
        written.map_err(Failure::running)?;
        destination.settle().map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => replications_table(checked, &replications) + "\n",
                Format::Json => json(&replications_json(checked, &replications))?,
            })?;
        }
        verdict(&replications, destination.path())
    }

    /// Compares with each seed behind the first, and puts them all side by side.
    pub(super) fn compare(
        &self,
        mut comparison: Comparison,
        checked: &CheckedScenario,
        registry: &PolicyRegistry,
        policies: &str,
        jobs: NonZero<usize>,
        follower: &Seeds<'_>,
    ) -> Result<Comparison, Failure> {
        let Some(count) = self.count() else {
            return Ok(comparison);
        };
        let progress = follower.loud.then(|| SweepProgress::new(count.get()));
        let base = checked.scenario().seed;
        let mut all = vec![comparison.clone()];
        for number in 1..count.get() as u64 {
            if follower.stops() || self.precision.is_some_and(|it| Replicated::meets(&all, it)) {
                break;
            }
            let seed = format!("seed={}", base.wrapping_add(number));
            let scenario = checked.with_settings(&[seed]).map_err(Failure::input)?;
            let contest = Contest::new(&scenario, registry, policies).map_err(Failure::input)?;
            let next = contest.run(jobs, follower);
            if next.partial {
                break;
            }
            all.push(next);
            if let Some(progress) = &progress {
                progress.done();
            }
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        comparison.replicated = Replicated::of(&all);
        Ok(comparison)
    }
}

/// Follows contests of further seeds, of which nothing is kept.
pub(super) struct Seeds<'a> {
    pub(super) interrupt: &'a Interrupt,
    /// Whether progress is shown.
    pub(super) loud: bool,
}

impl Follower for Seeds<'_> {
    fn begin(&self, _: usize, _: &CheckedScenario) -> Result<Box<dyn Watch + '_>, String> {
        Ok(Box::new(()))
    }

    fn stops(&self) -> bool {
        self.interrupt.came()
    }
}

fn verdict(replications: &Replications, results: &Path) -> Result<(), Failure> {
    let failed = replications.runs.iter().filter_map(|(seed, run)| {
        let error = run.as_ref().err()?;
        Some(format!("seed {seed} failed: {error}"))
    });
    let mut messages: Vec<String> = failed.collect();
    if replications.partial {
        let results = results.display();
        messages.push(format!("interrupted: the runs that ended are in {results}"));
    }
    match messages.is_empty() {
        true => Ok(()),
        false => Err(Failure::Running(messages.join("\n"))),
    }
}

fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}
