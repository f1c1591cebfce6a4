//! What comes of a sweep: its runs in order, and each setting in figures with intervals.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Done, Heading};
use crate::document::with_values;
use crate::statistics::Interval;
use crate::study::Figures;
use crate::study::judge::frontier;
use crate::study::replicate::intervals;

/// The runs of a sweep that have ended, and its settings in figures.
#[derive(Clone, Debug)]
pub struct SweepResult {
    /// Which sweep.
    pub heading: Heading,
    /// Its runs that have ended, in order.
    pub runs: Vec<Done>,
}

/// The figures of one setting of the axes over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingFigures {
    /// The values of the axes other than the seed, by column.
    pub setting: BTreeMap<String, String>,
    /// What it replaces in the base scenario, each `PATH=VALUE`; the seed left out.
    pub set: Vec<String>,
    /// How many of its runs have figures.
    pub runs: usize,
    /// How many of them failed.
    pub failed: usize,
    /// Each figure's mean and interval over the seeds; those that are not known are left out.
    pub figures: BTreeMap<String, Interval>,
    /// Whether no other setting is at least as good in mean cost and attainment, and better in one.
    /// `None` where either is not known.
    pub frontier: Option<bool>,
}

impl SweepResult {
    /// What is in a journal.
    #[must_use]
    pub fn new(heading: Heading, mut runs: Vec<Done>) -> Self {
        runs.sort_by_key(|it| it.run);
        Self { heading, runs }
    }

    /// The runs that have not ended.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        let mut done = self.runs.iter().map(|it| it.run).peekable();
        let mut missing = Vec::new();
        for run in self.heading.runs() {
            match done.next_if_eq(&run) {
                Some(_) => {}
                None => missing.push(run),
            }
        }
        missing
    }

    /// The text of a setting's scenario, to be put beside the base scenario.
    #[must_use]
    pub fn scenario(&self, setting: &SettingFigures) -> Option<String> {
        with_values(&self.heading.scenario, &setting.set)
    }

    /// The runs that failed, each with the reason.
    pub fn failed(&self) -> impl Iterator<Item = (&Done, &str)> {
        self.runs
            .iter()
            .filter_map(|it| Some((it, it.error.as_deref()?)))
    }

    /// Every setting in figures, in the order of its first run.
    #[must_use]
    pub fn settings(&self) -> Vec<SettingFigures> {
        let mut settings: Vec<SettingFigures> = Vec::new();
        let mut figures: Vec<Vec<&Figures>> = Vec::new();
        let mut places: BTreeMap<BTreeMap<String, String>, usize> = BTreeMap::new();
        for done in &self.runs {
            let columns = self
                .heading
                .columns
                .iter()
                .cloned()
                .zip(done.cells.iter().cloned());
            let setting: BTreeMap<_, _> = columns.filter(|(column, _)| column != "seed").collect();
            let place = *places.entry(setting.clone()).or_insert(settings.len());
            if place == settings.len() {
                let seed = |it: &String| it.starts_with("seed=");
                settings.push(SettingFigures {
                    setting,
                    set: done.set.iter().filter(|it| !seed(it)).cloned().collect(),
                    runs: 0,
                    failed: 0,
                    figures: BTreeMap::new(),
                    frontier: None,
                });
                figures.push(Vec::new());
            }
            match &done.outcome {
                Some(outcome) => figures[place].push(&outcome.figures),
                None => settings[place].failed += 1,
            }
        }
        for (setting, figures) in settings.iter_mut().zip(&figures) {
            setting.runs = figures.len();
            setting.figures = intervals(figures.iter().copied());
        }
        let frontier = frontier(settings.iter().map(|it| &it.figures));
        for (setting, frontier) in settings.iter_mut().zip(frontier) {
            setting.frontier = frontier;
        }
        settings
    }
}
