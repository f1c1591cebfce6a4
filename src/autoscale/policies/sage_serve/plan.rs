use serde::{Deserialize, Serialize};

use crate::autoscale::Signals;
use crate::autoscale::forecast::{AnyForecaster, Forecaster, Method};
use crate::serving::Role;
use crate::time::SimDuration;

const MINUTE: SimDuration = SimDuration::saturating(60.0);

/// The minutes to come that a plan is made for.
const FROM_MINUTE: usize = 20;
const TO_MINUTE: usize = 60;

/// By how many a plan changes a number: to as many as the forecast needs, none without any.
///
/// Both figures are in tokens a minute, the second those of one instance, more than 0.
#[must_use]
pub fn planned_change(forecast: f64, of_one: f64, current: u32) -> i64 {
    (forecast / of_one).ceil() as i64 - i64::from(current)
}

/// Learns from the minutes, and plans the hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Planner {
    forecaster: Option<AnyForecaster>,
}

/// What a look at the traffic leads to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Prompt tokens expected in the minute that begins.
    pub(super) expected: Option<f64>,
    /// By how many each role is to change, in a new plan.
    pub(super) changes: Vec<(Role, i64)>,
}

impl Planner {
    pub(super) fn look(
        &mut self,
        signals: &Signals,
        interval: SimDuration,
        plan_interval: SimDuration,
        method: Method,
        tokens_per_minute: Option<f64>,
    ) -> Plan {
        let now = signals.now().seconds();
        let begins = |every: SimDuration| {
            let number = |at: f64| (at / every.seconds()).floor();
            number(now) > number(now - interval.seconds())
        };
        let mut plan = Plan::default();
        if !begins(MINUTE) {
            return plan;
        }
        let make = || method.forecaster(MINUTE);
        let forecaster = self.forecaster.get_or_insert_with(make);
        let observed = signals.arrived_prompt_tokens_per_s(MINUTE.max(interval));
        forecaster.observe(observed * MINUTE.seconds());
        plan.expected = forecaster.forecast(1).map(|tokens| tokens.max(0.0));
        if !begins(plan_interval) {
            return plan;
        }
        let minutes = FROM_MINUTE..=TO_MINUTE;
        let expected = minutes.filter_map(|minute| forecaster.forecast(minute));
        let highest = expected.fold(0.0, f64::max);
        let mix = signals.mix(plan_interval);
        for of in signals.roles() {
            let current = of.current();
            let change = match (tokens_per_minute, mix) {
                (Some(of_one), _) => planned_change(highest, of_one, current),
                (None, Some(mix)) => {
                    let requests_per_s = highest / MINUTE.seconds() / mix.prompt_tokens.max(1.0);
                    let demand = mix.at(requests_per_s);
                    let needed = signals.capacity().needed(of.role, &demand, 1.0);
                    planned_change(needed, 1.0, current)
                }
                (None, None) => continue,
            };
            plan.changes.push((of.role, change));
        }
        plan
    }
}
