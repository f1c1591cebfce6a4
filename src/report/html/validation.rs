//! The page of a validation: measured against simulated.

use std::collections::BTreeMap;

use super::chart::{Axis, Chart, Format, Shape, rounded};
use super::colour::Colour;
use super::page::Page;
use super::table::{Cell, Column, Table};
use crate::measured::Spread;
use crate::validation::{ErrorSpread, Figure, Grouping, Validated, skipped, worst};

/// The page that compares measurements with their simulations.
#[must_use]
pub fn validation_page(validated: &[Validated]) -> String {
    let simulated = validated.iter().filter(|it| it.result.is_ok()).count();
    let subtitle = format!(
        "{simulated} rows simulated, {} left out",
        validated.len() - simulated
    );
    let mut page = Page::new("Measured against simulated", &subtitle);
    page.charts(vec![
        chart(validated, "Time to first token", |row| row.ttft),
        chart(validated, "Time per output token", |row| row.tpot),
        chart(validated, "From arrival to the last token", |row| row.e2e),
    ]);
    for grouping in Grouping::ALL {
        page.table(&errors(validated, grouping));
    }
    page.table(&furthest(validated));
    page.table(&left_out(validated));
    page.finish()
}

fn errors(validated: &[Validated], grouping: Grouping) -> Table {
    let figures = Figure::ALL.map(|figure| Column::figures(figure.name()));
    let columns = [Column::text(""), Column::figures("rows")];
    let title = format!(
        "{}: absolute error in %, mean (median; 90th percentile; bias)",
        grouping.title()
    );
    let mut table = Table::new(title, columns.into_iter().chain(figures));
    for (name, rows) in grouping.groups(validated) {
        let mut cells = vec![
            Cell::text(name),
            Cell::figure(rows.len().to_string(), Some(rows.len() as f64)),
        ];
        cells.extend(Figure::ALL.map(|figure| {
            let spread = ErrorSpread::of(rows.iter().copied(), figure);
            Cell::text(spread.map_or_else(String::new, |it| told(&it)))
        }));
        table.row(cells);
    }
    table
}

fn furthest(validated: &[Validated]) -> Table {
    let columns = [
        Column::text("row"),
        Column::figures("error"),
        Column::text("model"),
        Column::text("GPUs"),
        Column::text("engine"),
    ];
    let mut table = Table::new("Furthest off in E2E, or else in TPOT", columns).sortable();
    for (of, error) in worst(validated, 30) {
        let row = &of.row;
        table.row([
            Cell::text(&row.id),
            Cell::figure(format!("{:+.0} %", error * 100.0), Some(error)),
            Cell::text(&row.model),
            Cell::text(format!("{} × {}", row.gpus.unwrap_or(1), row.gpu)),
            Cell::text(&row.engine),
        ]);
    }
    table
}

fn left_out(validated: &[Validated]) -> Table {
    let columns = [Column::text("why"), Column::figures("rows")];
    let mut table = Table::new("Left out", columns);
    for (reason, count) in skipped(validated) {
        table.row([Cell::text(reason), Cell::text(count.to_string())]);
    }
    table
}

fn told(of: &ErrorSpread) -> String {
    let [mean, median, p90, bias] = [of.mean, of.median, of.p90, of.bias].map(|it| it * 100.0);
    format!("{mean:.1} ({median:.1}; {p90:.1}; {bias:+.1})")
}

/// Figures of a row: those measured, or those simulated.
struct Side {
    ttft: Spread,
    tpot: Spread,
    e2e: Spread,
}

fn chart(validated: &[Validated], title: &str, figure: fn(&Side) -> Spread) -> Chart {
    let mut sources: BTreeMap<&str, Vec<(f64, f64, String)>> = BTreeMap::new();
    for of in validated {
        let Ok(simulated) = &of.result else {
            continue;
        };
        let row = &of.row;
        let measured = figure(&Side {
            ttft: row.ttft,
            tpot: row.tpot,
            e2e: row.e2e,
        });
        let shown = figure(&Side {
            ttft: simulated.figures.ttft,
            tpot: simulated.figures.tpot,
            e2e: simulated.figures.e2e,
        });
        let pair = match (measured.mean, shown.mean) {
            (Some(measured), Some(shown)) => Some((measured, shown)),
            _ => measured.p50.zip(shown.p50),
        };
        if let Some((measured, shown)) = pair.filter(|it| it.0 > 0.0 && it.1 > 0.0) {
            let label = format!("{}: {} on {}", row.id, row.model, row.gpu);
            let points = sources.entry(&row.source).or_default();
            points.push((rounded(measured / 1e3), rounded(shown / 1e3), label));
        }
    }
    let all: Vec<f64> = sources
        .values()
        .flatten()
        .flat_map(|it| [it.0, it.1])
        .collect();
    let axis = |title: &str| Axis::new(Format::Duration).logarithmic().title(title);
    let note = "One point a row; on the line both are equal.";
    let (measured, simulated) = (axis("measured"), axis("simulated"));
    let mut chart = Chart::new(title, note, measured, simulated).height(380);
    let ends = |of: fn(f64, f64) -> f64, start: f64| all.iter().copied().fold(start, of);
    let (least, most) = (ends(f64::min, f64::INFINITY), ends(f64::max, 0.0));
    if least < most {
        let line = Shape::dotted([least, most].map(|it| (it, Some(it))));
        chart.add("equal", Colour::Bound, line);
    }
    for (number, (source, points)) in sources.into_iter().enumerate() {
        let shape = Shape::Points {
            x: points.iter().map(|it| it.0).collect(),
            y: points.iter().map(|it| it.1).collect(),
            names: Vec::new(),
            texts: points.into_iter().map(|it| it.2).collect(),
            size: 3,
            joined: false,
            hollow: false,
        };
        chart.add(source, Colour::of_series(number), shape);
    }
    chart
}
