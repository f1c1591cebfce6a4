//! The format of the Mooncake traces: lines of JSON.

use std::io::{self, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lines::{Lines, shown};
use super::numbers::{decimal, whole};
use super::trace::TraceReader;
use super::{Arrival, WorkloadError};
use crate::time::SimTime;

/// Fields, as they are written: their types are checked one by one, so that a message can say
/// where. `hash_ids` and whatever else there is are not looked at.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    input_length: &'a RawValue,
    #[serde(borrow)]
    output_length: &'a RawValue,
}

/// Reads objects with `timestamp` in milliseconds, `input_length` and `output_length`. Time zero is
/// the first row; requests are numbered from 0 as they stand in the file.
pub(super) struct Mooncake {
    lines: Lines,
    rows: u64,
    /// The first row's time in seconds.
    origin: Option<f64>,
    /// Where in its line the last row's time stands.
    time_at: usize,
}

impl Mooncake {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            rows: 0,
            origin: None,
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

    /// Milliseconds as the nearest number of seconds: the decimal point moves before rounding.
    fn seconds(&self, value: &RawValue) -> Result<f64, WorkloadError> {
        let text = value.get();
        let seconds = if text.contains(['e', 'E']) {
            decimal(text.as_bytes()).map(|milliseconds| milliseconds / 1e3)
        } else {
            decimal(format!("{text}e-3").as_bytes())
        };
        let holds = |seconds: &f64| seconds.is_finite() && *seconds >= 0.0;
        seconds.filter(holds).ok_or_else(|| {
            let expected = "a number of milliseconds, not negative";
            self.error(value, "timestamp", "a time", expected)
        })
    }
}

impl TraceReader for Mooncake {
    fn next_row(&mut self) -> Result<Option<Arrival>, WorkloadError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let row = self.row()?;
        let seconds = self.seconds(row.timestamp)?;
        let prompt_tokens = self.tokens(row.input_length, "input_length")?;
        let output_tokens = self.tokens(row.output_length, "output_length")?;
        self.time_at = self.offset(row.timestamp);
        let origin = *self.origin.get_or_insert(seconds);
        let time = SimTime::new(seconds - origin).map_err(|_| {
            let message = "this row is before the first one, which is time zero; sort the file";
            self.error_at_time(message.into())
        })?;
        let id = self.rows;
        self.rows += 1;
        Ok(Some(Arrival {
            id,
            time,
            prompt_tokens,
            output_tokens,
        }))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        self.lines.error_at(self.time_at, message)
    }
}

/// Writes a row that shares no block of its prompt with any other.
pub(super) fn write_row(out: &mut dyn Write, arrival: &Arrival) -> io::Result<()> {
    let timestamp = milliseconds(&arrival.time.to_string());
    let (prompt, output) = (arrival.prompt_tokens, arrival.output_tokens);
    writeln!(
        out,
        r#"{{"timestamp": {timestamp}, "input_length": {prompt}, "output_length": {output}, "hash_ids": []}}"#
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
