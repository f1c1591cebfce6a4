use comfy_table::CellAlignment;

use super::plain_table::plain;
use super::sweep_table::{amount, label};
use crate::scenario::CheckedScenario;
use crate::study::{Interval, Measure, Replicated, Replications};

/// The table that replications end with: a row a figure, its mean and its 95 % interval.
#[must_use]
pub fn replications_table(checked: &CheckedScenario, replications: &Replications) -> String {
    let count = replications.runs.len();
    let mut text = format!("{}: {count} seeds\n", checked.scenario().name);
    let intervals = replications.intervals();
    let mut table = plain();
    table.set_header(["", "mean", "95 % interval"]);
    for measure in Measure::ALL {
        if let Some(interval) = intervals.get(measure.name()) {
            table.add_row([
                label(measure).to_owned(),
                amount(measure, interval.mean),
                bounds(measure, interval),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text += &table.trim_fmt();
    text
}

fn bounds(measure: Measure, interval: &Interval) -> String {
    interval.half_width.map_or_else(
        || "-".to_owned(),
        |half_width| {
            let (low, high) = (interval.mean - half_width, interval.mean + half_width);
            format!("{} to {}", amount(measure, low), amount(measure, high))
        },
    )
}

/// Contenders over several seeds: each figure with its interval, and whether it can be told from that of
/// the first.
pub(super) fn replicated_table(replicated: &Replicated) -> String {
    const MEASURES: [Measure; 5] = [
        Measure::Attainment,
        Measure::TtftP99,
        Measure::TbtP99,
        Measure::Cost,
        Measure::GpuHours,
    ];
    let seeds = replicated.seeds.len();
    let mut text = format!("over {seeds} seeds, ± half the width of the 95 % interval\n");
    let contenders = &replicated.contenders;
    let known = |measure: &Measure| {
        let mut figures = contenders.iter().map(|it| &it.figures);
        figures.any(|it| it.contains_key(measure.name()))
    };
    let priced = known(&Measure::Cost);
    let measures = MEASURES.into_iter().filter(known);
    let measures: Vec<Measure> = measures
        .filter(|it| !(priced && *it == Measure::GpuHours))
        .collect();
    let mut table = plain();
    let heads = measures.iter().map(|it| label(*it).to_owned());
    table.set_header(["policy".to_owned()].into_iter().chain(heads));
    for contender in contenders {
        let cells = measures.iter().map(|measure| {
            let Some(figure) = contender.figures.get(measure.name()) else {
                return "-".to_owned();
            };
            let half_width = figure.half_width.unwrap_or_default();
            let mut cell = format!(
                "{} ±{}",
                amount(*measure, figure.mean),
                amount(*measure, half_width)
            );
            let difference = contender.differences.get(measure.name());
            if difference.is_some_and(Interval::contains_zero) {
                cell += " =";
            }
            cell
        });
        table.add_row([contender.policy.clone()].into_iter().chain(cells));
    }
    text += &table.trim_fmt();
    text += &format!(
        "\n= not distinguishable from {}: the interval of the difference with the same seeds contains 0",
        replicated.reference
    );
    text
}
