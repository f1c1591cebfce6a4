use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::ReportError;
use super::rows::Rows;
use crate::autoscale::Decision;

const HEADER: &str = "time,application,policy,role,scaling_up,active,draining,desired,started,\
                      cancelled,drained,refused,reason";

/// Writes `decisions.csv`: one row a [`Decision`], its fields in their order.
#[derive(Debug)]
pub struct DecisionsWriter<W: Write = File> {
    rows: Rows<W>,
}

impl<W: Write> DecisionsWriter<W> {
    /// Writes the header to `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        Ok(Self {
            rows: Rows::new(out, path.into(), HEADER)?,
        })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, decision: &Decision) -> Result<(), ReportError> {
        self.rows.write(|row| {
            row.float(decision.time.seconds());
            row.text(&decision.application);
            row.text(decision.policy);
            row.role(decision.role);
            row.integer(decision.scaling_up.into());
            row.integer(decision.active.into());
            row.integer(decision.draining.into());
            row.integer(decision.desired.into());
            row.integer(decision.started.into());
            row.integer(decision.cancelled.into());
            row.integer(decision.drained.into());
            row.integer(decision.refused.into());
            row.text(&decision.reason);
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
