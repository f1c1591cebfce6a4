//! The Splitwise format, in and out.

use std::io::{self, Write};

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::lines::Lines;
use super::reader::TraceReader;
use super::row::{Row, Stamp};
use super::table::Table;
use crate::scenario::TimeUnit;

pub(super) const COLUMNS: &[&str] = &[
    "request_id",
    "arrival_timestamp",
    "prompt_size",
    "token_size",
];
pub(super) const HEADER: &str =
    "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size";
const ID: usize = 0;
const TIME: usize = 1;
const PROMPT: usize = 2;
const OUTPUT: usize = 3;

/// Reads `request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,
/// token_size`. Type, application and batch size say nothing that is simulated: those columns may
/// be missing and are not looked at.
pub(super) struct Splitwise {
    table: Table,
    unit: TimeUnit,
}

impl Splitwise {
    pub(super) fn new(lines: Lines, unit: TimeUnit) -> Result<Self, WorkloadError> {
        let table = Table::new(lines, COLUMNS)?;
        Ok(Self { table, unit })
    }
}

impl TraceReader for Splitwise {
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        let Self { table, unit } = self;
        if !table.advance()? {
            return Ok(None);
        }
        Ok(Some(Row {
            id: table.whole(ID, "a request number")?,
            stamp: Stamp::Seconds(table.seconds(TIME, *unit)?),
            prompt_tokens: table.tokens(PROMPT)?,
            output_tokens: table.tokens(OUTPUT)?,
            details: None,
        }))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.table.error_in(TIME, message)
    }
}

/// Writes a row of an application that has no number of its own.
pub(super) fn write_row(out: &mut dyn Write, arrival: &Arrival) -> io::Result<()> {
    let Arrival {
        id,
        time,
        prompt_tokens,
        output_tokens,
        ..
    } = arrival;
    writeln!(out, "{id},2,0,{time},1,{prompt_tokens},{output_tokens}")
}
