use super::super::chart::{Axis, Chart, Format, Shape};
use super::super::colour::Colour;
use super::super::numbers::{number, percent};
use super::super::page::{Page, Tile};
use super::super::table::{Cell, Column, Table};
use super::settings::{format, scaled, title, with_interval};
use crate::study::Measure;
use crate::study::saturate::Saturation;

/// saturation.html: the knee, and the latency-throughput curve. `command` is what to type to make it again.
#[must_use]
pub fn saturation_page(saturation: &Saturation, command: &str) -> String {
    let subtitle = format!(
        "the highest load at which {} of the requests meet their objective · hash {} · fleetsim {}",
        percent(saturation.attainment),
        saturation.hash,
        env!("CARGO_PKG_VERSION")
    );
    let mut page = Page::new(&saturation.scenario, &subtitle);
    page.command(command);
    if !saturation.monotone {
        let warning = "A higher load than one that is too high meets the objective: the knee is the lowest one found.";
        page.paragraph("warning", warning);
    }
    match saturation.knee() {
        Some(knee) => page.tiles(&[
            Tile::new(
                "load at the knee",
                format!("{} requests/s", number(knee.offered_per_s)),
                "",
            ),
            Tile::new("times the scenario's load", number(knee.scale), ""),
        ]),
        None => page.paragraph("warning", "No load that was tried meets the objective."),
    }
    page.heading("Latency and throughput by load");
    let measures = [
        Measure::TtftP50,
        Measure::TtftP99,
        Measure::TbtP99,
        Measure::Attainment,
        Measure::Goodput,
    ];
    page.charts(measures.map(|measure| curve(saturation, measure)));
    page.table(&table(saturation, &measures));
    page.finish()
}

fn curve(saturation: &Saturation, measure: Measure) -> Chart {
    let x = Axis::new(Format::Number).title("requests/s that arrive");
    let y = match measure {
        Measure::TtftP50 | Measure::TtftP99 | Measure::TbtP99 => {
            Axis::new(format(measure)).logarithmic()
        }
        _ => Axis::new(format(measure)).zero_based(),
    };
    let name = format!("{} by load", title(measure));
    let note = "The mean over the seeds; dotted, its 95 % interval.";
    let mut chart = Chart::new(name, note, x, y);
    let values = |of: fn(f64, f64) -> f64| {
        let points = saturation.points.iter();
        let points = points.map(move |point| {
            let interval = point.figures.get(measure.name());
            let value = interval.map(|it| of(it.mean, it.half_width.unwrap_or_default()));
            (point.offered_per_s, value.map(|it| scaled(measure, it)))
        });
        // A logarithmic axis has no place for the lower end of a very wide interval.
        let above: Vec<_> = points
            .map(|(at, value)| (at, value.filter(|it| *it > 0.0)))
            .collect();
        above
    };
    chart.add(
        title(measure),
        Colour::Series0,
        Shape::line(values(|mean, _| mean)),
    );
    chart.add(
        "lower end",
        Colour::Other,
        Shape::dotted(values(|mean, half| mean - half)),
    );
    chart.add(
        "upper end",
        Colour::Other,
        Shape::dotted(values(|mean, half| mean + half)),
    );
    if let Some(knee) = saturation.knee() {
        chart.add("knee", Colour::Limit, Shape::upright(knee.offered_per_s));
    }
    chart
}

fn table(saturation: &Saturation, measures: &[Measure]) -> Table {
    let first = [
        Column::text("meets the objective"),
        Column::figures("times the load"),
        Column::figures("requests/s"),
    ];
    let heads = measures.iter().map(|it| Column::figures(title(*it)));
    let mut table = Table::new("Loads", first.into_iter().chain(heads)).sortable();
    for point in &saturation.points {
        let figures = measures.iter().map(|measure| {
            let interval = point.figures.get(measure.name());
            let text = interval.map_or_else(String::new, |it| with_interval(*measure, it));
            Cell::figure(text, interval.map(|it| it.mean))
        });
        let first = [
            Cell::text(if point.meets { "yes" } else { "no" }),
            Cell::figure(number(point.scale), Some(point.scale)),
            Cell::figure(number(point.offered_per_s), Some(point.offered_per_s)),
        ];
        table.row(first.into_iter().chain(figures));
    }
    table
}
