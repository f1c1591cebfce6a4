use std::io::Write;
use std::path::{Path, PathBuf};

use super::ReportError;
use super::rows::{Row, Rows};
use super::summary::write_json;
use crate::compare::{Comparison, Figures, Standing};

const HEADER: &str = "policy,error,frontier,end_s,arrived,completed,slo_misses,attainment,\
                      goodput_per_s,ttft_p50_s,ttft_p90_s,ttft_p99_s,tbt_p50_s,tbt_p90_s,tbt_p99_s,\
                      gpu_hours,cost,energy_kwh,under_provisioned,scaling_actions,direction_changes_per_h,\
                      regret_cost,regret_gpu_hours,regret_relative,regret_slo_misses";

/// Columns of the header that hold figures: from `end_s` to `direction_changes_per_h`.
const FIGURES: usize = 18;

/// Writes `comparison.json` to `out`, indented; errors will name `path`.
///
/// # Errors
/// [`ReportError::Io`] when `out` fails.
pub fn write_comparison_json(
    out: impl Write,
    path: &Path,
    comparison: &Comparison,
) -> Result<(), ReportError> {
    write_json(out, path, comparison)
}

/// Writes `comparison.csv` to `out`: a row a contender, in the order in which they were named, then
/// one for each policy that was skipped, with the reason in `error`. Errors will name `path`.
///
/// # Errors
/// [`ReportError::Io`] when `out` fails.
pub fn write_comparison_csv<W: Write>(
    out: W,
    path: impl Into<PathBuf>,
    comparison: &Comparison,
) -> Result<W, ReportError> {
    let mut rows = Rows::new(out, path.into(), HEADER)?;
    for standing in &comparison.contenders {
        rows.write(|row| contender(row, standing))?;
    }
    for skipped in &comparison.skipped {
        rows.write(|row| {
            row.text(&skipped.policy);
            row.text(&format!("skipped: {}", skipped.reason));
            (2..HEADER.split(',').count()).for_each(|_| row.empty());
        })?;
    }
    rows.finish()
}

fn contender(row: &mut Row, of: &Standing) {
    row.text(&of.policy);
    row.text(of.error.as_deref().unwrap_or_default());
    row.raw(
        of.frontier
            .map_or("", |on| if on { "true" } else { "false" }),
    );
    match &of.figures {
        Some(of) => figures(row, of),
        None => (0..FIGURES).for_each(|_| row.empty()),
    }
    let regret = of.regret.as_ref();
    row.optional_float(regret.and_then(|it| it.cost));
    row.optional_float(regret.map(|it| it.gpu_hours));
    row.optional_float(regret.and_then(|it| it.relative));
    match regret.and_then(|it| it.slo_misses) {
        Some(misses) => row.display(misses),
        None => row.empty(),
    }
}

fn figures(row: &mut Row, of: &Figures) {
    row.float(of.end_s.seconds());
    row.integer(of.arrived);
    row.integer(of.completed);
    row.optional_integer(of.slo_misses);
    row.optional_float(of.attainment);
    row.optional_float(of.goodput_per_s);
    for latency in [&of.ttft_s, &of.tbt_s] {
        row.optional_float(latency.p50);
        row.optional_float(latency.p90);
        row.optional_float(latency.p99);
    }
    row.float(of.gpu_hours);
    row.optional_float(of.cost);
    row.optional_float(of.energy_kwh);
    row.optional_float(of.under_provisioned);
    row.integer(of.scaling_actions);
    row.float(of.flapping.per_hour);
}
