use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::saved::saved_whole;
use super::wishes::Wishes;
use super::{keep_all, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Mix, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// Arriving tokens over the velocity at which each stage lets them go.
///
/// `Prompt` instances = arriving prompt tokens a second ÷ the lower of `V_P`, what one processes, and
/// `V_N`, what its link carries away. `Token` instances = arriving tokens a second, prompts and outputs,
/// ÷ `V_D`, the tokens (prompt and output) of the requests that one lets go a second: those in its batch
/// over the time that they stay. `Mixed` instances = arriving requests ÷ those that one completes. The
/// velocities come from the [capacity model](crate::autoscale::capacity), at the mean lengths seen. There
/// are as many as the maximum within `scale_down_delay`.
///
/// | | |
/// |---|---|
/// | inputs | requests that arrived and their prompt tokens; output tokens for each request completed |
/// | window | `window` for arrivals, `lengths` for outputs |
/// | current | not used |
/// | rounding | up |
/// | first decision | one interval after the start; nothing changes before as many requests were completed as are in batches |
///
/// Source: "TokenScale" (arXiv 2512.03416). Its velocities within the application's objective are meant;
/// it predicts the output length of each request, here the [recent mean](Signals::mean_output_tokens)
/// counts. Its convertible decoders, which take prefill in a burst, are not modelled; `utilisation` leaves
/// room in their place, and `MixedPool` lends instances in a like manner.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenVelocity {
    /// Seconds between decisions. Default 5: velocities are there to react within seconds.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Seconds over which arrivals are counted. Default 30: at 6 requests a second, chance then moves
    /// the count by less than a tenth.
    #[schemars(range(min = 0.001))]
    pub window: SimDuration,
    /// Seconds over which outputs are looked at to say how long those of the requests arriving will be.
    /// Default 600, fleetsim's own: some hundred requests, and long next to one of them.
    #[schemars(range(min = 0.001))]
    pub lengths: SimDuration,
    /// Share of its velocity at which a stage is to run. Default 0.8, fleetsim's own: at 1, what queued
    /// in a burst would never be worked off.
    #[schemars(range(min = 0.01, max = 1))]
    pub utilisation: f64,
    /// Seconds for which fewer must be wanted before there are fewer. Default 300, that of a
    /// Kubernetes pod autoscaler: half a minute of arrivals is often few by chance, and an instance given
    /// up takes a start-up to come back.
    pub scale_down_delay: SimDuration,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    wishes: BTreeMap<Role, Wishes>,
}

impl Default for TokenVelocity {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            window: SimDuration::saturating(30.0),
            lengths: SimDuration::saturating(600.0),
            utilisation: 0.8,
            scale_down_delay: SimDuration::saturating(300.0),
            min: 1,
            max: 100,
            wishes: BTreeMap::new(),
        }
    }
}

impl Policy for TokenVelocity {
    const NAME: &'static str = "TokenVelocity";
    const SUMMARY: &'static str = "arriving tokens over the velocity of each stage";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.window.max(self.lengths)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let Some(mix) = self.mix(signals) else {
            return keep_all(signals, desired, "too little completed yet");
        };
        let demand = mix.at(signals.arrivals_per_s(self.window));
        let (now, capacity) = (signals.now(), signals.capacity());
        for of in signals.roles() {
            let mut needed = capacity.needed(of.role, &demand, self.utilisation);
            if let (Role::Prompt, Some(link)) = (of.role, capacity.transfer_tokens_per_s()) {
                needed = needed.max(demand.prompt_tokens_per_s / (link * self.utilisation));
            }
            let reason = format!(
                "{needed:.2} instances at {:.2} requests/s",
                demand.requests_per_s
            );
            let wishes = self.wishes.entry(of.role).or_default();
            let wishes = wishes.begin_with(now, of.current());
            let count = wishes.delayed(now, round_up(needed), self.scale_down_delay);
            desired.exactly(of.role, self.bounds().clamp(count), reason);
        }
    }
}

impl TokenVelocity {
    /// Prompts as they arrive, outputs as they have been; none as long as that is not known.
    fn mix(&self, signals: &Signals) -> Option<Mix> {
        let mix = signals.mix(self.lengths)?;
        Some(Mix {
            output_tokens: signals.mean_output_tokens(self.lengths)?,
            ..mix.with_prompts(signals.mean_prompt_tokens(self.window)?)
        })
    }
}
