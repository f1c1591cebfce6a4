//! Which format a file has, by its first line.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use super::bytes::Bytes;
use super::error::WorkloadError;
use super::{azure, burst_gpt, requests, splitwise};
use crate::scenario::TraceFormat;

/// The longest first line that is looked at.
const LONGEST: u64 = 1 << 20;

/// Tells the format, and gives the bytes back with nothing missing.
pub(super) fn format(file: &Path, input: Bytes) -> Result<(TraceFormat, Bytes), WorkloadError> {
    let mut input = BufReader::new(input);
    let line = first_line(&mut input).map_err(|error| {
        WorkloadError::at(file, 1, 1, format!("cannot read the first line: {error}"))
    })?;
    if line.trim_ascii().is_empty() {
        return Err(WorkloadError::in_file(file, "the file is empty"));
    }
    let Some(format) = of_line(&line) else {
        let message = "this is no header of a known trace; its columns have to be those of \
                       `Splitwise`, `Azure`, `BurstGpt` or `Requests`, or its lines JSON as in `Mooncake`; \
                       give the format to see what is missing";
        return Err(WorkloadError::at(file, 1, 1, message));
    };
    Ok((format, Box::new(Cursor::new(line).chain(input))))
}

/// The file up to the end of its first line that says anything.
fn first_line(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut input = input.take(LONGEST);
    while text.trim_ascii().is_empty() && input.read_until(b'\n', &mut text)? > 0 {}
    Ok(text)
}

fn of_line(line: &[u8]) -> Option<TraceFormat> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let line = line.trim_ascii();
    if line.starts_with(b"{") {
        return Some(TraceFormat::Mooncake);
    }
    let has = |column: &&str| {
        line.split(|byte| *byte == b',').any(|cell| {
            let cell = cell.trim_ascii();
            let quoted = cell.strip_prefix(b"\"");
            let cell = quoted
                .and_then(|cell| cell.strip_suffix(b"\""))
                .unwrap_or(cell);
            cell == column.as_bytes()
        })
    };
    let tables = [
        (TraceFormat::Splitwise, splitwise::COLUMNS),
        (TraceFormat::Azure, azure::COLUMNS),
        (TraceFormat::BurstGpt, burst_gpt::COLUMNS),
        (TraceFormat::REQUESTS, requests::REQUIRED),
    ];
    let fits = tables
        .into_iter()
        .find(|(_, columns)| columns.iter().all(has));
    fits.map(|(format, _)| format)
}
