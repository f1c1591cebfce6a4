use super::MetricsOptions;

/// Which files there are to be, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputOptions {
    /// Formats beside CSV.
    pub formats: Vec<Format>,
    /// Tables to go without.
    pub omitted: Vec<Omitted>,
    /// How `metrics.prom` is written.
    pub metrics: MetricsOptions,
}

/// A table that a run may go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omitted {
    /// `requests.csv`, and the same in other formats.
    Requests,
    /// `scaling.csv`.
    Scaling,
    /// `timeline.csv`.
    Timeline,
    /// `decisions.csv`.
    Decisions,
}

/// A format beside CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `requests.jsonl`: JSON Lines.
    JsonLines,
    /// `metrics.prom`: what Prometheus would have scraped, see [`Exposition`](super::Exposition).
    Prometheus,
    /// Every table as Parquet.
    #[cfg(feature = "parquet")]
    Parquet,
}
