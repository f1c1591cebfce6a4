use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::ReportError;

/// Bytes gathered before the file is written to: few enough calls not to matter.
const BUFFER_BYTES: usize = 1 << 16;

/// Where the bytes of a file go that is written as the run goes on. Errors name its path.
#[derive(Debug)]
pub(super) struct Sink<W: Write> {
    out: BufWriter<W>,
    path: PathBuf,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W, path: impl Into<PathBuf>) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            path: path.into(),
        }
    }

    /// Writes these bytes and empties their buffer for the next ones, whether that went well or not.
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), ReportError> {
        let written = self.out.write_all(bytes);
        bytes.clear();
        written.map_err(ReportError::io(&self.path, "write"))
    }

    /// Writes what is still buffered and gives the destination back.
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
