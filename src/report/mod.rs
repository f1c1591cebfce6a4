//! What a user reads: the results directory, the table on the terminal, the progress bar.
//!
//! The writers stream: they take rows as the run makes them and keep none, or a bounded number.

mod directory;
mod error;
mod exposition;
mod progress;
mod summary;
mod table;
mod tables;

pub use directory::ResultsDirectory;
pub use error::ReportError;
pub use exposition::Exposition;
pub use progress::Progress;
pub use summary::write_summary;
pub use table::summary_table;
#[cfg(feature = "parquet")]
pub use tables::ParquetWriter;
pub use tables::{
    Cells, Column, CsvWriter, Decisions, JsonLinesWriter, Kind, Requests, Scaling, Table, Timeline,
};
