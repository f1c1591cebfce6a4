//! How long it took after faults until users got again what they were promised.

use serde::{Deserialize, Serialize};

use super::slo::held_against;
use crate::scenario::Objective;
use crate::serving::{Outcome, RequestRecord};
use crate::time::{SimDuration, SimTime};

/// The share of a window's requests that is to meet the objective.
const TARGET: f64 = 0.95;

/// Windows in a row that meet it, for a fault to be over.
const IN_A_ROW: usize = 3;

/// An application's requests by when they arrived, held against its objective. Only where something may break.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Windows {
    objective: Objective,
    length: SimDuration,
    /// Of each window, how many arrived in it and how many of these met the objective.
    windows: Vec<(u64, u64)>,
}

/// Faults that cost an application instances or not, and how long it took users to get what they were promised.
///
/// A window is as long as the time between two samples, and good where 95 % of the requests that arrived in it
/// met the objective. A fault is over at the beginning of three good windows in a row; where no window is bad from
/// the fault to the next one, it was over at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecoverySummary {
    /// Faults that took instances.
    pub faults: u64,
    /// Those of them that users did not notice.
    pub unnoticed: u64,
    /// Those that were not over at the next fault or at the end.
    pub not_over: u64,
    /// Seconds from a fault until it was over, on average over those that were; 0 for those unnoticed.
    pub mean_s: Option<f64>,
    /// The longest.
    pub max_s: Option<f64>,
}

impl Windows {
    pub(super) const fn new(objective: Objective, length: SimDuration) -> Self {
        Self {
            objective,
            length,
            windows: Vec::new(),
        }
    }

    /// Takes in a request that ended, or that did not at the end of a run.
    pub(super) fn record(&mut self, request: &RequestRecord) {
        let mut limits = held_against(self.objective, request);
        let met = request.outcome == Outcome::Completed && limits.all(|(.., within)| within);
        let window = self.window(request.arrival);
        if self.windows.len() <= window {
            self.windows.resize(window + 1, (0, 0));
        }
        let (arrived, good) = &mut self.windows[window];
        *arrived += 1;
        *good += u64::from(met);
    }

    fn window(&self, at: SimTime) -> usize {
        (at.seconds() / self.length.seconds()) as usize
    }

    fn is_good(&self, window: usize) -> bool {
        let &(arrived, met) = self.windows.get(window).unwrap_or(&(0, 0));
        met as f64 >= TARGET * arrived as f64
    }

    /// What came of faults at these instants, in order, in a run up to `end`.
    pub(super) fn recovery(&self, faults: &[SimTime], end: SimTime) -> RecoverySummary {
        let mut summary = RecoverySummary::default();
        let mut lengths = Vec::new();
        for (position, &fault) in faults.iter().enumerate() {
            summary.faults += 1;
            let next = faults.get(position + 1).copied().unwrap_or(end);
            let (first, last) = (self.window(fault), self.window(next));
            let Some(bad) = (first..=last).find(|&it| !self.is_good(it)) else {
                summary.unnoticed += 1;
                lengths.push(0.0);
                continue;
            };
            let over = (bad + 1..=last).find(|&it| (it..it + IN_A_ROW).all(|it| self.is_good(it)));
            match over {
                Some(over) => {
                    let began = self.length.seconds() * over as f64;
                    lengths.push(began - fault.seconds());
                }
                None => summary.not_over += 1,
            }
        }
        if !lengths.is_empty() {
            summary.mean_s = Some(lengths.iter().sum::<f64>() / lengths.len() as f64);
            summary.max_s = lengths.iter().copied().reduce(f64::max);
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::saturating(seconds)
    }

    /// Windows of ten seconds with a hundred requests each, of which this many met the objective.
    fn windows(met: &[u64]) -> Windows {
        Windows {
            windows: met.iter().map(|&met| (100, met)).collect(),
            ..Windows::new(Objective::default(), SimDuration::saturating(10.0))
        }
    }

    #[test]
    fn a_fault_is_over_when_three_windows_in_a_row_are_good() {
        let of = windows(&[100, 100, 96, 50, 95, 99, 94, 95, 95, 95, 100]);
        // At 21 s; the windows from 70 s on are good.
        let one = of.recovery(&[at(21.0)], at(110.0));
        assert_eq!((one.faults, one.unnoticed, one.not_over), (1, 0, 0));
        assert_eq!((one.mean_s, one.max_s), (Some(49.0), Some(49.0)));
        // Nobody noticed one at 75 s; one at 55 s was not over at the next.
        let three = of.recovery(&[at(5.0), at(55.0), at(75.0)], at(110.0));
        assert_eq!((three.faults, three.unnoticed, three.not_over), (3, 1, 1));
        assert_eq!(of.recovery(&[], at(110.0)), RecoverySummary::default());
    }
}
