use serde::{Deserialize, Serialize};

use super::{Figures, Replicated, names};
use crate::scenario::{Objective, Role};

/// Contenders side by side: what `comparison.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// The hash of the scenario before any policy was put in: see
    /// [`CheckedScenario::hash`](crate::scenario::CheckedScenario::hash).
    pub hash: String,
    /// The seed in force.
    pub seed: u64,
    /// The version of fleetsim that ran it.
    pub fleetsim_version: String,
    /// The applications that the policies took over.
    pub applications: Vec<String>,
    /// What those applications promise, if it is the same.
    #[serde(default)]
    pub slo: Option<Objective>,
    /// What the arrivals take, by application and role; empty when a workload cannot be read ahead.
    #[serde(default)]
    pub needs: Vec<RoleNeed>,
    /// What the frontier and the relative regret are reckoned in. `None` where every contender
    /// failed.
    pub basis: Option<Basis>,
    /// What any run costs at the very least that completes every request: of all applications, by
    /// [`CostBound`](crate::autoscale::capacity::CostBound). `None` when a workload cannot be read.
    pub lower_bound: Option<Bound>,
    /// Every contender, in the order in which they were named.
    pub contenders: Vec<Standing>,
    /// Policies that `all` stands for and that could not take part.
    pub skipped: Vec<Skipped>,
    /// Whether it was interrupted, so that contenders are missing.
    #[serde(default)]
    pub partial: bool,
    /// The contenders that are missing, as they were written.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The contenders over several seeds, where there were several; the other fields are of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicated: Option<Replicated>,
}

/// The instances that the arrivals of each stretch of time take, each used to all that it can carry within
/// the objective, by the [`CapacityModel`](crate::autoscale::CapacityModel).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleNeed {
    /// The application's name.
    pub application: String,
    /// The role.
    pub role: Role,
    /// Seconds of a stretch; the first begins at time zero.
    pub window_s: f64,
    /// Instances, of the SKU that is added first; not whole numbers.
    pub instances: Vec<f64>,
}

/// What cost is reckoned in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Dollars: every contender's are known.
    Dollars,
    /// Hours of processors: some SKU in use has no price.
    GpuHours,
}

/// A proven lower bound on cost. It keeps no promise to users.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Hours of processors.
    pub gpu_hours: f64,
    /// Dollars; `None` when a SKU of the fleet has no price.
    pub cost: Option<f64>,
}

/// How one contender did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its policy, as it was written.
    pub policy: String,
    /// What it is called: the name that it was given, or the policy with the parameters that tell it from
    /// others.
    #[serde(default)]
    pub label: String,
    /// Why it has no figures.
    pub error: Option<String>,
    /// Its run in figures.
    pub figures: Option<Figures>,
    /// What it cost more than `Clairvoyant`, and missed more. `None` unless that took part.
    pub regret: Option<Regret>,
    /// Active instances on average, in the windows of each of [`Comparison::needs`], up to the end of the run.
    #[serde(default)]
    pub active: Vec<Vec<f64>>,
    /// Whether it is on the frontier of cost and of how far the SLO was kept ([`Figures::slo_kept`]): no
    /// other contender is at least as good in both and better in one. `None` without an objective.
    pub frontier: Option<bool>,
}

/// What a contender cost more, and missed more, than the plan of `Clairvoyant`, which knew the
/// workload. Negative where it did better: that plan is a good one, not the best there is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regret {
    /// Dollars; `None` when a SKU in use has no price.
    pub cost: Option<f64>,
    /// Hours of processors.
    pub gpu_hours: f64,
    /// Cost over that of the plan, less 1, in the comparison's basis. `None` when the plan cost
    /// nothing.
    pub relative: Option<f64>,
    /// Requests that missed their objective. `None` without one.
    pub slo_misses: Option<i64>,
}

/// A policy that could not take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub policy: String,
    /// Why.
    pub reason: String,
}

impl Comparison {
    /// The contenders that failed, with the reason.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let standings = self.contenders.iter();
        standings.filter_map(|it| Some((it.policy.as_str(), it.error.as_deref()?)))
    }
}

impl Standing {
    /// One that is not judged yet.
    pub(super) fn new(
        policy: String,
        label: String,
        result: Result<(Figures, Vec<Vec<f64>>), String>,
    ) -> Self {
        let (figures, active, error) = match result {
            Ok((figures, active)) => (Some(figures), active, None),
            Err(error) => (None, Vec::new(), Some(error)),
        };
        Self {
            policy,
            label,
            active,
            error,
            figures,
            regret: None,
            frontier: None,
        }
    }

    /// The policy's name: its term without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        names::policy(&self.policy)
    }
}

impl Basis {
    /// A run's cost.
    #[must_use]
    pub fn of(self, figures: &Figures) -> f64 {
        match self {
            Self::Dollars => figures.cost.unwrap_or(f64::INFINITY),
            Self::GpuHours => figures.gpu_hours,
        }
    }

    /// What a run costs at the very least; `None` where that is not known.
    #[must_use]
    pub const fn of_bound(self, bound: &Bound) -> Option<f64> {
        match self {
            Self::Dollars => bound.cost,
            Self::GpuHours => Some(bound.gpu_hours),
        }
    }

    /// What a contender cost more than the plan; `None` where that is not known.
    #[must_use]
    pub const fn of_regret(self, regret: &Regret) -> Option<f64> {
        match self {
            Self::Dollars => regret.cost,
            Self::GpuHours => Some(regret.gpu_hours),
        }
    }
}
