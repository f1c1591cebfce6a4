//! One scenario with several seeds.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::runner::{self, Missed};
use super::side_by_side::side_by_side;
use super::{Comparison, Figures, Interval, Measure, Outcome};
use crate::autoscale::PolicyRegistry;
use crate::scenario::{CheckedScenario, Diagnostics};

/// Fewer runs than these say too little of how far apart they are to stop early.
const FEWEST: usize = 5;

/// When to stop before every replication has run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision(f64);

/// What is no precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a precision is a share of the mean above 0 and below 100 %, such as 5%")]
pub struct InvalidPrecision;

impl std::str::FromStr for Precision {
    type Err = InvalidPrecision;
    fn from_str(text: &str) -> Result<Self, InvalidPrecision> {
        let share = share(text).filter(|share| *share > 0.0 && *share < 1.0);
        share.map(Self).ok_or(InvalidPrecision)
    }
}

/// A share that is written in per cent, as `5%`, or as a number, as `0.05`; none where it is neither.
pub(crate) fn share(text: &str) -> Option<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    match text.trim().strip_suffix('%') {
        Some(percent) => Some(number(percent)? / 100.0),
        None => number(text),
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Precision {
    /// The figures whose intervals must be narrow enough: attainment, the 99th percentile of TTFT, and
    /// cost, or GPU-hours where that is not known.
    pub const MEASURES: [Measure; 4] = [
        Measure::Attainment,
        Measure::TtftP99,
        Measure::Cost,
        Measure::GpuHours,
    ];

    /// Whether the intervals of these runs are as narrow as asked; never of fewer than five.
    fn is_met(self, runs: &[&Figures]) -> bool {
        runs.len() >= FEWEST
            && Self::MEASURES.into_iter().all(|measure| {
                let interval = interval_of(measure, runs.iter().copied());
                interval.is_none_or(|it| it.mean == 0.0 || it.relative() <= Some(self.0))
            })
    }
}

/// The interval of a figure over runs; none where one of them does not have it.
fn interval_of<'a>(measure: Measure, runs: impl Iterator<Item = &'a Figures>) -> Option<Interval> {
    let values: Option<Vec<f64>> = runs.map(|it| measure.of(it)).collect();
    Interval::of(&values?)
}

/// The intervals of every figure that all runs have.
pub(super) fn intervals<'a>(
    runs: impl Iterator<Item = &'a Figures> + Clone,
) -> BTreeMap<String, Interval> {
    let known = Measure::ALL
        .into_iter()
        .filter_map(|it| Some((it.name().to_owned(), interval_of(it, runs.clone())?)));
    known.collect()
}

/// The runs of one scenario with several seeds.
#[derive(Clone, Debug)]
pub struct Replications {
    /// Each run that has ended with its seed, in order.
    pub runs: Vec<(u64, Result<Outcome, String>)>,
    /// Whether runs are missing, because the study was to end.
    pub partial: bool,
}

