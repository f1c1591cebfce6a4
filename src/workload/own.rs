//! Trace formats that are not built in.

use std::fmt::Debug;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::arrival::Arrival;
use super::error::WorkloadError;
use super::reader::TraceReader;
use super::row::{Row, Stamp};

/// The rows of a trace, in the order of the file; the first error ends them.
pub type TraceRows = Box<dyn Iterator<Item = Result<Arrival, WorkloadError>> + Send + Sync>;

/// A trace format that scenarios can name beside the built-in ones: its parameters.
///
/// It reads rows; the rest is as with any trace: files in `.gz` and `.zst`, rows nearly in order of
/// time, time zero, windows, repeats and rates.
pub trait TraceFormatKind: DeserializeOwned + JsonSchema + Debug + Send + Sync + 'static {
    /// Its name in a scenario.
    const NAME: &'static str;
    /// What it is, in one line.
    const SUMMARY: &'static str;

    /// What is wrong with the parameters, in words, if anything is.
    ///
    /// # Errors
    /// In that case.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The rows of a file in its order, each at its own time, which may be any time from zero on.
    ///
    /// # Errors
    /// The file is not of this format. What is wrong with a row comes in its place, and ends the rows.
    fn rows(
        &self,
        file: &Path,
        text: Box<dyn BufRead + Send + Sync>,
    ) -> Result<TraceRows, WorkloadError>;
}

/// A trace format that is not built in, with its parameters.
#[derive(Clone, Debug)]
pub struct NamedFormat(Arc<dyn AnyFormat>);

/// A kind with its parameters, of any type.
pub(crate) trait AnyFormat: Debug + Send + Sync {
    fn rows(
        &self,
        file: &Path,
        text: Box<dyn BufRead + Send + Sync>,
    ) -> Result<TraceRows, WorkloadError>;
}

impl<K: TraceFormatKind> AnyFormat for K {
    fn rows(
        &self,
        file: &Path,
        text: Box<dyn BufRead + Send + Sync>,
    ) -> Result<TraceRows, WorkloadError> {
        TraceFormatKind::rows(self, file, text)
    }
}

impl NamedFormat {
    pub(crate) const fn new(kind: Arc<dyn AnyFormat>) -> Self {
        Self(kind)
    }

    pub(super) fn reader(
        &self,
        file: &Path,
        text: Box<dyn BufRead + Send + Sync>,
    ) -> Result<Rows, WorkloadError> {
        Ok(Rows {
            rows: self.0.rows(file, text)?,
            file: file.to_owned(),
        })
    }
}

/// The rows of such a trace.
pub(super) struct Rows {
    rows: TraceRows,
    file: PathBuf,
}

impl TraceReader for Rows {
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        let Some(arrival) = self.rows.next().transpose()? else {
            return Ok(None);
        };
        let wrong = match (arrival.prompt_tokens, arrival.output_tokens) {
            (0, _) => Some("prompt"),
            (_, 0) => Some("output"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let id = arrival.id;
            let message = format!("the {wrong} tokens of request {id} must be at least 1");
            return Err(self.error_at_time(message));
        }
        Ok(Some(Row {
            id: arrival.id,
            stamp: Stamp::Seconds(arrival.time.seconds()),
            prompt_tokens: arrival.prompt_tokens,
            output_tokens: arrival.output_tokens,
            details: arrival.details,
        }))
    }

    fn error_at_time(&self, message: String) -> WorkloadError {
        WorkloadError::in_file(&self.file, message)
    }
}
