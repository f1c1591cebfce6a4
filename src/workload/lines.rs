//! A text file line by line, with the place of every byte in it.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use super::bytes::Bytes;
use super::error::WorkloadError;

/// Bounds the memory of a row, for instance of a file that is not text at all.
const LONGEST_ROW: usize = 1 << 20;
/// Characters of a bad value that a message shows.
const SHOWN: usize = 40;

/// The row that was read last, and where it stands. Lines end in LF or CRLF; empty ones are skipped.
pub(super) struct Lines {
    input: BufReader<Bytes>,
    file: PathBuf,
    /// Where the row starts.
    line: u64,
    next_line: u64,
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn new(file: impl Into<PathBuf>, input: Bytes) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 16, input),
            file: file.into(),
            line: 1,
            next_line: 1,
            text: Vec::new(),
        }
    }

    /// The row, without the end of its last line.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Reads the next line that is not empty; false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, WorkloadError> {
        loop {
            self.line = self.next_line;
            self.text.clear();
            if !self.read_line()? {
                return Ok(false);
            }
            if self.line == 1 && self.text.starts_with(b"\xEF\xBB\xBF") {
                self.text.drain(..3);
            }
            if !self.text.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Lets the row go on in the next line; false at the end of the file.
    pub(super) fn extend(&mut self) -> Result<bool, WorkloadError> {
        self.text.push(b'\n');
        self.read_line()
    }

    /// Appends the next line, without its end, to the text; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, WorkloadError> {
        let room = (LONGEST_ROW - self.text.len()) as u64;
        let read = (&mut self.input)
            .take(room)
            .read_until(b'\n', &mut self.text)
            .map_err(|error| {
                let message = format!("cannot read: {error}");
                WorkloadError::at(&self.file, self.next_line, 1, message)
            })?;
        if self.text.last() == Some(&b'\n') && read > 0 {
            self.text.pop();
            if self.text.last() == Some(&b'\r') {
                self.text.pop();
            }
        } else if self.text.len() >= LONGEST_ROW {
            let message = format!(
                "a row of more than {LONGEST_ROW} bytes; is this the right format, is a quote left open?"
            );
            return Err(self.error_at(0, message));
        }
        self.next_line += 1;
        Ok(read > 0)
    }

    /// An error that concerns the whole file.
    pub(super) fn error_in_file(&self, message: String) -> WorkloadError {
        WorkloadError::in_file(&self.file, message)
    }

    /// An error at a byte of the row.
    pub(super) fn error_at(&self, offset: usize, message: String) -> WorkloadError {
        let before = &self.text[..offset];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        WorkloadError::at(&self.file, self.line + lines as u64, column as u64, message)
    }
}

/// The start of a value's text, printable.
pub(super) fn shown(value: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(value);
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
