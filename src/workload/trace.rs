//! Recorded traces: one reader a format, and what all of them share.

use std::path::{Path, PathBuf};

use super::azure::Azure;
use super::reorder::Reorder;
use super::splitwise::Splitwise;
use super::{Arrival, WorkloadError};
use crate::scenario::TraceFormat;

/// Reads one format, row by row in the order of the file.
pub(super) trait TraceReader: Send + Sync {
    /// The next row; `None` at the end of the file.
    fn next_row(&mut self) -> Result<Option<Arrival>, WorkloadError>;

    /// An error at the time of the row that was read last.
    fn error_at_time(&self, message: String) -> WorkloadError;
}

/// A trace that can be played from its start.
pub(super) struct Trace {
    pub(super) path: PathBuf,
    pub(super) format: TraceFormat,
    pub(super) reorder_window: usize,
}

impl Trace {
    /// Opens the file and reads its header.
    pub(super) fn play(&self) -> Result<Reorder, WorkloadError> {
        let reader = reader(&self.path, self.format)?;
        Ok(Reorder::new(reader, self.reorder_window))
    }
}

fn reader(path: &Path, format: TraceFormat) -> Result<Box<dyn TraceReader>, WorkloadError> {
    Ok(match format {
        TraceFormat::Splitwise => Box::new(Splitwise::open(path)?),
        TraceFormat::Azure => Box::new(Azure::open(path)?),
    })
}
