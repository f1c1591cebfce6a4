use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use super::aibrix::{Memory, rule};
use super::bounds::Bounded;
use super::carried_over::Rules;
use super::each_role::{EachRole, Memories, decide_each};
use super::metric::check_target;
use super::saved::saved_whole;
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
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<Memory>,
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
            roles: Memories::new(),
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
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure {
            metric: self.metric,
            target: Some(self.target),
        }])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        decide_each(self, signals, desired);
    }
}

impl EachRole for AibrixApa {
    type Memory = Memory;

    fn memories(&mut self) -> &mut Memories<Memory> {
        &mut self.roles
    }

    fn begin(&self, _: &Signals, _: &RoleSnapshot) -> Memory {
        Memory::default()
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        memory: &mut Memory,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        let (now, current) = (signals.now(), of.current());
        let (desire, reason) =
            rule!(self).decide(signals, of, memory, self.window, |samples, step| {
                let mean = samples.mean(now, self.window)?;
                let ratio = mean / self.target;
                let wanted = step.towards(ratio, f64::from(current) * ratio, current);
                Some((wanted, format!("{mean:.3} on each")))
            });
        desired.want(of.role, desire, reason);
    }
}
