use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metric, check_band, check_limits};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Load, Measure, Policy, RoleSnapshot, Signals,
};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::SimDuration;

/// Observations of the compute bound that are averaged.
const HISTORY: usize = 10;

/// As many instances as the tokens in demand need, where an instance's supply is bounded by its memory
/// and by its compute: the second saturation analyser of llm-d's variant autoscaler.
///
/// Demand: the tokens that the KV caches hold, and for each request waiting the mean prompt; for each
/// that waits at the application, the mean prompt (`Prompt`) or the mean prompt and output. Supply of
/// an instance: min(k1, k2). k1 is `kv_threshold` of the tokens that its KV cache takes. k2 is, with
/// `queue_threshold` requests waiting, the tokens that it holds, which is noted; otherwise the mean of
/// the last ten noted with outputs as long (below 100, below 500 and from 500 tokens on); with none,
/// n × (I + O ÷ 2) with n = min(B × O ÷ (I + O), S), where I and O are the mean tokens of prompt and
/// output, B the most tokens of an iteration and S the most requests of a batch; without any of these,
/// k1. The median of the active instances counts for all.
///
/// demand ÷ `scale_up` − supply of those active and starting up, if positive, is added, in instances
/// rounded up; otherwise supply of the active − demand ÷ `scale_down`, in instances rounded down, is
/// removed. Thresholds, means and bounds are cut to whole tokens and requests. Where nothing was completed
/// within the window, the mean lengths seen last count.
///
/// | | |
/// |---|---|
/// | inputs | KV tokens and requests waiting of each active instance; tokens of the requests completed |
/// | window | the instant of the decision; `window` for mean tokens |
/// | current | starting up and active to add, active to remove |
/// | rounding | up to add, down to remove |
/// | first decision | one interval after the start |
///
/// Source: `internal/engines/{analyzers/saturation_v2,pipeline}` of
/// llm-d/llm-d-workload-variant-autoscaler, commit b08b1c77 of 19 February 2026. There the median is that of a
/// variant; here of a role, and which variant grows or shrinks is `actuator: (sku: Cheapest, victim:
/// Costliest)`. The mean tokens are those of the whole application,
/// for an instance does not know its own. Which SKU is added or goes is the actuator's to choose.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SaturationV2 {
    /// Seconds between decisions. Default 30, as for SaturationV1.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Seconds over which the mean tokens of requests are taken. Default 300.
    pub window: SimDuration,
    /// The share of the KV cache that counts as supply. Default 0.8.
    #[schemars(range(min = 0.01, max = 1))]
    pub kv_threshold: f64,
    /// With this many requests waiting, what an instance holds is all that it can compute. Default 5.
    #[schemars(range(min = 0))]
    pub queue_threshold: f64,
    /// More where demand is above this share of the supply. Default 0.85.
    #[schemars(range(min = 0.01, max = 1))]
    pub scale_up: f64,
    /// Fewer where demand is below this share of the supply. Default 0.7.
    #[schemars(range(min = 0.01, max = 1))]
    pub scale_down: f64,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: BTreeMap<Role, Known>,
    /// The mean tokens of requests that were seen last.
    #[serde(skip)]
    tokens: Option<Tokens>,
}

/// What is known of a role's instances.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// Compute bounds observed, by how long the outputs were.
    observed: BTreeMap<Outputs, VecDeque<f64>>,
    /// The supply of an instance, when there was last one.
    supply: Option<f64>,
}

/// How long outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outputs {
    Short,
    Medium,
    Long,
}

/// Mean tokens of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tokens {
    prompt: f64,
    output: f64,
}

impl Default for SaturationV2 {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            window: SimDuration::saturating(300.0),
            kv_threshold: 0.8,
            queue_threshold: 5.0,
            scale_up: 0.85,
            scale_down: 0.7,
            min: 1,
            max: 100,
            roles: BTreeMap::new(),
            tokens: None,
        }
    }
}