impl Replications {
    /// Runs a scenario with its seed, the next one, and so on: `count` runs, at most `jobs` at once. With a
    /// precision it stops at the first number of runs, five or more, whose intervals are narrow enough;
    /// that number does not depend on the threads. `ended` is told of each run, from any thread; once `stops` is true
    /// no other begins.
    ///
    /// # Errors
    /// [`Diagnostics`] for a scenario made in code, whose seed cannot be replaced.
    pub fn run(
        scenario: &CheckedScenario,
        registry: &PolicyRegistry,
        count: NonZero<usize>,
        precision: Option<Precision>,
        jobs: NonZero<usize>,
        ended: &(dyn Fn() + Sync),
        stops: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, Diagnostics> {
        let base = scenario.scenario().seed;
        let seeds = (0..count.get() as u64).map(|it| base.wrapping_add(it));
        let seeds: Vec<u64> = seeds.collect();
        scenario.with_settings(&[format!("seed={base}")])?;
        let runs: Mutex<Vec<Option<Result<Outcome, String>>>> = Mutex::new(vec![None; seeds.len()]);
        side_by_side(jobs, seeds.len(), |position| {
            let seed = format!("seed={}", seeds[position]);
            let outcome = match scenario.with_settings(&[seed]) {
                Ok(scenario) => runner::run(&scenario, registry, &|| stops()),
                Err(wrong) => Err(Missed::Failed(wrong.to_string())),
            };
            let outcome = match outcome {
                Ok(outcome) => Ok(outcome),
                Err(Missed::Failed(error)) => Err(error),
                Err(Missed::Stopped) => return false,
            };
            let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs[position] = Some(outcome);
            ended();
            !stops() && precision.is_none_or(|it| enough(&runs, it).is_none())
        });
        let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let enough = precision.and_then(|it| enough(&runs, it));
        runs.truncate(enough.unwrap_or(runs.len()));
        let partial = runs.iter().any(Option::is_none);
        let runs = seeds.into_iter().zip(runs);
        let runs = runs.filter_map(|(seed, run)| Some((seed, run?)));
        Ok(Self {
            runs: runs.collect(),
            partial,
        })
    }

    /// The interval of each figure over the runs that have it.
    #[must_use]
    pub fn intervals(&self) -> BTreeMap<String, Interval> {
        let runs = self.runs.iter();
        intervals(runs.filter_map(|(_, run)| Some(&run.as_ref().ok()?.figures)))
    }
}

/// The first number of runs, without a gap from the first on, whose intervals are narrow enough.
fn enough(runs: &[Option<Result<Outcome, String>>], precision: Precision) -> Option<usize> {
    let mut figures: Vec<&Figures> = Vec::new();
    for (position, run) in runs.iter().enumerate() {
        if let Ok(outcome) = run.as_ref()? {
            figures.push(&outcome.figures);
            if precision.is_met(&figures) {
                return Some(position + 1);
            }
        }
    }
    None
}

/// Contenders over several seeds: each with the same arrivals as the others, seed by seed (common random
/// numbers).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replicated {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The contender that the others' differences are to.
    pub reference: String,
    /// Each contender that has figures with every seed, in the order in which they were named.
    pub contenders: Vec<ReplicatedStanding>,
}

/// One contender over several seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicatedStanding {
    /// Its policy, as it was written.
    pub policy: String,
    /// Each figure's mean over the seeds, with its interval.
    pub figures: BTreeMap<String, Interval>,
    /// The mean of each figure less the reference's with the same seed, with its interval; empty for the
    /// reference. One that contains zero cannot be told from none.
    pub differences: BTreeMap<String, Interval>,
}

impl Replicated {
    /// Puts comparisons of the same contenders with different seeds side by side; none with fewer than
    /// two, or where no contender has figures with every seed.
    #[must_use]
    pub fn of(comparisons: &[Comparison]) -> Option<Self> {
        let first = comparisons.get(..2)?.first()?;
        let figures = |policy: &str| -> Option<Vec<&Figures>> {
            let standings = comparisons.iter().map(|comparison| {
                let mut standings = comparison.contenders.iter();
                standings.find(|it| it.policy == policy)?.figures.as_ref()
            });
            standings.collect()
        };
        let policies = first.contenders.iter().map(|it| it.policy.as_str());
        let all = policies.filter_map(|policy| Some((policy, figures(policy)?)));
        let all: Vec<_> = all.collect();
        let (reference, references) = all.first()?;
        let contenders = all.iter().map(|(policy, mine)| ReplicatedStanding {
            policy: (*policy).to_owned(),
            figures: intervals(mine.iter().copied()),
            differences: match policy == reference {
                true => BTreeMap::new(),
                false => differences(mine, references),
            },
        });
        Some(Self {
            seeds: comparisons.iter().map(|it| it.seed).collect(),
            reference: (*reference).to_owned(),
            contenders: contenders.collect(),
        })
    }

    /// Whether every contender's intervals are as narrow as asked.
    #[must_use]
    pub fn meets(comparisons: &[Comparison], precision: Precision) -> bool {
        let Some(first) = comparisons.first() else {
            return false;
        };
        first.contenders.iter().all(|contender| {
            let runs = comparisons.iter().filter_map(|comparison| {
                let mut standings = comparison.contenders.iter();
                let same = standings.find(|it| it.policy == contender.policy)?;
                same.figures.as_ref()
            });
            let runs: Vec<&Figures> = runs.collect();
            runs.is_empty() || precision.is_met(&runs)
        })
    }
}

/// Paired differences: seed by seed.
fn differences(mine: &[&Figures], theirs: &[&Figures]) -> BTreeMap<String, Interval> {
    let known = Measure::ALL.into_iter().filter_map(|measure| {
        let pairs = mine.iter().zip(theirs);
        let values: Option<Vec<f64>> = pairs
            .map(|(mine, theirs)| Some(measure.of(mine)? - measure.of(theirs)?))
            .collect();
        Some((measure.name().to_owned(), Interval::of(&values?)?))
    });
    known.collect()
}
