use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscale::{InvalidParameter, Latency, Load, RoleSnapshot, Signals, Snapshot};
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
    /// What it is a metric of. Default: `Value` for a latency, `Utilization` for `Busy`, else `Pods`.
    #[serde(default)]
    pub kind: Option<MetricKind>,
}

/// What a metric is a metric of, as an autoscaler of Kubernetes tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricKind {
    /// The mean over the pods, in whole thousandths.
    Pods,
    /// The mean over the pods as a share of what each has, in whole per cent.
    Utilization,
    /// One figure of the application, such as a latency; the number follows its ratio.
    Value,
    /// A total of the application, of which each pod is to have its part. It is what KEDA makes of every
    /// queue.
    AverageValue,
}

impl MetricTarget {
    /// For every role.
    #[must_use]
    pub const fn new(metric: Metric, target: f64) -> Self {
        Self {
            metric,
            target,
            role: None,
            kind: None,
        }
    }

    /// What it is a metric of.
    #[must_use]
    pub fn kind(&self) -> MetricKind {
        self.kind.unwrap_or(match self.metric {
            Metric::Latency { .. } => MetricKind::Value,
            Metric::Busy => MetricKind::Utilization,
            _ => MetricKind::Pods,
        })
    }
}

impl Metric {
    /// The metric summed over the measured instances of a role, so that divided by a target it says how
    /// many are needed: what is counted at an instant as its mean over the window. A share counts as
    /// that many full instances, a latency as if each instance had it.
    pub(super) fn total(self, signals: &Signals, role: Role, window: SimDuration) -> Option<f64> {
        if let Some(figure) = self.at_instant() {
            let of = |it: &Snapshot| it.role(role).map_or(0.0, |of| figure(it, of));
            return Some(signals.mean_over(window, of));
        }
        Some(match self {
            Self::Busy => signals.busy_share(role, window) * measured(signals, role),
            Self::RequestsPerS => signals.arrivals_per_s(window),
            Self::PromptTokensPerS => signals.prompt_tokens_per_s(role, window),
            Self::OutputTokensPerS => signals.output_tokens_per_s(role, window),
            Self::Latency { of, percentile } => {
                signals.percentile(of, percentile, window)? * measured(signals, role)
            }
            _ => return None,
        })
    }

    /// Whether it is counted at each look, and a window has the mean of these.
    pub(super) fn is_sampled(self) -> bool {
        self.at_instant().is_some()
    }

    /// Whether it is a share of the memory, which an engine without a limit does not have.
    #[must_use]
    pub const fn is_share_of_memory(self) -> bool {
        matches!(self, Self::Memory | Self::Kv)
    }

    /// The figure of one instance, for what is counted at an instant.
    pub(super) fn of_instance(self, load: &Load) -> Option<f64> {
        Some(match self {
            Self::Requests => load.assigned as f64,
            Self::Waiting => load.waiting() as f64,
            Self::Running => load.running as f64,
            Self::PendingTokens => load.pending_tokens as f64,
            Self::Memory => load.memory_share(),
            Self::Kv => load.kv_share(),
            _ => return None,
        })
    }

    /// Whether requests that wait at the application count.
    pub(super) const fn counts_queue(self) -> bool {
        matches!(self, Self::Requests | Self::Waiting)
    }

    /// What is counted at an instant as a sum over the looks of the last `seconds`, each weighted by its age
    /// in seconds; the total over that time for what is not counted at an instant.
    pub(super) fn weighted(
        self,
        signals: &Signals,
        role: Role,
        seconds: f64,
        weight: impl Fn(f64) -> f64,
    ) -> Option<f64> {
        let window = SimDuration::saturating(seconds);
        match self.at_instant() {
            None => self.total(signals, role, window),
            Some(figure) => Some(signals.weighted_over(window, weight, |it| {
                it.role(role).map_or(0.0, |of| figure(it, of))
            })),
        }
    }

    /// The figure of a snapshot, for what is counted at an instant.
    fn at_instant(self) -> Option<fn(&Snapshot, &RoleSnapshot) -> f64> {
        Some(match self {
            Self::Requests => |it, of| (of.load.assigned + it.waiting_for(of)) as f64,
            Self::Waiting => |it, of| (of.load.waiting() + it.waiting_for(of)) as f64,
            Self::Running => |_, of| of.load.running as f64,
            Self::PendingTokens => |_, of| of.load.pending_tokens as f64,
            Self::Memory => |_, of| of.load.memory_share() * f64::from(of.measured),
            Self::Kv => |_, of| of.load.kv_share() * f64::from(of.measured),
            _ => return None,
        })
    }

    /// The metric as one figure: a latency as it is, else the total.
    pub(super) fn figure(self, signals: &Signals, role: Role, window: SimDuration) -> Option<f64> {
        match self {
            Self::Latency { of, percentile } => signals.percentile(of, percentile, window),
            other => other.total(signals, role, window),
        }
    }
}

fn measured(signals: &Signals, role: Role) -> f64 {
    signals.role(role).map_or(0.0, |of| f64::from(of.measured))
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
