//! The page of a validation: measured against simulated.

use std::collections::BTreeMap;

use plotly::Scatter;
use plotly::common::{Line, Marker, Mode};

use super::chart::{Chart, colour, layout, logarithmic, rounded};
use super::page::Page;
use crate::measured::Spread;
use crate::validation::{ErrorSpread, Figure, Grouping, Validated, skipped, worst};

const COLOURS: [&str; 6] = [
    colour::BLUE,
    colour::ORANGE,
    colour::GREEN,
    colour::VERMILLION,
    colour::PURPLE,
    colour::SKY,
];

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
        let mut header = vec!["", "rows"];
        header.extend(Figure::ALL.map(Figure::name));
        let rows: Vec<Vec<String>> = grouping
            .groups(validated)
            .into_iter()
            .map(|(name, rows)| {
                let mut cells = vec![name, rows.len().to_string()];
                cells.extend(Figure::ALL.map(|figure| {
                    ErrorSpread::of(rows.iter().copied(), figure)
                        .map_or_else(String::new, |it| told(&it))
                }));
                cells
            })
            .collect();
        let title = format!(
            "{}: absolute error in %, mean (median; 90th percentile; bias)",
            grouping.title()
        );
        page.table(&title, &header, &rows);
    }
    let rows: Vec<Vec<String>> = worst(validated, 30)
        .into_iter()
        .map(|(of, error)| {
            let row = &of.row;
            vec![
                row.id.clone(),
                format!("{:+.0} %", error * 100.0),
                row.model.clone(),
                format!("{} × {}", row.gpus.unwrap_or(1), row.gpu),
                row.engine.clone(),
            ]
        })
        .collect();
    let header = ["row", "error", "model", "GPUs", "engine"];
    page.table("Furthest off in E2E, or else in TPOT", &header, &rows);
    let rows: Vec<Vec<String>> = skipped(validated)
        .into_iter()
        .map(|(reason, count)| vec![reason, count.to_string()])
        .collect();
    page.table("Left out", &["why", "rows"], &rows);
    page.finish()
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
    let axis = |title: &str| logarithmic(title, all.iter().copied());
    let layout = layout()
        .x_axis(axis("measured, seconds"))
        .y_axis(axis("simulated, seconds"))
        .hover_mode(plotly::layout::HoverMode::Closest);
    let note = "One point a row; on the line both are equal.";
    let mut chart = Chart::new(title, note, layout).height(420);
    for (number, (source, points)) in sources.into_iter().enumerate() {
        let labels = points.iter().map(|it| it.2.clone()).collect();
        let (x, y) = points.into_iter().map(|it| (it.0, it.1)).unzip();
        let colour = COLOURS[number % COLOURS.len()];
        let trace = Scatter::<f64, f64>::new(x, y)
            .name(source)
            .mode(Mode::Markers)
            .marker(Marker::new().color(colour).size(5))
            .hover_text_array(labels);
        chart.add(trace);
    }
    let ends = |of: fn(f64, f64) -> f64, start: f64| all.iter().copied().fold(start, of);
    let (least, most) = (ends(f64::min, f64::INFINITY), ends(f64::max, 0.0));
    if least < most {
        let line = Scatter::new(vec![least, most], vec![least, most])
            .name("equal")
            .mode(Mode::Lines)
            .line(Line::new().color(colour::GREY).width(1.2));
        chart.add(line);
    }
    chart
}
