//! The tables that `saturate` and `search` end with, the answer first.

use comfy_table::CellAlignment;

use super::plain_table::plain;
use super::sweep_table::{amount, label, shown};
use super::words::{grouped, number, percentage};
use crate::study::Measure;
use crate::study::saturate::Saturation;
use crate::study::search::{Candidate, Found};

const CURVE: [Measure; 5] = [
    Measure::Attainment,
    Measure::Goodput,
    Measure::TtftP50,
    Measure::TtftP99,
    Measure::TbtP99,
];

/// The knee, then the latency-throughput curve: a row a rate.
#[must_use]
pub fn saturation_table(saturation: &Saturation) -> String {
    let objective = percentage(saturation.attainment);
    let mut text = match saturation.knee() {
        Some(knee) => format!(
            "{}: up to {} requests/s, {} times the scenario's load, {objective} of the requests meet their \
             objective\n",
            saturation.scenario,
            number(knee.offered_per_s),
            number(knee.scale),
        ),
        None => format!(
            "{}: at no load that was tried do {objective} of the requests meet their objective\n",
            saturation.scenario
        ),
    };
    if saturation.scale.is_some() && saturation.fails_at.is_none() {
        text += "no load that was tried is too high\n";
    }
    if !saturation.monotone {
        text += "not monotone: a higher load than one that is too high meets the objective\n";
    }
    let mut table = plain();
    let heads = CURVE.into_iter().map(label);
    table.set_header(["", "load", "requests/s"].into_iter().chain(heads));
    for point in &saturation.points {
        let mark = match (saturation.scale == Some(point.scale), point.meets) {
            (true, _) => "*",
            (false, true) => "",
            (false, false) => "-",
        };
        let cells = CURVE.into_iter().map(|measure| {
            let figure = point.figures.get(measure.name());
            figure.map_or_else(|| "-".to_owned(), |it| amount(measure, it.mean))
        });
        let first = [
            mark.to_owned(),
            number(point.scale),
            number(point.offered_per_s),
        ];
        table.add_row(first.into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text += &table.trim_fmt();
    text += &format!(
        "\n* the highest that meets the objective, - does not meet it; means over {} seeds, {} runs",
        saturation.replications,
        grouped(saturation.runs as u64)
    );
    text
}

/// The answer, what binds it and how sure it is; then the settings on the frontier.
#[must_use]
pub fn found_table(found: &Found) -> String {
    let mut text = match &found.answer {
        Some(answer) => format!("{}: {}\n", found.search, answer.set.join(" ")),
        None => format!(
            "{}: no setting that was tried meets the limits\n",
            found.search
        ),
    };
    if let Some(ended) = &found.ended {
        text += &format!("not through: {ended}\n");
    }
    if let Some(answer) = &found.answer {
        for verdict in &answer.limits {
            if let Some(figure) = &verdict.figure {
                let half_width = figure.half_width.unwrap_or_default();
                text += &format!(
                    "  {}: {} ± {}\n",
                    verdict.limit,
                    number(figure.mean),
                    number(half_width)
                );
            }
        }
        text += match found.sure {
            true => "sure: 95 % intervals settle it\n",
            false => "not sure: a 95 % interval leaves a limit open\n",
        };
    }
    if !found.binding.is_empty() {
        text += &format!("what binds: {}\n", found.binding.join(", "));
    }
    if found.monotone == Some(false) {
        text += "not monotone: a larger number misses a limit that a smaller one meets\n";
    }
    let measures = [
        Measure::Attainment,
        Measure::TtftP99,
        Measure::Cost,
        Measure::GpuHours,
    ];
    let mut table = plain();
    let heads = measures.into_iter().map(label);
    table.set_header(["", "setting", "seeds"].into_iter().chain(heads));
    let answer = found.answer.as_ref().map(|it| &it.set);
    let shown_ones = |it: &&Candidate| it.frontier == Some(true) || Some(&it.set) == answer;
    for candidate in found.tried.iter().filter(shown_ones) {
        let mark = match (Some(&candidate.set) == answer, candidate.meets) {
            (true, _) => "*",
            (false, true) => "",
            (false, false) => "-",
        };
        let cells = measures.into_iter().map(|measure| {
            let figure = candidate.figures.get(measure.name());
            figure.map_or_else(|| "-".to_owned(), |it| shown(measure, it))
        });
        let first = [
            mark.to_owned(),
            candidate.set.join("\n"),
            candidate.runs.to_string(),
        ];
        table.add_row(first.into_iter().chain(cells));
    }
    text += &table.trim_fmt();
    text += &format!(
        "\n* the answer, - misses a limit; the frontier of cost and SLO of {} settings, {} runs",
        grouped(found.tried.len() as u64),
        grouped(found.runs as u64)
    );
    text
}
