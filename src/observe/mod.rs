//! What a run leaves behind: samples, logs and statistics.

mod collect;
mod requests;
mod sample;
mod scaling;
mod sketch;
mod statistics;
mod summary;
mod usage;

pub use collect::{ObserveSet, Recorded, Rows, install};
pub(crate) use collect::{Sampler, sample_end};
pub use requests::{
    ApplicationStatistics, Metrics, RequestCounts, SloSummary, Throughput, VllmSummary,
};
pub use sample::{InstanceSample, Sample};
pub use scaling::ScalingCounts;
pub use statistics::{Distribution, Statistics};
pub use summary::{
    ApplicationRecord, ApplicationSummary, DesertedSummary, FleetSummary, InstanceSummary,
    RunRecord, ServerSummary, Summary, TotalSummary, WarningSummary,
};
pub(crate) use usage::SECONDS_PER_HOUR;
pub use usage::{InstanceUsage, ServerUsage};
