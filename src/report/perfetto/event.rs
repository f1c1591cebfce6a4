use std::fmt::{self, Display};
use std::io::Write;
use std::path::Path;

use crate::report::ReportError;
use crate::report::sink::Sink;
use crate::time::SimTime;

/// The events of a trace, one a line, into an array of JSON.
#[derive(Debug)]
pub(super) struct Events<W: Write> {
    out: Sink<W>,
    line: Vec<u8>,
    /// What stands before the next event.
    separator: &'static str,
}

/// Where an event stands: a process and a thread of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) pid: u64,
    pub(super) tid: u64,
}

/// An instant or a length of time in whole nanoseconds; as text, in microseconds, as the format has
/// it. What touches in simulated time touches here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(u64);

impl Nanos {
    pub(super) fn since(self, start: Self) -> Self {
        Self(self.0.saturating_sub(start.0))
    }
}

impl From<SimTime> for Nanos {
    fn from(time: SimTime) -> Self {
        Self((time.seconds() * 1e9 + 0.5) as u64)
    }
}

impl Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        write!(f, "{whole}.{rest:03}")
    }
}

impl<W: Write> Events<W> {
    pub(super) fn new(out: W, path: &Path) -> Result<Self, ReportError> {
        let mut events = Self {
            out: Sink::new(out, path),
            line: b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[".to_vec(),
            separator: "\n",
        };
        events.out.write(&mut events.line)?;
        Ok(events)
    }

    /// Adds an event. `name` needs no escapes; `rest` is empty or further members, with a comma before
    /// each.
    pub(super) fn add(
        &mut self,
        phase: char,
        track: Track,
        at: impl Into<Nanos>,
        name: impl Display,
        rest: fmt::Arguments<'_>,
    ) -> Result<(), ReportError> {
        let (Track { pid, tid }, at) = (track, at.into());
        let separator = std::mem::replace(&mut self.separator, ",\n");
        // Writing to a vector cannot fail.
        _ = write!(
            self.line,
            "{separator}{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{at},\"name\":\"{name}\"{rest}}}"
        );
        self.out.write(&mut self.line)
    }

    /// Adds a slice from `start` to `end`.
    pub(super) fn slice(
        &mut self,
        track: Track,
        start: SimTime,
        end: SimTime,
        name: impl Display,
        args: fmt::Arguments<'_>,
    ) -> Result<(), ReportError> {
        let duration = Nanos::from(end).since(start.into());
        let rest = format_args!(",\"dur\":{duration},\"args\":{{{args}}}");
        self.add('X', track, start, name, rest)
    }

    /// Closes the array, adds what is to be known of the trace, and writes what is still buffered.
    pub(super) fn finish(mut self, metadata: &serde_json::Value) -> Result<W, ReportError> {
        _ = writeln!(self.line, "\n],\"otherData\":{metadata}}}");
        self.out.write(&mut self.line)?;
        self.out.finish()
    }
}

/// A text as the inside of a JSON string.
pub(super) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
