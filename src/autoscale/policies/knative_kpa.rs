use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::check_target;
use super::wishes::Wishes;
use super::{Metric, check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Each role as Knative's pod autoscaler: requests in the system ÷ requests for each instance, over a
/// long window and, in a panic, over a short one.
///
/// An instance is meant to have `target` × `utilization` requests. Two windows give two numbers, each
/// ceil(mean ÷ that), each kept within floor(ready ÷ `max_scale_down_rate`) and ceil(ready ×
/// `max_scale_up_rate`), where ready are the active instances, one at least. A panic begins when the
/// number of the short window, before it is kept within anything, is `panic_threshold` times ready or
/// more, and ends when that has not been so for more than the stable window. Meanwhile the larger of
/// the two numbers counts, and it never falls. It also begins in a panic if more than one instance is
/// active.
///
/// The default target is for web services. Where the memory of an instance holds fewer than 70 requests,
/// the rest of them queue for good, however many instances there could be: give a `target` that fits.
///
/// | | |
/// |---|---|
/// | inputs | the metric; requests that wait at the application while no instance is active count |
/// | window | `stable_window`, and a tenth of it; a sample at each decision |
/// | current | active |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: `pkg/autoscaler/scaling/autoscaler.go` of knative/serving and the defaults of its
/// `config-autoscaler`. There a collector samples every second, and the last instance goes as soon as
/// the activator is in the path, `scale_to_zero_grace` later at the latest; here it always waits that
/// long. The burst capacity decides only where requests are buffered, which fleetsim always does at
/// the application, so it is not there. Prompt and token instances have no counterpart there; each
/// role is scaled by its own requests.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KnativeKpa {
    /// Seconds between decisions. Default 2, its tick.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is counted. Default `Requests`, its concurrency.
    pub metric: Metric,
    /// The metric that an instance can bear. Default 100, its `container-concurrency-target-default`;
    /// for `RequestsPerS` its own default is 200.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// The share of it to aim at. Default 0.7, its `container-concurrency-target-percentage`.
    #[schemars(range(min = 0.01, max = 1))]
    pub utilization: f64,
    /// Seconds of the long window. Default 60.
    #[schemars(range(min = 0.001))]
    pub stable_window: SimDuration,
    /// The short window as a share of the long one. Default 0.1, its 10 %.
    #[schemars(range(min = 0.01, max = 1))]
    pub panic_window: f64,
    /// So many times the active instances wanted in the short window are a panic. Default 2, its
    /// 200 %.
    #[schemars(range(min = 1))]
    pub panic_threshold: f64,
    /// At most so many times the active instances are wanted. Default 1000.
    #[schemars(range(min = 1))]
    pub max_scale_up_rate: f64,
    /// At least the active instances ÷ so many are wanted. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_down_rate: f64,
    /// Seconds for which fewer must be wanted before there are fewer. Default 0.
    pub scale_down_delay: SimDuration,
    /// Seconds from when none is wanted until the last one goes. Default 30.
    pub scale_to_zero_grace: SimDuration,
    /// Seconds for which the last one stays at least. Default 0.
    pub scale_to_zero_retention: SimDuration,
    /// At least so many instances of a role. Default 0, its `min-scale`; the last one only goes if the
    /// actuator's `min` is 0, too.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: BTreeMap<Role, State>,
}

/// What is remembered of a role.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// When it was last over the panic threshold.
    panic: Option<SimTime>,
    /// The most wanted in the panic.
    peak: u32,
    wishes: Wishes,
    /// Since when none is wanted.
    idle: Option<SimTime>,
}

impl Default for KnativeKpa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(2.0),
            metric: Metric::Requests,
            target: 100.0,
            utilization: 0.7,
            stable_window: SimDuration::saturating(60.0),
            panic_window: 0.1,
            panic_threshold: 2.0,
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            scale_down_delay: SimDuration::ZERO,
            scale_to_zero_grace: SimDuration::saturating(30.0),
            scale_to_zero_retention: SimDuration::ZERO,
            min: 0,
            max: 100,
            roles: BTreeMap::new(),
        }
    }
}

impl Policy for KnativeKpa {
    const NAME: &'static str = "KnativeKpa";
    const SUMMARY: &'static str = "requests ÷ requests per instance, with a panic window";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.interval.max(self.stable_window)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_target("target", self.target)?;
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let mut roles = std::mem::take(&mut self.roles);
        for of in signals.roles() {
            let first = || State {
                panic: (of.active > 1).then(|| signals.now()),
                peak: of.active,
                ..State::default()
            };
            let state = roles.entry(of.role).or_insert_with(first);
            match self.wanted(signals, of, state) {
                Some((count, reason)) => desired.exactly(of.role, count, reason),
                None => desired.keep(of.role, format!("{} is unknown", self.metric)),
            }
        }
        self.roles = roles;
    }
}

impl KnativeKpa {
    fn wanted(
        &self,
        signals: &Signals,
        of: &RoleSnapshot,
        state: &mut State,
    ) -> Option<(u32, String)> {
        let now = signals.now();
        let ready = f64::from(of.active.max(1));
        let target = self.target * self.utilization;
        let total = |window| self.metric.total(signals, of.role, window);
        let stable = total(self.stable_window)?;
        let short = total(self.stable_window * self.panic_window)?;
        let least = (ready / self.max_scale_down_rate) as u32;
        let most = round_up(ready * self.max_scale_up_rate);
        let within = |count: u32| count.max(least).min(most);

        if f64::from(round_up(short / target)) >= self.panic_threshold * ready {
            state.panic = Some(now);
        } else if state
            .panic
            .is_some_and(|since| since + self.stable_window < now)
        {
            (state.panic, state.peak) = (None, 0);
        }
        let mut count = within(round_up(stable / target));
        if state.panic.is_some() {
            let more = count.max(within(round_up(short / target)));
            state.peak = state.peak.max(more);
            count = state.peak;
        }
        count = state.wishes.delayed(now, count, self.scale_down_delay);
        let panic = if state.panic.is_some() { ", panic" } else { "" };
        let reason = format!("{} {stable:.2} and {short:.2}{panic}", self.metric);
        let count = self.keep_the_last(now, of, count, state);
        Some((count.clamp(self.min, self.max), reason))
    }

    /// Wants one instance until none has been wanted for long enough.
    fn keep_the_last(&self, now: SimTime, of: &RoleSnapshot, count: u32, state: &mut State) -> u32 {
        if count > 0 {
            state.idle = None;
            return count;
        }
        let since = *state.idle.get_or_insert(now);
        let wait = self.scale_to_zero_grace.max(self.scale_to_zero_retention);
        u32::from(of.current() > 0 && now < since + wait)
    }
}
