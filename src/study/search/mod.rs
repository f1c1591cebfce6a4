//! Searches: the smallest number, or the cheapest setting, that meets an objective.

mod cheapest;
mod file;
mod smallest;
mod verdict;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;

use serde::Serialize;

use super::Interval;
use super::evaluate::{Evaluator, Settings, StudyError, StudyFollower};
use super::judge::frontier;
use super::replicate::intervals;
use crate::autoscale::PolicyRegistry;
use crate::document::read;
use crate::scenario::{CheckedScenario, Problem};

pub use file::{Constraint, Find, SearchFile};
pub use verdict::Verdict;

/// A search, read and checked.
#[derive(Clone, Debug)]
pub struct Search {
    name: String,
    base: CheckedScenario,
    file: SearchFile,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What the search goes by.
    pub search: String,
    /// The hash of the base scenario.
    pub hash: String,
    /// The version of fleetsim that ran it.
    pub fleetsim_version: &'static str,
    /// The answer; none where no setting meets the limits.
    pub answer: Option<Candidate>,
    /// Whether intervals of 95 % settle every comparison that led to the answer.
    pub sure: bool,
    /// The limits that keep the answer from being smaller or cheaper: those that the next smaller number,
    /// or the cheapest setting below it, misses.
    pub binding: Vec<String>,
    /// For a smallest number: whether no number above one that meets the limits was found to miss them.
    pub monotone: Option<bool>,
    /// Runs made.
    pub runs: usize,
    /// Why it ended before it was through, if it did.
    pub ended: Option<String>,
    /// Every setting that was tried, in the order of its values.
    pub tried: Vec<Candidate>,
}

/// A setting that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The values that it puts in, each `PATH=VALUE`.
    pub set: Settings,
    /// Runs, each with another seed.
    pub runs: usize,
    /// Whether it meets every limit, by the means.
    pub meets: bool,
    /// How it stands to each limit.
    pub limits: Vec<Verdict>,
    /// Each figure's mean over the seeds, with its interval.
    pub figures: BTreeMap<String, Interval>,
    /// Whether no other setting is at least as good in cost and attainment, and better in one; `None` where
    /// either is not known.
    pub frontier: Option<bool>,
}

