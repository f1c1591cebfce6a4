//! The files of a sweep: `sweep.csv`, `sweep.json`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ReportError;
use super::summary::write_json;
use super::tables::{Cells, write_sheet};
use crate::study::saturate::Saturation;
use crate::study::sweep::{Done, SettingFigures, SweepResult};
use crate::study::{Figure, Measure};

/// What `sweep.json` holds.
#[derive(Clone, Debug, Serialize)]
struct Head<'a> {
    /// What the sweep goes by.
    sweep: &'a str,
    /// The hash of all that its runs are made from.
    hash: &'a str,
    /// The version of fleetsim that ran it.
    fleetsim_version: &'static str,
    /// How many runs the whole sweep has.
    runs: usize,
    /// The shard that this is, as `2/3`.
    shard: Option<String>,
    /// Whether runs are missing.
    partial: bool,
    /// How many have not ended.
    missing: usize,
    /// How many failed.
    failed: usize,
    /// The columns of the axes.
    columns: &'a [String],
    /// Each setting in figures, over its seeds.
    settings: Vec<SettingFigures>,
}

/// Writes `sweep.json`: what the sweep is of, and each setting with intervals over its seeds.
pub(super) fn write_sweep_json(
    out: impl Write,
    path: &Path,
    result: &SweepResult,
) -> Result<(), ReportError> {
    let heading = &result.heading;
    let missing = result.missing().len();
    let head = Head {
        sweep: &heading.sweep,
        hash: &heading.hash,
        fleetsim_version: env!("CARGO_PKG_VERSION"),
        runs: heading.runs,
        shard: heading.shard.map(String::from),
        partial: missing > 0,
        missing,
        failed: result.failed().count(),
        columns: &heading.columns,
        settings: result.settings(),
    };
    write_json(out, path, &head)
}

/// Writes `sweep.csv`: a row a run, with the values of the axes and the figures of its summary.
pub(super) fn write_sweep_csv<W: Write>(
    out: W,
    path: impl Into<PathBuf>,
    result: &SweepResult,
) -> Result<W, ReportError> {
    let names = Names::of(result);
    let axes = result.heading.columns.iter().map(String::as_str);
    let columns = ["run"].into_iter().chain(axes).chain(["error"]);
    let columns: Vec<&str> = columns.chain(names.all.iter().copied()).collect();
    let rows = result.runs.iter().map(|done| {
        let figures = names.figures(done);
        move |cells: &mut dyn Cells| {
            cells.integer(done.run as u64);
            done.cells.iter().for_each(|it| cells.text(it));
            cells.text(done.error.as_deref().unwrap_or_default());
            figures.into_iter().for_each(|it| figure(cells, it));
        }
    });
    write_sheet(out, path, &columns, rows)
}

/// The figures that any run of a sweep has, in the order in which they first come.
pub(super) struct Names<'a> {
    pub(super) all: Vec<&'a str>,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    pub(super) fn of(result: &'a SweepResult) -> Self {
        let mut all: Vec<&str> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in result.runs.iter().flat_map(summary_of) {
            places.entry(name).or_insert_with(|| {
                all.push(name);
                all.len() - 1
            });
        }
        Self { all, places }
    }

    /// Those of a run, one for each name.
    pub(super) fn figures<'b>(&self, done: &'b Done) -> Vec<Option<&'b Figure>> {
        let mut figures: Vec<Option<&Figure>> = vec![None; self.all.len()];
        for (name, figure) in summary_of(done) {
            figures[self.places[name.as_str()]] = Some(figure);
        }
        figures
    }
}

/// Writes `saturation.csv`: a row a rate, each figure with half the width of its interval.
pub(super) fn write_saturation_csv<W: Write>(
    out: W,
    path: impl Into<PathBuf>,
    saturation: &Saturation,
) -> Result<W, ReportError> {
    let names = Measure::ALL.map(Measure::name);
    let figures = names.map(|name| [name.to_owned(), format!("{name} ±")]);
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    let columns = ["scale", "offered_per_s", "meets"];
    let columns = columns
        .into_iter()
        .chain(figures.iter().map(String::as_str));
    let columns: Vec<&str> = columns.collect();
    let rows = saturation.points.iter().map(|point| {
        move |cells: &mut dyn Cells| {
            cells.float(point.scale);
            cells.float(point.offered_per_s);
            cells.text(if point.meets { "true" } else { "false" });
            for name in names {
                let interval = point.figures.get(name);
                for value in [
                    interval.map(|it| it.mean),
                    interval.and_then(|it| it.half_width),
                ] {
                    match value {
                        Some(value) => cells.float(value),
                        None => cells.empty(),
                    }
                }
            }
        }
    });
    write_sheet(out, path, &columns, rows)
}

fn summary_of(done: &Done) -> impl Iterator<Item = &(String, Figure)> {
    done.outcome.iter().flat_map(|it| &it.summary)
}

fn figure(cells: &mut dyn Cells, figure: Option<&Figure>) {
    match figure {
        Some(Figure::Integer(value)) => cells.integer(*value),
        Some(Figure::Float(value)) => cells.float(*value),
        Some(Figure::Flag(value)) => cells.text(if *value { "true" } else { "false" }),
        Some(Figure::Text(text)) => cells.text(text),
        Some(Figure::Unknown(())) | None => cells.empty(),
    }
}
