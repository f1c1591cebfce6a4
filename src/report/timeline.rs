use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::ReportError;
use super::rows::Rows;
use crate::observe::Sample;

const HEADER: &str = "time,application,role,scaling_up,active,draining,servers,waiting,queued,\
                      running,prompt_tokens_per_s,output_tokens_per_s,utilisation,\
                      memory_used_bytes,memory_bytes";

/// Writes `timeline.csv`: one row a [`Sample`], its fields in their order.
#[derive(Debug)]
pub struct TimelineWriter<W: Write = File> {
    rows: Rows<W>,
}

impl<W: Write> TimelineWriter<W> {
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
    pub fn write(&mut self, sample: &Sample) -> Result<(), ReportError> {
        self.rows.write(|row| {
            row.float(sample.time.seconds());
            row.text(&sample.application);
            row.role(sample.role);
            row.integer(sample.scaling_up.into());
            row.integer(sample.active.into());
            row.integer(sample.draining.into());
            row.integer(sample.servers.into());
            row.integer(sample.waiting);
            row.integer(sample.queued);
            row.integer(sample.running);
            row.float(sample.prompt_tokens_per_s);
            row.float(sample.output_tokens_per_s);
            row.float(sample.utilisation);
            row.integer(sample.memory_used_bytes);
            row.integer(sample.memory_bytes);
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
