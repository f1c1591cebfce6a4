use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscale::{InvalidParameter, Latency, RoleSnapshot, Signals, Snapshot};
use crate::serving::Role;
use crate::time::SimDuration;

/// What a policy measures of the active instances of a role, for each of them.
///
/// Requests that wait at the application count for a role that has no active instance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Metric {
    /// Requests assigned: waiting, running or on their way.
    Requests,
    /// Requests assigned that are in no batch yet.
    Waiting,
    /// Requests in batches.
    Running,
    /// Tokens still to be processed for the requests assigned.
    PendingTokens,
    /// Share of the memory in use, weights included, 0 to 1.
    Memory,
    /// Share of the KV cache in use, 0 to 1.
    Kv,
    /// Share of the time in which a batch ran, 0 to 1.
    Busy,
    /// Requests a second that arrive at the application.
    RequestsPerS,
    /// Prompt tokens a second that are processed.
    PromptTokensPerS,
    /// Output tokens a second that are generated.
    OutputTokensPerS,
    /// A latency of the requests completed, in seconds; unknown while none is.
    Latency {
        /// Which latency. Required.
        of: Latency,
        /// Which percentile of it. Default 90.
        #[serde(default = "ninety")]
        #[schemars(range(min = 0, max = 100))]
        percentile: f64,
    },
}

fn ninety() -> f64 {
    90.0
}

/// A metric and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricTarget {
    /// What is measured. Required.
    pub metric: Metric,
    /// What it should be on each instance, more than 0. Required.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// The role that it is meant for. Default: each.
    #[serde(default)]
    pub role: Option<Role>,
}

impl MetricTarget {
    /// For every role.
    #[must_use]
    pub const fn new(metric: Metric, target: f64) -> Self {
        Self {
            metric,
            target,
            role: None,
        }
    }
}

impl Metric {
    /// The metric summed over the active instances of a role, so that divided by a target it says how
    /// many are needed: what is counted at an instant as its mean over the window. A share counts as
    /// that many full instances, a latency as if each instance had it.
    pub(super) fn total(self, signals: &Signals, role: Role, window: SimDuration) -> Option<f64> {
        let mean = |figure: fn(&Snapshot, &RoleSnapshot) -> f64| {
            signals.mean_over(window, |it| it.role(role).map_or(0.0, |of| figure(it, of)))
        };
        Some(match self {
            Self::Requests => mean(|it, of| (of.load.assigned + it.waiting_for(of)) as f64),
            Self::Waiting => mean(|it, of| (of.load.waiting() + it.waiting_for(of)) as f64),
            Self::Running => mean(|_, of| of.load.running as f64),
            Self::PendingTokens => mean(|_, of| of.load.pending_tokens as f64),
            Self::Memory => mean(|_, of| of.load.memory_share() * f64::from(of.active)),
            Self::Kv => mean(|_, of| of.load.kv_share() * f64::from(of.active)),
            Self::Busy => signals.busy_share(role, window) * active(signals, role),
            Self::RequestsPerS => signals.arrivals_per_s(window),
            Self::PromptTokensPerS => signals.prompt_tokens_per_s(role, window),
            Self::OutputTokensPerS => signals.output_tokens_per_s(role, window),
            Self::Latency { of, percentile } => {
                signals.percentile(of, percentile, window)? * active(signals, role)
            }
        })
    }

    /// Whether it is one figure of the whole application, and not a sum over instances.
    pub(super) const fn is_latency(self) -> bool {
        matches!(self, Self::Latency { .. })
    }
}

fn active(signals: &Signals, role: Role) -> f64 {
    signals.role(role).map_or(0.0, |of| f64::from(of.active))
}

/// A name for reasons.
impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latency { of, percentile } => write!(f, "{of:?} p{percentile}"),
            other => write!(f, "{other:?}"),
        }
    }
}

pub(super) fn check_target(field: &'static str, target: f64) -> Result<(), InvalidParameter> {
    if target > 0.0 {
        return Ok(());
    }
    Err(InvalidParameter {
        field,
        message: format!("a target of {target} cannot be reached: it must be more than 0"),
    })
}
