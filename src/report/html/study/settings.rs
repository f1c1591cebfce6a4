//! Settings on a chart and in a table, whichever study they are of.

use std::collections::BTreeMap;

use super::super::chart::{Axis, Chart, Format, Shape, Whisker};
use super::super::colour::Colour;
use super::super::numbers::{dollars, duration, number, or_none, percent};
use super::super::table::{Cell, Column, Table};
use crate::study::{Interval, Measure};

/// A setting with its figures.
pub(super) struct Row<'a> {
    /// What it is called.
    pub(super) name: String,
    /// The values of its columns.
    pub(super) cells: Vec<String>,
    pub(super) seeds: usize,
    pub(super) figures: &'a BTreeMap<String, Interval>,
    pub(super) frontier: bool,
    /// Whether it is the answer of a search.
    pub(super) answer: bool,
}

impl Row<'_> {
    pub(super) fn mean(&self, measure: Measure) -> Option<f64> {
        Some(self.figures.get(measure.name())?.mean)
    }
}

/// What cost is reckoned in: dollars where all are known.
pub(super) fn basis(rows: &[Row<'_>]) -> Measure {
    let priced = rows.iter().all(|it| it.mean(Measure::Cost).is_some());
    if priced {
        Measure::Cost
    } else {
        Measure::GpuHours
    }
}

/// A figure as it reads.
pub(super) fn told(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Attainment | Measure::SloKept => percent(value),
        Measure::Cost => dollars(value),
        Measure::TtftP50 | Measure::TtftP99 | Measure::TbtP99 => duration(value),
        Measure::Goodput | Measure::GpuHours | Measure::Energy => number(value),
    }
}

/// A figure with its interval, as it reads.
pub(in crate::report::html) fn with_interval(measure: Measure, interval: &Interval) -> String {
    let mean = told(measure, interval.mean);
    match interval.half_width.filter(|it| *it > 0.0) {
        Some(half_width) => format!("{mean} ± {}", told(measure, half_width)),
        None => mean,
    }
}

pub(in crate::report::html) const fn title(measure: Measure) -> &'static str {
    match measure {
        Measure::Attainment => "SLO met",
        Measure::SloKept => "SLO kept",
        Measure::Goodput => "good requests/s",
        Measure::TtftP50 => "TTFT p50",
        Measure::TtftP99 => "TTFT p99",
        Measure::TbtP99 => "TBT p99",
        Measure::Cost => "cost",
        Measure::GpuHours => "GPU-hours",
        Measure::Energy => "energy, kWh",
    }
}

pub(in crate::report::html) const fn format(measure: Measure) -> Format {
    match measure {
        Measure::Attainment | Measure::SloKept => Format::Percent,
        Measure::Cost => Format::Dollars,
        Measure::TtftP50 | Measure::TtftP99 | Measure::TbtP99 => Format::Duration,
        Measure::Goodput | Measure::GpuHours | Measure::Energy => Format::Number,
    }
}

/// A value in the unit of its axis: per cent for shares.
pub(in crate::report::html) fn scaled(measure: Measure, value: f64) -> f64 {
    match measure {
        Measure::Attainment | Measure::SloKept => 100.0 * value,
        _ => value,
    }
}

