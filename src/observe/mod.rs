//! What a run leaves behind: samples, logs and statistics.

mod collect;
mod requests;
mod sample;
mod scaling;
mod summary;
mod usage;

pub use crate::statistics::{Distribution, Statistics};
pub use collect::{ObserveSet, Recorded, Rows, install};
pub(crate) use collect::{Sampler, sample_end};
pub use requests::{
    ApplicationStatistics, KvUsage, Metrics, RequestCounts, SloSummary, Throughput, VllmSummary,
};
pub use sample::{InstanceSample, Sample};
pub use scaling::ScalingCounts;
pub use summary::{
    ApplicationRecord, ApplicationSummary, DesertedSummary, FleetSummary, InstanceSummary,
    RunRecord, ServerSummary, Summary, TotalSummary, WarningSummary,
};
pub(crate) use usage::SECONDS_PER_HOUR;
pub use usage::{InstanceUsage, ServerUsage};
