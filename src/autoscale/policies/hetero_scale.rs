use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Latency, Policy, Signals};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Both roles in proportion to the decode throughput, at a fixed ratio of `Prompt` to `Token`
/// instances; latency only ever adds.
///
/// Where the mean time between tokens is above 1.2 × its objective, both roles grow to 1.2 times what
/// they are. Otherwise total = decode tokens a second ÷ target; of it, with the ratio r, a share
/// r ÷ (1 + r) is for prompts and the rest for tokens. If that total is above 1.1 times (or below 0.9
/// times) the current one, both roles are set to it. Each way has its cool-down.
///
/// | | |
/// |---|---|
/// | inputs | output tokens of the `Token` instances; mean TBT of the requests completed |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | × 1.2 up, otherwise to the nearest |
/// | first decision | one interval after the start |
///
/// Source: ByteDance, "HeteroScale" (arXiv 2508.19559), in the form and with the numbers of the
/// version that fleetsim carries over. There × 1.2 is truncated, which keeps fewer than five instances
/// from ever growing; here it is rounded up. A cool-down to remove counts from the last change either
/// way.
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
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ratio: f64,
    /// The objective of the mean time between tokens, in seconds. Default 0.04.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// Seconds from one addition to the next. Default 180.
    pub out_cooldown: SimDuration,
    /// Seconds from a change to the next removal. Default 600.
    pub in_cooldown: SimDuration,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    added: Option<SimTime>,
    #[serde(skip)]
    changed: Option<SimTime>,
}

impl Default for HeteroScale {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            target: 100.0,
            ratio: 0.33,
            tbt: 0.04,
            out_cooldown: SimDuration::saturating(180.0),
            in_cooldown: SimDuration::saturating(600.0),
            min: 1,
            max: 100,
            added: None,
            changed: None,
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
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now();
        let (prompt, token) = (signals.current(Role::Prompt), signals.current(Role::Token));
        let current = f64::from(prompt) + f64::from(token);
        let rests = |since: Option<SimTime>, cooldown| since.is_some_and(|it| now < it + cooldown);
        let tbt = signals.mean(Latency::Tbt, self.interval);

        if let Some(tbt) = tbt
            && tbt > 1.2 * self.tbt
            && !rests(self.added, self.out_cooldown)
        {
            let more = |count: u32| round_up(f64::from(count) * 1.2);
            let reason = format!("TBT {tbt:.4} s");
            return self.set(now, signals, desired, [more(prompt), more(token)], &reason);
        }

        let throughput = signals.output_tokens_per_s(Role::Token, self.interval);
        let wanted = throughput / self.target;
        let prompts = wanted / (1.0 + 1.0 / self.ratio);
        let tokens = prompts / self.ratio;
        let reason = format!("{throughput:.1} decode tokens/s");
        let cooldown = if wanted > 1.1 * current {
            rests(self.added, self.out_cooldown)
        } else if wanted < 0.9 * current {
            rests(self.changed, self.in_cooldown)
        } else {
            return keep(desired, &reason);
        };
        if cooldown {
            return keep(desired, &format!("{reason}, cooling down"));
        }
        let counts = [prompts.round() as u32, tokens.round() as u32];
        self.set(now, signals, desired, counts, &reason);
    }
}

const ROLES: [Role; 2] = [Role::Prompt, Role::Token];

impl HeteroScale {
    fn set(
        &mut self,
        now: SimTime,
        signals: &Signals,
        desired: &mut DesiredInstances,
        counts: [u32; 2],
        reason: &str,
    ) {
        for (role, count) in ROLES.into_iter().zip(counts) {
            let count = count.clamp(self.min, self.max);
            let current = signals.current(role);
            if count > current {
                self.added = Some(now);
            }
            if count != current {
                self.changed = Some(now);
            }
            desired.exactly(role, count, reason.to_owned());
        }
    }
}

fn keep(desired: &mut DesiredInstances, reason: &str) {
    for role in ROLES {
        desired.keep(role, reason.to_owned());
    }
}
