//! The files of replications: `replications.csv`, `replications.json`, and the table on the terminal.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::scenario::CheckedScenario;
use crate::study::sweep::{Done, Heading, SweepResult};
use crate::study::{Interval, Replications};

/// What `replications.json` holds.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicationsSummary {
    scenario: String,
    hash: String,
    fleetsim_version: &'static str,
    seeds: Vec<u64>,
    /// Seeds whose run failed.
    failed: Vec<u64>,
    /// Whether runs are missing.
    partial: bool,
    /// Each figure's mean over the seeds, with its 95 % interval.
    figures: BTreeMap<String, Interval>,
}

/// What `replications.json` holds.
#[must_use]
pub fn replications_json(
    checked: &CheckedScenario,
    replications: &Replications,
) -> ReplicationsSummary {
    let runs = replications.runs.iter();
    let failed = runs.clone().filter(|(_, run)| run.is_err());
    ReplicationsSummary {
        scenario: checked.scenario().name.clone(),
        hash: checked.hash().to_owned(),
        fleetsim_version: env!("CARGO_PKG_VERSION"),
        failed: failed.map(|(seed, _)| *seed).collect(),
        seeds: runs.map(|(seed, _)| *seed).collect(),
        partial: replications.partial,
        figures: replications.intervals(),
    }
}

/// The rows of `replications.csv`: those of a sweep over seeds.
pub(super) fn rows(checked: &CheckedScenario, replications: &Replications) -> SweepResult {
    let heading = Heading {
        sweep: checked.scenario().name.clone(),
        hash: checked.hash().to_owned(),
        runs: replications.runs.len(),
        columns: vec!["seed".to_owned()],
        scenario: String::new(),
        shard: None,
    };
    let runs = replications.runs.iter().enumerate();
    let runs = runs.map(|(run, (seed, outcome))| Done {
        run,
        cells: vec![seed.to_string()],
        set: vec![format!("seed={seed}")],
        outcome: outcome.as_ref().ok().cloned(),
        error: outcome.as_ref().err().cloned(),
    });
    SweepResult::new(heading, runs.collect())
}
