//! What an axis stands for: its points, one after the other.

use super::file::{Axis, Column, Range, Setting, Written};
use crate::random::Stream;

/// One value of an axis: what it is called in the table, and what it replaces in the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Its cells, one for each column of the axis.
    pub(super) cells: Vec<String>,
    /// `PATH=VALUE`, as after `--set`.
    pub(super) set: Vec<String>,
}

impl Axis {
    /// The columns that it has in the table.
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Grid { path, .. } => vec![path.clone()],
            Self::Zip(columns) => columns.iter().map(|it| it.path.clone()).collect(),
            Self::Seeds(_) => vec!["seed".to_owned()],
            Self::LatinHypercube { ranges, .. } => {
                ranges.iter().map(|it| it.path.clone()).collect()
            }
            Self::List(_) => vec!["setting".to_owned()],
        }
    }

    /// Its points. `base` is the scenario's seed, `seed` the sweep's, `position` the axis's own.
    ///
    /// # Errors
    /// What is wrong with it, and where beneath its path.
    pub(super) fn points(
        &self,
        base: u64,
        seed: u64,
        position: usize,
    ) -> Result<Vec<Point>, (String, String)> {
        let wrong = |at: &str, what: String| Err((at.to_owned(), what));
        let points = match self {
            Self::Grid { path, values } => values.iter().map(|value| one(path, value)).collect(),
            Self::Zip(columns) => zip(columns)?,
            Self::Seeds(count) => (0..u64::from(*count)).map(|it| of_seed(base, it)).collect(),
            Self::LatinHypercube { n, ranges } => {
                for (index, range) in ranges.iter().enumerate() {
                    if let Err(what) = range.check() {
                        return wrong(&format!("LatinHypercube.ranges[{index}]"), what);
                    }
                }
                let mut random = Stream::new(seed, &format!("axes/{position}"));
                points_of(*n, ranges, &mut random)
            }
            Self::List(settings) => settings.iter().map(of_setting).collect(),
        };
        match points.is_empty() {
            true => wrong("", "the axis has no values".to_owned()),
            false => Ok(points),
        }
    }
}

fn one(path: &str, value: &Written) -> Point {
    let text = value.text();
    Point {
        cells: vec![unquoted(text)],
        set: vec![format!("{path}={text}")],
    }
}

fn zip(columns: &[Column]) -> Result<Vec<Point>, (String, String)> {
    let Some(first) = columns.first() else {
        return Ok(Vec::new());
    };
    for (index, column) in columns.iter().enumerate() {
        let (mine, firsts) = (column.values.len(), first.values.len());
        if mine != firsts {
            let message = format!("there are {mine} values here and {firsts} of the first field");
            return Err((format!("Zip[{index}]"), message));
        }
    }
    let points = (0..first.values.len()).map(|row| {
        let cells = columns.iter().map(|it| one(&it.path, &it.values[row]));
        cells.fold(
            Point {
                cells: Vec::new(),
                set: Vec::new(),
            },
            Point::and,
        )
    });
    Ok(points.collect())
}

fn of_seed(base: u64, number: u64) -> Point {
    let seed = base.wrapping_add(number);
    Point {
        cells: vec![seed.to_string()],
        set: vec![format!("seed={seed}")],
    }
}

fn of_setting(setting: &Setting) -> Point {
    let name = setting.name.clone();
    Point {
        cells: vec![name.unwrap_or_else(|| setting.set.join(" "))],
        set: setting.set.clone(),
    }
}

/// McKay, Beckman and Conover (1979): each field has a random order of its slices, and a uniform place
/// in each of them.
fn points_of(n: u32, ranges: &[Range], random: &mut Stream) -> Vec<Point> {
    let slices = ranges.iter().map(|_| shuffled(n as usize, random));
    let slices: Vec<Vec<usize>> = slices.collect();
    let points = (0..n as usize).map(|point| {
        let mut set = Vec::new();
        let mut cells = Vec::new();
        for (range, slices) in ranges.iter().zip(&slices) {
            let share = (slices[point] as f64 + random.uniform()) / f64::from(n);
            let value = range.at(share);
            set.push(format!("{}={value}", range.path));
            cells.push(value);
        }
        Point { cells, set }
    });
    points.collect()
}

/// The settings of points spread over ranges.
pub(in crate::study) fn latin_hypercube(
    n: u32,
    ranges: &[Range],
    random: &mut Stream,
) -> Vec<Vec<String>> {
    let points = points_of(n, ranges, random).into_iter();
    points.map(|it| it.set).collect()
}

impl Range {
    /// What is wrong with it, in words.
    ///
    /// # Errors
    /// In that case.
    pub(in crate::study) fn check(&self) -> Result<(), String> {
        let Self { from, to, log, .. } = *self;
        if !(from.is_finite() && to.is_finite() && from < to) {
            return Err(format!("`from` ({from}) must be less than `to` ({to})"));
        }
        match log && from <= 0.0 {
            true => Err(format!("`from` ({from}) has no logarithm")),
            false => Ok(()),
        }
    }

    /// The value at a share of the range, as RON.
    fn at(&self, share: f64) -> String {
        let value = match self.log {
            true => libm::exp(libm::log(self.from) + share * libm::log(self.to / self.from)),
            false => self.from + share * (self.to - self.from),
        };
        match self.whole {
            true => format!("{:.0}", value.round()),
            false => format!("{value:?}"),
        }
    }
}

/// Fisher and Yates.
fn shuffled(n: usize, random: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}

impl Point {
    /// Both at once.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.cells.extend(other.cells);
        self.set.extend(other.set);
        self
    }
}

/// A text without its quotes; anything else as it is.
fn unquoted(text: &str) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner
        .filter(|it| !it.contains(['"', '\\']))
        .unwrap_or(text)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slice_of_each_range_holds_one_point_of_a_latin_hypercube() {
        let range = |log| Range {
            path: "x".to_owned(),
            from: 1.0,
            to: 100.0,
            whole: false,
            log,
        };
        let ranges = [range(false), range(true)];
        let points = points_of(50, &ranges, &mut Stream::new(7, "test"));
        for (column, log) in [(0, false), (1, true)] {
            let values = points.iter().map(|it| it.cells[column].parse::<f64>());
            let slice = |value: f64| match log {
                true => value.log10() / 2.0 * 50.0,
                false => (value - 1.0) / 99.0 * 50.0,
            };
            let mut slices: Vec<usize> = values.map(|it| slice(it.unwrap()) as usize).collect();
            slices.sort_unstable();
            assert!(slices.into_iter().eq(0..50));
        }
    }
}
