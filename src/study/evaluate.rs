//! Settings of a scenario, each run with as many seeds as asked for, once.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use super::outcome::Outcome;
use super::runner::{self, Missed};
use super::side_by_side::side_by_side;
use crate::autoscale::PolicyRegistry;
use crate::scenario::{CheckedScenario, Diagnostics};

/// Values replaced in the base scenario, each `PATH=VALUE`.
pub(super) type Settings = Vec<String>;

/// A study that is watched, and may be ended, from outside.
pub trait StudyFollower: Sync {
    /// A run has ended.
    fn ended(&self) {}

    /// Whether to come to an end: runs under way stop at the next tick, and no other begins.
    fn stops(&self) -> bool {
        false
    }
}

impl StudyFollower for () {}

/// Why a study cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// A setting makes no scenario, or nothing to judge by.
    #[error("{0}")]
    Input(String),
    /// A run failed.
    #[error("{0}")]
    Running(String),
    /// It was to end.
    #[error("interrupted")]
    Interrupted,
    /// Every run of the budget was made.
    #[error("the budget of {0} runs is spent")]
    Budget(usize),
}

impl From<Diagnostics> for StudyError {
    fn from(wrong: Diagnostics) -> Self {
        Self::Input(wrong.to_string())
    }
}

/// Runs settings of a base scenario and keeps what each left.
pub(super) struct Evaluator<'a> {
    base: &'a CheckedScenario,
    registry: &'a PolicyRegistry,
    jobs: NonZero<usize>,
    follower: &'a dyn StudyFollower,
    budget: usize,
    spent: usize,
    /// By setting, what the run with each seed left, from the scenario's seed on.
    known: BTreeMap<Settings, Vec<Outcome>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        base: &'a CheckedScenario,
        registry: &'a PolicyRegistry,
        jobs: NonZero<usize>,
        budget: usize,
        follower: &'a dyn StudyFollower,
    ) -> Self {
        Self {
            base,
            registry,
            jobs,
            follower,
            budget,
            spent: 0,
            known: BTreeMap::new(),
        }
    }

    /// The runs made.
    pub(super) const fn spent(&self) -> usize {
        self.spent
    }

    /// What the runs of a setting left.
    pub(super) fn of(&self, settings: &Settings) -> &[Outcome] {
        self.known.get(settings).map_or(&[], Vec::as_slice)
    }

    /// Runs each setting with the first `seeds` seeds, those left out that were run before.
    ///
    /// # Errors
    /// [`StudyError`]: nothing is run where that takes more than the budget.
    pub(super) fn ensure(&mut self, all: &[Settings], seeds: usize) -> Result<(), StudyError> {
        let mut missing: Vec<(&Settings, u64)> = Vec::new();
        for settings in all {
            let known = self.of(settings).len();
            if !missing.iter().any(|(it, _)| *it == settings) {
                missing.extend((known..seeds).map(|seed| (settings, seed as u64)));
            }
        }
        if self.spent + missing.len() > self.budget {
            return Err(StudyError::Budget(self.budget));
        }
        let results: Mutex<Vec<Option<Result<Outcome, StudyError>>>> =
            Mutex::new(missing.iter().map(|_| None).collect());
        side_by_side(self.jobs, missing.len(), |position| {
            let (settings, seed) = missing[position];
            let result = self.one(settings, seed);
            let goes_on = result.is_ok();
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results[position] = Some(result);
            self.follower.ended();
            goes_on
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The first in order that failed is told, with any number of threads.
        for ((settings, _), result) in missing.into_iter().zip(results) {
            match result {
                Some(Ok(outcome)) => {
                    self.spent += 1;
                    let known = self.known.entry(settings.clone()).or_default();
                    known.push(outcome);
                }
                Some(Err(error)) => return Err(error),
                None => return Err(StudyError::Interrupted),
            }
        }
        Ok(())
    }

    fn one(&self, settings: &Settings, seed: u64) -> Result<Outcome, StudyError> {
        let seed = self.base.scenario().seed.wrapping_add(seed);
        let mut all = settings.clone();
        all.push(format!("seed={seed}"));
        let scenario = self.base.with_settings(&all)?;
        self.registry.check(&scenario)?;
        let stops = || self.follower.stops();
        runner::run(&scenario, self.registry, &stops).map_err(|missed| match missed {
            Missed::Stopped => StudyError::Interrupted,
            Missed::Failed(error) => {
                StudyError::Running(format!("with {}: {error}", all.join(" ")))
            }
        })
    }
}
