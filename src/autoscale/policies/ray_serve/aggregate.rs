use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is taken of the ongoing requests of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aggregation {
    /// Their mean over time.
    #[default]
    Mean,
    /// The most.
    Max,
    /// The fewest.
    Min,
}

/// Points of a series in order of time: seconds and a value that holds from then on.
pub type Series = Vec<(f64, f64)>;

impl Aggregation {
    /// The sum of several series as one figure at `now`; 0 of none.
    ///
    /// A series alone is taken as it is. Of several, changes are summed at times rounded to 10 ms, and the window
    /// opens where the last of them begins. The last value holds until `now`, and for 1 ms where that is over.
    #[must_use]
    pub fn of(self, series: &[Series], now: f64) -> f64 {
        let known: Vec<&Series> = series.iter().filter(|it| !it.is_empty()).collect();
        let (points, opening) = match known[..] {
            [] => return 0.0,
            [only] => (only.clone(), None),
            _ => sum(&known),
        };
        let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else {
            return 0.0;
        };
        if self != Self::Mean {
            let within = points
                .iter()
                .filter(|it| opening.is_none_or(|at| it.0 >= at));
            let values = within.map(|it| it.1);
            let extreme = match self {
                Self::Max => values.reduce(f64::max),
                _ => values.reduce(f64::min),
            };
            return extreme.unwrap_or(0.0);
        }
        let begin = opening.unwrap_or(first);
        let end = last + Some(now - last).filter(|&it| it > 0.0).unwrap_or(1e-3);
        let ends = points.iter().skip(1).map(|it| it.0).chain([end]);
        let held = points.iter().zip(ends).map(|(&(from, value), to)| {
            let seconds = (to - from.max(begin)).max(0.0);
            value * seconds
        });
        let area: f64 = held.sum();
        if end > begin {
            area / (end - begin)
        } else {
            0.0
        }
    }
}

/// The sum of several series, and where its window opens; none for its first point.
fn sum(series: &[&Series]) -> (Series, Option<f64>) {
    let mut changes: Series = Vec::new();
    for of in series {
        let mut before = 0.0;
        for &(time, value) in *of {
            if value != before {
                changes.push(((time * 100.0 + 0.5).floor() / 100.0, value - before));
                before = value;
            }
        }
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut points: Series = Vec::new();
    let mut total = 0.0;
    for (time, change) in changes {
        total += change;
        match points.last_mut() {
            Some(last) if last.0 == time => last.1 = total,
            _ => points.push((time, total)),
        }
    }
    let begins = series.iter().filter_map(|it| Some(it.first()?.0));
    let latest = begins.fold(f64::NEG_INFINITY, f64::max);
    let opening = match (points.first(), points.last()) {
        (Some(first), Some(last)) if latest <= last.0 => Some(latest.max(first.0)),
        _ => None,
    };
    (points, opening)
}
