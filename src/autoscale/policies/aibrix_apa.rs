use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::check_target;
use super::wishes::Wishes;
use super::{Metric, check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Each role as AIBrix's application-specific pod autoscaler: current × metric ÷ target, outside a band
/// and at most so many times more or fewer.
///
/// ratio = the metric's mean over the active instances ÷ its target. Above 1 + `up_tolerance`,
/// ceil(current × ratio) are wanted and at most ceil(current × `max_scale_up_rate`); below 1 −
/// `down_tolerance`, ceil(current × ratio) and at least floor(current ÷ `max_scale_down_rate`). Of what
/// was wanted within a cool-down, the lowest counts to add and the highest to remove.
///
/// | | |
/// |---|---|
/// | inputs | the metric, of each role by itself |
/// | window | one interval |
/// | current | starting up and active; the metric is that of the active ones |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: `pkg/controller/podautoscaler/algorithm/apa.go` and `context/context.go` of
/// vllm-project/aibrix. Its `stabilizeRecommendation` takes the highest to add and the lowest to
/// remove, which is the other way round from the HPA that its comment names and makes a cool-down
/// hasten removals; here the comment holds. With none there, ceil(total ÷ target) are wanted.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AibrixApa {
    /// Seconds between decisions. Default 10, its resync interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is measured. Default `Kv`, the cache usage of its example.
    pub metric: Metric,
    /// What it should be on each instance. Default 0.5, as in its example.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// More only where the ratio is so far above 1. Default 0.1.
    #[schemars(range(min = 0))]
    pub up_tolerance: f64,
    /// Fewer only where the ratio is so far below 1. Default 0.1.
    #[schemars(range(min = 0, max = 1))]
    pub down_tolerance: f64,
    /// At most so many times the current number. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_up_rate: f64,
    /// At least the current number ÷ so many. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_down_rate: f64,
    /// Seconds for which more must be wanted before there are more. Default 0.
    pub up_cooldown: SimDuration,
    /// Seconds for which fewer must be wanted before there are fewer. Default 300.
    pub down_cooldown: SimDuration,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: BTreeMap<Role, Wishes>,
}

impl Default for AibrixApa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(10.0),
            metric: Metric::Kv,
            target: 0.5,
            up_tolerance: 0.1,
            down_tolerance: 0.1,
            max_scale_up_rate: 2.0,
            max_scale_down_rate: 2.0,
            up_cooldown: SimDuration::ZERO,
            down_cooldown: SimDuration::saturating(300.0),
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

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let total = self.metric.total(signals, of.role, self.interval);
            let Some(total) = total.filter(|_| of.active > 0 || of.current() == 0) else {
                desired.keep(of.role, format!("{} is unknown", self.metric));
                continue;
            };
            let wanted = self.wanted(of, total).clamp(self.min, self.max);
            let count = self.cooled(signals.now(), of, wanted);
            let reason = format!("{} {total:.3} in all, {wanted} wanted", self.metric);
            desired.exactly(of.role, count, reason);
        }
    }
}

impl AibrixApa {
    fn wanted(&self, of: &RoleSnapshot, total: f64) -> u32 {
        if of.active == 0 {
            return round_up(total / self.target);
        }
        let current = f64::from(of.current());
        let ratio = total / (f64::from(of.active) * self.target);
        let wanted = round_up(current * ratio);
        if ratio > 1.0 + self.up_tolerance {
            wanted.min(round_up(current * self.max_scale_up_rate))
        } else if ratio < 1.0 - self.down_tolerance {
            wanted.max((current / self.max_scale_down_rate) as u32)
        } else {
            of.current()
        }
    }

    fn cooled(&mut self, now: SimTime, of: &RoleSnapshot, wanted: u32) -> u32 {
        let wishes = self.roles.entry(of.role).or_default();
        wishes.add(now, wanted, self.up_cooldown.max(self.down_cooldown));
        let lowest = wishes.lowest(now, self.up_cooldown).unwrap_or(wanted);
        let highest = wishes.highest(now, self.down_cooldown).unwrap_or(wanted);
        of.current().max(lowest).min(highest)
    }
}
