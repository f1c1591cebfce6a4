use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::ReportError;
use super::rows::Rows;
use crate::fleet::ScalingEvent;

/// Writes `scaling.csv`: `time,action,target,status`, one row an event of the scaling log.
#[derive(Debug)]
pub struct ScalingWriter<W: Write = File> {
    rows: Rows<W>,
}

impl<W: Write> ScalingWriter<W> {
    /// Writes the header to `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        Ok(Self {
            rows: Rows::new(out, path.into(), "time,action,target,status")?,
        })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, event: &ScalingEvent) -> Result<(), ReportError> {
        self.rows.write(|row| {
            row.float(event.time.seconds());
            row.raw(event.action.name());
            row.display(event.target);
            row.raw(event.status);
        })
    }

    /// Writes what is still buffered and gives the destination back.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.rows.finish()
    }
}
