//! What a user reads: the results directory, the table on the terminal, the progress bar.
//!
//! The writers stream: they take rows as the run makes them and keep none. Floats are the shortest
//! text that reads back as the same bits; values that are absent are empty cells.

mod comparison;
mod comparison_progress;
mod comparison_table;
mod decisions;
mod directory;
mod error;
#[cfg(feature = "html")]
mod html;
mod progress;
mod requests;
mod rows;
mod scaling;
mod summary;
mod table;
mod tables;
mod timeline;

pub use comparison::{write_comparison_csv, write_comparison_json};
pub use comparison_progress::ComparisonProgress;
pub use comparison_table::comparison_table;
pub use decisions::DecisionsWriter;
pub use directory::ResultsDirectory;
pub use error::ReportError;
#[cfg(feature = "html")]
pub use html::RunReport;
pub use progress::Progress;
pub use requests::RequestsWriter;
pub use scaling::ScalingWriter;
pub use summary::write_summary;
pub use table::summary_table;
pub use tables::Tables;
pub use timeline::TimelineWriter;
