//! The format of Azure's published LLM inference traces.

use std::io::{self, Write};

use super::lines::Lines;
use super::table::Table;
use super::timestamp::{self, nanoseconds};
use super::trace::TraceReader;
use super::{Arrival, WorkloadError};
use crate::time::SimTime;

pub(super) const COLUMNS: &[&str] = &["TIMESTAMP", "ContextTokens", "GeneratedTokens"];
pub(super) const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
const TIME: usize = 0;
const PROMPT: usize = 1;
const OUTPUT: usize = 2;

/// Reads `TIMESTAMP,ContextTokens,GeneratedTokens`. Time zero is the first row; requests are
/// numbered from 0 as they stand in the file.
pub(super) struct Azure {
    table: Table,
    rows: u64,
    /// The first row's time in nanoseconds.
    origin: Option<i128>,
}

impl Azure {
    pub(super) fn new(lines: Lines) -> Result<Self, WorkloadError> {
        Ok(Self {
            table: Table::new(lines, COLUMNS)?,
            rows: 0,
            origin: None,
        })
    }

    fn time(&mut self) -> Result<SimTime, WorkloadError> {
        let Some(now) = nanoseconds(self.table.text(TIME)) else {
            let expected = "`YYYY-MM-DD HH:MM:SS` in UTC with up to 9 decimals";
            return Err(self.table.error(TIME, "a date and time", expected));
        };
        let origin = *self.origin.get_or_insert(now);
        SimTime::new((now - origin) as f64 / 1e9).map_err(|_| {
            let message = "this row is before the first one, which is time zero; sort the file";
            self.error_at_time(message.into())
        })
    }
}

impl TraceReader for Azure {
    fn next_row(&mut self) -> Result<Option<Arrival>, WorkloadError> {
        if !self.table.advance()? {
            return Ok(None);
        }
        let arrival = Arrival {
            id: self.rows,
            time: self.time()?,
            prompt_tokens: self.table.tokens(PROMPT)?,
            output_tokens: self.table.tokens(OUTPUT)?,
        };
        self.rows += 1;
        Ok(Some(arrival))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.table.error_in(TIME, message)
    }
}

/// Writes a row, as if time zero were the start of the year 1970, to the nearest nanosecond.
pub(super) fn write_row(out: &mut dyn Write, arrival: &Arrival) -> io::Result<()> {
    let time = timestamp::after_1970(arrival.time.seconds()).ok_or_else(|| {
        io::Error::other("the format `Azure` has no dates after the year 9999; shorten the trace")
    })?;
    let (prompt, output) = (arrival.prompt_tokens, arrival.output_tokens);
    writeln!(out, "{time},{prompt},{output}")
}
