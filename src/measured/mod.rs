//! Measurements of real servers: tables of means, replays of single requests, step times.
//!
//! Tables are CSV files with a header; what a row's columns mean is on [`Row`], [`Replay`] and
//! [`StepRow`]. Reports of load generators are read as they are ([`import`]).

mod error;
pub mod import;
mod replay;
mod rows;
mod steps;
mod table;

pub use error::MeasuredError;
pub use replay::{Replay, Replayed};
pub use rows::{Arrivals, Figures, Row, Spread};
pub use steps::{StepKind, StepRow};

/// A quantile of sorted values, which are not empty: linear between order statistics.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + (above - sorted[below]) * (place - below as f64)
}

/// What kind of table a CSV file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Means of servers: [`Row`].
    Rows,
    /// The requests of one run: [`Replay`].
    Replay,
    /// Step times: [`StepRow`].
    Steps,
    /// None of them.
    Other,
}

impl TableKind {
    /// The kind of a CSV file, from its header.
    ///
    /// # Errors
    /// [`MeasuredError`] where the file cannot be read.
    pub fn of(file: &std::path::Path) -> Result<Self, MeasuredError> {
        let columns = table::header(file)?;
        Ok(if Replay::is_table(&columns) {
            Self::Replay
        } else if StepRow::is_table(&columns) {
            Self::Steps
        } else if Row::is_table(&columns) {
            Self::Rows
        } else {
            Self::Other
        })
    }
}
