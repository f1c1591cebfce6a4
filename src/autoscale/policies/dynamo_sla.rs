use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, keep_all};
use crate::autoscale::forecast::{Forecaster, Method};
use crate::autoscale::{DesiredInstances, InvalidParameter, Mix, Policy, Signals};
use crate::scenario::Slo;
use crate::serving::Role;
use crate::time::SimDuration;

/// As many instances as the next interval's tokens take at the throughput that an instance has within
/// an objective: Dynamo's throughput planner.
///
/// A predictor each for requests, prompt length and output length gives the next interval's demand; an
/// interval without requests repeats the last lengths, and lengths are rounded up to whole tokens.
/// `Prompt` instances = prompt tokens a second ÷ those that one can process; `Token` instances = output tokens
/// a second ÷ those that one can generate within the objective of TBT; `Mixed` instances, both at once. A
/// decision changes a role by at most `max_change`. What one can do comes from the [capacity
/// model](crate::autoscale::capacity), where Dynamo has an estimator of forward passes.
///
/// | | |
/// |---|---|
/// | inputs | requests that arrived and their prompt tokens; output tokens of the requests completed |
/// | window | one interval |
/// | current | not used |
/// | rounding | up |
/// | first decision | one interval after the start; nothing changes before a request was completed |
///
/// Two of its faults are the source's own. It means instances to be full, so that chance makes a queue,
/// and no term works a queue off. And a frontend knows an output's length when it is over: in an overload,
/// and when load has just begun, outputs look short.
///
/// Source: `components/src/dynamo/planner/core/{throughput_scaling,state_machine}.py` of ai-dynamo 1.6.1
/// (November 2026): throughput mode. Its floor of the time that one prompt takes is gone since July 2026
/// (pull request 11624). Where both modes are on, its answer is the floor of the load mode: see
/// [`DynamoLoad`](super::DynamoLoad). There a prompt's length is counted when its first token is out, here when
/// it arrives. Its limit by a budget of GPUs is the actuator's and the fleet's. Of its predictors, `Last` is
/// "constant", `Kalman` the filter of that name; ARIMA, its default, and Prophet have no well-kept counterpart
/// in Rust. In `Mixed` instances the objective of TTFT bounds the batch; the
/// capacity model counts the wait for it, too. It does not look ahead by the time that a start-up takes.
#[derive(Component, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoSla {
    /// Seconds between decisions. Default 180, the source's throughput interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The predictor. Default `Last`, the source's "constant".
    pub predictor: Method,
    /// The objective of TTFT of `Mixed` instances, in seconds: it bounds their batch. Default 0.5, the
    /// source's.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ttft: SimDuration,
    /// The objective of TBT, in seconds. Default 0.05, the source's ITL.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: SimDuration,
    /// A decision changes a role by at most this many. Default 8, the source's.
    #[schemars(range(min = 1))]
    pub max_change: u32,
    /// Minimum number of instances of a role. Default 1, the source's.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    #[schemars(skip)]
    predictors: Option<[Box<dyn Forecaster>; 3]>,
}

impl Default for DynamoSla {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(180.0),
            predictor: Method::Last,
            ttft: SimDuration::saturating(0.5),
            tbt: SimDuration::saturating(0.05),
            max_change: 8,
            min: 1,
            max: 100,
            predictors: None,
        }
    }
}

impl Policy for DynamoSla {
    const NAME: &'static str = "DynamoSla";
    const SUMMARY: &'static str =
        "the predicted tokens over what an instance does within an objective";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let Some((next, needed)) = self.needed(signals) else {
            return keep_all(signals, desired, "nothing completed yet");
        };
        for (role, needed) in needed {
            let reason = format!("{needed:.2} instances for {next:.2} requests/s");
            let count = self.bounded(needed, signals.current(role));
            desired.exactly(role, count, reason);
        }
    }
}

impl DynamoSla {
    /// How many instances each role is to have; nothing before a request was completed.
    pub(super) fn counts(&mut self, signals: &Signals) -> Vec<(Role, u32)> {
        let needed = self.needed(signals).map(|it| it.1).unwrap_or_default();
        let count = |(role, needed)| (role, self.bounded(needed, signals.current(role)));
        needed.into_iter().map(count).collect()
    }

    fn bounded(&self, needed: f64, current: u32) -> u32 {
        let count = (needed.ceil() as u32).max(self.min);
        let least = current.saturating_sub(self.max_change);
        let most = current.saturating_add(self.max_change);
        count.clamp(least, most).clamp(self.min, self.max)
    }

    /// The requests a second that are expected, and the instances of each role that they need.
    fn needed(&mut self, signals: &Signals) -> Option<(f64, Vec<(Role, f64)>)> {
        let mix = signals.mix(self.interval)?;
        let (predictor, interval) = (self.predictor, self.interval);
        let make = || std::array::from_fn(|_| predictor.forecaster(interval));
        let predictors = self.predictors.get_or_insert_with(make);
        let values = [
            signals.arrivals_per_s(interval),
            mix.prompt_tokens,
            mix.output_tokens,
        ];
        let mut next = values;
        for ((predictor, value), next) in predictors.iter_mut().zip(values).zip(&mut next) {
            predictor.observe(value);
            *next = predictor.forecast(1).unwrap_or(value).max(0.0);
        }
        let [requests_per_s, prompt_tokens, output_tokens] = next;
        let next = Mix {
            output_tokens: output_tokens.ceil(),
            ..mix.with_prompts(prompt_tokens.ceil())
        };
        let demand = next.at(requests_per_s);
        let needed = |role| {
            let capacity = signals.capacity().with_slo(Slo {
                tbt: Some(self.tbt),
                ttft: (role == Role::Mixed).then_some(self.ttft),
                ..Slo::default()
            });
            (role, capacity.needed(role, &demand, 1.0))
        };
        let needed = signals.roles().map(|of| needed(of.role)).collect();
        Some((requests_per_s, needed))
    }
}
