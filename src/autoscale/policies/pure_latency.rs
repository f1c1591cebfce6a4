use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::carried_over::{Idle, is_idle};
use super::check_band;
use super::cooldowns::Cooldowns;
use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// Two more of every role when tokens come too slowly, one fewer when they come fast enough.
///
/// Above 1.1 × the objective of the mean time between tokens, +2; below 0.8 × the objective, −1. It
/// flaps: latency says nothing of how far away the cliff is. Each way has a cool-down. Without traffic
/// there is no latency: with `idle: ToMinimum` every role then goes to `min` at once, with `AsPublished` it
/// stays as it is for the rest of the run.
///
/// | | |
/// |---|---|
/// | inputs | mean TBT of the requests completed; with none, see `idle` |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | none: whole steps |
/// | first decision | one interval after the start |
///
/// Source: `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in
/// the version that fleetsim carries over: a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559). `min` holds for all but `Prompt` instances, as there; the actuator keeps one.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PureLatency {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The objective of the mean time between tokens, in seconds. Default 0.04.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// More above the objective × this. Default 1.1.
    #[schemars(range(min = 0))]
    pub out_threshold: f64,
    /// Fewer below the objective × this. Default 0.8.
    #[schemars(range(min = 0))]
    pub in_threshold: f64,
    /// How many more. Default 2.
    pub out_step: u32,
    /// How many fewer. Default 1.
    pub in_step: u32,
    /// Seconds from one addition to the next. Default 180, the source's.
    pub out_cooldown: SimDuration,
    /// Seconds from one removal to the next. Default 600, the source's.
    pub in_cooldown: SimDuration,
    /// What happens without traffic. Default `ToMinimum`.
    pub idle: Idle,
    /// Minimum number of `Token` or `Mixed` instances. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    cooldowns: Cooldowns,
}

impl Default for PureLatency {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            tbt: 0.04,
            out_threshold: 1.1,
            in_threshold: 0.8,
            out_step: 2,
            in_step: 1,
            out_cooldown: SimDuration::saturating(180.0),
            in_cooldown: SimDuration::saturating(600.0),
            idle: Idle::ToMinimum,
            min: 1,
            max: 100,
            cooldowns: Cooldowns::default(),
        }
    }
}

impl Policy for PureLatency {
    const NAME: &'static str = "PureLatency";
    const SUMMARY: &'static str = "two more or one fewer as the time between tokens leaves a band";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let (into, out) = (self.in_threshold, self.out_threshold);
        check_band(("in_threshold", into), ("out_threshold", out))?;
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now();
        if self.idle == Idle::ToMinimum && is_idle(signals, self.interval) {
            for of in signals.roles() {
                desired.exactly(of.role, self.min, "no traffic");
            }
            return;
        }
        let tbt = signals.mean(Latency::Tbt, self.interval).unwrap_or(0.0);
        let reason = match tbt > 0.0 {
            true => format!("TBT {tbt:.4} s"),
            false => "nothing completed".to_owned(),
        };
        let slow = tbt > self.tbt * self.out_threshold;
        let fast = tbt > 0.0 && tbt < self.tbt * self.in_threshold;
        if slow && self.cooldowns.adds(now, self.out_cooldown) {
            for of in signals.roles() {
                let count = of.current().saturating_add(self.out_step);
                desired.exactly(of.role, count.min(self.max), reason.clone());
            }
        } else if fast && self.cooldowns.removes(now, self.in_cooldown) {
            for of in signals.roles() {
                let min = if of.role == Role::Prompt { 0 } else { self.min };
                let count = of.current().saturating_sub(self.in_step);
                desired.exactly(of.role, count.max(min), reason.clone());
            }
        } else {
            for of in signals.roles() {
                desired.keep(of.role, reason.clone());
            }
        }
    }
}
