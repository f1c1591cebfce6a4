//! What broke, in figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What broke in a run; only where something may.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultsSummary {
    /// By the name of the fault, as in `faults.csv`.
    pub by_fault: BTreeMap<String, FaultSummary>,
    /// Hours in which servers were under repair; they are no part of `server_hours`.
    pub repair_hours: f64,
    /// Server-hours ÷ (server-hours + hours under repair); none where there was neither.
    pub availability: Option<f64>,
}

/// Faults of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSummary {
    /// How many there were.
    pub count: u64,
    /// Servers that they took.
    pub servers: u64,
    /// Instances that they took.
    pub instances: u64,
    /// Requests that began again for them.
    pub requests_retried: u64,
    /// Requests that failed for them.
    pub requests_failed: u64,
    /// Tokens that were processed for these requests.
    pub lost_tokens: u64,
}

/// How an application came through faults; only where something may break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResilienceSummary {
    /// The share of the time in which at least one instance took requests.
    pub served_share: Option<f64>,
    /// Time until users got again what they were promised; none without an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<super::RecoverySummary>,
}
