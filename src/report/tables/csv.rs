use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::path::PathBuf;

use super::{Cells, Table};
use crate::report::ReportError;
use crate::report::sink::Sink;

/// Writes a table as comma-separated values (RFC 4180), with a header, row by row as they come.
///
/// Floats are the shortest text that reads back as the same bits; values that are absent are empty
/// cells.
#[derive(Debug)]
pub struct CsvWriter<T, W: Write = File> {
    out: Sink<W>,
    row: Row,
    table: PhantomData<T>,
}

impl<T: Table, W: Write> CsvWriter<T, W> {
    /// Writes the header to `out`; errors will name `path`.
    ///
    /// # Errors
    /// [`ReportError::Io`] when `out` fails.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let mut writer = Self {
            out: Sink::new(out, path),
            row: Row::default(),
            table: PhantomData,
        };
        let names = T::COLUMNS.iter().map(|column| column.name);
        names.for_each(|name| writer.row.text(name));
        writer.flush_row()?;
        Ok(writer)
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, row: T::Row<'_>) -> Result<(), ReportError> {
        T::cells(row, &mut self.row);
        self.flush_row()
    }

    fn flush_row(&mut self) -> Result<(), ReportError> {
        self.row.end();
        self.out.write(&mut self.row.0)
    }

    /// Writes what is still buffered and gives the destination back.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.out.finish()
    }
}

/// Writes a table whose columns are known only now, with a header; errors will name `path`.
pub(in crate::report) fn write_sheet<W: Write>(
    out: W,
    path: impl Into<PathBuf>,
    columns: &[&str],
    rows: impl Iterator<Item = impl FnOnce(&mut dyn Cells)>,
) -> Result<W, ReportError> {
    let mut out = Sink::new(out, path);
    let mut row = Row::default();
    columns.iter().for_each(|name| row.text(name));
    row.end();
    out.write(&mut row.0)?;
    for fill in rows {
        fill(&mut row);
        row.end();
        out.write(&mut row.0)?;
    }
    out.finish()
}

/// The cells of one row, each with a separator after it.
#[derive(Debug, Default)]
struct Row(Vec<u8>);

impl Row {
    fn end(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last = b'\n';
        }
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b',');
    }
}

impl Cells for Row {
    fn integer(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    /// As short as its `Display` has it, several times as fast.
    fn float(&mut self, value: f64) {
        if value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format_finite(value);
            self.raw(text.strip_suffix(".0").unwrap_or(text));
        } else if value.is_finite() {
            // A row never fails to take text.
            _ = write!(self, "{value},");
        } else {
            self.empty();
        }
    }

    /// In quotes where it needs them.
    fn text(&mut self, text: &str) {
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

    fn empty(&mut self) {
        self.0.push(b',');
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
        fn floats_read_back_and_are_as_short_as_display_has_them(value in prop_oneof![
            proptest::num::f64::ANY,
            proptest::num::f64::NORMAL.prop_map(|value| value.abs() % 1e6),
            (0_u32..1000).prop_map(|value| f64::from(value) / 8.0),
        ]) {
            let cell = cell(|row| row.float(value));
            if value.is_finite() {
                // Where two texts are as short and as near, either will do.
                prop_assert_eq!(cell.len(), format!("{value},").len());
                prop_assert_eq!(cell.trim_end_matches(',').parse(), Ok(value));
            } else {
                prop_assert_eq!(cell, ",");
            }
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
