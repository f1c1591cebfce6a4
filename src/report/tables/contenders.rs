use super::{Cells, Column, Table, float, integer, text};
use crate::study::{Figures, Skipped, Standing};

/// `comparison.csv`: a row a contender, and one for each policy that was skipped, with the reason in
/// `error`.
#[derive(Debug)]
pub struct Contenders;

/// A row of [`Contenders`].
#[derive(Clone, Copy, Debug)]
pub enum Contender<'a> {
    /// One that ran, or failed.
    Standing(&'a Standing),
    /// One that the scenario has no roles for.
    Skipped(&'a Skipped),
}

/// Columns from `end_s` to `direction_changes_per_h`.
const FIGURES: usize = 26;

impl Table for Contenders {
    type Row<'a> = Contender<'a>;

    const NAME: &'static str = "comparison";

    const COLUMNS: &'static [Column] = &[
        text("policy"),
        text("error"),
        text("frontier"),
        float("end_s"),
        integer("arrived"),
        integer("completed"),
        integer("slo_misses"),
        float("attainment"),
        text("slo_met"),
        float("slo_kept"),
        float("goodput_per_s"),
        float("ttft_p50_s"),
        float("ttft_p90_s"),
        float("ttft_p95_s"),
        float("ttft_p99_s"),
        float("tbt_p50_s"),
        float("tbt_p90_s"),
        float("tbt_p95_s"),
        float("tbt_p99_s"),
        float("gpu_hours"),
        float("cost"),
        float("cost_per_day"),
        float("cost_per_month"),
        float("cost_per_million_tokens"),
        float("cost_per_million_output_tokens"),
        float("energy_kwh"),
        float("under_provisioned"),
        integer("scaling_actions"),
        float("direction_changes_per_h"),
        float("regret_cost"),
        float("regret_gpu_hours"),
        float("regret_relative"),
        float("regret_slo_misses"),
    ];

    fn cells(row: Self::Row<'_>, cells: &mut impl Cells) {
        match row {
            Contender::Standing(standing) => contender(cells, standing),
            Contender::Skipped(skipped) => {
                cells.text(&skipped.policy);
                cells.text(&format!("skipped: {}", skipped.reason));
                (2..Self::COLUMNS.len()).for_each(|_| cells.empty());
            }
        }
    }
}

fn contender(cells: &mut impl Cells, of: &Standing) {
    cells.text(&of.policy);
    cells.text(of.error.as_deref().unwrap_or_default());
    cells.text(yes_or_no(of.frontier));
    match &of.figures {
        Some(of) => figures(cells, of),
        None => (0..FIGURES).for_each(|_| cells.empty()),
    }
    let regret = of.regret.as_ref();
    cells.optional_float(regret.and_then(|it| it.cost));
    cells.optional_float(regret.map(|it| it.gpu_hours));
    cells.optional_float(regret.and_then(|it| it.relative));
    cells.optional_float(regret.and_then(|it| it.slo_misses).map(|it| it as f64));
}

fn yes_or_no(what: Option<bool>) -> &'static str {
    match what {
        None => "",
        Some(true) => "true",
        Some(false) => "false",
    }
}

fn figures(cells: &mut impl Cells, of: &Figures) {
    cells.float(of.end_s.seconds());
    cells.integer(of.arrived);
    cells.integer(of.completed);
    cells.optional_integer(of.slo_misses);
    cells.optional_float(of.attainment);
    cells.text(yes_or_no(of.slo_met));
    cells.optional_float(of.slo_kept);
    cells.optional_float(of.goodput_per_s);
    for latency in [&of.ttft_s, &of.tbt_s] {
        cells.optional_float(latency.p50);
        cells.optional_float(latency.p90);
        cells.optional_float(latency.p95);
        cells.optional_float(latency.p99);
    }
    cells.float(of.gpu_hours);
    cells.optional_float(of.cost);
    cells.optional_float(of.rates.cost_per_day);
    cells.optional_float(of.rates.cost_per_month);
    cells.optional_float(of.rates.cost_per_million_tokens);
    cells.optional_float(of.rates.cost_per_million_output_tokens);
    cells.optional_float(of.energy_kwh);
    cells.optional_float(of.under_provisioned);
    cells.integer(of.scaling_actions);
    cells.float(of.flapping.per_hour);
}
