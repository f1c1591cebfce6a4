use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;

use super::interrupt::Interrupt;
use super::parquet::AlsoTable;
use super::shell::{Failure, print};
use crate::autoscale::PolicyRegistry;
use crate::report::{Claim, Journal, ResultsDirectory, SweepProgress, sweep_table};
use crate::study::sweep::{
    self, Done, Heading, Plan, Shard, Shared, SweepFollower, SweepResult, journal,
};

/// Run a scenario with each value of some axes
#[derive(Debug, Args)]
pub(super) struct Sweep {
    /// The sweep file: a base scenario and its axes
    #[arg(value_name = "SWEEP.ron")]
    file: PathBuf,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Only the Ith of N parts of the runs, as for one machine of several; `merge` joins the parts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Go on with a sweep that was interrupted or killed: runs that ended are not repeated
    #[arg(long)]
    resume: bool,
    /// Where results go [default: results/<sweep name>, with `-I-of-N` behind it for a shard]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the results that are there
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    #[command(flatten)]
    also: AlsoTable,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

impl Sweep {
    pub(super) fn execute(self, policies: &PolicyRegistry) -> Result<(), Failure> {
        self.also.check()?;
        let plan = Plan::load(&self.file, policies).map_err(Failure::input)?;
        let heading = Heading::of(&plan, self.shard);
        let out = self.out.clone().unwrap_or_else(|| default_out(&heading));
        let _claim = Claim::of(&out).map_err(Failure::input)?;
        let (results, known) = match self.resume {
            true => earlier(out, &heading)?,
            false => {
                let created = ResultsDirectory::create(out, self.overwrite);
                (created.map_err(Failure::input)?, Vec::new())
            }
        };
        let lines = lines(&heading, &known)?;
        let journal = results.start_journal(&lines).map_err(Failure::running)?;
        let earlier = SweepResult::new(heading, known);
        let missing = earlier.missing();
        let interrupt = Interrupt::listen().map_err(Failure::running)?;
        let on_the_side = OnTheSide {
            kept: Mutex::new((journal, earlier.runs)),
            progress: (!self.quiet).then(|| SweepProgress::new(missing.len())),
            interrupt,
        };
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok());
        let jobs = jobs.unwrap_or(NonZero::<usize>::MIN);
        let ran = sweep::run(&plan, &missing, policies, jobs, &on_the_side);
        if let Some(progress) = on_the_side.progress {
            progress.finish();
        }
        let kept = on_the_side.kept.into_inner();
        let (_, runs) = kept.unwrap_or_else(PoisonError::into_inner);
        let shared = ran.map_err(Failure::Running)?;
        if !self.quiet && shared.runs > 0 {
            tell_of_shared(&shared);
        }
        let result = SweepResult::new(earlier.heading, runs);
        finish(&results, &result, self.also, self.quiet)
    }
}

fn tell_of_shared(shared: &Shared) {
    let share = 100.0 * shared.saved_s / shared.total_s;
    // Nothing is lost with this line.
    _ = writeln!(
        io::stderr().lock(),
        "{} runs went on from the start of another: {share:.0} % of the simulated time was not run again",
        shared.runs
    );
}

fn default_out(heading: &Heading) -> PathBuf {
    let part = heading.shard.map(String::from);
    let part = part.map(|it| format!("-{}", it.replace('/', "-of-")));
    PathBuf::from("results").join(format!("{}{}", heading.sweep, part.unwrap_or_default()))
}

/// The runs that a directory has of this sweep; those that failed are done again.
fn earlier(out: PathBuf, heading: &Heading) -> Result<(ResultsDirectory, Vec<Done>), Failure> {
    let results = ResultsDirectory::open(&out).map_err(Failure::input)?;
    let Some(text) = results.read_journal().map_err(Failure::running)? else {
        // Killed before it began, or nothing there yet: there is nothing to repeat.
        return Ok((results, Vec::new()));
    };
    match journal::read(&text) {
        Some((found, _)) if found != *heading => Err(Failure::Input(format!(
            "{}: the runs there are of another sweep, scenario, shard or version of fleetsim; \
             begin anew with --overwrite, or pass another directory with --out",
            out.display()
        ))),
        Some((_, mut runs)) => {
            runs.retain(|it| it.error.is_none());
            Ok((results, runs))
        }
        None => Ok((results, Vec::new())),
    }
}

