use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use clap::Args;

use super::input::{Format, Output, json, quoted};
use super::interrupt::Interrupt;
use super::shell::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::report::{SweepProgress, found_table};
use crate::study::search::Search;
use crate::study::{StudyError, StudyFollower};

/// Find the smallest or cheapest setting that meets an objective
#[derive(Debug, Args)]
pub(super) struct SearchCommand {
    /// The search file: a base scenario, the limits to meet, and what is looked for
    #[arg(value_name = "SEARCH.ron")]
    file: PathBuf,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    output: Output,
}

impl SearchCommand {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        let output = self.output;
        let search = Search::load(&self.file, policies).map_err(failure)?;
        let destination = output.directory(search.name(), false)?;
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok());
        let jobs = jobs.unwrap_or(NonZero::<usize>::MIN);
        let following = Following::new(!output.quiet, Some(search.budget() as usize))?;
        let found = search.run(policies, jobs, &following);
        following.finish();
        let found = found.map_err(failure)?;
        let written = destination.results().write_search(&found);
        written.map_err(Failure::running)?;
        #[cfg(feature = "html")]
        {
            let command = format!(
                "fleetsim search {}",
                quoted(&self.file.display().to_string())
            );
            let page = crate::report::search_page(&found, &command);
            let written = destination.results().write_search_page(&page);
            written.map_err(Failure::running)?;
        }
        destination.settle().map_err(Failure::running)?;
        if !output.quiet {
            print(&match output.format {
                Format::Table => found_table(&found) + "\n",
                Format::Json => json(&found)?,
            })?;
        }
        match (&found.ended, &found.answer) {
            (Some(ended), _) => Err(Failure::Running(format!(
                "{ended}; what was tried is in {}",
                destination.path().display()
            ))),
            (None, None) => Err(Failure::Running(
                "no setting that was tried meets the limits; widen the range, or ask for less"
                    .to_owned(),
            )),
            (None, Some(_)) => Ok(()),
        }
    }
}

/// Why a study failed, as a failure of the command.
pub(super) fn failure(error: StudyError) -> Failure {
    match error {
        StudyError::Input(_) | StudyError::Budget(_) => Failure::input(error),
        StudyError::Running(_) | StudyError::Interrupted => Failure::running(error),
    }
}

/// Shows how far a study is, and ends it when the user asks for that.
pub(super) struct Following {
    interrupt: Interrupt,
    progress: Option<SweepProgress>,
}

impl Following {
    /// Progress is shown where `loud`; of `runs` at most, where that is known.
    pub(super) fn new(loud: bool, runs: Option<usize>) -> Result<Self, Failure> {
        Ok(Self {
            interrupt: Interrupt::listen().map_err(Failure::running)?,
            progress: loud.then(|| SweepProgress::new(runs.unwrap_or(0))),
        })
    }

    /// Takes the progress away.
    pub(super) fn finish(self) {
        if let Some(progress) = self.progress {
            progress.finish();
        }
    }
}

impl StudyFollower for Following {
    fn ended(&self) {
        if let Some(progress) = &self.progress {
            progress.done();
        }
    }

    fn stops(&self) -> bool {
        self.interrupt.came()
    }
}