/// Cost against the share of requests that met the objective.
pub(super) fn frontier(rows: &[Row<'_>]) -> Chart {
    let cost = basis(rows);
    let note = "Each point is a setting, the mean over its seeds. To the upper left is better. The line is the \
                frontier: on it, no other setting is as good in both and better in one.";
    let x = Axis::new(format(cost)).title(title(cost));
    let y = Axis::new(Format::Percent).title("requests that met the SLO");
    let mut chart = Chart::new("Cost against SLO attainment", note, x, y).height(420);
    let mut best: Vec<&Row<'_>> = rows.iter().filter(|it| it.frontier).collect();
    best.sort_by(|one, other| {
        let [one, other] = [one, other].map(|it| it.mean(cost).unwrap_or(f64::INFINITY));
        one.total_cmp(&other)
    });
    let others = rows.iter().filter(|it| !it.frontier && !it.answer);
    chart.add(
        "interval",
        Colour::Other,
        Shape::whiskers(whiskers(rows, cost)),
    );
    chart.add("other settings", Colour::Other, points(others, cost, false));
    chart.add(
        "frontier",
        Colour::Frontier,
        points(best.into_iter(), cost, true),
    );
    let answer = rows.iter().filter(|it| it.answer);
    chart.add("answer", Colour::Met, points(answer, cost, false));
    chart
}

/// The intervals of settings that were run with several seeds.
fn whiskers<'a>(rows: &'a [Row<'a>], cost: Measure) -> impl Iterator<Item = Whisker> + 'a {
    let several = rows.iter().filter(|it| it.seeds > 1);
    several.filter_map(move |row| {
        let [x, y] = [cost, Measure::Attainment].map(|it| Some((it, row.figures.get(it.name())?)));
        Some(whisker(x?, y?))
    })
}

/// A point with its intervals, across and along.
pub(in crate::report::html) fn whisker(
    x: (Measure, &Interval),
    y: (Measure, &Interval),
) -> Whisker {
    let mean = |(measure, of): (Measure, &Interval)| scaled(measure, of.mean);
    let half_width =
        |(measure, of): (Measure, &Interval)| scaled(measure, of.half_width.unwrap_or_default());
    Whisker {
        at: (mean(x), mean(y)),
        half_widths: (half_width(x), half_width(y)),
    }
}

fn points<'a>(rows: impl Iterator<Item = &'a Row<'a>>, cost: Measure, joined: bool) -> Shape {
    let (mut x, mut y, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (Some(at), Some(met)) = (row.mean(cost), row.mean(Measure::Attainment)) else {
            continue;
        };
        x.push(at);
        y.push(scaled(Measure::Attainment, met));
        names.push(row.name.clone());
        let said = [Measure::Attainment, cost].map(|measure| {
            let interval = row.figures.get(measure.name());
            interval.map_or_else(String::new, |it| with_interval(measure, it))
        });
        texts.push(format!("{}: {}", row.name, said.join(", ")));
    }
    let (size, hollow) = if joined { (6, false) } else { (5, true) };
    Shape::Points {
        x,
        y,
        names,
        texts,
        size,
        joined,
        hollow,
    }
}

/// Every setting with its figures.
pub(super) fn table(rows: &[Row<'_>], columns: &[String]) -> Table {
    let cost = basis(rows);
    let measures = [
        Measure::Attainment,
        Measure::TtftP50,
        Measure::TtftP99,
        Measure::TbtP99,
        cost,
        Measure::Energy,
    ];
    let known = |measure: &Measure| rows.iter().any(|it| it.mean(*measure).is_some());
    let measures: Vec<Measure> = measures.into_iter().filter(known).collect();
    let names = columns.iter().map(|it| Column::text(it.as_str()));
    let figures = measures.iter().map(|it| Column::figures(title(*it)));
    let heads = [Column::text("")].into_iter().chain(names);
    let heads = heads.chain([Column::figures("seeds")]).chain(figures);
    let mut table = Table::new("Settings", heads)
        .note("★ is on the frontier. ± is half the width of the 95 % interval of the mean over the seeds.")
        .sortable();
    for row in rows {
        let mark = if row.frontier { "★" } else { "" };
        let values = row.cells.iter().map(|it| Cell::text(it.as_str()));
        let figures = measures.iter().map(|measure| {
            let interval = row.figures.get(measure.name());
            let text = or_none(interval.map(|it| with_interval(*measure, it)));
            Cell::figure(text, interval.map(|it| it.mean))
        });
        let cells = [Cell::text(mark)].into_iter().chain(values);
        let seeds = Cell::figure(row.seeds.to_string(), Some(row.seeds as f64));
        table.row(cells.chain([seeds]).chain(figures));
    }
    table
}
