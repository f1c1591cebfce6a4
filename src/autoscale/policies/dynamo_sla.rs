use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_limits, keep_all, round_up};
use crate::autoscale::forecast::{Forecaster, Method};
use crate::autoscale::{DesiredInstances, InvalidParameter, Mix, Policy, RoleSnapshot, Signals};
use crate::scenario::Slo;
use crate::serving::Role;
use crate::time::SimDuration;

/// As many instances as the next interval's tokens take at the throughput that an instance has within
/// an objective: Dynamo's throughput planner.
///
/// A predictor each for requests, prompt length and output length gives the next interval's demand.
/// `Prompt` instances = prompt tokens a second ÷ those that one can process, and at least as many as the
/// mean prompt alone takes times the objective of TTFT; `Token` instances = output tokens a second ÷
/// those that one can generate within the objective of TBT; `Mixed` instances, both at once. What one can
/// do comes from the [capacity model](crate::autoscale::capacity), where Dynamo has a regression over
/// what its engines did, or a profile made beforehand.
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
/// Source: NVIDIA Dynamo, planner configuration reference and `core/throughput_scaling.py` of
/// `dynamo.planner`: throughput mode. There its answer is the floor of the load mode where both are on;
/// here it stands alone. There a prompt's length is counted when its first token is out, here when it
/// arrives. Its limit by a budget of GPUs is the actuator's and the fleet's; of its predictors, `Last` is
/// "constant", and ARIMA, Kalman and Prophet are not there. It does not look ahead by the time that a
/// start-up takes.
#[derive(Component, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoSla {
    /// Seconds between decisions. Default 180, the source's throughput interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The predictor. Default `Last`, the source's "constant".
    pub predictor: Method,
    /// The objective of TTFT, in seconds: of a prompt alone, without a queue. Default 0.5, the source's.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ttft: SimDuration,
    /// The objective of TBT, in seconds. Default 0.05, the source's ITL.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: SimDuration,
    /// At least so many instances of a role. Default 1, the source's.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
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
        let Some(mix) = signals.mix(self.interval) else {
            return keep_all(signals, desired, "nothing completed yet");
        };
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
            output_tokens,
            ..mix.with_prompts(prompt_tokens)
        };
        let capacity = signals.capacity().with_slo(Slo {
            tbt: Some(self.tbt),
            ..Slo::default()
        });
        for of in signals.roles() {
            let needed = capacity.needed(of.role, &next.at(requests_per_s), 1.0);
            let reason = format!("{needed:.2} instances for {requests_per_s:.2} requests/s");
            let count = round_up(needed).max(self.fewest(of, next.prompt_tokens));
            desired.exactly(of.role, count.clamp(self.min, self.max), reason);
        }
    }
}

impl DynamoSla {
    /// So many times the objective of TTFT does a prompt of this length take alone, rounded up.
    fn fewest(&self, of: &RoleSnapshot, prompt_tokens: f64) -> u32 {
        let objective = of.prompt_capacity * self.ttft.seconds();
        let prompts = of.role != Role::Token && objective > 0.0;
        if prompts {
            round_up(prompt_tokens / objective)
        } else {
            0
        }
    }
}
