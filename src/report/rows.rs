use std::fmt::{self, Write as _};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::ReportError;
use crate::scenario::Role;

/// Bytes gathered before the file is written to: few enough calls not to matter.
const BUFFER_BYTES: usize = 1 << 16;

/// Rows of comma-separated values on their way to a file, laid out in one reused buffer.
#[derive(Debug)]
pub(super) struct Rows<W: Write> {
    out: BufWriter<W>,
    row: Row,
    path: PathBuf,
}

impl<W: Write> Rows<W> {
    /// Starts with a header; errors will name `path`.
    pub(super) fn new(out: W, path: PathBuf, header: &str) -> Result<Self, ReportError> {
        let mut rows = Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            row: Row::default(),
            path,
        };
        rows.write(|row| row.raw(header))?;
        Ok(rows)
    }

    /// Writes one row, the cells that `fill` puts in it.
    pub(super) fn write(&mut self, fill: impl FnOnce(&mut Row)) -> Result<(), ReportError> {
        self.row.0.clear();
        fill(&mut self.row);
        if let Some(last) = self.row.0.last_mut() {
            *last = b'\n';
        }
        self.out
            .write_all(&self.row.0)
            .map_err(ReportError::io(&self.path, "write"))
    }

    /// Writes what is still in the buffer and gives the destination back.
    pub(super) fn finish(self) -> Result<W, ReportError> {
        let failed = ReportError::io(&self.path, "write");
        let mut out = self
            .out
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        out.flush().map_err(failed)?;
        Ok(out)
    }
}

/// The cells of one row, each with a separator after it.
#[derive(Debug, Default)]
pub(super) struct Row(Vec<u8>);

impl Row {
    /// Text that needs no quotes.
    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b',');
    }

    /// Any text, in quotes where it needs them (RFC 4180).
    pub(super) fn text(&mut self, text: &str) {
        if text.bytes().any(|byte| b",\"\r\n".contains(&byte)) {
            self.0.push(b'"');
            for byte in text.bytes() {
                self.0.push(byte);
                if byte == b'"' {
                    self.0.push(byte);
                }
            }
            self.0.extend_from_slice(b"\",");
        } else {
            self.raw(text);
        }
    }

    /// Text from its `Display`, which needs no quotes.
    pub(super) fn display(&mut self, value: impl fmt::Display) {
        // A row never fails to take text.
        _ = write!(self, "{value}");
        self.0.push(b',');
    }

    pub(super) fn integer(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    /// A float, as its `Display` has it, several times as fast; empty when not finite.
    pub(super) fn float(&mut self, value: f64) {
        if value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format_finite(value);
            self.raw(text.strip_suffix(".0").unwrap_or(text));
        } else if value.is_finite() {
            self.display(value);
        } else {
            self.empty();
        }
    }

    pub(super) fn empty(&mut self) {
        self.0.push(b',');
    }

    pub(super) fn optional_float(&mut self, value: Option<impl Into<f64>>) {
        match value {
            Some(value) => self.float(value.into()),
            None => self.empty(),
        }
    }

    pub(super) fn optional_integer(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.integer(value),
            None => self.empty(),
        }
    }

    /// A role, spelt as in a scenario.
    pub(super) fn role(&mut self, role: Role) {
        self.raw(match role {
            Role::Prompt => "Prompt",
            Role::Token => "Token",
            Role::Mixed => "Mixed",
        });
    }
}

impl fmt::Write for Row {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell(fill: impl FnOnce(&mut Row)) -> String {
        let mut row = Row::default();
        fill(&mut row);
        String::from_utf8(row.0).unwrap()
    }

    proptest! {
        #[test]
        fn floats_are_written_as_display_writes_them(value in prop_oneof![
            proptest::num::f64::ANY,
            proptest::num::f64::NORMAL.prop_map(|value| value.abs() % 1e6),
            (0_u32..1000).prop_map(|value| f64::from(value) / 8.0),
        ]) {
            let expected = if value.is_finite() { format!("{value},") } else { ",".to_owned() };
            prop_assert_eq!(cell(|row| row.float(value)), expected);
        }
    }

    #[test]
    fn the_edges_of_the_notation_agree_with_display() {
        for value in [0.0, -0.0, 1e-5, 9.999e-6, 1e-300, 1e15, 1e16, 1.5e16, 1e300] {
            assert_eq!(cell(|row| row.float(value)), format!("{value},"));
        }
        assert_eq!(cell(|row| row.float(f64::INFINITY)), ",");
    }
}
