//! What a run leaves behind: samples, logs and statistics.

mod bills;
mod collect;
mod faults;
mod hour;
mod power;
mod recovery;
mod regions;
mod requests;
mod sample;
mod scaling;
mod slo;
mod start_up;
mod summary;
mod usage;

pub use crate::statistics::{Distribution, Statistics};
pub use bills::{Bill, PurchaseSummary};
pub use collect::{ObserveSet, Recorded, Rows, install};
pub(crate) use collect::{Sampler, keep_felt, sample_end, watch_recovery};
pub use faults::{FaultSummary, FaultsSummary, ResilienceSummary};
pub(crate) use hour::SECONDS_PER_HOUR;
pub use power::PowerCapSummary;
pub use recovery::RecoverySummary;
pub use regions::{Felt, RegionRecord, RegionSummary};
pub use requests::{
    ApplicationStatistics, KvUsage, Metrics, PercentileSummary, RequestCounts, Throughput,
    VllmSummary,
};
pub use sample::{InstanceSample, Sample};
pub use scaling::ScalingCounts;
pub use slo::{PercentileLimit, SloSummary};
pub use start_up::StageSummary;
pub use summary::{
    ApplicationRecord, ApplicationSummary, CostRates, DesertedSummary, FleetSummary,
    InstanceSummary, RunRecord, ServerSummary, Summary, TotalSummary, WarningSummary,
};
pub use usage::{InstanceUsage, ServerUsage};
