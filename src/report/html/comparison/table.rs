//! All figures of the contenders.

use std::collections::BTreeMap;

use crate::report::html::numbers::{NONE, dollars, duration, number, percent};
use crate::report::html::table::{Cell, Column, Table};
use crate::report::words::grouped;
use crate::study::{Basis, Comparison, Figures, Standing};

/// A figure of a contender: its name, its value, how that reads, and whether less is better.
struct Figure {
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    told: fn(f64) -> String,
    less: bool,
}

const FIGURES: [Figure; 16] = [
    more("SLO met", |it| it.attainment, percent),
    more("goodput, requests/s", |it| it.goodput_per_s, number),
    less("TTFT p50", |it| it.ttft_s.p50, duration),
    less("p95", |it| it.ttft_s.p95, duration),
    less("p99", |it| it.ttft_s.p99, duration),
    less("TBT p50", |it| it.tbt_s.p50, duration),
    less("p95", |it| it.tbt_s.p95, duration),
    less("p99", |it| it.tbt_s.p99, duration),
    less("cost", |it| it.cost, dollars),
    less(
        "cost per million tokens",
        |it| it.rates.cost_per_million_tokens,
        dollars,
    ),
    less("GPU-hours", |it| Some(it.gpu_hours), number),
    less("kWh", |it| it.energy_kwh, number),
    less("short of instances", |it| it.under_provisioned, percent),
    less("actions", |it| Some(it.scaling_actions as f64), whole),
    less("turns an hour", |it| Some(it.flapping.per_hour), number),
    less(
        "not completed",
        |it| Some((it.arrived - it.completed) as f64),
        whole,
    ),
];

const fn more(
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    told: fn(f64) -> String,
) -> Figure {
    let less = false;
    Figure {
        name,
        of,
        told,
        less,
    }
}

const fn less(
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    told: fn(f64) -> String,
) -> Figure {
    let less = true;
    Figure {
        name,
        of,
        told,
        less,
    }
}

/// The table, with the figures that any contender has.
pub(super) fn contenders(
    comparison: &Comparison,
    basis: Basis,
    reports: &BTreeMap<String, String>,
) -> Table {
    let ran = || {
        let standings = comparison.contenders.iter();
        standings.filter_map(|it| Some((it, it.figures.as_ref()?)))
    };
    let figures: Vec<_> = FIGURES
        .iter()
        .filter(|figure| ran().any(|(_, it)| (figure.of)(it).is_some()))
        .collect();
    let frontier = ran().any(|(it, _)| it.frontier.is_some());
    let regrets = ran().any(|(it, _)| it.regret.is_some());
    let mut columns = Vec::new();
    if frontier {
        columns.push(Column::text("★"));
    }
    columns.push(Column::text("contender"));
    columns.extend(figures.iter().map(|it| Column::figures(it.name)));
    if regrets {
        columns.extend(["regret", "regret, misses"].map(Column::figures));
    }
    let mut note = "The best of a column stands out; a click on a heading sorts.".to_owned();
    if frontier {
        note.insert_str(0, "★ on the frontier of cost and SLO. ");
    }
    let mut table = Table::new("All figures", columns).note(note).sortable();
    let best: Vec<_> = figures
        .iter()
        .map(|it| best(it, ran().map(|it| it.1)))
        .collect();
    for (standing, of) in ran() {
        let mut row = Vec::new();
        if frontier {
            let star = standing.frontier == Some(true);
            let text = if star { "★" } else { "" };
            row.push(Cell::figure(text, Some(f64::from(!star))));
        }
        let link = reports.get(&standing.policy).cloned();
        row.push(
            Cell::text(&standing.label)
                .title(&standing.policy)
                .link(link),
        );
        for (figure, best) in figures.iter().zip(&best) {
            let value = (figure.of)(of);
            let text = value.map_or_else(|| NONE.to_owned(), figure.told);
            row.push(Cell::figure(text, value).best(value.is_some() && value == *best));
        }
        if regrets {
            row.extend(regret(standing, basis));
        }
        table.row(row);
    }
    table
}

/// The best value; none where all are alike.
fn best<'a>(figure: &Figure, all: impl Iterator<Item = &'a Figures>) -> Option<f64> {
    let values = all.filter_map(|it| (figure.of)(it));
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
        (least.min(it), most.max(it))
    });
    (least < most).then_some(if figure.less { least } else { most })
}

fn whole(count: f64) -> String {
    grouped(count as u64)
}

/// What a contender cost beyond the plan of `Clairvoyant`, and missed.
fn regret(standing: &Standing, basis: Basis) -> [Cell; 2] {
    let regret = standing.regret.as_ref();
    let cost = regret.and_then(|it| basis.of_regret(it));
    let misses = regret.and_then(|it| it.slo_misses);
    let told: fn(f64) -> String = match basis {
        Basis::Dollars => dollars,
        Basis::GpuHours => number,
    };
    let sign = |negative: bool| if negative { "−" } else { "+" };
    let cost_text = cost.map(|it| format!("{}{}", sign(it < 0.0), told(it.abs())));
    let misses_text = misses.map(|it| format!("{}{}", sign(it < 0), grouped(it.unsigned_abs())));
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        Cell::figure(or_none(cost_text), cost),
        Cell::figure(or_none(misses_text), misses.map(|it| it as f64)),
    ]
}

/// Policies that could not take part.
pub(super) fn skipped(comparison: &Comparison) -> Table {
    let columns = [Column::text("policy"), Column::prose("why")];
    let mut table = Table::new("Left out", columns);
    for skipped in &comparison.skipped {
        table.row([Cell::text(&skipped.policy), Cell::text(&skipped.reason)]);
    }
    table
}
