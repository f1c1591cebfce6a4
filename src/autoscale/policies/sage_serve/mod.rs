//! SageServe's arbiters with an hourly plan: what the plan asks for, and when it is carried out.

mod arbiter;
mod plan;

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::arbiter::{Arbiter, Carries, Look};
use self::plan::Planner;
use super::Metric;
use super::bounds::Bounded;
use super::saved::saved_whole;
use crate::autoscale::forecast::Method;
use crate::autoscale::{DesiredInstances, InvalidParameter, Measure, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

pub use plan::planned_change;

/// The largest share of the memory in use at which nothing is owed, and yet one more is added.
const OVERRIDE: f64 = 0.9;

macro_rules! long_term {
    ($name:ident, $carries:expr, $summary:literal, $(#[$doc:meta])*) => {
        $(#[$doc])*
        #[derive(Component, Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Seconds between decisions. Default 5: the source decides on every arrival.
            #[schemars(range(min = 0.001))]
            pub interval: SimDuration,
            /// Seconds between two plans. Default 3600.
            #[schemars(range(min = 60))]
            pub plan_interval: SimDuration,
            /// The forecaster of prompt tokens a minute. Default `HoltWinters()`: a trend and a day; the
            /// source has an ARIMA of its own.
            pub method: Method,
            /// Prompt tokens a minute that an instance can take. Default: by the capacity model, at the
            /// mean lengths of the last plan interval.
            #[schemars(extend("exclusiveMinimum" = 0))]
            pub tokens_per_minute: Option<f64>,
            /// What is owed is added above this share of the memory in use. Default 0.5.
            #[schemars(range(min = 0, max = 1))]
            pub up: f64,
            /// What was added beyond the plan is given back below this share. Default 0.25.
            #[schemars(range(min = 0, max = 1))]
            pub down: f64,
            /// Minimum number of instances of a role. Default 2, below which the source never goes.
            pub min: u32,
            /// Maximum number of instances of a role. Default 100.
            pub max: u32,
            #[serde(with = "crate::snapshot::remembered")]
            #[schemars(skip)]
            arbiters: BTreeMap<Role, Arbiter>,
            #[serde(with = "crate::snapshot::remembered")]
            #[schemars(skip)]
            planner: Planner,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    interval: SimDuration::saturating(5.0),
                    plan_interval: SimDuration::saturating(3600.0),
                    method: Method::HoltWinters {
                        level: 0.5,
                        trend: 0.1,
                        seasonal: 0.1,
                        season: SimDuration::saturating(86_400.0),
                    },
                    tokens_per_minute: None,
                    up: 0.5,
                    down: 0.25,
                    min: 2,
                    max: 100,
                    arbiters: BTreeMap::new(),
                    planner: Planner::default(),
                }
            }
        }

        impl $name {
            /// Takes the orders of a plan for a role: forgets what is owed if `reset`, then owes `more`;
            /// `fewer` go at the next decision, whatever the load.
            pub fn order(&mut self, role: Role, reset: bool, more: u32, fewer: u32) {
                self.arbiters.entry(role).or_default().order(reset, more, fewer);
            }

            /// Sets the prompt tokens that are expected in this minute.
            pub fn expect(&mut self, role: Role, prompt_tokens: f64) {
                self.arbiters.entry(role).or_default().expect(prompt_tokens);
            }
        }

        impl Policy for $name {
            const NAME: &'static str = stringify!($name);
            const SUMMARY: &'static str = $summary;

            fn interval(&self) -> SimDuration {
                self.interval
            }

            fn window(&self) -> SimDuration {
                self.plan_interval
            }

            fn check(&self) -> Result<(), InvalidParameter> {
                super::check_band(("down", self.down), ("up", self.up))?;
                self.bounds().check()
            }

            fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
                Some(vec![Measure::of(Metric::Memory)])
            }

            saved_whole!();

            fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
                let plan = self.planner.look(
                    signals,
                    self.interval,
                    self.plan_interval,
                    self.method,
                    self.tokens_per_minute,
                );
                if let Some(tokens) = plan.expected {
                    signals.roles().for_each(|of| self.expect(of.role, tokens));
                }
                for (role, change) in plan.changes {
                    let more = u32::try_from(change).unwrap_or(0);
                    let fewer = u32::try_from(change.saturating_neg()).unwrap_or(0);
                    self.order(role, true, more, fewer);
                }
                for of in signals.roles() {
                    let arbiter = self.arbiters.entry(of.role).or_default();
                    let look = Look {
                        now: signals.now(),
                        share: of.load.memory_share(),
                        arrived: signals.snapshot().arrived_prompt_tokens,
                        up: self.up,
                        down: self.down,
                        min: self.min,
                        max: self.max,
                    };
                    let (by, reason) = arbiter.decide($carries, of, &look);
                    let count = of.current().saturating_add_signed(by);
                    desired.exactly(of.role, self.bounds().clamp(count), reason);
                }
            }
        }
    };
}

long_term! {
    SageServeLtI, Carries::AtOnce, "an hourly plan, carried out at once",
    /// An hourly plan that is carried out at once, one start-up after the other: SageServe's LT-I.
    ///
    /// Each hour a forecaster says how many prompt tokens a minute will arrive in the 20 to 60 minutes to
    /// come; the highest of these ÷ what an instance can take, rounded up, is the plan. What is too much goes
    /// at once. What is missing is owed, and one is added at each decision at which none starts up.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | prompt tokens that arrive; the mean lengths of requests |
    /// | window | one minute, a value of the series; `plan_interval` for lengths |
    /// | current | active; while one starts up, nothing is decided |
    /// | rounding | up |
    /// | first decision | one interval after the start; the first plan after `plan_interval` |
    ///
    /// Source: `arbiter.py` and `long_term_allocation.py` of shashwatj07/SageServe, commit 0b95ca2d of
    /// June 2026. Its plan is an integer programme over models and regions, which separates into this rule for
    /// each. There an addition takes an instance from the spot market if there is one, here there always is;
    /// the tenth of the largest prompt that is not interactive, which it adds to a forecast, is not there.
}

long_term! {
    SageServeLtU, Carries::ByUtilisation, "an hourly plan, carried out as memory fills",
    /// An hourly plan that is carried out as memory fills: SageServe's LT-U.
    ///
    /// The plan is that of [`SageServeLtI`]. What is too much goes at once, whatever the load. What is owed is
    /// added one by one while the memory in use is above `up`. With nothing owed, one is added above 0.9 of the
    /// memory and then no more until that one was given back below `down`, or the next plan.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | memory in use of the active instances; those of `SageServeLtI` |
    /// | window | the instant of the decision; one minute and `plan_interval` for the plan |
    /// | current | active; while one starts up, nothing is decided |
    /// | rounding | up |
    /// | first decision | one interval after the start; the first plan after `plan_interval` |
    ///
    /// Source: as for `SageServeLtI`.
}

long_term! {
    SageServeLtUa, Carries::ByForecast, "an hourly plan, carried out as memory fills or the forecast fails",
    /// An hourly plan that is carried out as memory fills, or the forecast fails: SageServe's LT-UA.
    ///
    /// As [`SageServeLtU`], but with nothing owed one is added where the prompt tokens of the last minute are more
    /// than five times those expected, instead of at 0.9 of the memory.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | those of `SageServeLtU` |
    /// | window | one minute, one that began just a minute ago included |
    /// | current | active; while one starts up, nothing is decided |
    /// | rounding | up |
    /// | first decision | one interval after the start; the first plan after `plan_interval` |
    ///
    /// Source: as for `SageServeLtI`.
}