impl Policy for SaturationV2 {
    const NAME: &'static str = "SaturationV2";
    const SUMMARY: &'static str = "tokens in demand ÷ tokens that an instance can bear";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.interval.max(self.window)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_band(("scale_down", self.scale_down), ("scale_up", self.scale_up))?;
        check_limits(self.min, self.max)
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Kv)])
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        if let Some((prompt, output)) = signals.mean_tokens(self.window) {
            self.tokens = Some(Tokens { prompt, output });
        }
        let tokens = self.tokens.unwrap_or_default();
        let mut roles = std::mem::take(&mut self.roles);
        for of in signals.roles() {
            let known = roles.entry(of.role).or_default();
            let waiting = signals.snapshot().waiting;
            let demand = demand(of, waiting, tokens);
            if let Some(supply) = self.supply(of, tokens, known) {
                known.supply = Some(supply);
            }
            let (count, reason) = match known.supply {
                Some(supply) => {
                    let reason = format!("demand {demand:.0}, supply {supply:.0} each");
                    (self.wanted(of, demand, supply), reason)
                }
                None => (of.current(), "no instance is known yet".to_owned()),
            };
            desired.exactly(of.role, count.clamp(self.min, self.max), reason);
        }
        self.roles = roles;
    }
}

impl SaturationV2 {
    /// How many are wanted where each has such a supply.
    fn wanted(&self, of: &RoleSnapshot, demand: f64, supply: f64) -> u32 {
        let required = demand / self.scale_up - supply * f64::from(of.current());
        let spare = supply * f64::from(of.measured) - demand / self.scale_down;
        if required > 0.0 {
            let more = (required / supply).ceil() as u32;
            of.current().saturating_add(more)
        } else {
            let fewer = (spare.max(0.0) / supply) as u32;
            of.current().saturating_sub(fewer)
        }
    }

    /// The median of what the active instances can bear, in tokens; none if there are none.
    fn supply(&self, of: &RoleSnapshot, tokens: Tokens, known: &mut Known) -> Option<f64> {
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let mut supplies: Vec<f64> = active
            .map(|it| {
                let memory = (self.kv_threshold * of.kv_tokens(it.load.kv)).trunc();
                memory.min(self.compute(of, &it.load, tokens, memory, known))
            })
            .filter(|&supply| supply > 0.0)
            .collect();
        supplies.sort_by(f64::total_cmp);
        let (low, high) = (supplies.len().checked_sub(1)? / 2, supplies.len() / 2);
        Some(((supplies[low] + supplies[high]) / 2.0).trunc())
    }

    /// k2: what an instance can compute, in tokens; its memory bound if nothing is known.
    fn compute(
        &self,
        of: &RoleSnapshot,
        load: &Load,
        tokens: Tokens,
        memory: f64,
        known: &mut Known,
    ) -> f64 {
        let observed = known
            .observed
            .entry(Outputs::of(tokens.output))
            .or_default();
        if load.waiting() as f64 >= self.queue_threshold.trunc() && load.kv_used > 0 {
            let held = of.kv_tokens(load.kv_used).trunc();
            observed.push_back(held);
            observed.drain(..observed.len().saturating_sub(HISTORY));
            return held;
        }
        if !observed.is_empty() {
            return (observed.iter().sum::<f64>() / observed.len() as f64).trunc();
        }
        derived(of, tokens)
            .filter(|&bound| bound > 0.0)
            .unwrap_or(memory)
    }
}

/// What an instance can compute by its engine's limits, in tokens; none if they or the requests' mean
/// tokens are not known.
fn derived(of: &RoleSnapshot, tokens: Tokens) -> Option<f64> {
    let Tokens { prompt, output } = tokens;
    if output <= 0.0 {
        return None;
    }
    let by_tokens = of.max_batch_tokens;
    let by_tokens = by_tokens.map(|batch| batch as f64 * output / (prompt + output));
    let requests = match (by_tokens, of.max_batch_size.map(f64::from)) {
        (Some(tokens), Some(size)) => tokens.min(size),
        (some, other) => some.or(other)?,
    };
    Some((requests * (prompt + output / 2.0)).trunc())
}

/// The tokens in demand of a role.
fn demand(of: &RoleSnapshot, waiting: u64, tokens: Tokens) -> f64 {
    let each = match of.role {
        Role::Prompt => tokens.prompt,
        Role::Token | Role::Mixed => tokens.prompt + tokens.output,
    };
    let held = of.kv_tokens(of.load.kv_used).trunc();
    held + of.load.waiting() as f64 * tokens.prompt.trunc() + waiting as f64 * each
}

impl Outputs {
    fn of(tokens: f64) -> Self {
        if tokens < 100.0 {
            Self::Short
        } else if tokens < 500.0 {
            Self::Medium
        } else {
            Self::Long
        }
    }
}
