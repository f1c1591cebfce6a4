//! What a run leaves behind: samples, logs and statistics.

mod collect;
mod requests;
mod sample;
mod scaling;
mod sketch;
mod statistics;
mod summary;
mod usage;

pub(crate) use collect::sample_end;
pub use collect::{Recorded, Rows, install};
pub use requests::{ApplicationStatistics, Metrics, RequestCounts, SloSummary, Throughput};
pub use sample::Sample;
pub use scaling::ScalingCounts;
pub use statistics::{Distribution, Statistics};
pub use summary::{
    ApplicationRecord, ApplicationSummary, FleetSummary, InstanceSummary, RunRecord, ServerSummary,
    Summary, TotalSummary,
};
pub use usage::{InstanceUsage, ServerUsage};
