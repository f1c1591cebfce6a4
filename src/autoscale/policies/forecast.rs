use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::saved::saved_whole;
use super::wishes::Wishes;
use super::{keep_all, round_up};
use crate::autoscale::forecast::{AnyForecaster, Forecaster, Method};
use crate::autoscale::{DesiredInstances, InvalidParameter, Mix, Policy, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

/// As many instances as the requests will need that a forecaster expects, one start-up ahead.
///
/// At each decision the forecaster learns the requests a second of the interval. It is asked for every
/// interval until an instance ordered at the next decision would be active; the highest of these rates,
/// and the one just seen, goes through the [capacity model](crate::autoscale::capacity) at the mean
/// lengths of recent requests. So an instance is ordered when it will be needed one start-up
/// later, and goes only when it will not be needed again before a new one could be there: until then
/// keeping it costs no more. There are as many as the maximum within `scale_down_delay`.
///
/// | | |
/// |---|---|
/// | inputs | requests that arrived and their prompt tokens; output tokens for each request completed; the mean start-up time |
/// | window | one interval; `lengths` for mean lengths |
/// | current | not used |
/// | rounding | up |
/// | first decision | one interval after the start; nothing changes before as many requests were completed as are in batches |
///
/// Source: the usual form of predictive scaling, with the forecasters of the literature (see
/// [`Method`]); no published system is meant.
#[derive(Component, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Forecast {
    /// Seconds between decisions, and between two values of the series. Default 30, as for
    /// HeteroScale.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The forecaster. Default `HoltWinters()`: traffic has a trend and a day.
    pub method: Method,
    /// Seconds over which the mean lengths of requests are taken. Default 600: some hundred requests, and
    /// long next to one of them.
    #[schemars(range(min = 0.001))]
    pub lengths: SimDuration,
    /// Share of its capacity to which an instance is to be used. Default 0.7: the rest is for chance
    /// and for requests longer than the mean.
    #[schemars(range(min = 0.01, max = 1))]
    pub utilisation: f64,
    /// Seconds for which fewer must be wanted before there are fewer. Default 300, that of a Kubernetes
    /// pod autoscaler: a forecast follows chance, too.
    pub scale_down_delay: SimDuration,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    rate: Option<AnyForecaster>,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    wishes: BTreeMap<Role, Wishes>,
}

impl Default for Forecast {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            method: Method::HoltWinters {
                level: 0.5,
                trend: 0.1,
                seasonal: 0.1,
                season: SimDuration::saturating(86_400.0),
            },
            lengths: SimDuration::saturating(600.0),
            utilisation: 0.7,
            scale_down_delay: SimDuration::saturating(300.0),
            min: 1,
            max: 100,
            rate: None,
            wishes: BTreeMap::new(),
        }
    }
}

impl Policy for Forecast {
    const NAME: &'static str = "Forecast";
    const SUMMARY: &'static str = "what a forecaster expects, one start-up ahead";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.interval.max(self.lengths)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let (interval, method, bounds) = (self.interval, self.method, self.bounds());
        let observed = signals.arrivals_per_s(interval);
        let mix = self.mix(signals);
        let rate = self.rate.get_or_insert_with(|| method.forecaster(interval));
        rate.observe(observed);
        let Some(mix) = mix else {
            return keep_all(signals, desired, "too little completed yet");
        };
        let (now, capacity) = (signals.now(), signals.capacity());
        for of in signals.roles() {
            let ahead = capacity.start_up(of.role).mean.seconds() / interval.seconds();
            let steps = ahead.ceil() as usize + 1;
            let expected = (1..=steps).filter_map(|step| rate.forecast(step));
            let highest = expected.fold(observed, f64::max);
            let needed = capacity.needed(of.role, &mix.at(highest), self.utilisation);
            let reason = format!("{highest:.2} requests/s within {steps} intervals");
            let wishes = self.wishes.entry(of.role).or_default();
            let wishes = wishes.begin_with(now, of.current());
            let count = wishes.delayed(now, round_up(needed), self.scale_down_delay);
            desired.exactly(of.role, bounds.clamp(count), reason);
        }
    }
}

impl Forecast {
    /// Recent mean lengths; none as long as that of outputs is unknown.
    fn mix(&self, signals: &Signals) -> Option<Mix> {
        Some(Mix {
            output_tokens: signals.mean_output_tokens(self.lengths)?,
            ..signals.mix(self.lengths)?
        })
    }
}
