use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::saved::saved_whole;
use super::prediction::Prediction;
use super::rate::{Objectives, rate};
use super::report::RoleReports;
use super::{Answer, Limits, groups, limits, say, starts_up, while_starting};
use crate::autoscale::forecast::{AnyForecaster, Forecaster, Method};
use crate::autoscale::policies::bounds::Bounded;
use crate::autoscale::policies::keep_all;
use crate::autoscale::{CapacityModel, DesiredInstances, InvalidParameter, Mix, Policy, Signals};
use crate::scenario::Slo;
use crate::serving::Role;
use crate::time::SimDuration;

/// As many instances as the next interval's requests take at the rate that an engine has within an
/// objective: Dynamo's throughput planner.
///
/// A predictor each for requests, prompt length and output length gives the next interval's demand; an
/// interval without requests repeats the last lengths, and lengths are rounded up to whole tokens. Instances of
/// a role = requests a second ÷ those that one engine serves:
///
/// - `Prompt`: k prompts in the time of their tokens, in full steps and one for the rest;
/// - `Token`: k ÷ (output × the step of k requests with prompt and half an output each in the KV cache);
/// - `Mixed`: the same, and each step carries k × prompt ÷ output prompt tokens. An engine that runs prompts whole
///   does what the [capacity model](crate::autoscale::capacity) says of it within both objectives.
///
/// k is the batch size with the highest rate of those that meet the objective (TTFT of prompts, TBT of tokens,
/// both of `Mixed` instances), or of all if none does: an objective that cannot be met does not stop it. A
/// decision changes a role by at most `max_change`; then the budget of GPUs holds.
///
/// | | |
/// |---|---|
/// | inputs | requests that arrived and their prompt tokens; output tokens of the requests completed |
/// | window | one interval |
/// | current | active; while one starts up, only less is answered |
/// | rounding | up |
/// | first decision | one interval after the start; nothing changes before a request was completed |
///
/// Two of its faults are the source's own. It means instances to be full, so that chance makes a queue,
/// and no term works a queue off. And a frontend knows an output's length when it is over: in an overload,
/// and when load has just begun, outputs look short. It does not look ahead by the time that a start-up takes.
///
/// Source: `components/src/dynamo/planner/core/{throughput_scaling,state_machine,budget}.py` and
/// `core/perf_model` of ai-dynamo 1.6.1 (November 2026): throughput mode. Its floor of the time that one prompt
/// takes is gone since July 2026 (pull request 11624). Its estimator of a step is a package of its own; here it is
/// the step model of the role's engine. Where both modes are on, its answer is the floor of the load mode: see
/// [`DynamoLoad`](super::DynamoLoad). There a prompt's length is counted when its first token is out, here when
/// it arrives. Of its predictors, `Arima` stands in for its default, `Last` is "constant" and `Kalman` the filter of
/// that name.
#[derive(Component, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoSla {
    /// Seconds between decisions. Default 180, the source's throughput interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// The predictor. Default `Arima()`, the source's.
    pub predictor: Method,
    /// The objective of TTFT, in seconds. Default 0.5, the source's.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ttft: SimDuration,
    /// The objective of TBT, in seconds. Default 0.05, the source's ITL.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: SimDuration,
    /// A decision changes a role by at most this many. Default 8, the source's.
    #[schemars(range(min = 1))]
    pub max_change: u32,
    /// The most GPUs. Default: no limit but that of the SKUs; the source's default of 8 is that of one node.
    pub max_gpu_budget: Option<u32>,
    /// The fewest GPUs. Default: no limit.
    pub min_gpu_budget: Option<u32>,
    /// Minimum number of instances of a role. Default 1, the source's.
    pub min: u32,
    /// Minimum number of `Prompt` instances. Default: `min`.
    pub prompt_min: Option<u32>,
    /// Minimum number of `Token` instances. Default: `min`.
    pub token_min: Option<u32>,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    predictors: Option<[AnyForecaster; 3]>,
}

impl Default for DynamoSla {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(180.0),
            predictor: Method::Arima { log: false },
            ttft: SimDuration::saturating(0.5),
            tbt: SimDuration::saturating(0.05),
            max_change: 8,
            max_gpu_budget: None,
            min_gpu_budget: None,
            min: 1,
            prompt_min: None,
            token_min: None,
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
        self.bounds().check()
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let Some(next) = self.predict(signals) else {
            return keep_all(signals, desired, "nothing completed yet");
        };
        let of = |of| RoleReports::of(signals, of, self.interval, self.interval);
        let roles: Vec<RoleReports> = signals.roles().map(of).collect();
        self.decide_for(&next, &roles, signals.capacity(), desired);
    }
}

impl DynamoSla {
    /// Decides on roles for what is expected. Of what the roles report, their counts matter.
    pub fn decide_for(
        &self,
        next: &Prediction,
        roles: &[RoleReports],
        capacity: &CapacityModel,
        desired: &mut DesiredInstances,
    ) {
        for group in groups(roles) {
            let answers = self.answers(next, &group, capacity);
            say(answers, self.max, desired);
        }
    }

    /// How many instances each role is to have at least for what is expected, where the load mode decides.
    #[must_use]
    pub fn floors(
        &self,
        next: &Prediction,
        roles: &[RoleReports],
        capacity: &CapacityModel,
    ) -> BTreeMap<Role, u32> {
        let mut floors = BTreeMap::new();
        for group in groups(roles) {
            let (wanted, _) = self.wanted(next, &group, capacity);
            let counts = self.below_ceiling(&group, &wanted, capacity);
            floors.extend(group.iter().map(|it| it.role).zip(counts));
        }
        floors
    }

