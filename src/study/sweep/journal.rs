//! What a sweep writes down as it goes: a line a run, in the order in which they end.
//!
//! The first line says which sweep it is of. A line that was cut off, as by a process that was killed, is
//! left out.

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::study::Outcome;

/// The first line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// What the sweep goes by.
    pub sweep: String,
    /// The plan's hash.
    pub hash: String,
    /// How many runs the whole sweep has.
    pub runs: usize,
    /// The columns of its axes.
    pub columns: Vec<String>,
    /// The text of the base scenario.
    pub scenario: String,
    /// The shard, as `2/3`; none for a whole sweep.
    pub shard: Option<Shard>,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Its number, from 0.
    pub run: usize,
    /// The values of the axes, one for each column.
    pub cells: Vec<String>,
    /// What it replaces in the base scenario, each `PATH=VALUE`.
    pub set: Vec<String>,
    /// What it left; none where it failed.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A part of the runs: each run whose number leaves `index` − 1 when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    index: usize,
    of: usize,
}

/// What is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard is I/N with I from 1 to N, such as 2/3")]
pub struct InvalidShard;

impl Shard {
    /// Whether a run belongs to it.
    #[must_use]
    pub const fn has(self, run: usize) -> bool {
        run % self.of == self.index - 1
    }
}

impl std::str::FromStr for Shard {
    type Err = InvalidShard;
    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let (index, of) = text.split_once('/').ok_or(InvalidShard)?;
        let number = |text: &str| text.trim().parse().map_err(|_| InvalidShard);
        let shard = Self {
            index: number(index)?,
            of: number(of)?,
        };
        match (1..=shard.of).contains(&shard.index) {
            true => Ok(shard),
            false => Err(InvalidShard),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = InvalidShard;
    fn try_from(text: String) -> Result<Self, InvalidShard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        format!("{}/{}", shard.index, shard.of)
    }
}

impl Heading {
    /// That of a plan, or of a shard of it.
    #[must_use]
    pub fn of(plan: &Plan, shard: Option<Shard>) -> Self {
        Self {
            sweep: plan.name().to_owned(),
            hash: plan.hash().to_owned(),
            runs: plan.runs(),
            columns: plan.columns().to_vec(),
            scenario: plan.base().text().unwrap_or_default().to_owned(),
            shard,
        }
    }

    /// The runs that are to be done, in order.
    pub fn runs(&self) -> impl Iterator<Item = usize> {
        let shard = self.shard;
        (0..self.runs).filter(move |&run| shard.is_none_or(|it| it.has(run)))
    }
}

/// A line of a journal, with its end.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn line(entry: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(entry).map(|line| line + "\n")
}

/// The heading and the runs in a journal; none without a heading. Of a run that is there twice the last
/// counts.
#[must_use]
pub fn read(text: &str) -> Option<(Heading, Vec<Done>)> {
    let mut lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
    let heading: Heading = serde_json::from_str(lines.next()?).ok()?;
    let mut runs: Vec<Done> = lines
        .filter_map(|it| serde_json::from_str(it).ok())
        .collect();
    runs.reverse();
    runs.sort_by_key(|it| it.run);
    runs.dedup_by_key(|it| it.run);
    Some((heading, runs))
}
