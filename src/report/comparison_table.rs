use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::replications_table::replicated_table;
use super::table::WIDTH;
use super::words::{grouped, number};
use crate::study::{Basis, Comparison, Figures, Standing};

/// Columns of the terminal that a policy's term may take.
const NAME_WIDTH: u16 = 26;

/// The table that a comparison ends with, at most 100 columns wide: a row a contender, in the order in
/// which they were named, `*` at those on the frontier.
#[must_use]
pub fn comparison_table(comparison: &Comparison) -> String {
    let mut text = format!(
        "{}: {} under each policy, seed {}\n",
        comparison.scenario,
        comparison.applications.join(", "),
        comparison.seed
    );
    if comparison.partial {
        text += &format!("partial: missing {}\n", comparison.missing.join(", "));
    }
    let mut table = plain();
    let regrets = comparison.contenders.iter().any(|it| it.regret.is_some());
    let (cost, regret) = match comparison.basis {
        Some(Basis::Dollars) => ("cost\n$", "regret\n$"),
        _ => ("GPU\nhours", "regret\nhours"),
    };
    let mut header = vec![
        "",
        "policy",
        "SLO\nmet %",
        "TTFT\np50 s",
        "TTFT\np99 s",
        "TBT\np99 s",
        cost,
        "short\n%",
        "ac-\ntions",
        "turns\nper h",
    ];
    if regrets {
        header.extend([regret, "regret\nmisses"]);
    }
    let columns = header.len();
    table.set_header(header);
    for standing in &comparison.contenders {
        table.add_row(row(standing, comparison.basis, regrets));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
        column.set_padding((1, 0));
    }
    if let Some(mark) = table.column_mut(0) {
        mark.set_padding((0, 0));
    }
    let mut widths = vec![ColumnConstraint::ContentWidth; columns];
    widths[1] = ColumnConstraint::UpperBoundary(Width::Fixed(NAME_WIDTH));
    table.set_constraints(widths);
    text += &table.trim_fmt();
    text += "\n* on the frontier: no other contender is as good in cost and SLO and better in one";
    if let Some(replicated) = &comparison.replicated {
        text += "\n\n";
        text += &replicated_table(replicated);
    }
    if let Some(bound) = bound(comparison) {
        text += &format!("\nno run that completes every request takes less than {bound}");
    }
    let skipped = comparison.skipped.iter();
    let skipped = skipped.map(|it| ["skipped", it.policy.as_str(), it.reason.as_str()]);
    let failed = comparison.failed();
    let failed = failed.map(|(policy, error)| ["failed", policy, error]);
    let mut absent = plain();
    absent.add_rows(failed.chain(skipped));
    if !absent.is_empty() {
        text += "\n";
        text += &absent.trim_fmt();
    }
    text
}

fn bound(comparison: &Comparison) -> Option<String> {
    let basis = comparison.basis?;
    let bound = number(basis.of_bound(&comparison.lower_bound?)?);
    Some(match basis {
        Basis::Dollars => format!("{bound} dollars"),
        Basis::GpuHours => format!("{bound} GPU-hours"),
    })
}

/// A table without lines.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

fn row(standing: &Standing, basis: Option<Basis>, regrets: bool) -> Vec<String> {
    let mark = if standing.frontier == Some(true) {
        "*"
    } else {
        ""
    };
    let mut cells = vec![mark.to_owned(), standing.policy.clone()];
    match standing.figures.as_ref().zip(basis) {
        Some((figures, basis)) => cells.extend(cells_of(figures, basis)),
        None => cells.push("failed".to_owned()),
    }
    if regrets && let Some(regret) = &standing.regret {
        let cost = basis.and_then(|basis| basis.of_regret(regret));
        cells.push(or_dash(cost.map(signed)));
        let misses = regret.slo_misses;
        cells.push(or_dash(misses.map(|it| format!("{it:+}"))));
    }
    cells
}

fn cells_of(figures: &Figures, basis: Basis) -> [String; 8] {
    let met = figures.attainment.map(|met| format!("{:.2}", met * 100.0));
    let short = figures.under_provisioned;
    let short = short.map(|share| format!("{:.1}", share * 100.0));
    let seconds = |figure: Option<f64>| or_dash(figure.map(number));
    [
        or_dash(met),
        seconds(figures.ttft_s.p50),
        seconds(figures.ttft_s.p99),
        seconds(figures.tbt_s.p99),
        number(basis.of(figures)),
        or_dash(short),
        grouped(figures.scaling_actions),
        number(figures.flapping.per_hour),
    ]
}

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "-".to_owned())
}

fn signed(figure: f64) -> String {
    let sign = if figure < 0.0 { "-" } else { "+" };
    format!("{sign}{}", number(figure.abs()))
}
