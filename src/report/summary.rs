use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::ReportError;
use crate::observe::Summary;

/// Writes `summary.json` to `out`, indented; errors will name `path`.
///
/// # Errors
/// [`ReportError::Io`] when `out` fails.
pub fn write_summary(out: impl Write, path: &Path, summary: &Summary) -> Result<(), ReportError> {
    write_json(out, path, summary)
}

/// Writes anything as indented JSON.
pub(super) fn write_json(
    mut out: impl Write,
    path: &Path,
    value: &impl Serialize,
) -> Result<(), ReportError> {
    serde_json::to_string_pretty(value)
        .map_err(std::io::Error::from)
        .and_then(|json| writeln!(out, "{json}"))
        .and_then(|()| out.flush())
        .map_err(ReportError::io(path, "write"))
}
