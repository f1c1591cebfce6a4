use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::saved::saved_whole;
use super::DynamoSla;
use super::estimate::Means;
use super::report::RoleReports;
use crate::autoscale::policies::bounds::Bounded;
use crate::autoscale::policies::{Metric, check_band};
use crate::autoscale::{DesiredInstances, InvalidParameter, Measure, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// One instance more or fewer at a time by what each instance has to do: the load mode of Dynamo's
/// planner.
///
/// With an aim other than `Sla`, one more if any instance is at the upper threshold; one fewer, but not the
/// last, if all are at the lower one **and** the highest load, spread over one fewer, stays below the upper
/// one:
///
/// | role | what | `Throughput` | `Latency` | `Load` |
/// |---|---|---|---|---|
/// | `Prompt` | prompt tokens waiting ÷ context length | ≥ 1, < 0.1 | ≥ 0.1, ≤ 0 | the tokens, ≥ `prompt_up`, ≤ `prompt_down` |
/// | `Token` | KV tokens held ÷ what fits | > 1, < 0.6 | > 0.4, < 0.1 | ≥ `kv_up`, ≤ `kv_down` |
/// | `Mixed` | the same with prompt tokens waiting | > 1, < 0.6 | > 0.4, < 0.1 | ≥ `kv_up`, ≤ `kv_down` |
///
/// With the aim `Sla`, one more if every instance's estimated latency is above its objective; one fewer
/// if every instance's, with the load of n on n − 1, is below: the time that the queue adds below
/// `sensitivity` of what a prompt alone leaves of `ttft`, the time between tokens below `sensitivity` ×
/// `tbt` and the KV cache not full. The next request counts as well, with the mean prompt and the mean context of
/// the last 64 reports. `Mixed` instances grow for either latency and shrink for both. A latency is the time of
/// the engine's steps: for a prompt of its full steps and one for the rest, for a token of one.
///
/// While an instance starts up, nothing is added, and a wish for as many as there are without it, or fewer,
/// gives it up. While one drains, or does not show its metrics, nothing changes.
///
/// With `throughput`, the answer of [`DynamoSla`] is the floor of this one.
///
/// | | |
/// |---|---|
/// | inputs | KV cache in use and requests waiting of each active instance; mean prompt; for `Sla`, tokens a second |
/// | window | the instant of the decision; one minute for the mean prompt |
/// | current | active |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `components/src/dynamo/planner/core/{load_scaling,state_machine,budget}.py` and `core/perf_model` of
/// ai-dynamo 1.6.1 (November 2026). There an engine reports its queue in tokens; here that is its requests waiting ×
/// the mean prompt, of its own work for `Prompt` instances and of the requests that arrived for `Mixed` ones. Its
/// estimator of a step is a package of its own; here it is the step model of the role's engine, and with one that
/// is not built in nothing changes.
#[derive(Component, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoLoad {
    /// Seconds between decisions. Default 5, its load adjustment interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is aimed at. Default `Throughput`, its easy mode.
    pub aim: Aim,
    /// Tokens of the model's context. Default 4096, that of Llama 2.
    #[schemars(range(min = 1))]
    pub context_length: u32,
    /// For `Load`, prompt tokens waiting at an instance from which on one more is wanted. Default 4096.
    #[schemars(range(min = 0))]
    pub prompt_up: f64,
    /// For `Load`, prompt tokens waiting at every instance down to which one fewer is wanted. Default 0.
    #[schemars(range(min = 0))]
    pub prompt_down: f64,
    /// For `Load`, the share of the KV cache from which on one more is wanted. Default 0.8.
    #[schemars(range(min = 0))]
    pub kv_up: f64,
    /// For `Load`, the share of the KV cache down to which one fewer is wanted. Default 0.4.
    #[schemars(range(min = 0))]
    pub kv_down: f64,
    /// Whether one goes only where the rest can bear its load. Default true; `false` is a planner from before
    /// that test, which takes one away and adds it again.
    pub consolidation: bool,
    /// The throughput mode, whose answer is the floor of this one. Default: none.
    pub throughput: Option<DynamoSla>,
    /// For `Sla`, the objective of the time to first token, in seconds. Default 0.5.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ttft: f64,
    /// For `Sla`, the objective of the time between tokens, in seconds. Default 0.05.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// For `Sla`, the share of an objective below which one fewer is safe. Default 0.8, its sensitivity
    /// of 80.
    #[schemars(range(min = 0, max = 1))]
    pub sensitivity: f64,
    /// The most GPUs. Default: no limit but that of the SKUs; the source's default of 8 is that of one node.
    pub max_gpu_budget: Option<u32>,
    /// The fewest GPUs. Default: no limit.
    pub min_gpu_budget: Option<u32>,
    /// Minimum number of instances of a role. Default 1, its `min_endpoint`.
    pub min: u32,
    /// Minimum number of `Prompt` instances. Default: `min`.
    pub prompt_min: Option<u32>,
    /// Minimum number of `Token` instances. Default: `min`.
    pub token_min: Option<u32>,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    pub(super) means: Means,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    pub(super) floors: BTreeMap<Role, u32>,
}

/// What [`DynamoLoad`] aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aim {
    /// Full instances, with fixed thresholds.
    #[default]
    Throughput,
    /// Empty queues, with fixed thresholds.
    Latency,
    /// The user's own thresholds.
    Load,
    /// The objectives `ttft` and `tbt`.
    Sla,
}

/// The window of the mean prompt, its default of 50 forward passes being far shorter than a decision.
const PROMPTS: SimDuration = SimDuration::saturating(60.0);

impl Default for DynamoLoad {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            aim: Aim::Throughput,
            context_length: 4096,
            prompt_up: 4096.0,
            prompt_down: 0.0,
            kv_up: 0.8,
            kv_down: 0.4,
            consolidation: true,
            throughput: None,
            ttft: 0.5,
            tbt: 0.05,
            sensitivity: 0.8,
            max_gpu_budget: None,
            min_gpu_budget: None,
            min: 1,
            prompt_min: None,
            token_min: None,
            max: 100,
            means: Means::default(),
            floors: BTreeMap::new(),
        }
    }
}

impl Policy for DynamoLoad {
    const NAME: &'static str = "DynamoLoad";
    const SUMMARY: &'static str = "one more or fewer by the load of each instance";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        let throughput = self.throughput.as_ref().map(Policy::window);
        self.interval
            .max(PROMPTS)
            .max(throughput.unwrap_or_default())
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_band(
            ("prompt_down", self.prompt_down),
            ("prompt_up", self.prompt_up),
        )?;
        check_band(("kv_down", self.kv_down), ("kv_up", self.kv_up))?;
        self.bounds().check()
    }

    fn measures(&self, role: Role) -> Option<Vec<Measure>> {
        let metric = match role {
            Role::Prompt => Metric::Waiting,
            Role::Token | Role::Mixed => Metric::Kv,
        };
        Some(vec![Measure::of(metric)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let of = |of| RoleReports::of(signals, of, self.interval, PROMPTS);
        let roles: Vec<RoleReports> = signals.roles().map(of).collect();
        if let Some(next) = self.next(signals) {
            self.expect(&next, &roles, signals.capacity());
        }
        self.decide_by(&roles, signals.capacity(), desired);
    }
}
