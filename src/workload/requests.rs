//! The format of fleetsim's own traces, in and out.

use std::io::{self, Write};
use std::sync::Arc;

use super::arrival::Arrival;
use super::details::Details;
use super::error::WorkloadError;
use super::lines::Lines;
use super::numbers::whole;
use super::reader::TraceReader;
use super::row::{Row, Stamp};
use super::table::Table;
use crate::scenario::TimeUnit;

/// Those that there must be.
pub(super) const REQUIRED: &[&str] = &["arrival_s", "prompt_tokens", "output_tokens"];
/// Those and the others.
const COLUMNS: &[&str] = &[
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "request_id",
    "application",
    "priority",
    "session",
    "prefix_blocks",
];
pub(super) const HEADER: &str =
    "request_id,arrival_s,prompt_tokens,output_tokens,priority,session,prefix_blocks";
const TIME: usize = 0;
const PROMPT: usize = 1;
const OUTPUT: usize = 2;
const ID: usize = 3;
const APPLICATION: usize = 4;
const PRIORITY: usize = 5;
const SESSION: usize = 6;
const PREFIX: usize = 7;

/// In a trace whose first id is a number, those that are none are numbered from here on.
const FIRST_NAMED: u64 = 1 << 62;

/// Reads `arrival_s`, `prompt_tokens`, `output_tokens` and the optional columns. Rows of other applications
/// are passed over. Requests without an id are numbered from 0 as they stand in the file.
pub(super) struct Requests {
    table: Table,
    block_tokens: u32,
    /// Whose rows are taken; none for all.
    application: Option<String>,
    rows: u64,
    taken: u64,
    /// Whether ids are taken for numbers: whether the first is one.
    numbered: Option<bool>,
    /// An application whose rows were passed over.
    other: Option<String>,
}

impl Requests {
    pub(super) fn new(
        lines: Lines,
        block_tokens: u32,
        application: Option<String>,
    ) -> Result<Self, WorkloadError> {
        Ok(Self {
            table: Table::with_optional(lines, COLUMNS, REQUIRED.len())?,
            block_tokens,
            application,
            rows: 0,
            taken: 0,
            numbered: None,
            other: None,
        })
    }

    /// Reads the next row of the application; false at the end of the file.
    fn advance(&mut self) -> Result<bool, WorkloadError> {
        while self.table.advance()? {
            self.rows += 1;
            let of = self.table.text(APPLICATION);
            match &self.application {
                Some(name) if !of.is_empty() && of != name.as_bytes() => {
                    if self.other.is_none() {
                        self.other = Some(String::from_utf8_lossy(of).into_owned());
                    }
                }
                _ => {
                    self.taken += 1;
                    return Ok(true);
                }
            }
        }
        if let (0, Some(name), Some(other)) = (self.taken, &self.application, &self.other) {
            let message = format!(
                "no row is of the application `{name}`; there are rows of `{other}` (column `application`)"
            );
            return Err(self.table.error_in_file(message));
        }
        Ok(false)
    }

    fn details(&self, name: Option<&str>) -> Result<Option<Arc<Details>>, WorkloadError> {
        let session = self.table.text_of(SESSION)?;
        let priority = self.table.text(PRIORITY);
        let priority = match std::str::from_utf8(priority).ok() {
            Some("") => 0,
            text => text.and_then(|text| text.parse().ok()).ok_or_else(|| {
                let expected = "a whole number; smaller is more urgent";
                self.table.error(PRIORITY, "a priority", expected)
            })?,
        };
        let blocks = self.table.text(PREFIX);
        let blocks = blocks.split(u8::is_ascii_whitespace);
        let blocks = blocks.filter(|id| !id.is_empty()).map(whole);
        let prefix_blocks: Option<Box<[u64]>> = blocks.collect();
        let prefix_blocks = prefix_blocks.ok_or_else(|| {
            let expected = "whole numbers from 0 to 18446744073709551615, separated by blanks";
            self.table.error(PREFIX, "a list of block ids", expected)
        })?;
        let details = Details {
            name: name.map(Into::into),
            session: (!session.is_empty()).then(|| session.into()),
            priority,
            prefix_blocks,
            block_tokens: self.block_tokens,
            journey: None,
        };
        Ok((!details.is_empty()).then(|| Arc::new(details)))
    }
}

impl TraceReader for Requests {
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let position = self.rows - 1;
        let text = self.table.text_of(ID)?;
        // A number that is written as numbers are is kept as one.
        let number = whole(text.as_bytes()).filter(|it| *it < FIRST_NAMED);
        let number = number.filter(|it| it.to_string() == text);
        let numbered = self.numbered.unwrap_or(number.is_some());
        let (id, name) = match number {
            _ if text.is_empty() => (position, None),
            Some(id) if numbered => (id, None),
            _ if numbered => (FIRST_NAMED + position, Some(&*text)),
            _ => (position, Some(&*text)),
        };
        let details = self.details(name)?;
        self.numbered = Some(numbered);
        Ok(Some(Row {
            id,
            stamp: Stamp::Seconds(self.table.seconds(TIME, TimeUnit::Seconds)?),
            prompt_tokens: self.table.tokens(PROMPT)?,
            output_tokens: self.table.tokens(OUTPUT)?,
            details,
        }))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.table.error_in(TIME, message)
    }
}

/// Writes a row whose blocks have this many tokens.
pub(super) fn write_row(
    out: &mut dyn Write,
    arrival: &Arrival,
    block_tokens: u32,
) -> io::Result<()> {
    let (id, time) = (arrival.id, arrival.time);
    let (prompt, output) = (arrival.prompt_tokens, arrival.output_tokens);
    let nothing = Details::default();
    let details = arrival.details.as_deref().unwrap_or(&nothing);
    if !details.prefix_blocks.is_empty() && details.block_tokens != block_tokens {
        return Err(io::Error::other(format!(
            "blocks of {} tokens cannot be written as blocks of {block_tokens}",
            details.block_tokens
        )));
    }
    match &details.name {
        Some(name) => write!(out, "{}", quoted(name))?,
        None => write!(out, "{id}")?,
    }
    write!(out, ",{time},{prompt},{output},")?;
    if details.priority != 0 {
        write!(out, "{}", details.priority)?;
    }
    write!(
        out,
        ",{},",
        quoted(details.session.as_deref().unwrap_or_default())
    )?;
    for (index, block) in details.prefix_blocks.iter().enumerate() {
        let gap = if index > 0 { " " } else { "" };
        write!(out, "{gap}{block}")?;
    }
    writeln!(out)
}

/// A cell, in quotes where it needs them.
fn quoted(text: &str) -> String {
    let plain = !text.contains([',', '"', '\r', '\n']) && text.trim_ascii() == text;
    match plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}
