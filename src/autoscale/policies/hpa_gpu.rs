use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use super::bounds::Bounded;
use super::carried_over::{ByRatios, at_least_one};
use super::cooldowns::Cooldowns;
use super::saved::saved_whole;
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::SimDuration;

/// Every role by its own utilisation, as a horizontal pod autoscaler on a GPU metric would.
///
/// The ratio of a role is its utilisation over the target. If any role's ratio is above 1.1, or all are
/// below 0.9, every role is set to current × ratio: one may shrink as the other grows. Utilisation is
/// memory in use, which hardly falls with the load: a decode pool never shrinks under it. Nor does it say
/// how many requests wait: they hold none. Each way has a cool-down.
///
/// | | |
/// |---|---|
/// | inputs | memory in use and memory of the active instances |
/// | window | the instant of the decision |
/// | current | starting up and active; those that start up count with a utilisation of 0 |
/// | rounding | to the nearest, half to even |
/// | first decision | one interval after the start |
///
/// Source: `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in
/// the version that fleetsim carries over: a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559). `min` holds for all but `Prompt` instances, as there; the actuator keeps one.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HpaGpu {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The utilisation to keep. Default 0.7.
    #[schemars(range(min = 0.01, max = 1))]
    pub target: f64,
    /// The utilisation of `Prompt` instances to keep. Default: `target`.
    #[schemars(range(min = 0.01, max = 1))]
    pub prompt_target: Option<f64>,
    /// More only where a role needs more than its number × (1 + this). Default 0.1.
    #[schemars(range(min = 0))]
    pub out_threshold: f64,
    /// Fewer only where all roles need less than their number × (1 − this). Default 0.1.
    #[schemars(range(min = 0, max = 1))]
    pub in_threshold: f64,
    /// Seconds from one addition to the next. Default 180, the source's.
    pub out_cooldown: SimDuration,
    /// Seconds from one removal to the next. Default 600, the source's.
    pub in_cooldown: SimDuration,
    /// Minimum number of `Token` or `Mixed` instances. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    cooldowns: Cooldowns,
}

impl Default for HpaGpu {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            target: 0.7,
            prompt_target: None,
            out_threshold: 0.1,
            in_threshold: 0.1,
            out_cooldown: SimDuration::saturating(180.0),
            in_cooldown: SimDuration::saturating(600.0),
            min: 1,
            max: 100,
            cooldowns: Cooldowns::default(),
        }
    }
}

impl Policy for HpaGpu {
    const NAME: &'static str = "HpaGpu";
    const SUMMARY: &'static str = "each role by its memory in use, as a pod autoscaler would";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Memory)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let needed = |of: &RoleSnapshot| {
            // An instance that starts up holds nothing.
            let current = at_least_one(of);
            let used = of.load.memory_share() * (f64::from(of.measured) / current);
            let target = match of.role {
                Role::Prompt => self.prompt_target.unwrap_or(self.target),
                Role::Token | Role::Mixed => self.target,
            };
            current * (used / target)
        };
        let all = ByRatios {
            needed: signals.roles().map(|of| (of, needed(of))).collect(),
            out_threshold: self.out_threshold,
            in_threshold: self.in_threshold,
            min: self.min,
            max: self.max,
        };
        let now = signals.now();
        let change = all.is_short() && self.cooldowns.adds(now, self.out_cooldown)
            || all.is_ample() && self.cooldowns.removes(now, self.in_cooldown);
        all.decide(change, desired);
    }
}
