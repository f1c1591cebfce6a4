use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::path::PathBuf;

use super::{Cells, Column, Table};
use crate::report::ReportError;
use crate::report::sink::Sink;

/// Writes a table as JSON Lines: each row an object on a line of its own, its keys the columns, absent
/// values `null`.
#[derive(Debug)]
pub struct JsonLinesWriter<T, W: Write = File> {
    out: Sink<W>,
    line: Line,
    table: PhantomData<T>,
}

impl<T: Table, W: Write> JsonLinesWriter<T, W> {
    /// Writes to `out`; errors will name `path`.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Self {
        Self {
            out: Sink::new(out, path),
            line: Line {
                columns: T::COLUMNS,
                next: 0,
                bytes: Vec::new(),
            },
            table: PhantomData,
        }
    }

    /// Writes one row.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn write(&mut self, row: T::Row<'_>) -> Result<(), ReportError> {
        T::cells(row, &mut self.line);
        self.line.bytes.extend_from_slice(b"}\n");
        self.line.next = 0;
        self.out.write(&mut self.line.bytes)
    }

    /// Writes what is still buffered and gives the destination back.
    ///
    /// # Errors
    /// [`ReportError::Io`] when the destination fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.out.finish()
    }
}

/// The line of one row, up to its closing brace.
#[derive(Debug)]
struct Line {
    columns: &'static [Column],
    /// The column that comes next.
    next: usize,
    bytes: Vec<u8>,
}

impl Line {
    fn raw(&mut self, value: &str) {
        self.key();
        self.bytes.extend_from_slice(value.as_bytes());
    }

    fn key(&mut self) {
        let open: &[u8] = if self.next == 0 { b"{\"" } else { b",\"" };
        self.bytes.extend_from_slice(open);
        let name = self.columns[self.next].name;
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        self.next += 1;
    }
}

impl Cells for Line {
    fn integer(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    fn float(&mut self, value: f64) {
        if value.is_finite() {
            self.raw(zmij::Buffer::new().format_finite(value));
        } else {
            self.empty();
        }
    }

    fn text(&mut self, value: &str) {
        self.key();
        // Writing to a vector cannot fail, and text has a JSON form.
        _ = serde_json::to_writer(&mut self.bytes, value);
    }

    fn empty(&mut self) {
        self.raw("null");
    }
}
