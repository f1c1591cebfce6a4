use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::carried_over::{Idle, Rules, is_idle};
use super::cooldowns::Cooldowns;
use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// One role in steps of a factor, by a latency against its target.
///
/// From 1.2 × the target on, × 1.2; from 1.1 × on, × 1.1; up to 0.9 ×, × 0.95. Each way has a cool-down.
/// TTFT moves `Prompt` instances, TBT `Token` instances, and both move `Mixed` ones; E2E moves all.
/// Latency says nothing of how far away the cliff is: it takes away until it is over the edge.
///
/// Rounded to the nearest whole number, as published, 1 and 2 instances never grow by × 1.2 and fewer than
/// 11 never shrink. With `rules: Mended` a step is one instance at least. Without traffic, `idle:
/// ToMinimum` goes to `min` at once; `AsPublished` takes no request for a latency of 0.
///
/// | | |
/// |---|---|
/// | inputs | mean TTFT, TBT or E2E of the requests completed; with none, see `idle` |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | to the nearest, half to even |
/// | first decision | one interval after the start |
///
/// Source: `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in
/// the version that fleetsim carries over. It has no E2E.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyBased {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The mean of which latency. Default `Ttft`.
    pub metric: Latency,
    /// Its target, in seconds. Default 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// Seconds from one addition to the next. Default 180, the source's.
    pub out_cooldown: SimDuration,
    /// Seconds from one removal to the next. Default 600, the source's.
    pub in_cooldown: SimDuration,
    /// Which form of the rule holds. Default `AsPublished`.
    pub rules: Rules,
    /// What happens without traffic. Default `ToMinimum`.
    pub idle: Idle,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    cooldowns: Cooldowns,
}

impl Default for LatencyBased {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            metric: Latency::Ttft,
            target: 1.0,
            out_cooldown: SimDuration::saturating(180.0),
            in_cooldown: SimDuration::saturating(600.0),
            rules: Rules::AsPublished,
            idle: Idle::ToMinimum,
            min: 1,
            max: 100,
            cooldowns: Cooldowns::default(),
        }
    }
}

impl Policy for LatencyBased {
    const NAME: &'static str = "LatencyBased";
    const SUMMARY: &'static str = "one role times a factor as a latency leaves its target";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now();
        let measured = signals.mean(self.metric, self.interval);
        if self.idle == Idle::ToMinimum {
            let quiet = is_idle(signals, self.interval).then_some(self.min);
            if quiet.is_some() || measured.is_none() {
                for of in signals.roles() {
                    match quiet {
                        Some(min) => desired.exactly(of.role, min, "no traffic"),
                        None => desired.keep(of.role, "nothing completed"),
                    }
                }
                return;
            }
        }
        let latency = measured.unwrap_or(0.0);
        let reason = format!("{:?} {latency:.4} s", self.metric);
        let (out, into) = (self.out_cooldown, self.in_cooldown);
        let factor = if latency >= self.target * 1.2 && self.cooldowns.adds(now, out) {
            1.2
        } else if latency >= self.target * 1.1 && self.cooldowns.adds(now, out) {
            1.1
        } else if latency <= self.target * 0.9 && self.cooldowns.removes(now, into) {
            0.95
        } else {
            1.0
        };
        for of in signals.roles() {
            if factor == 1.0 || !self.moves(of.role) {
                desired.keep(of.role, reason.clone());
                continue;
            }
            let current = of.current();
            let count = (f64::from(current) * factor).round_ties_even() as u32;
            let count = match self.rules {
                Rules::AsPublished => count,
                Rules::Mended if factor > 1.0 => count.max(current.saturating_add(1)),
                Rules::Mended => count.min(current.saturating_sub(1)),
            };
            desired.exactly(of.role, self.bounds().clamp(count), reason.clone());
        }
    }
}

impl LatencyBased {
    fn moves(&self, role: Role) -> bool {
        match self.metric {
            Latency::Ttft => role != Role::Token,
            Latency::Tbt => role != Role::Prompt,
            Latency::E2e => true,
        }
    }
}
