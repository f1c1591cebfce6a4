use std::path::{Path, PathBuf};

use thiserror::Error;

/// What is wrong with a file of measurements, and where.
#[derive(Debug, Error)]
pub enum MeasuredError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A line, or a column of it, is wrong.
    #[error("{}:{line}: {message}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The file as a whole is wrong.
    #[error("{}: {message}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl MeasuredError {
    pub(super) fn unreadable(file: &Path, reason: impl ToString) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn line(file: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Line {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }

    pub(super) fn file(file: &Path, message: impl Into<String>) -> Self {
        Self::File {
            file: file.to_owned(),
            message: message.into(),
        }
    }
}
