//! Parallel coordinates: every setting as a line across all axes.

use super::super::chart::{Axis, Chart, Format, Shape};
use super::super::colour::Colour;
use super::settings::{Row, basis};
use crate::study::Measure;

/// Lines that one can still tell apart.
const MOST: usize = 80;

/// A line a setting: its values, its attainment and its cost, each from the least (0 %) to the largest
/// (100 %). None with fewer than three axes, where other charts say more.
pub(super) fn chart(rows: &[Row<'_>], columns: &[String]) -> Option<Chart> {
    if columns.len() < 3 || rows.len() > MOST {
        return None;
    }
    let mut scales: Vec<Vec<Option<f64>>> = Vec::new();
    for position in 0..columns.len() {
        let cells: Vec<&str> = rows.iter().map(|it| it.cells[position].as_str()).collect();
        scales.push(shares(&ranks(&cells)));
    }
    for measure in [Measure::Attainment, basis(rows)] {
        let values: Vec<Option<f64>> = rows.iter().map(|it| it.mean(measure)).collect();
        scales.push(shares(&values));
    }
    let names = columns.iter().map(String::as_str);
    let names = names.chain(["SLO met", "cost"]).enumerate();
    let names: Vec<String> = names
        .map(|(at, name)| format!("{}: {name}", at + 1))
        .collect();
    let note = format!(
        "Each line is a setting, from the least (0 %) to the largest (100 %) value of each: {}.",
        names.join(", ")
    );
    let x = Axis::new(Format::Number)
        .range([1.0, scales.len() as f64])
        .whole();
    let mut chart = Chart::new("All axes at once", note, x, Axis::percent()).height(320);
    for (frontier, colour) in [(false, Colour::Other), (true, Colour::Frontier)] {
        for (position, row) in rows.iter().enumerate() {
            if row.frontier == frontier {
                let line = scales.iter().enumerate();
                let line = line.map(|(at, scale)| (at as f64 + 1.0, scale[position]));
                chart.add(row.name.as_str(), colour, Shape::line(line));
            }
        }
    }
    Some(chart.without_legend())
}

/// Numbers as they are, other values by the order in which they come.
fn ranks(cells: &[&str]) -> Vec<Option<f64>> {
    let numbers: Option<Vec<f64>> = cells.iter().map(|it| it.parse().ok()).collect();
    if let Some(numbers) = numbers {
        return numbers.into_iter().map(Some).collect();
    }
    let mut seen: Vec<&str> = Vec::new();
    let ranks = cells.iter().map(|cell| {
        let place = seen.iter().position(|it| it == cell).unwrap_or(seen.len());
        if place == seen.len() {
            seen.push(cell);
        }
        Some(place as f64)
    });
    ranks.collect()
}

/// Per cent of the way from the least to the largest.
fn shares(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let known = || values.iter().copied().flatten();
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(f64::NEG_INFINITY, f64::max);
    let share = |value: f64| match most > least {
        true => 100.0 * (value - least) / (most - least),
        false => 50.0,
    };
    values.iter().map(|it| it.map(share)).collect()
}
