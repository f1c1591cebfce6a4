//! Whether a setting meets its limits, and how sure that is.

use serde::Serialize;

use super::file::Constraint;
use crate::study::{Interval, Outcome};

/// How a setting stands to a limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The limit, as it is read: `attainment ≥ 0.99`.
    pub limit: String,
    /// The figure over the seeds; none where a run does not have it.
    pub figure: Option<Interval>,
    /// Whether its mean meets the limit.
    pub meets: bool,
    /// Whether its whole interval lies on that side.
    pub sure: bool,
}

impl Constraint {
    /// The figure's name.
    #[must_use]
    pub fn figure(&self) -> &str {
        match self {
            Self::AtLeast { figure, .. } | Self::AtMost { figure, .. } => figure,
        }
    }

    /// How these runs stand to it.
    pub(super) fn judge(&self, runs: &[Outcome]) -> Verdict {
        let (sign, value, text) = match self {
            Self::AtLeast { value, .. } => (1.0, *value, "≥"),
            Self::AtMost { value, .. } => (-1.0, *value, "≤"),
        };
        let figure = figure_of(self.figure(), runs);
        let margin = figure.map(|it| sign * (it.mean - value));
        let half_width = figure.and_then(|it| it.half_width);
        Verdict {
            limit: format!("{} {text} {value}", self.figure()),
            figure,
            meets: margin.is_some_and(|it| it >= 0.0),
            sure: margin
                .zip(half_width)
                .is_some_and(|(margin, half_width)| match margin >= 0.0 {
                    true => margin >= half_width,
                    false => -margin > half_width,
                }),
        }
    }
}

/// The interval of a figure over runs; none where one of them does not have it.
pub(super) fn figure_of(name: &str, runs: &[Outcome]) -> Option<Interval> {
    let values: Option<Vec<f64>> = runs.iter().map(|it| it.number(name)).collect();
    Interval::of(&values?)
}

/// How runs stand to every limit.
pub(super) fn judge(limits: &[Constraint], runs: &[Outcome]) -> Vec<Verdict> {
    limits.iter().map(|limit| limit.judge(runs)).collect()
}

pub(super) fn meets(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|it| it.meets)
}

/// Whether the intervals settle it: every limit is met for sure, or one is missed for sure.
pub(super) fn is_settled(verdicts: &[Verdict]) -> bool {
    let missed = |it: &Verdict| !it.meets && it.sure;
    verdicts.iter().any(missed) || verdicts.iter().all(|it| it.meets && it.sure)
}
