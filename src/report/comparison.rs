use std::io::Write;
use std::path::PathBuf;

use super::{Contender, Contenders, CsvWriter, ReportError};
use crate::study::Comparison;

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
