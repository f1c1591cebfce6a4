use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::carried_over::{ByRatios, at_least_one};
use super::cooldowns::Cooldowns;
use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// `Prompt` instances by prompt tokens a second, `Token` instances by output tokens a second, without
/// regard for each other.
///
/// Each role wants its tokens a second ÷ its target instances; `Mixed` instances want the sum of both.
/// If any role wants more than 1.1 times its current number, or all want less than 0.9 times theirs,
/// every role is set to what it wants: one may shrink as the other grows. What fails: the ratio of prompt
/// to token instances oscillates. Each way has a cool-down.
///
/// | | |
/// |---|---|
/// | inputs | prompt and output tokens of each role's instances |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | to the nearest, half to even |
/// | first decision | one interval after the start |
///
/// Source: `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in
/// the version that fleetsim carries over: a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559). There the prompt rate is requests a second, with a target of 30; here it is
/// prompt tokens, so that the length of prompts counts. `min` holds for all but `Prompt` instances, as
/// there; the actuator keeps one.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IndependentTps {
    /// Seconds between decisions. Default 30, as for HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Prompt tokens a second for each instance. Default: 70 % of what the performance model gives for
    /// batches of 2,048 tokens on the fleet's fastest SKU.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub prompt_target: Option<f64>,
    /// Output tokens a second for each instance. Default 100.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub token_target: f64,
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

impl Default for IndependentTps {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            prompt_target: None,
            token_target: 100.0,
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

impl Policy for IndependentTps {
    const NAME: &'static str = "IndependentTps";
    const SUMMARY: &'static str = "each role by its own tokens a second";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let needed = |of| (of, self.needed(of, signals));
        let all = ByRatios {
            needed: signals.roles().map(needed).collect(),
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

impl IndependentTps {
    fn needed(&self, of: &RoleSnapshot, signals: &Signals) -> f64 {
        let current = at_least_one(of);
        let at = |rate: f64, target: f64| {
            if target > 0.0 {
                current * ((rate / current) / target)
            } else {
                0.0
            }
        };
        let prompt_target = self.prompt_target.unwrap_or(0.7 * of.prompt_capacity);
        let prompts = signals.prompt_tokens_per_s(of.role, self.interval);
        let tokens = signals.output_tokens_per_s(of.role, self.interval);
        match of.role {
            Role::Prompt => at(prompts, prompt_target),
            Role::Token => at(tokens, self.token_target),
            Role::Mixed => at(prompts, prompt_target) + at(tokens, self.token_target),
        }
    }
}
