use comfy_table::{CellAlignment, ColumnConstraint, Width};

use super::plain_table::plain;
use super::replications_table::replicated_table;
use super::words::{grouped, number, percentile};
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
    let shown = Shown::new(comparison);
    let mut header: Vec<String> = ["", "policy", "SLO\nmet %"].map(str::to_owned).to_vec();
    if shown.verdict {
        header.push("SLO\nmet".to_owned());
    }
    let seconds = |metric: &str, percent: &f64| format!("{metric}\n{} s", percentile(*percent));
    header.extend(shown.percentiles.iter().map(|it| seconds("TTFT", it)));
    header.extend(shown.percentiles.last().map(|it| seconds("TBT", it)));
    header.extend([cost, "short\n%", "ac-\ntions", "turns\nper h"].map(str::to_owned));
    if regrets {
        header.extend([regret, "regret\nmisses"].map(str::to_owned));
    }
    let columns = header.len();
    table.set_header(header);
    for standing in &comparison.contenders {
        table.add_row(row(standing, comparison.basis, &shown, regrets));
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

/// Columns that not every comparison has.
struct Shown {
    /// The percentiles that the scenario asks for.
    percentiles: Vec<f64>,
    /// Whether limits of percentiles were met.
    verdict: bool,
}

impl Shown {
    fn new(comparison: &Comparison) -> Self {
        let figures = || {
            comparison
                .contenders
                .iter()
                .filter_map(|it| it.figures.as_ref())
        };
        let asked = figures().next().map_or(&[][..], |it| &it.percentiles);
        Self {
            percentiles: asked.iter().map(|it| it.percentile).collect(),
            verdict: figures().any(|it| it.slo_met.is_some()),
        }
    }
}

fn row(standing: &Standing, basis: Option<Basis>, shown: &Shown, regrets: bool) -> Vec<String> {
    let mark = if standing.frontier == Some(true) {
        "*"
    } else {
        ""
    };
    let mut cells = vec![mark.to_owned(), standing.policy.clone()];
    match standing.figures.as_ref().zip(basis) {
        Some((figures, basis)) => cells.extend(cells_of(figures, basis, shown)),
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

fn cells_of(figures: &Figures, basis: Basis, shown: &Shown) -> Vec<String> {
    let met = figures.attainment.map(|met| format!("{:.2}", met * 100.0));
    let short = figures.under_provisioned;
    let short = short.map(|share| format!("{:.1}", share * 100.0));
    let seconds = |figure: Option<f64>| or_dash(figure.map(number));
    let mut cells = vec![or_dash(met)];
    if shown.verdict {
        cells.push(or_dash(figures.slo_met.map(yes_or_no)));
    }
    let all = &figures.percentiles;
    cells.extend(all.iter().map(|it| seconds(it.ttft_s)));
    cells.extend(all.last().map(|it| seconds(it.tbt_s)));
    cells.extend([
        number(basis.of(figures)),
        or_dash(short),
        grouped(figures.scaling_actions),
        number(figures.flapping.per_hour),
    ]);
    cells
}

fn yes_or_no(what: bool) -> String {
    if what { "yes" } else { "no" }.to_owned()
}

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "-".to_owned())
}

fn signed(figure: f64) -> String {
    let sign = if figure < 0.0 { "-" } else { "+" };
    format!("{sign}{}", number(figure.abs()))
}
