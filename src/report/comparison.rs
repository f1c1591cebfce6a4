use std::io::Write;
use std::path::{Path, PathBuf};

use super::summary::write_json;
use super::{Contender, Contenders, CsvWriter, ReportError};
use crate::compare::Comparison;

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
/// one for each policy that was skipped. Errors will name `path`.
///
/// # Errors
/// [`ReportError::Io`] when `out` fails.
pub fn write_comparison_csv<W: Write>(
    out: W,
    path: impl Into<PathBuf>,
    comparison: &Comparison,
) -> Result<W, ReportError> {
    let mut writer = CsvWriter::<Contenders, W>::new(out, path)?;
    let contenders = comparison.contenders.iter().map(Contender::Standing);
    let skipped = comparison.skipped.iter().map(Contender::Skipped);
    contenders
        .chain(skipped)
        .try_for_each(|row| writer.write(row))?;
    writer.finish()
}
