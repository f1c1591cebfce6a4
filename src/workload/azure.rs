//! The format of Azure's published LLM inference traces.

use std::io::{self, Write};

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::lines::Lines;
use super::reader::TraceReader;
use super::row::{Row, Stamp};
use super::table::Table;
use super::timestamp::{self, nanoseconds};

pub(super) const COLUMNS: &[&str] = &["TIMESTAMP", "ContextTokens", "GeneratedTokens"];
pub(super) const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
const TIME: usize = 0;
const PROMPT: usize = 1;
const OUTPUT: usize = 2;

/// Reads `TIMESTAMP,ContextTokens,GeneratedTokens`. Requests are numbered from 0 as they stand in the
/// file.
pub(super) struct Azure {
    table: Table,
    rows: u64,
}

impl Azure {
    pub(super) fn new(lines: Lines) -> Result<Self, WorkloadError> {
        Ok(Self {
            table: Table::new(lines, COLUMNS)?,
            rows: 0,
        })
    }
}

impl TraceReader for Azure {
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        if !self.table.advance()? {
            return Ok(None);
        }
        let Some(time) = nanoseconds(self.table.text(TIME)) else {
            let expected = "`YYYY-MM-DD HH:MM:SS` in UTC with up to 9 decimals";
            return Err(self.table.error(TIME, "a date and time", expected));
        };
        let row = Row {
            id: self.rows,
            stamp: Stamp::Nanoseconds(time),
            prompt_tokens: self.table.tokens(PROMPT)?,
            output_tokens: self.table.tokens(OUTPUT)?,
            details: None,
        };
        self.rows += 1;
        Ok(Some(row))
    }

    fn zero(&self) -> Stamp {
        Stamp::Nanoseconds(timestamp::NANOSECONDS_TO_1970)
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
