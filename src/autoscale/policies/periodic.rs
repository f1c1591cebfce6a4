use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::saved::saved_whole;
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// A number of instances by the time of day, without regard to the load.
///
/// | | |
/// |---|---|
/// | inputs | the clock |
/// | window | none |
/// | current | starting up and active |
/// | rounding | none |
/// | first decision | one interval after the start |
///
/// Source: `autoscaling_policies.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23 December 2025, in
/// the version that fleetsim carries over. Its own answer is always "no change", beside the same numbers;
/// this one follows its table.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Periodic {
    /// Seconds between decisions. Default 60: a change comes at most a minute late.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The hour of the day at which the simulation begins. Default 0, midnight.
    #[schemars(range(min = 0, max = 24))]
    pub start_hour: f64,
    /// The table; of periods that overlap, the first counts. Default: 30 `Prompt` and 100 `Token`
    /// instances from 9 to 23.
    pub periods: Vec<Period>,
    /// What counts outside all periods. Default: 10 `Prompt` and 20 `Token` instances.
    pub otherwise: Counts,
}

/// A period of the day and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The hour at which it begins. Required.
    #[schemars(range(min = 0, max = 24))]
    pub from: f64,
    /// The hour at which it ends; one before `from` is on the next day. Required.
    #[schemars(range(min = 0, max = 24))]
    pub to: f64,
    /// Its instances. Required.
    pub instances: Counts,
}

/// Instances by role; a role that is left out is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// `Prompt` instances. Default: as many as there are.
    pub prompt: Option<u32>,
    /// `Token` instances. Default: as many as there are.
    pub token: Option<u32>,
    /// `Mixed` instances. Default: as many as there are.
    pub mixed: Option<u32>,
}

impl Default for Periodic {
    fn default() -> Self {
        let counts = |prompt, token| Counts {
            prompt: Some(prompt),
            token: Some(token),
            mixed: None,
        };
        Self {
            interval: SimDuration::saturating(60.0),
            start_hour: 0.0,
            periods: vec![Period {
                from: 9.0,
                to: 23.0,
                instances: counts(30, 100),
            }],
            otherwise: counts(10, 20),
        }
    }
}

impl Policy for Periodic {
    const NAME: &'static str = "Periodic";
    const SUMMARY: &'static str = "a table by time of day";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        if self.periods.iter().any(|period| period.from == period.to) {
            return Err(InvalidParameter {
                field: "periods",
                message: "a period begins and ends at the same hour".to_owned(),
            });
        }
        Ok(())
    }

    fn names(&self) -> Vec<Role> {
        // A default that stands beside what is given names nobody.
        let default = Self::default();
        let (given, otherwise) = (
            self.periods != default.periods,
            self.otherwise != default.otherwise,
        );
        let periods = self.periods.iter().filter(|_| given || !otherwise);
        let counts = periods.map(|it| it.instances);
        let counts = counts.chain((otherwise || !given).then_some(self.otherwise));
        let named = counts.flat_map(|it| {
            [
                (Role::Prompt, it.prompt),
                (Role::Token, it.token),
                (Role::Mixed, it.mixed),
            ]
        });
        let named = named.filter(|(_, count)| count.is_some());
        named.map(|(role, _)| role).collect()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let hour = (self.start_hour + signals.now().seconds() / 3600.0) % 24.0;
        let within = |it: &&Period| {
            if it.from < it.to {
                (it.from..it.to).contains(&hour)
            } else {
                hour >= it.from || hour < it.to
            }
        };
        let period = self.periods.iter().find(within);
        let counts = period.map_or(self.otherwise, |it| it.instances);
        for of in signals.roles() {
            let count = match of.role {
                Role::Prompt => counts.prompt,
                Role::Token => counts.token,
                Role::Mixed => counts.mixed,
            };
            if let Some(count) = count {
                desired.exactly(of.role, count, format!("hour {hour:.2}"));
            }
        }
    }
}
