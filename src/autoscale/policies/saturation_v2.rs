use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::saturation::{Targets, measured, variants};
use super::saved::saved_whole;
use super::{Metric, check_band};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Load, Measure, Policy, RoleSnapshot, Signals, Variant,
};
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
/// k1. Each SKU that can carry the role is a *variant*; the median of its active instances counts for all of
/// them, and without any, what the last one bore. A SKU that has never carried one is not tried.
///
/// demand ÷ `scale_up` − supply of those active and starting up, if positive, is added, in instances
/// rounded up, of the variant with the lowest price for its tokens, where one without active instances counts as
/// free. Otherwise supply of the active − demand ÷ `scale_down`, in instances rounded down, is
/// removed, the dearest first. Thresholds, means and bounds are cut to whole tokens and requests. Where nothing was completed
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
/// llm-d/llm-d-workload-variant-autoscaler, commit b08b1c77 of 19 February 2026. The mean tokens
/// are those of the whole application, for an instance does not know its own. Where `actuator: (sku: ..)` names
/// a SKU, that is the only variant.
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
    /// Whether the GPUs that are left are shared out before the actuator: those with the smallest share of
    /// their supply to spare come first, of all applications whose policies say so. Default false.
    pub limiter: bool,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<BTreeMap<usize, Known>>,
    /// The mean tokens of requests that were seen last.
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    tokens: Tokens,
}

/// What is known of a variant's instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Compute bounds observed, by how long the outputs were.
    observed: BTreeMap<Outputs, VecDeque<f64>>,
    /// What the last instance in the list could bear, when there was last one.
    supply: Option<f64>,
}

/// How long outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Outputs {
    Short,
    Medium,
    Long,
}

/// Mean tokens of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
            limiter: false,
            min: 1,
            max: 100,
            roles: Memories::new(),
            tokens: Tokens::default(),
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
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Kv)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        if let Some((prompt, output)) = signals.mean_tokens(self.window) {
            self.tokens = Tokens { prompt, output };
        }
        decide_each(self, signals, desired);
    }
}

impl EachRole for SaturationV2 {
    type Memory = BTreeMap<usize, Known>;

    fn memories(&mut self) -> &mut Memories<Self::Memory> {
        &mut self.roles
    }

    fn begin(&self, _: &Signals, _: &RoleSnapshot) -> Self::Memory {
        BTreeMap::new()
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        memory: &mut Self::Memory,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        let demand = demand(of, signals.snapshot().waiting, self.tokens);
        let variants = variants(of);
        let bear = |variant: &Variant| {
            let known = memory.entry(variant.sku).or_default();
            let supply = self.supply(of, variant, known);
            supply.map(|each| Bearing {
                each,
                ..Bearing::of(of, variant)
            })
        };
        let bearing: Vec<Bearing> = variants.iter().filter_map(bear).collect();
        let mut targets = Targets::default();
        for variant in &variants {
            targets.set(variant, variant.current());
        }
        let each: Vec<String> = bearing.iter().map(|it| format!("{:.0}", it.each)).collect();
        let reason = match &each[..] {
            [] => "no instance is known yet".to_owned(),
            each => format!("demand {demand:.0}, supply {} each", each.join(" or ")),
        };
        let sum = |count: fn(&Variant) -> u32, bearing: &[Bearing]| -> f64 {
            let supply = bearing
                .iter()
                .map(|it| it.each * f64::from(count(&it.variant)));
            supply.sum()
        };
        let required = demand / self.scale_up - sum(Variant::current, &bearing);
        let spare = sum(|it| it.active, &bearing) - demand / self.scale_down;
        if required > 0.0 {
            add(required, &bearing, &mut targets);
        } else {
            remove(spare, &bearing, self.min, &mut targets);
        }
        targets.keep_within(self.bounds(), &variants);
        targets.want(of, reason, desired);
        if self.limiter {
            let supply = sum(|it| it.active, &bearing);
            desired.claim(
                of.role,
                if supply > 0.0 {
                    1.0 - demand / supply
                } else {
                    0.0
                },
            );
        }
    }
}

/// A variant, and what one of its instances can bear, in tokens.
struct Bearing {
    /// With the active ones that were measured.
    variant: Variant,
    each: f64,
    /// What one costs; nothing as long as none of them is active, as its price is not known there.
    price: f64,
}

impl Bearing {
    fn of(of: &RoleSnapshot, variant: &Variant) -> Self {
        let active = u32::try_from(measured(of, variant).count()).unwrap_or(u32::MAX);
        let starting = variant.current().saturating_sub(active);
        Self {
            variant: Variant {
                active,
                starting,
                ..*variant
            },
            each: 0.0,
            price: if active > 0 {
                variant.price_per_hour
            } else {
                0.0
            },
        }
    }
}

/// Adds what is required to the variant with the cheapest tokens.
fn add(required: f64, bearing: &[Bearing], targets: &mut Targets) {
    let price = |it: &Bearing| it.price / it.each;
    let cheapest = bearing.iter().min_by(|a, b| price(a).total_cmp(&price(b)));
    if let Some(it) = cheapest {
        let more = (required / it.each).ceil() as u32;
        targets.set(&it.variant, targets.of(&it.variant).saturating_add(more));
    }
}

/// Removes what can be spared, the dearest first; with a minimum the last instance of all stays.
fn remove(mut spare: f64, bearing: &[Bearing], min: u32, targets: &mut Targets) {
    let mut dearest_first: Vec<&Bearing> = bearing.iter().collect();
    dearest_first.sort_by(|a, b| b.price.total_cmp(&a.price));
    for (place, it) in (1..).zip(&dearest_first) {
        let count = targets.of(&it.variant);
        let others = bearing
            .iter()
            .any(|other| other.variant.sku != it.variant.sku && targets.of(&other.variant) > 0);
        let last = min > 0 && place == dearest_first.len() && !others;
        let most = if last { count.saturating_sub(1) } else { count };
        let fewer = ((spare.max(0.0) / it.each) as u32).min(most);
        targets.set(&it.variant, count - fewer);
        spare -= f64::from(fewer) * it.each;
    }
}

impl SaturationV2 {
    /// The median of what the active instances of a variant can bear, in tokens; without any, what the last
    /// one could; none if there was none.
    fn supply(&self, of: &RoleSnapshot, variant: &Variant, known: &mut Known) -> Option<f64> {
        let supplies = measured(of, variant).map(|it| {
            let memory = (self.kv_threshold * of.kv_tokens(it.load.kv)).trunc();
            memory.min(self.compute(of, &it.load, memory, known))
        });
        let supplies: Vec<f64> = supplies.collect();
        let mut supplies: Vec<f64> = supplies.into_iter().filter(|&it| it > 0.0).collect();
        let Some(&last) = supplies.last() else {
            return known.supply;
        };
        known.supply = Some(last);
        supplies.sort_by(f64::total_cmp);
        let (low, high) = ((supplies.len() - 1) / 2, supplies.len() / 2);
        Some(((supplies[low] + supplies[high]) / 2.0).trunc())
    }

    /// k2: what an instance can compute, in tokens; its memory bound if nothing is known.
    fn compute(&self, of: &RoleSnapshot, load: &Load, memory: f64, known: &mut Known) -> f64 {
        let observed = known
            .observed
            .entry(Outputs::of(self.tokens.output))
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
        derived(of, self.tokens)
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
