use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{Bounded, Bounds};
use super::carried_over::Rules;
use super::cooldowns::Cooldowns;
use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// Both roles in proportion to the decode throughput, at a fixed ratio of `Prompt` to `Token`
/// instances; latency only ever adds.
///
/// Where the mean time between tokens is above `panic_threshold` × its objective, both roles grow to
/// `panic_factor` times what they are. Otherwise total = decode tokens a second ÷ target; of it, with the
/// ratio r, a share r ÷ (1 + r) is for prompts and the rest for tokens. If that total is above 1.1 times
/// (or below 0.9 times) the current one, both roles are set to it. Each way has its cool-down; while
/// the first rule cools down, the second may act, and may even remove.
///
/// As published, × 1.2 is truncated, so that fewer than five instances of a role never grow by it, and `min`
/// does not hold for `Prompt` instances (the actuator keeps one). With `rules: Mended`, × 1.2 is rounded
/// up and `min` holds for both.
///
/// | | |
/// |---|---|
/// | inputs | output tokens of the `Token` instances; mean TBT of the requests completed |
/// | window | one interval |
/// | current | starting up and active; no `Token` instance counts as one |
/// | rounding | × 1.2 down, otherwise to the nearest, half to even |
/// | first decision | one interval after the start |
///
/// Source: ByteDance, "HeteroScale" (arXiv 2508.19559), in the form and with the numbers of
/// `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in the
/// version that fleetsim carries over.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeteroScale {
    /// Seconds between decisions. Default 30.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Decode tokens a second for each instance, of both roles together. Default 100.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// `Prompt` instances for each `Token` instance. Default 0.33.
    #[schemars(range(min = 0))]
    pub ratio: f64,
    /// The objective of the mean time between tokens, in seconds. Default 0.04.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// Both roles grow above the objective × this; none for never. Default 1.2.
    #[schemars(range(min = 0))]
    pub panic_threshold: Option<f64>,
    /// What they grow by then. Default 1.2.
    #[schemars(range(min = 1))]
    pub panic_factor: f64,
    /// More only where the total is above the current one × (1 + this). Default 0.1.
    #[schemars(range(min = 0))]
    pub out_threshold: f64,
    /// Fewer only where the total is below the current one × (1 − this). Default 0.1.
    #[schemars(range(min = 0, max = 1))]
    pub in_threshold: f64,
    /// Seconds from one addition to the next. Default 180.
    pub out_cooldown: SimDuration,
    /// Seconds from one removal to the next. Default 600.
    pub in_cooldown: SimDuration,
    /// Which form of the rule holds. Default `AsPublished`.
    pub rules: Rules,
    /// Minimum number of `Token` instances. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    cooldowns: Cooldowns,
}

impl Default for HeteroScale {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            target: 100.0,
            ratio: 0.33,
            tbt: 0.04,
            panic_threshold: Some(1.2),
            panic_factor: 1.2,
            out_threshold: 0.1,
            in_threshold: 0.1,
            rules: Rules::AsPublished,
            out_cooldown: SimDuration::saturating(180.0),
            in_cooldown: SimDuration::saturating(600.0),
            min: 1,
            max: 100,
            cooldowns: Cooldowns::default(),
        }
    }
}

impl Policy for HeteroScale {
    const NAME: &'static str = "HeteroScale";
    const SUMMARY: &'static str =
        "prompt and token instances at a fixed ratio, by decode throughput";
    const NEEDS: &'static [Role] = &[Role::Prompt, Role::Token];

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now();
        let (prompt, token) = (signals.current(Role::Prompt), signals.current(Role::Token));
        let token = token.max(1);
        let tbt = signals.mean(Latency::Tbt, self.interval).unwrap_or(0.0);
        let panic = self.panic_threshold;
        if panic.is_some_and(|panic| tbt > 0.0 && tbt > self.tbt * panic)
            && self.cooldowns.adds(now, self.out_cooldown)
        {
            let more = |count| self.bounded(self.grown(count), self.min);
            let reason = format!("TBT {tbt:.4} s");
            return set(desired, [more(prompt), more(token)], &reason);
        }

        let throughput = signals.output_tokens_per_s(Role::Token, self.interval);
        let total = throughput / self.target;
        let (prompts, tokens) = if self.ratio > 0.0 {
            let prompts = total / (1.0 + 1.0 / self.ratio);
            (prompts, prompts * (1.0 / self.ratio))
        } else {
            (0.0, total)
        };
        let change = (prompts + tokens) / (f64::from(prompt) + f64::from(token));
        let reason = format!("{throughput:.1} decode tokens/s");
        let out = change > 1.0 + self.out_threshold;
        let out = out && self.cooldowns.adds(now, self.out_cooldown);
        let into = change < 1.0 - self.in_threshold;
        if out || into && self.cooldowns.removes(now, self.in_cooldown) {
            let min = match self.rules {
                Rules::AsPublished => 0,
                Rules::Mended => self.min,
            };
            let prompt = self.bounded(prompts.round_ties_even() as u32, min);
            let token = self.bounded(tokens.round_ties_even() as u32, self.min);
            return set(desired, [prompt, token], &reason);
        }
        set(desired, [prompt, token], &reason);
    }
}

impl HeteroScale {
    fn grown(&self, count: u32) -> u32 {
        let grown = f64::from(count) * self.panic_factor;
        match self.rules {
            Rules::AsPublished => grown as u32,
            Rules::Mended => grown.ceil() as u32,
        }
    }

    fn bounded(&self, count: u32, min: u32) -> u32 {
        Bounds { min, max: self.max }.clamp(count)
    }
}

fn set(desired: &mut DesiredInstances, counts: [u32; 2], reason: &str) {
    for (role, count) in [Role::Prompt, Role::Token].into_iter().zip(counts) {
        desired.exactly(role, count, reason.to_owned());
    }
}
