use super::error::WorkloadError;
use super::row::{Row, Stamp};

/// Reads one format, row by row in the order of the file.
pub(super) trait TraceReader: Send + Sync {
    /// The next row; `None` at the end of the file.
    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError>;

    /// The zero of the format's own times.
    fn zero(&self) -> Stamp {
        Stamp::Seconds(0.0)
    }

    /// Rows read so far that are no requests to be served.
    fn left_out(&self) -> u64 {
        0
    }

    /// An error at the time of the row that was read last.
    fn error_at_time(&self, message: String) -> WorkloadError;
}
