//! Recorded traces: one reader a format, and what all of them share.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::azure::Azure;
use super::burst_gpt::BurstGpt;
use super::lines::Lines;
use super::mooncake::Mooncake;
use super::reorder::Reorder;
use super::source::{self, Bytes};
use super::splitwise::Splitwise;
use super::{Arrival, WorkloadError, guess};
use crate::scenario::TraceFormat;

/// Reads one format, row by row in the order of the file.
pub(super) trait TraceReader: Send + Sync {
    /// The next row; `None` at the end of the file.
    fn next_row(&mut self) -> Result<Option<Arrival>, WorkloadError>;

    /// Rows read so far that are no requests to be served.
    fn left_out(&self) -> u64 {
        0
    }

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
    pub(super) fn play(&self) -> Result<TraceStream, WorkloadError> {
        let input = source::open(&self.path)?;
        TraceStream::new(&self.path, input, self.format, self.reorder_window)
    }
}

/// A trace as it was recorded, in order of time. The first error ends it.
///
/// Files compressed with gzip or zstd are read as they are, whatever their names. Nothing but a
/// window of rows is held in memory.
///
/// ```
/// use fleetsim::scenario::TraceFormat;
/// use fleetsim::workload::TraceStream;
/// let text = "Timestamp,Model,Request tokens,Response tokens\n5,GPT-4,472,18\n45,GPT-4,12,0\n";
/// let mut trace = TraceStream::read("burst.csv".as_ref(), text.as_bytes(), None)?;
/// assert_eq!(trace.format(), TraceFormat::BurstGpt);
/// assert_eq!(trace.by_ref().count(), 1);
/// assert_eq!(trace.left_out(), 1);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
pub struct TraceStream {
    rows: Reorder,
    format: TraceFormat,
}

impl TraceStream {
    /// Rows that may be out of order when nothing else is said.
    const REORDER_WINDOW: usize = 10_000;

    /// Opens a file. Without a format its first line tells which it is.
    ///
    /// # Errors
    /// The file cannot be opened, lacks a column, or is of no known format.
    pub fn open(path: &Path, format: Option<TraceFormat>) -> Result<Self, WorkloadError> {
        Self::guessed(path, source::open(path)?, format)
    }

    /// Reads a trace from somewhere else; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(
        name: &Path,
        input: impl Read + Send + Sync + 'static,
        format: Option<TraceFormat>,
    ) -> Result<Self, WorkloadError> {
        let input = source::unpacked(Box::new(input))
            .map_err(|error| WorkloadError::in_file(name, format!("cannot read: {error}")))?;
        Self::guessed(name, input, format)
    }

    fn guessed(
        name: &Path,
        input: Bytes,
        format: Option<TraceFormat>,
    ) -> Result<Self, WorkloadError> {
        let (format, input) = match format {
            Some(format) => (format, input),
            None => guess::format(name, input)?,
        };
        Self::new(name, input, format, Self::REORDER_WINDOW)
    }

    fn new(
        name: &Path,
        input: Bytes,
        format: TraceFormat,
        reorder_window: usize,
    ) -> Result<Self, WorkloadError> {
        let lines = Lines::new(name, input);
        let reader: Box<dyn TraceReader> = match format {
            TraceFormat::Splitwise => Box::new(Splitwise::new(lines)?),
            TraceFormat::Azure => Box::new(Azure::new(lines)?),
            TraceFormat::BurstGpt => Box::new(BurstGpt::new(lines)?),
            TraceFormat::Mooncake => Box::new(Mooncake::new(lines)),
        };
        Ok(Self {
            rows: Reorder::new(reader, reorder_window),
            format,
        })
    }

    /// Its format.
    #[must_use]
    pub const fn format(&self) -> TraceFormat {
        self.format
    }

    /// Rows read so far that are left out: requests that failed, in a `BurstGpt` trace.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.rows.left_out()
    }
}

impl Iterator for TraceStream {
    type Item = Result<Arrival, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl fmt::Debug for TraceStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceStream")
            .field("format", &self.format)
            .field("left_out", &self.left_out())
            .finish_non_exhaustive()
    }
}