impl Search {
    /// Reads a search file and its scenario.
    ///
    /// # Errors
    /// [`StudyError::Input`] with everything that is wrong, each at its place.
    pub fn load(path: &Path, registry: &PolicyRegistry) -> Result<Self, StudyError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| StudyError::Input(format!("cannot read {name}: {error}")))?;
        let file: SearchFile = read(&name, &text)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let base = registry.load(&directory.join(&file.scenario), &file.set)?;
        registry.check(&base)?;
        let stem = path.file_stem().map(|it| it.to_string_lossy().into_owned());
        let search = Self {
            name: file.name.clone().or(stem).unwrap_or_default(),
            base,
            file,
        };
        let problem = |path: &str, message: &str| {
            let problem = Problem::new(path, message);
            StudyError::Input(format!("{name}: {problem}"))
        };
        if search.file.meets.is_empty() {
            let message = "there is no limit to meet: write meets: [AtLeast(figure: \"attainment\", value: 0.99)]";
            return Err(problem("meets", message));
        }
        match &search.file.find {
            Find::Smallest {
                from, to, value, ..
            } => {
                if from >= to {
                    return Err(problem("find.Smallest", "`from` must be less than `to`"));
                }
                if !value.contains("{}") {
                    let message = "there is no `{}` for the number in it, such as in `Servers({})`";
                    return Err(problem("find.Smallest.value", message));
                }
            }
            Find::Cheapest { ranges, .. } => {
                if ranges.is_empty() {
                    return Err(problem(
                        "find.Cheapest.ranges",
                        "there is no range to draw from",
                    ));
                }
                for (index, range) in ranges.iter().enumerate() {
                    range.check().map_err(|wrong| {
                        problem(&format!("find.Cheapest.ranges[{index}]"), &wrong)
                    })?;
                }
            }
        }
        Ok(search)
    }

    /// What it goes by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most runs that it makes.
    #[must_use]
    pub const fn budget(&self) -> u32 {
        self.file.runs
    }

    /// Looks for the answer. What was found when the budget was spent, or the follower ended it, is kept.
    ///
    /// # Errors
    /// [`StudyError`] where a setting makes no scenario, a figure is not known, or a run fails.
    pub fn run(
        &self,
        registry: &PolicyRegistry,
        jobs: NonZero<usize>,
        follower: &dyn StudyFollower,
    ) -> Result<Found, StudyError> {
        let budget = self.file.runs as usize;
        let evaluator = Evaluator::new(&self.base, registry, jobs, budget, follower);
        let mut trial = Trial {
            file: &self.file,
            evaluator,
            tried: Vec::new(),
        };
        let result = match &self.file.find {
            Find::Smallest {
                path,
                from,
                to,
                value,
            } => smallest::find(&mut trial, path, *from..=*to, value),
            Find::Cheapest {
                samples,
                ranges,
                by,
            } => cheapest::find(&mut trial, *samples, ranges, by),
        };
        let (answer, ended) = match result {
            Ok(answer) => (answer, None),
            Err(error @ (StudyError::Budget(_) | StudyError::Interrupted)) => {
                (Answer::default(), Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        let mut tried: Vec<Candidate> = trial
            .tried
            .iter()
            .filter(|it| !trial.evaluator.of(it).is_empty())
            .map(|it| trial.candidate(it))
            .collect();
        let frontier = frontier(tried.iter().map(|it| &it.figures));
        for (candidate, frontier) in tried.iter_mut().zip(frontier) {
            candidate.frontier = frontier;
        }
        let found = |settings: &Settings| tried.iter().find(|it| it.set == *settings).cloned();
        Ok(Found {
            search: self.name.clone(),
            hash: self.base.hash().to_owned(),
            fleetsim_version: env!("CARGO_PKG_VERSION"),
            answer: answer.settings.as_ref().and_then(found),
            sure: answer.sure,
            binding: answer.binding,
            monotone: answer.monotone,
            runs: trial.evaluator.spent(),
            ended,
            tried,
        })
    }
}

/// What a way of searching came to.
#[derive(Debug, Default)]
struct Answer {
    settings: Option<Settings>,
    sure: bool,
    binding: Vec<String>,
    monotone: Option<bool>,
}

/// A search under way.
struct Trial<'a> {
    file: &'a SearchFile,
    evaluator: Evaluator<'a>,
    tried: Vec<Settings>,
}

impl Trial<'_> {
    /// Runs a setting until the intervals settle how it stands, or with the most seeds.
    fn judge(&mut self, settings: &Settings) -> Result<Vec<Verdict>, StudyError> {
        let most = self.file.most_replications as usize;
        let mut seeds = (self.file.replications as usize).min(most);
        loop {
            self.run(std::slice::from_ref(settings), seeds)?;
            let verdicts = verdict::judge(&self.file.meets, self.evaluator.of(settings));
            if let Some(unknown) = verdicts.iter().find(|it| it.figure.is_none()) {
                return Err(StudyError::Input(format!(
                    "meets: {}: no such figure is known of every run with {}; summary.json has the names",
                    unknown.limit,
                    settings.join(" ")
                )));
            }
            if verdict::is_settled(&verdicts) || seeds >= most {
                return Ok(verdicts);
            }
            seeds = (seeds * 2).min(most);
        }
    }

    fn run(&mut self, all: &[Settings], seeds: usize) -> Result<(), StudyError> {
        for settings in all {
            if !self.tried.contains(settings) {
                self.tried.push(settings.clone());
            }
        }
        self.evaluator.ensure(all, seeds)
    }

    fn candidate(&self, settings: &Settings) -> Candidate {
        let runs = self.evaluator.of(settings);
        let limits = verdict::judge(&self.file.meets, runs);
        Candidate {
            set: settings.clone(),
            runs: runs.len(),
            meets: verdict::meets(&limits),
            limits,
            figures: intervals(runs.iter().map(|it| &it.figures)),
            frontier: None,
        }
    }
}