/// A journal of these runs, in order.
fn lines(heading: &Heading, runs: &[Done]) -> Result<String, Failure> {
    let mut lines = journal::line(heading).map_err(Failure::running)?;
    for done in runs {
        lines += &journal::line(done).map_err(Failure::running)?;
    }
    Ok(lines)
}

/// Writes the tables of a sweep, its journal in order, and what is on the terminal.
fn finish(
    results: &ResultsDirectory,
    result: &SweepResult,
    also: AlsoTable,
    quiet: bool,
) -> Result<(), Failure> {
    let lines = lines(&result.heading, &result.runs)?;
    results.start_journal(&lines).map_err(Failure::running)?;
    results.write_sweep(result).map_err(Failure::running)?;
    also.write(results, result)?;
    #[cfg(feature = "html")]
    results
        .write_sweep_page(&crate::report::sweep_page(result))
        .map_err(Failure::running)?;
    if !quiet {
        print(&(sweep_table(result) + "\n"))?;
    }
    let (missing, failed) = (result.missing().len(), result.failed().count());
    let mut message = String::new();
    if missing > 0 {
        message += &format!(
            "interrupted: {missing} of {} runs are missing; the others are in {}, marked partial; \
             go on with --resume",
            result.heading.runs().count(),
            results.path().display()
        );
    }
    if failed > 0 {
        let gap = if message.is_empty() { "" } else { "\n" };
        message += &format!("{gap}{failed} runs failed; sweep.csv says why");
        if let Some((done, error)) = result.failed().next() {
            message += &format!("\nrun {}: {error}", done.run);
        }
    }
    match message.is_empty() {
        true => Ok(()),
        false => Err(Failure::Running(message)),
    }
}

/// What the command line does while the runs go on.
struct OnTheSide {
    kept: Mutex<(Journal, Vec<Done>)>,
    progress: Option<SweepProgress>,
    interrupt: Interrupt,
}

impl SweepFollower for OnTheSide {
    fn ended(&self, done: &Done) -> Result<(), String> {
        let line = journal::line(done).map_err(|error| error.to_string())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.add(&line).map_err(|error| error.to_string())?;
        kept.1.push(done.clone());
        if let Some(progress) = &self.progress {
            progress.done();
        }
        Ok(())
    }

    fn stops(&self) -> bool {
        self.interrupt.came()
    }
}

/// Join the shards of a sweep
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The directories of the shards
    #[arg(value_name = "DIR", required = true)]
    shards: Vec<PathBuf>,
    /// Where the results of the whole sweep go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the results that are there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    also: AlsoTable,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

impl Merge {
    pub(super) fn execute(self) -> Result<(), Failure> {
        self.also.check()?;
        let mut whole: Option<(Heading, PathBuf)> = None;
        let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());
        for directory in &self.shards {
            let results = ResultsDirectory::open(directory).map_err(Failure::input)?;
            let text = results.read_journal().map_err(Failure::running)?;
            let found = text.as_deref().and_then(journal::read);
            let Some((heading, found)) = found else {
                let place = directory.display();
                let message =
                    format!("{place}: there is no sweep here; pass a directory of `sweep`");
                return Err(Failure::Input(message));
            };
            let heading = Heading {
                shard: None,
                ..heading
            };
            match &whole {
                Some((first, place)) if *first != heading => {
                    return Err(Failure::Input(format!(
                        "{}: this is of another sweep, scenario or version of fleetsim than {}",
                        directory.display(),
                        place.display()
                    )));
                }
                Some(_) => {}
                None => whole = Some((heading, directory.clone())),
            }
            for done in &found {
                if !seen.insert(done.run) {
                    let message = format!(
                        "{}: run {} is in another directory, too; name each shard once",
                        directory.display(),
                        done.run
                    );
                    return Err(Failure::Input(message));
                }
            }
            runs.extend(found);
        }
        let Some((heading, _)) = whole else {
            return Ok(());
        };
        let result = SweepResult::new(heading, runs);
        let missing = result.missing().len();
        if missing > 0 {
            return Err(Failure::Input(format!(
                "{missing} of {} runs are in none of these directories; run the shards that are \
                 missing, or go on with those that were interrupted with --resume",
                result.heading.runs
            )));
        }
        let _claim = Claim::of(&self.out).map_err(Failure::input)?;
        let results = ResultsDirectory::create(self.out, self.overwrite);
        finish(
            &results.map_err(Failure::input)?,
            &result,
            self.also,
            self.quiet,
        )
    }
}
