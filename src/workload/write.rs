//! Writes traces, in every format that is read.

use std::fmt;
use std::io::{self, BufWriter, Write};

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::{azure, burst_gpt, mooncake, requests, splitwise};
use crate::scenario::TraceFormat;

/// Writes one trace, row by row.
///
/// Times are written with the fewest digits that read back as the same bits; `Azure` has
/// nanoseconds. Time zero of `Azure`, `BurstGpt` and `Mooncake` is the first row unless one says `origin: Zero`,
/// so a trace that begins later is moved there when it is read. A Mooncake trace with times between
/// milliseconds needs `unit: Milliseconds` when it is read. `Splitwise` and `Requests` keep
/// the numbers of requests; `Requests` alone keeps all else that is said of them.
///
/// ```
/// use fleetsim::scenario::TraceFormat;
/// use fleetsim::time::SimTime;
/// use fleetsim::workload::{Arrival, TraceWriter};
/// let mut trace = TraceWriter::new(Vec::new(), TraceFormat::Mooncake)?;
/// trace.write(&Arrival { id: 0, time: SimTime::new(1.5)?, prompt_tokens: 374, output_tokens: 44, details: None })?;
/// let text = String::from_utf8(trace.finish()?)?;
/// assert!(text.starts_with(r#"{"timestamp": 1500, "input_length": 374, "output_length": 44"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TraceWriter<W: Write> {
    out: BufWriter<W>,
    format: TraceFormat,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the header, where the format has one.
    ///
    /// # Errors
    /// That of the writer, or the format is not built in.
    pub fn new(writer: W, format: TraceFormat) -> io::Result<Self> {
        let header = match format {
            TraceFormat::Splitwise => Some(splitwise::HEADER),
            TraceFormat::Azure => Some(azure::HEADER),
            TraceFormat::BurstGpt => Some(burst_gpt::HEADER),
            TraceFormat::Requests { .. } => Some(requests::HEADER),
            TraceFormat::Mooncake => None,
            TraceFormat::Named(_) => return Err(read_only(format)),
        };
        let mut out = BufWriter::with_capacity(1 << 16, writer);
        if let Some(header) = header {
            writeln!(out, "{header}")?;
        }
        Ok(Self { out, format })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// That of the writer, or what the format cannot hold: a time after the year 9999 in `Azure`, blocks of another
    /// size in `Requests`.
    pub fn write(&mut self, arrival: &Arrival) -> io::Result<()> {
        let out = &mut self.out;
        match self.format {
            TraceFormat::Splitwise => splitwise::write_row(out, arrival),
            TraceFormat::Azure => azure::write_row(out, arrival),
            TraceFormat::BurstGpt => burst_gpt::write_row(out, arrival),
            TraceFormat::Mooncake => mooncake::write_row(out, arrival),
            TraceFormat::Requests { block_tokens } => {
                requests::write_row(out, arrival, block_tokens)
            }
            TraceFormat::Named(_) => Err(read_only(self.format)),
        }
    }

    /// Writes what is left and gives the writer below back.
    ///
    /// # Errors
    /// That of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

fn read_only(format: TraceFormat) -> io::Error {
    let message = format!("the format `{}` can be read but not written", format.name());
    io::Error::new(io::ErrorKind::Unsupported, message)
}

impl<W: Write> fmt::Debug for TraceWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceWriter").finish_non_exhaustive()
    }
}

/// Writes a workload as a Splitwise trace, row by row, and returns the number of rows.
///
/// Times are written with the fewest digits that read back as the same bits.
///
/// ```
/// use fleetsim::time::SimTime;
/// use fleetsim::workload::{Arrival, write_splitwise};
/// let arrival = Arrival { id: 0, time: SimTime::new(0.1)?, prompt_tokens: 374, output_tokens: 44, details: None };
/// let mut trace = Vec::new();
/// assert_eq!(write_splitwise(&mut trace, [Ok(arrival)])?, 1);
/// assert!(trace.ends_with(b"token_size\n0,2,0,0.1,1,374,44\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first error of the workload, or that of the writer.
pub fn write_splitwise<W: Write>(
    writer: W,
    arrivals: impl IntoIterator<Item = Result<Arrival, WorkloadError>>,
) -> Result<u64, WorkloadError> {
    let failed = |error| WorkloadError::new(format!("cannot write the trace: {error}"));
    let mut trace = TraceWriter::new(writer, TraceFormat::Splitwise).map_err(failed)?;
    let mut rows = 0;
    for arrival in arrivals {
        trace.write(&arrival?).map_err(failed)?;
        rows += 1;
    }
    trace
        .finish()
        .and_then(|mut writer| writer.flush())
        .map_err(failed)?;
    Ok(rows)
}
