use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// `Prompt` instances by prompt tokens a second, `Token` instances by output tokens a second, without
/// regard for each other.
///
/// Each role wants its tokens a second ÷ its target instances; `Mixed` instances want the sum of both.
/// If any role wants more than 1.1 times its current number, those that want more grow; only if all
/// want less than 0.9 times theirs do they shrink. What fails: the ratio of prompt to token instances
/// oscillates.
///
/// | | |
/// |---|---|
/// | inputs | prompt and output tokens of each role's instances |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: the version that fleetsim carries over, a comparison in ByteDance, "HeteroScale"
/// (arXiv 2508.19559). There a role can be cut to zero and its requests stranded; here `min` holds.
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
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
}

impl Default for IndependentTps {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            prompt_target: None,
            token_target: 100.0,
            min: 1,
            max: 100,
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
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let wanted: Vec<(&RoleSnapshot, f64)> = signals
            .roles()
            .map(|of| (of, self.wanted(of, signals)))
            .collect();
        let mut each = wanted.iter();
        let out = each.any(|(of, it)| *it > 1.1 * f64::from(of.current()));
        let mut each = wanted.iter();
        let shrink = each.all(|(of, it)| *it < 0.9 * f64::from(of.current()));
        for (of, instances) in wanted {
            let (count, current) = (round_up(instances), of.current());
            let count = match (out, shrink) {
                (true, _) => count.max(current),
                (_, true) => count.min(current),
                _ => current,
            };
            let reason = format!("{instances:.2} instances at the target");
            desired.exactly(of.role, count.clamp(self.min, self.max), reason);
        }
    }
}

impl IndependentTps {
    fn wanted(&self, of: &RoleSnapshot, signals: &Signals) -> f64 {
        let target = self.prompt_target.unwrap_or(0.7 * of.prompt_capacity);
        let prompts = if target > 0.0 {
            signals.prompt_tokens_per_s(of.role, self.interval) / target
        } else {
            0.0
        };
        let tokens = signals.output_tokens_per_s(of.role, self.interval) / self.token_target;
        match of.role {
            Role::Prompt => prompts,
            Role::Token => tokens,
            Role::Mixed => prompts + tokens,
        }
    }
}
