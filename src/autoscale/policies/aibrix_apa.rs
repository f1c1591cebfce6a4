use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aibrix::{Cooldown, Samples, Step, sample};
use super::carried_over::Rules;
use super::metric::check_target;
use super::wishes::Wishes;
use super::{Metric, check_limits};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::SimDuration;

/// Each role as AIBrix's application-specific pod autoscaler: current × metric ÷ target, outside a band
/// and within a factor.
///
/// Each decision takes a sample, the mean of the metric over the instances. ratio = the mean of the
/// samples of `window` ÷ target. Above 1 + `up_tolerance`, ceil(current × ratio) are wanted and at most
/// ceil(current × `max_scale_up_rate`); below 1 − `down_tolerance`, ceil(current × ratio) and at least
/// floor(current ÷ `max_scale_down_rate`). Of what was recommended within a cool-down, the highest counts
/// to add and the **lowest** to remove. A window of three minutes lags behind what was done about it, and
/// removals go as deep as the deepest recommendation of five minutes: with its defaults it swings, and
/// never settles. With `rules: Mended` the cool-down is that of a Kubernetes autoscaler, the lowest to add
/// and the highest to remove.
///
/// | | |
/// |---|---|
/// | inputs | the metric, of each role by itself |
/// | window | `window`, a sample at each decision |
/// | current | starting up and active; the metric is that of the active ones |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: `pkg/controller/podautoscaler/{algorithm,context,metrics,autoscaler}.go` of
/// vllm-project/aibrix, commit e3e10f9e of 22 August 2026, and the guard of pull request 2671, merged in
/// September 2026.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AibrixApa {
    /// Seconds between decisions, and between samples. Default 10, its resync interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is measured. Default `Kv`, the cache usage of its example.
    pub metric: Metric,
    /// What it should be on each instance. Default 0.5, as in its example.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// Seconds over which the samples are averaged. Default 180.
    pub window: SimDuration,
    /// More only where the ratio is above 1 by more than this. Default 0.1.
    #[schemars(range(min = 0))]
    pub up_tolerance: f64,
    /// Fewer only where the ratio is below 1 by more than this. Default 0.1.
    #[schemars(range(min = 0, max = 1))]
    pub down_tolerance: f64,
    /// A decision allows at most the current number × this. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_up_rate: f64,
    /// A decision allows at least the current number ÷ this. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_down_rate: f64,
    /// Seconds of recommendations that count to add. Default 0.
    pub up_cooldown: SimDuration,
    /// Seconds of recommendations that count to remove. Default 300.
    pub down_cooldown: SimDuration,
    /// Whether nothing is added while an instance starts up. Default true, as in its source since
    /// September 2026; `false` is the version before.
    pub pending_guard: bool,
    /// Which form of the rule holds. Default `AsPublished`.
    pub rules: Rules,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: BTreeMap<Role, State>,
}

/// What is remembered of a role.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    samples: Samples,
    wishes: Wishes,
}

impl Default for AibrixApa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(10.0),
            metric: Metric::Kv,
            target: 0.5,
            window: SimDuration::saturating(180.0),
            up_tolerance: 0.1,
            down_tolerance: 0.1,
            max_scale_up_rate: 2.0,
            max_scale_down_rate: 2.0,
            up_cooldown: SimDuration::ZERO,
            down_cooldown: SimDuration::saturating(300.0),
            pending_guard: true,
            rules: Rules::AsPublished,
            min: 1,
            max: 100,
            roles: BTreeMap::new(),
        }
    }
}

impl Policy for AibrixApa {
    const NAME: &'static str = "AibrixApa";
    const SUMMARY: &'static str = "current × metric ÷ target outside a band, at most doubled";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_target("target", self.target)?;
        check_limits(self.min, self.max)
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure {
            metric: self.metric,
            target: Some(self.target),
        }])
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let mut roles = std::mem::take(&mut self.roles);
        for of in signals.roles() {
            let state = roles.entry(of.role).or_default();
            match self.wanted(signals, of, state) {
                Some((count, reason)) => desired.exactly(of.role, count, reason),
                None => desired.keep(of.role, format!("{} is unknown", self.metric)),
            }
        }
        self.roles = roles;
    }
}

impl AibrixApa {
    fn wanted(
        &self,
        signals: &Signals,
        of: &RoleSnapshot,
        state: &mut State,
    ) -> Option<(u32, String)> {
        let (now, current) = (signals.now(), of.current());
        if current < self.min || current > self.max {
            let count = current.clamp(self.min, self.max);
            return Some((count, "beyond its limits".to_owned()));
        }
        let total = self.metric.total(signals, of.role, self.interval);
        state.samples.add(now, sample(total, of)?, self.window);
        let mean = state.samples.mean(now, self.window)?;
        let ratio = mean / self.target;
        let step = Step {
            up_tolerance: self.up_tolerance,
            down_tolerance: self.down_tolerance,
            max_scale_up_rate: self.max_scale_up_rate,
            max_scale_down_rate: self.max_scale_down_rate,
        };
        let wanted = if step.tolerates(ratio) {
            current
        } else {
            step.limit((f64::from(current) * ratio).ceil() as u32, current)
        };
        let wanted = wanted.clamp(self.min, self.max);
        let cooldown = Cooldown {
            up: self.up_cooldown,
            down: self.down_cooldown,
            rules: self.rules,
        };
        let count = cooldown.stabilize(&mut state.wishes, now, current, wanted);
        let reason = format!("{} {mean:.3} on each, {wanted} wanted", self.metric);
        if self.pending_guard && of.scaling_up() > 0 && count > current {
            return Some((current, format!("{reason}, some start up")));
        }
        Some((count, reason))
    }
}
