//! Each axis of a sweep by itself: what its values do to cost and SLO, over all values of the others.

use super::super::chart::{Axis, Chart, Format, Shape};
use super::super::colour::Colour;
use super::super::numbers::or_none;
use super::super::table::{Cell, Column, Table};
use super::settings::{Row, basis, format, scaled, title, with_interval};
use crate::study::{Interval, Measure};

/// A value of an axis, with the settings that have it.
struct Level<'a> {
    value: &'a str,
    rows: Vec<&'a Row<'a>>,
}

impl Level<'_> {
    /// The mean over the settings, with the interval of the spread between them.
    fn of(&self, measure: Measure) -> Option<Interval> {
        let means: Vec<f64> = self.rows.iter().filter_map(|it| it.mean(measure)).collect();
        Interval::of(&means)
    }
}

fn levels<'a>(rows: &'a [Row<'a>], column: usize) -> Vec<Level<'a>> {
    let mut levels: Vec<Level<'a>> = Vec::new();
    for row in rows {
        let Some(value) = row.cells.get(column) else {
            continue;
        };
        match levels.iter_mut().find(|it| it.value == value) {
            Some(level) => level.rows.push(row),
            None => levels.push(Level {
                value,
                rows: vec![row],
            }),
        }
    }
    levels
}

/// For each axis whose values are numbers: a chart of SLO and one of cost.
pub(super) fn charts(rows: &[Row<'_>], columns: &[String]) -> Vec<Chart> {
    let measures = [Measure::Attainment, basis(rows)];
    let mut charts = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        let levels = levels(rows, position);
        let numbers: Option<Vec<f64>> = levels.iter().map(|it| it.value.parse().ok()).collect();
        let Some(numbers) = numbers.filter(|it| it.len() > 1) else {
            continue;
        };
        for measure in measures {
            let chart = chart(rows, column, position, measure, &levels, &numbers);
            charts.extend(Some(chart).filter(|it| !it.is_empty()));
        }
    }
    charts
}

fn chart(
    rows: &[Row<'_>],
    column: &str,
    position: usize,
    measure: Measure,
    levels: &[Level<'_>],
    numbers: &[f64],
) -> Chart {
    let name = title(measure);
    let x = Axis::new(Format::Number).title(column);
    let mut chart = Chart::new(
        format!("{name} by {column}"),
        "Each point is a setting; the line is the mean over the settings with the same value.",
        x,
        Axis::new(format(measure)),
    );
    let settings = rows.iter().filter_map(|row| {
        let at: f64 = row.cells.get(position)?.parse().ok()?;
        let interval = row.figures.get(measure.name())?;
        Some((at, interval, row))
    });
    let (mut at, mut y, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, interval, row) in settings {
        at.push(place);
        y.push(scaled(measure, interval.mean));
        names.push(row.name.clone());
        texts.push(format!(
            "{}: {}",
            row.name,
            with_interval(measure, interval)
        ));
    }
    let points = Shape::Points {
        x: at,
        y,
        names,
        texts,
        size: 4,
        joined: false,
        hollow: true,
    };
    chart.add("settings", Colour::Other, points);
    // A mean over nothing but one setting a value would be drawn over the points themselves.
    let mut means: Vec<(f64, Option<f64>)> = numbers
        .iter()
        .zip(levels)
        .map(|(at, level)| (*at, level.of(measure).map(|it| scaled(measure, it.mean))))
        .collect();
    means.sort_by(|one, other| one.0.total_cmp(&other.0));
    chart.add("mean", Colour::Series0, Shape::line(means));
    chart
}

/// Each value of each axis, with the means over all settings that have it.
pub(super) fn table(rows: &[Row<'_>], columns: &[String]) -> Table {
    let measures = [Measure::Attainment, Measure::TtftP99, basis(rows)];
    let figures = measures.iter().map(|it| Column::figures(title(*it)));
    let heads = [
        Column::text("axis"),
        Column::text("value"),
        Column::figures("settings"),
    ];
    let mut table = Table::new("Each axis by itself", heads.into_iter().chain(figures)).note(
        "The mean over all settings with that value; ± is half the width of the 95 % interval of the spread \
         between them.",
    );
    for (position, column) in columns.iter().enumerate() {
        let levels = levels(rows, position);
        // The values of a random sample are all different: there is nothing to take a mean over.
        if levels.len() < 2 || levels.len() == rows.len() && columns.len() > 1 {
            continue;
        }
        for level in levels {
            let figures = measures.iter().map(|measure| {
                let interval = level.of(*measure);
                let text = or_none(interval.map(|it| with_interval(*measure, &it)));
                Cell::figure(text, interval.map(|it| it.mean))
            });
            let count = level.rows.len();
            let first = [
                Cell::text(column.as_str()),
                Cell::text(level.value),
                Cell::figure(count.to_string(), Some(count as f64)),
            ];
            table.row(first.into_iter().chain(figures));
        }
    }
    table
}
