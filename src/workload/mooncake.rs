//! The format of the Mooncake traces: lines of JSON.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::arrival::Arrival;
use super::details::Details;
use super::error::WorkloadError;
use super::lines::{Lines, shown};
use super::numbers::{self, decimal, whole};
use super::reader::TraceReader;
use super::row::{self, Stamp};
use crate::scenario::TimeUnit;

/// Tokens that an id of `hash_ids` stands for.
pub(super) const BLOCK_TOKENS: u32 = 512;

/// Fields, as they are written: their types are checked one by one, so that a message can say
/// where. Other fields are not looked at.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    input_length: &'a RawValue,
    #[serde(borrow)]
    output_length: &'a RawValue,
    /// Ids of blocks of 512 tokens.
    #[serde(borrow, default)]
    hash_ids: Option<&'a RawValue>,
    /// Keys of other publishers of the same format, whose timestamps are in seconds.
    #[serde(borrow, default)]
    chat_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parent_chat_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    turn: Option<&'a RawValue>,
}

/// Reads objects with `timestamp`, `input_length` and `output_length`. Requests are numbered from 0 as
/// they stand in the file.
pub(super) struct Mooncake {
    lines: Lines,
    /// What `timestamp` counts; none where nobody said it, and the file must not look doubtful.
    unit: Option<TimeUnit>,
    rows: u64,
    /// Where in its line the last row's time stands.
    time_at: usize,
}

impl Mooncake {
    pub(super) fn new(lines: Lines, unit: Option<TimeUnit>) -> Self {
        Self {
            lines,
            unit,
            rows: 0,
            time_at: 0,
        }
    }

    fn row(&self) -> Result<Row<'_>, WorkloadError> {
        serde_json::from_slice(self.lines.text()).map_err(|error| {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string().replace(&place, "");
            let message = format!(
                "{message}; expected an object with `timestamp`, `input_length`, `output_length`"
            );
            // A column of 0 is before the first character.
            let last = self.lines.text().len().saturating_sub(1);
            self.lines
                .error_at(error.column().saturating_sub(1).min(last), message)
        })
    }

    /// Where a field's value begins in the line.
    fn offset(&self, value: &RawValue) -> usize {
        value.get().as_ptr().addr() - self.lines.text().as_ptr().addr()
    }

    fn error(&self, value: &RawValue, field: &str, what: &str, expected: &str) -> WorkloadError {
        let found = shown(value.get().as_bytes());
        let message = format!("`{found}` is not {what}; expected {expected} (field `{field}`)");
        self.lines.error_at(self.offset(value), message)
    }

    fn tokens(&self, value: &RawValue, field: &str) -> Result<u32, WorkloadError> {
        let tokens = whole(value.get().as_bytes()).and_then(|tokens| u32::try_from(tokens).ok());
        tokens.filter(|tokens| *tokens > 0).ok_or_else(|| {
            let expected = "a whole number from 1 to 4294967295";
            self.error(value, field, "a number of tokens", expected)
        })
    }

    fn details(&self, row: &Row<'_>) -> Result<Option<Arc<Details>>, WorkloadError> {
        let Some(ids) = row.hash_ids else {
            return Ok(None);
        };
        let read: Result<Vec<u64>, _> = serde_json::from_str(ids.get());
        let read = read.map_err(|_| {
            let expected = "whole numbers in brackets";
            self.error(ids, "hash_ids", "a list of block ids", expected)
        })?;
        Ok((!read.is_empty()).then(|| {
            Arc::new(Details {
                prefix_blocks: read.into(),
                block_tokens: BLOCK_TOKENS,
                ..Details::default()
            })
        }))
    }

    fn seconds(&self, row: &Row<'_>) -> Result<f64, WorkloadError> {
        let text = row.timestamp.get().as_bytes();
        let unit = self.unit.unwrap_or(TimeUnit::Milliseconds);
        let seconds = numbers::seconds(text, unit).ok_or_else(|| {
            let expected = match unit {
                TimeUnit::Seconds => "a number of seconds, not negative",
                TimeUnit::Milliseconds => "a number of milliseconds, not negative",
            };
            self.error(row.timestamp, "timestamp", "a time", expected)
        })?;
        match row.doubt() {
            Some(doubt) if self.unit.is_none() => {
                let message = format!(
                    "the unit of `timestamp` is not clear: Mooncake's are whole milliseconds, and {doubt}; say \
                     `unit: Seconds` or `unit: Milliseconds` (to `fleetsim trace`: --unit)"
                );
                Err(self.lines.error_at(self.offset(row.timestamp), message))
            }
            _ => Ok(seconds),
        }
    }
}

impl Row<'_> {
    /// What in the row says that its time may not be in milliseconds.
    fn doubt(&self) -> Option<String> {
        let keys = [
            ("chat_id", self.chat_id),
            ("parent_chat_id", self.parent_chat_id),
            ("turn", self.turn),
        ];
        if let Some((key, _)) = keys.iter().find(|(_, value)| value.is_some()) {
            return Some(format!("this row has a `{key}`"));
        }
        let text = self.timestamp.get();
        let whole = decimal(text.as_bytes()).is_none_or(|value| value == value.trunc());
        (!whole).then(|| format!("`{}` has a fraction", shown(text.as_bytes())))
    }
}

impl TraceReader for Mooncake {
    fn next_row(&mut self) -> Result<Option<row::Row>, WorkloadError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let row = self.row()?;
        let read = row::Row {
            id: self.rows,
            stamp: Stamp::Seconds(self.seconds(&row)?),
            prompt_tokens: self.tokens(row.input_length, "input_length")?,
            output_tokens: self.tokens(row.output_length, "output_length")?,
            details: self.details(&row)?,
        };
        self.time_at = self.offset(row.timestamp);
        self.rows += 1;
        Ok(Some(read))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.lines.error_at(self.time_at, message)
    }
}

/// Writes a row; blocks of another size are left out.
pub(super) fn write_row(out: &mut dyn Write, arrival: &Arrival) -> io::Result<()> {
    let timestamp = milliseconds(&arrival.time.to_string());
    let (prompt, output) = (arrival.prompt_tokens, arrival.output_tokens);
    let details = arrival.details.as_deref();
    let blocks = details.filter(|it| it.block_tokens == BLOCK_TOKENS);
    let blocks = blocks.map_or(&[][..], |it| &it.prefix_blocks);
    writeln!(
        out,
        r#"{{"timestamp": {timestamp}, "input_length": {prompt}, "output_length": {output}, "hash_ids": {blocks:?}}}"#
    )
}

/// A decimal number of seconds with its point three places further right: exact, unlike a product.
fn milliseconds(seconds: &str) -> String {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let (thousandths, rest) = fraction.split_at(fraction.len().min(3));
    let digits = format!("{whole}{thousandths:0<3}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    if rest.is_empty() {
        digits.to_owned()
    } else {
        format!("{digits}.{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_moves_three_places() {
        for (seconds, want) in [
            ("0", "0"),
            ("7", "7000"),
            ("0.5", "500"),
            ("0.001", "1"),
            ("0.0001", "0.1"),
            ("12.34567", "12345.67"),
            ("0.027", "27"),
        ] {
            assert_eq!(milliseconds(seconds), want);
        }
    }
}
