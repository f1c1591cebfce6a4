use std::collections::BTreeSet;

use super::plain_table::plain;
use super::words::{grouped, number};
use crate::study::sweep::{SettingFigures, SweepResult};
use crate::study::{Interval, Measure};

/// Settings that the table lists at most; the files have all.
const MOST: usize = 40;

/// The table that a sweep ends with: a row a setting, `*` at those on the frontier of cost and SLO, each
/// figure with half the width of its 95 % interval where there are several seeds.
#[must_use]
pub fn sweep_table(result: &SweepResult) -> String {
    let settings = result.settings();
    let heading = &result.heading;
    let mut text = format!(
        "{}: {} of {} runs, {} settings\n",
        heading.sweep,
        grouped(result.runs.len() as u64),
        grouped(heading.runs().count() as u64),
        grouped(settings.len() as u64),
    );
    let known: BTreeSet<&str> = settings
        .iter()
        .flat_map(|it| it.figures.keys().map(String::as_str))
        .collect();
    let cost = match known.contains(Measure::Cost.name()) {
        true => Measure::Cost,
        false => Measure::GpuHours,
    };
    let measures = [Measure::Attainment, Measure::TtftP99, Measure::TbtP99, cost];
    let measures = measures.into_iter().filter(|it| known.contains(it.name()));
    let measures: Vec<Measure> = measures.collect();
    let columns: Vec<&String> = heading.columns.iter().filter(|it| *it != "seed").collect();
    let mut table = plain();
    let names = columns.iter().map(|it| short(it).to_owned());
    let heads = measures.iter().map(|it| label(*it).to_owned());
    table.set_header([String::new()].into_iter().chain(names).chain(heads));
    // Those on the frontier first: they are the answer.
    let (best, others): (Vec<_>, Vec<_>) =
        settings.iter().partition(|it| it.frontier == Some(true));
    for setting in best.into_iter().chain(others).take(MOST) {
        table.add_row(row(setting, &columns, &measures));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    text += &table.trim_fmt();
    if settings.len() > MOST {
        text += &format!(
            "\nand {} more in sweep.json",
            grouped((settings.len() - MOST) as u64)
        );
    }
    if settings.iter().any(|it| it.frontier == Some(true)) {
        text +=
            "\n* on the frontier: no other setting is as good in cost and SLO and better in one";
    }
    if settings.iter().any(|it| it.runs > 1) {
        text += "\n± half the width of the 95 % interval of the mean over the seeds";
    }
    for (done, error) in result.failed().take(3) {
        text += &format!("\nrun {} failed: {error}", done.run);
    }
    text
}

fn row(setting: &SettingFigures, columns: &[&String], measures: &[Measure]) -> Vec<String> {
    let mark = if setting.frontier == Some(true) {
        "*"
    } else {
        ""
    };
    let mut cells = vec![mark.to_owned()];
    cells.extend(columns.iter().map(|it| setting.setting[*it].clone()));
    cells.extend(measures.iter().map(|measure| {
        let interval = setting.figures.get(measure.name());
        interval.map_or_else(|| "-".to_owned(), |it| shown(*measure, it))
    }));
    cells
}

/// A figure with its interval, in the unit of its column.
pub(super) fn shown(measure: Measure, interval: &Interval) -> String {
    let mean = amount(measure, interval.mean);
    match interval.half_width {
        Some(half_width) => format!("{mean} ±{}", amount(measure, half_width)),
        None => mean,
    }
}

/// A figure as text, shares in per cent.
pub(super) fn amount(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Attainment | Measure::SloKept => format!("{:.2}", value * 100.0),
        _ => number(value),
    }
}

/// What a figure is called, with its unit.
pub(super) const fn label(measure: Measure) -> &'static str {
    match measure {
        Measure::Attainment => "SLO met %",
        Measure::SloKept => "SLO kept %",
        Measure::Goodput => "good requests/s",
        Measure::TtftP50 => "TTFT p50 s",
        Measure::TtftP99 => "TTFT p99 s",
        Measure::TbtP99 => "TBT p99 s",
        Measure::Cost => "cost $",
        Measure::GpuHours => "GPU hours",
        Measure::Energy => "energy kWh",
    }
}

/// The last step of a path.
fn short(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}
