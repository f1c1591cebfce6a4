//! What a user reads: the results directory, the table on the terminal, the progress bar.
//!
//! The writers stream: they take rows as the run makes them and keep none, or a bounded number.

mod claim;
mod comparison;
#[cfg(feature = "cli")]
mod comparison_progress;
#[cfg(feature = "cli")]
mod comparison_table;
mod directory;
mod error;
mod exposition;
#[cfg(feature = "html")]
mod html;
mod options;
mod outputs;
mod outputs_by_region;
mod perfetto;
#[cfg(feature = "cli")]
mod plain_table;
#[cfg(feature = "cli")]
mod progress;
mod replications;
#[cfg(feature = "cli")]
mod replications_table;
mod sheet;
mod sink;
#[cfg(feature = "cli")]
mod study_tables;
mod summary;
mod sweep;
#[cfg(feature = "parquet")]
mod sweep_parquet;
#[cfg(feature = "cli")]
mod sweep_progress;
#[cfg(feature = "cli")]
mod sweep_table;
#[cfg(feature = "cli")]
mod table;
mod tables;
mod thinned;
#[cfg(any(feature = "cli", feature = "html"))]
mod words;

pub use claim::Claim;
pub use comparison::write_comparison_csv;
#[cfg(feature = "cli")]
pub use comparison_progress::ComparisonProgress;
#[cfg(feature = "cli")]
pub use comparison_table::comparison_table;
pub use directory::{Journal, ResultsDirectory};
pub use error::ReportError;
pub use exposition::{Exposition, MetricsOptions};
#[cfg(feature = "html")]
pub use html::{
    RunReport, comparison_page, saturation_page, search_page, sweep_page, validation_page,
};
pub use options::{Format, Omitted, OutputOptions};
pub use outputs::Outputs;
pub use perfetto::{InvalidWindow, PerfettoTrace, TraceExcerpts, TraceOptions, TraceWindow};
#[cfg(feature = "cli")]
pub use progress::Progress;
pub use replications::{ReplicationsSummary, replications_json};
#[cfg(feature = "cli")]
pub use replications_table::replications_table;
#[cfg(feature = "cli")]
pub use study_tables::{found_table, saturation_table};
pub use summary::write_summary;
#[cfg(feature = "cli")]
pub use sweep_progress::SweepProgress;
#[cfg(feature = "cli")]
pub use sweep_table::sweep_table;
#[cfg(feature = "cli")]
pub use table::summary_table;
#[cfg(feature = "parquet")]
pub use tables::ParquetWriter;
pub use tables::{
    ByRegion, Cells, Column, Contender, Contenders, CsvWriter, Decisions, Faults, JsonLinesWriter,
    Kind, Requests, Scaling, Steps, Table, Timeline,
};
#[cfg(feature = "cli")]
pub(crate) use words::grouped;
