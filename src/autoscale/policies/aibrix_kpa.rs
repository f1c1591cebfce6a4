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

/// Each role as AIBrix's form of Knative's pod autoscaler: the metric of a long window or, in a panic,
/// of a short one.
///
/// Each decision takes a sample, the mean of the metric over the instances. If the mean of the samples of
/// `panic_window` is more than `panic_threshold` times that of `window`, or that is 0, it is a panic and the
/// higher answer of both means counts, otherwise that of the long one; a panic is not remembered. ratio =
/// mean ÷ target. Outside the band ceil(ratio) are wanted, within ceil(current × `max_scale_up_rate`) and floor(current ÷
/// `max_scale_down_rate`). The mean **of an instance** is taken for a total: five instances at twice the target
/// want two. With `rules: Mended`, ceil(ratio × instances that answered) are wanted, and the cool-down is
/// that of a Kubernetes autoscaler.
///
/// | | |
/// |---|---|
/// | inputs | the metric, of each role by itself |
/// | window | `window` and `panic_window`, a sample at each decision |
/// | current | starting up and active; the metric is that of the active ones |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: `pkg/controller/podautoscaler/{algorithm,context,metrics,autoscaler}.go` of
/// vllm-project/aibrix, commit e3e10f9e of 22 August 2026, and the guard of pull request 2671, merged in
/// September 2026.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AibrixKpa {
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
    /// Seconds of the short window. Default 60.
    pub panic_window: SimDuration,
    /// The short mean ÷ the long one from which on it is a panic. Default 2.
    #[schemars(range(min = 1))]
    pub panic_threshold: f64,
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

impl Default for AibrixKpa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(10.0),
            metric: Metric::Kv,
            target: 0.5,
            window: SimDuration::saturating(180.0),
            panic_window: SimDuration::saturating(60.0),
            panic_threshold: 2.0,
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

impl Policy for AibrixKpa {
    const NAME: &'static str = "AibrixKpa";
    const SUMMARY: &'static str = "the metric of a long window or, in a panic, of a short one";

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

impl EachRole for AibrixKpa {
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
        let keep = self.window.max(self.panic_window);
        let (desire, reason) = rule!(self).decide(signals, of, memory, keep, |samples, step| {
            let stable = samples.mean(now, self.window)?;
            let short = samples.mean(now, self.panic_window)?;
            let panics = stable == 0.0 || short / stable > self.panic_threshold;
            let answer = |mean: f64| {
                let ratio = mean / self.target;
                let wanted = match self.rules {
                    Rules::AsPublished => ratio,
                    Rules::Mended => ratio * f64::from(of.measured),
                };
                step.towards(ratio, wanted, current)
            };
            let urgent = if panics { answer(short) } else { 0 };
            let panic = if panics { ", panic" } else { "" };
            let seen = format!("{stable:.3} and {short:.3} on each{panic}");
            Some((answer(stable).max(urgent), seen))
        });
        desired.want(of.role, desire, reason);
    }
}