    /// Requests a second that one engine of a role serves; none where that cannot be told.
    #[must_use]
    pub fn rate(&self, role: Role, next: &Prediction, capacity: &CapacityModel) -> Option<f64> {
        let objectives = Objectives {
            ttft: self.ttft.seconds(),
            tbt: self.tbt.seconds(),
        };
        let engine = capacity.engine(role)?;
        if role != Role::Mixed || engine.chunks_prompts {
            return rate(role, &engine, next, objectives);
        }
        let capacity = capacity.with_slo(Slo {
            ttft: Some(self.ttft),
            tbt: Some(self.tbt),
            ..Slo::default()
        });
        let (prompt, output) = (next.prompt_tokens.ceil(), next.output_tokens.ceil());
        let known = prompt > 0.0 && output > 0.0;
        let of = known.then(|| capacity.of(role, Mix::even(prompt, output)));
        of.flatten().map(|it| it.requests_per_s)
    }

    /// What the next interval brings; nothing before a request was completed.
    pub(super) fn predict(&mut self, signals: &Signals) -> Option<Prediction> {
        let mix = signals.mix(self.interval)?;
        let (predictor, interval) = (self.predictor, self.interval);
        let make = || std::array::from_fn(|_| predictor.forecaster(interval));
        let predictors = self.predictors.get_or_insert_with(make);
        let values = [
            signals.arrivals_per_s(interval) * interval.seconds(),
            mix.prompt_tokens,
            mix.output_tokens,
        ];
        let mut next = values;
        for ((predictor, value), next) in predictors.iter_mut().zip(values).zip(&mut next) {
            predictor.observe(value);
            *next = predictor.forecast(1).unwrap_or(value).max(0.0);
        }
        let [requests, prompt_tokens, output_tokens] = next;
        let hit_rate = signals
            .roles()
            .find_map(|of| signals.hit_rate(of.role, interval));
        Some(Prediction {
            requests_per_s: requests / interval.seconds(),
            prompt_tokens,
            output_tokens,
            hit_rate,
        })
    }

    fn limits(&self) -> Limits {
        limits!(self)
    }

    /// The numbers that the demand asks for, each within one step of those that are ready, and whether all
    /// rates are known.
    fn wanted(
        &self,
        next: &Prediction,
        group: &[&RoleReports],
        capacity: &CapacityModel,
    ) -> (Vec<u32>, bool) {
        let limits = self.limits();
        let rates = group.iter().map(|of| self.rate(of.role, next, capacity));
        let rates: Option<Vec<f64>> = rates.collect();
        let known = rates.is_some();
        let wanted = group.iter().enumerate().map(|(place, of)| {
            let least = limits.least(of.role);
            let wanted = match &rates {
                Some(rates) => {
                    let exact = next.requests_per_s / rates[place];
                    (exact.ceil() as u32).max(least).min(self.max.max(least))
                }
                None => of.ready,
            };
            let lowest = of.ready.saturating_sub(self.max_change);
            let highest = of.ready.saturating_add(self.max_change);
            wanted.clamp(lowest, highest).max(least)
        });
        (wanted.collect(), known)
    }

    /// The same within the upper end of the budget.
    fn below_ceiling(
        &self,
        group: &[&RoleReports],
        wanted: &[u32],
        capacity: &CapacityModel,
    ) -> Vec<u32> {
        let limits = self.limits();
        let share = |it: usize| limits.share(group[it], wanted[it], capacity);
        match group.len() {
            2 => limits.budget.two_below([share(0), share(1)]).to_vec(),
            _ => vec![limits.budget.ceiling().one(share(0))],
        }
    }

    fn answers(
        &self,
        next: &Prediction,
        group: &[&RoleReports],
        capacity: &CapacityModel,
    ) -> Vec<Answer> {
        let limits = self.limits();
        let (wanted, known) = self.wanted(next, group, capacity);
        let waits = starts_up(group);
        if waits && !known {
            return Answer::none(group, "no rate is known");
        }
        let below = self.below_ceiling(group, &wanted, capacity);
        let share = |it: usize| limits.share(group[it], below[it], capacity);
        let counts: Vec<Option<u32>> = match group {
            &[prompt, token] if waits => {
                let wanted = [Some(wanted[0]), Some(wanted[1])];
                while_starting([prompt, token], wanted, &limits, capacity).to_vec()
            }
            [prompt, token] => {
                let pair = limits.budget.two([share(0), share(1)]);
                let same = pair == [prompt.ready, token.ready];
                pair.map(|count| Some(count).filter(|_| !same)).to_vec()
            }
            [one] if waits && wanted[0] > one.ready => vec![None],
            [one] => {
                let count = limits.budget.one(share(0));
                vec![Some(count).filter(|&it| it != one.ready || one.pending > 0)]
            }
            _ => Vec::new(),
        };
        let answer = |(place, count): (usize, Option<u32>)| {
            let role = group[place].role;
            let rate = self.rate(role, next, capacity);
            let reason = match rate {
                Some(rate) => format!("{:.2} requests/s, {rate:.2} each", next.requests_per_s),
                None => "no rate is known".to_owned(),
            };
            Answer::new(role, count, reason)
        };
        counts.into_iter().enumerate().map(answer).collect()
    }
}
