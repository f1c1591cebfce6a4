//! What can go wrong with a workload.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a workload could not be opened or read on: the file, line and column where they are known,
/// what was wrong there and what to do.
///
/// ```
/// use fleetsim::workload::WorkloadError;
/// let error = WorkloadError::at("trace.csv", 17, 3, "`abc` is not a number of tokens");
/// assert_eq!(error.to_string(), "trace.csv:17:3: `abc` is not a number of tokens");
/// assert_eq!(error.line(), Some(17));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadError(Box<Detail>);

/// Boxed, so that a stream's items stay small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Detail {
    file: Option<PathBuf>,
    place: Option<(u64, u64)>,
    message: String,
}

impl WorkloadError {
    /// An error that belongs to no file.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            file: None,
            place: None,
            message: message.into(),
        }))
    }

    /// An error that concerns a whole file.
    pub fn in_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        let mut error = Self::new(message);
        error.0.file = Some(file.into());
        error
    }

    /// An error at a place in a file; line and column (in characters) count from 1.
    pub fn at(
        file: impl Into<PathBuf>,
        line: u64,
        column: u64,
        message: impl Into<String>,
    ) -> Self {
        let mut error = Self::in_file(file, message);
        error.0.place = Some((line, column));
        error
    }

    /// Refuses a parameter of the scenario that is out of its range.
    pub(super) fn unless(
        holds: bool,
        field: &str,
        value: impl fmt::Debug,
        expected: &str,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        let message = format!("`{field}` is {value:?}; expected {expected}");
        Err(Self::new(message))
    }

    /// The file that it concerns.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.0.place.map(|(line, _)| line)
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        self.0.place.map(|(_, column)| column)
    }

    /// What was wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(f, "{}:", file.display())?;
            if let Some((line, column)) = self.0.place {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for WorkloadError {}
