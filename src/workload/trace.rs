//! Recorded traces: one reader a format, and what all of them share.

use std::fmt;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::arrival::Arrival;
use super::azure::Azure;
use super::burst_gpt::BurstGpt;
use super::bytes::Bytes;
use super::error::WorkloadError;
use super::guess;
use super::lines::Lines;
use super::mooncake::Mooncake;
use super::own::NamedFormat;
use super::reader::TraceReader;
use super::reorder::Reorder;
use super::requests::Requests;
use super::source;
use super::splitwise::Splitwise;
use crate::scenario::{Origin, TimeUnit, TraceFormat};

/// How a trace is read. Everything has a default.
///
/// ```
/// use fleetsim::scenario::{TimeUnit, TraceFormat};
/// use fleetsim::workload::{TraceReading, TraceStream};
/// let text = "{\"timestamp\": 1.5, \"input_length\": 3, \"output_length\": 4}\n\
///             {\"timestamp\": 9.0, \"input_length\": 5, \"output_length\": 6}\n";
/// let reading = TraceReading { unit: Some(TimeUnit::Seconds), ..TraceReading::default() };
/// let trace = reading.read("t.jsonl".as_ref(), text.as_bytes())?;
/// let times: Result<Vec<_>, _> = trace.map(|it| it.map(|it| it.time.seconds())).collect();
/// assert_eq!(times?, [0.0, 7.5]);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TraceReading {
    /// Its format. `None`: told by the first line.
    pub format: Option<TraceFormat>,
    /// What [`TraceFormat::Named`] stands for.
    pub named: Option<NamedFormat>,
    /// Which instant is time zero. `None`: as is usual in the format.
    pub origin: Option<Origin>,
    /// What its times count. `None`: as is usual in the format.
    pub unit: Option<TimeUnit>,
    /// Rows that may be out of time order.
    pub reorder_window: usize,
    /// Whose rows are taken, where the trace says which application each is of. `None`: all.
    pub application: Option<String>,
}

impl Default for TraceReading {
    fn default() -> Self {
        Self {
            format: None,
            named: None,
            origin: None,
            unit: None,
            reorder_window: 10_000,
            application: None,
        }
    }
}

impl TraceReading {
    /// Opens a file.
    ///
    /// # Errors
    /// The file cannot be opened, lacks a column, is of no known format, or of one whose unit is fixed and
    /// another was said.
    pub fn open(self, path: &Path) -> Result<TraceStream, WorkloadError> {
        self.begin(path, source::open(path)?)
    }

    /// Reads a trace from somewhere else; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(
        self,
        name: &Path,
        input: impl Read + Send + Sync + 'static,
    ) -> Result<TraceStream, WorkloadError> {
        let input = source::unpacked(Box::new(input))
            .map_err(|error| WorkloadError::in_file(name, format!("cannot read: {error}")))?;
        self.begin(name, input)
    }

    fn begin(self, name: &Path, input: Bytes) -> Result<TraceStream, WorkloadError> {
        let (format, input) = match self.format {
            Some(format) => (format, input),
            None => guess::format(name, input)?,
        };
        if self.unit.is_some() && !format.takes_unit() {
            let message = format!("the times of `{}` have a unit of their own", format.name());
            return Err(WorkloadError::in_file(name, message));
        }
        let unit = self.unit.unwrap_or(TimeUnit::Seconds);
        let lines = |input| Lines::new(name, input);
        let reader: Box<dyn TraceReader> = match format {
            TraceFormat::Named(_) => {
                let Some(named) = &self.named else {
                    let message = format!(
                        "the format `{}` is not built in, and nothing here reads it",
                        format.name()
                    );
                    return Err(WorkloadError::in_file(name, message));
                };
                Box::new(named.reader(name, Box::new(BufReader::new(input)))?)
            }
            TraceFormat::Splitwise => Box::new(Splitwise::new(lines(input), unit)?),
            TraceFormat::Azure => Box::new(Azure::new(lines(input))?),
            TraceFormat::BurstGpt => Box::new(BurstGpt::new(lines(input), unit)?),
            TraceFormat::Mooncake => Box::new(Mooncake::new(lines(input), self.unit)),
            TraceFormat::Requests { block_tokens } => {
                Box::new(Requests::new(lines(input), block_tokens, self.application)?)
            }
        };
        let origin = self.origin.unwrap_or(format.default_origin());
        Ok(TraceStream {
            rows: Reorder::new(reader, self.reorder_window, origin),
            format,
        })
    }
}

/// A trace that can be played from its start.
#[derive(Clone)]
pub(super) struct Trace {
    pub(super) path: PathBuf,
    pub(super) reading: TraceReading,
}

impl Trace {
    /// Opens the file and reads its header.
    pub(super) fn play(&self) -> Result<TraceStream, WorkloadError> {
        self.reading.clone().open(&self.path)
    }
}

/// A trace as it was recorded, in order of time. The first error ends it.
///
/// Files compressed with gzip or zstd are read as they are, under any name. Nothing but a
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
    /// Opens a file. Without a format its first line tells which it is.
    ///
    /// # Errors
    /// The file cannot be opened, lacks a column, or is of no known format.
    pub fn open(path: &Path, format: Option<TraceFormat>) -> Result<Self, WorkloadError> {
        let reading = TraceReading {
            format,
            ..TraceReading::default()
        };
        reading.open(path)
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
        let reading = TraceReading {
            format,
            ..TraceReading::default()
        };
        reading.read(name, input)
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
