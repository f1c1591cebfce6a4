//! A CSV file row by row, with the exact place of every cell.
//!
//! Hand-written where the `csv` crate would do the splitting, because that one cannot say where a
//! cell is: it has no columns, and its line numbers are off after a CRLF or an empty line.

use std::borrow::Cow;
use std::ops::Range;

use super::error::WorkloadError;
use super::lines::{self, Lines};
use super::numbers::{self, whole};
use crate::scenario::TimeUnit;

/// A table with a header and the row that was read last.
///
/// Cells may be quoted as in RFC 4180, lines end in LF or CRLF, empty lines are skipped, blanks
/// around a cell do not count. Columns that nobody asks for are not looked at.
pub(super) struct Table {
    rows: Lines,
    columns: &'static [&'static str],
    /// How many of `columns` there must be: the first.
    required: usize,
    /// Which cell of a row belongs to each of `columns`; none for one that is not there.
    cells: Vec<Option<usize>>,
    /// Cells in a row; zero until the header is known.
    width: usize,
    /// Where in the row each cell ends.
    ends: Vec<usize>,
}

impl Table {
    /// Reads the header and finds `columns` in it, in any order and among others.
    pub(super) fn new(
        rows: Lines,
        columns: &'static [&'static str],
    ) -> Result<Self, WorkloadError> {
        Self::with_optional(rows, columns, columns.len())
    }

    /// The same, where only the first `required` columns must be there; cells of the others are then
    /// empty.
    pub(super) fn with_optional(
        rows: Lines,
        columns: &'static [&'static str],
        required: usize,
    ) -> Result<Self, WorkloadError> {
        let mut table = Self {
            rows,
            columns,
            required,
            cells: Vec::with_capacity(columns.len()),
            width: 0,
            ends: Vec::new(),
        };
        table.read_header()?;
        Ok(table)
    }

    fn read_header(&mut self) -> Result<(), WorkloadError> {
        if !self.advance()? {
            let columns = self.columns[..self.required].join(",");
            let message = format!("the file is empty; expected a header with {columns}");
            return Err(self.rows.error_in_file(message));
        }
        self.width = self.ends.len();
        for (column, name) in self.columns.iter().enumerate() {
            let mut found = (0..self.width).filter(|cell| self.cell(*cell) == name.as_bytes());
            let Some(cell) = found.next() else {
                if column >= self.required {
                    self.cells.push(None);
                    continue;
                }
                let columns: Vec<_> = (0..self.width).map(|cell| self.shown(cell)).collect();
                let columns = columns.join(", ");
                let message = format!("there is no column `{name}`; the columns are {columns}");
                return Err(self.error_at(0, message));
            };
            if let Some(second) = found.next() {
                let message = format!("there is a second column `{name}`; remove or rename one");
                return Err(self.error_at(self.range(second).start, message));
            }
            self.cells.push(Some(cell));
        }
        Ok(())
    }

    /// Reads the next row; false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, WorkloadError> {
        if !self.rows.advance()? {
            return Ok(false);
        }
        self.split()?;
        let (width, found) = (self.width, self.ends.len());
        if width == 0 || found == width {
            return Ok(true);
        }
        let extra = (found > width).then(|| self.range(width).start);
        let message = format!("the row has {found} cells, but the header has {width}");
        Err(self.error_at(extra.unwrap_or(self.row().len()), message))
    }

    /// Finds the ends of the cells, eight bytes at a time.
    fn split(&mut self) -> Result<(), WorkloadError> {
        self.ends.clear();
        let (words, rest) = self.rows.text().as_chunks();
        let mut quotes = 0;
        for (n, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            quotes |= matches(word, b'"');
            let mut commas = matches(word, b',');
            while commas != 0 {
                self.ends.push(n * 8 + commas.trailing_zeros() as usize / 8);
                commas &= commas - 1;
            }
        }
        for (n, byte) in rest.iter().enumerate() {
            quotes |= u64::from(*byte == b'"');
            if *byte == b',' {
                self.ends.push(words.len() * 8 + n);
            }
        }
        if quotes != 0 {
            return self.split_quoted();
        }
        self.ends.push(self.row().len());
        Ok(())
    }

    /// Like [`Self::split`], where quotes hide commas and line ends.
    fn split_quoted(&mut self) -> Result<(), WorkloadError> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Start,
            Plain,
            Quoted,
            Closed,
        }
        self.ends.clear();
        let mut state = State::Start;
        let mut at = 0;
        loop {
            while let Some(byte) = self.rows.text().get(at) {
                state = match (state, byte) {
                    (State::Start | State::Closed, b'"') => State::Quoted,
                    (State::Quoted, b'"') => State::Closed,
                    (State::Quoted, _) => State::Quoted,
                    (_, b',') => {
                        self.ends.push(at);
                        State::Start
                    }
                    _ => State::Plain,
                };
                at += 1;
            }
            if state != State::Quoted {
                self.ends.push(at);
                return Ok(());
            }
            if !self.rows.extend()? {
                let start = self.ends.last().map_or(0, |end| end + 1);
                return Err(self.error_at(start, "a quote is opened here and never closed".into()));
            }
        }
    }

    fn row(&self) -> &[u8] {
        self.rows.text()
    }

    fn range(&self, cell: usize) -> Range<usize> {
        let start = if cell == 0 {
            0
        } else {
            self.ends[cell - 1] + 1
        };
        start..self.ends[cell]
    }

    fn cell(&self, cell: usize) -> &[u8] {
        let text = self.row()[self.range(cell)].trim_ascii();
        let quoted = text.strip_prefix(b"\"");
        quoted
            .and_then(|text| text.strip_suffix(b"\""))
            .unwrap_or(text)
    }

    /// The bytes of the cell in one of the columns asked for.
    pub(super) fn text(&self, column: usize) -> &[u8] {
        self.cells[column].map_or(&[], |cell| self.cell(cell))
    }

    /// The same as text, quotes within it undoubled.
    pub(super) fn text_of(&self, column: usize) -> Result<Cow<'_, str>, WorkloadError> {
        match std::str::from_utf8(self.text(column)) {
            Ok(text) if text.contains("\"\"") => Ok(text.replace("\"\"", "\"").into()),
            Ok(text) => Ok(text.into()),
            Err(_) => Err(self.error(column, "text", "UTF-8")),
        }
    }

    /// An error that concerns the whole file.
    pub(super) fn error_in_file(&self, message: String) -> WorkloadError {
        self.rows.error_in_file(message)
    }

    /// A whole number, not negative: `what` it stands for.
    pub(super) fn whole(&self, column: usize, what: &str) -> Result<u64, WorkloadError> {
        let expected = "a whole number from 0 to 18446744073709551615";
        whole(self.text(column)).ok_or_else(|| self.error(column, what, expected))
    }

    /// A number of tokens, at least 1.
    pub(super) fn tokens(&self, column: usize) -> Result<u32, WorkloadError> {
        let tokens = whole(self.text(column)).and_then(|tokens| u32::try_from(tokens).ok());
        tokens.filter(|tokens| *tokens > 0).ok_or_else(|| {
            self.error(
                column,
                "a number of tokens",
                "a whole number from 1 to 4294967295",
            )
        })
    }

    /// A time in seconds, as the nearest number to what the unit makes of it.
    pub(super) fn seconds(&self, column: usize, unit: TimeUnit) -> Result<f64, WorkloadError> {
        numbers::seconds(self.text(column), unit).ok_or_else(|| {
            let expected = match unit {
                TimeUnit::Seconds => "a finite number of seconds, not negative",
                TimeUnit::Milliseconds => "a finite number of milliseconds, not negative",
            };
            self.error(column, "a time", expected)
        })
    }

    /// An error about the cell in one of the columns asked for: it is not `what`, as which
    /// `expected` would pass.
    pub(super) fn error(&self, column: usize, what: &str, expected: &str) -> WorkloadError {
        let name = self.columns[column];
        let message = if self.text(column).is_empty() {
            format!("`{name}` is empty; expected {expected}")
        } else {
            let shown = lines::shown(self.text(column));
            format!("`{shown}` is not {what}; expected {expected} (column `{name}`)")
        };
        self.error_in(column, message)
    }

    /// An error with words of its own, at the cell in one of the columns asked for.
    pub(super) fn error_in(&self, column: usize, message: String) -> WorkloadError {
        let range = self.cells[column].map_or(0..0, |cell| self.range(cell));
        let cell = &self.row()[range.clone()];
        let blanks = cell.len() - cell.trim_ascii_start().len();
        self.error_at(range.start + blanks, message)
    }

    fn error_at(&self, offset: usize, message: String) -> WorkloadError {
        self.rows.error_at(offset, message)
    }

    /// The start of a cell's text, printable.
    fn shown(&self, cell: usize) -> String {
        lines::shown(self.cell(cell))
    }
}

/// The highest bit of each byte of `word` that is `byte`; eight bytes at once.
const fn matches(word: u64, byte: u8) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    let differing = word ^ u64::from_ne_bytes([byte; 8]);
    // Adding 0x7F carries into the highest bit of a byte unless its lower bits are all zero.
    !(((differing & LOW) + LOW) | differing | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_matches_itself_alone() {
        for byte in 0..=u8::MAX {
            for neighbour in [0, 1, 0x7F, 0x80, 0xFF, byte ^ 1, byte ^ 0x80] {
                let word = u64::from_le_bytes([neighbour, byte, 0, neighbour, 0xFF, byte, 0x80, 1]);
                let want = word.to_le_bytes().map(|b| if b == byte { 0x80 } else { 0 });
                assert_eq!(
                    matches(word, byte).to_le_bytes(),
                    want,
                    "{byte} {neighbour}"
                );
            }
        }
    }
}
