//! The format of the BurstGPT traces.

use std::io::{self, Write};

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::lines::Lines;
use super::reader::TraceReader;
use super::row::{Row, Stamp};
use super::table::Table;
use crate::scenario::TimeUnit;

pub(super) const COLUMNS: &[&str] = &["Timestamp", "Request tokens", "Response tokens"];
pub(super) const HEADER: &str =
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type";
const TIME: usize = 0;
const PROMPT: usize = 1;
const OUTPUT: usize = 2;

/// Reads [`HEADER`]; only the columns for time and tokens are looked at, so the releases without
/// sessions are read, too. The published times are seconds from midnight before the first day.
///
/// A row with 0 response tokens is a request that failed, by the word of the publishers, who leave
/// such rows out of their files "without fails". They are left out here, and counted. The others
/// are numbered from 0, so both kinds of file give the same requests.
pub(super) struct BurstGpt {
    table: Table,
    unit: TimeUnit,
    rows: u64,
    failed: u64,
}

impl BurstGpt {
    pub(super) fn new(lines: Lines, unit: TimeUnit) -> Result<Self, WorkloadError> {
        Ok(Self {
            table: Table::new(lines, COLUMNS)?,
            unit,
            rows: 0,
            failed: 0,
        })
    }
}

impl TraceReader for BurstGpt {
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        while self.table.advance()? {
            let seconds = self.table.seconds(TIME, self.unit)?;
            if self.table.whole(OUTPUT, "a number of tokens")? == 0 {
                self.failed += 1;
                continue;
            }
            let row = Row {
                id: self.rows,
                stamp: Stamp::Seconds(seconds),
                prompt_tokens: self.table.tokens(PROMPT)?,
                output_tokens: self.table.tokens(OUTPUT)?,
                details: None,
            };
            self.rows += 1;
            return Ok(Some(row));
        }
        Ok(None)
    }

    fn left_out(&self) -> u64 {
        self.failed
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.table.error_in(TIME, message)
    }
}

/// Writes a row; what a workload does not know stays empty.
pub(super) fn write_row(out: &mut dyn Write, arrival: &Arrival) -> io::Result<()> {
    let (time, prompt, output) = (arrival.time, arrival.prompt_tokens, arrival.output_tokens);
    let total = u64::from(prompt) + u64::from(output);
    writeln!(out, "{time},,,,{prompt},{output},{total},")
}
