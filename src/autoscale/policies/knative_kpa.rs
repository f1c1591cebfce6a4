use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::metric::check_target;
use super::saved::saved_whole;
use super::wishes::Wishes;
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
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
/// the two numbers counts, and it never falls. It also begins in a panic, at the start of the run, if more
/// than one instance is active.
///
/// The last instance goes once none was wanted after a stable window of activity, and the activator has
/// been in the path of requests for `scale_to_zero_grace`. It is in the path while ready × target −
/// `target_burst_capacity` − the mean of the short window is below 0: with the defaults, with up to two
/// instances at any time, so that the last one then goes at the next decision.
///
/// The default target is for web services. Where the memory of an instance holds fewer than 70 requests,
/// the rest of them queue for good, however many instances there could be: give a `target` that fits.
///
/// | | |
/// |---|---|
/// | inputs | the metric; requests that wait at the application while no instance is active count |
/// | window | `stable_window`, and a tenth of it; a sample at each look, means of six decimals |
/// | current | active |
/// | rounding | up |
/// | first decision | one interval after the start |
///
/// Source: `pkg/autoscaler/{scaling,aggregation}` and `pkg/reconciler/autoscaling/kpa` of knative/serving,
/// commit 98e5ef90 of 21 August 2026, and the defaults of its `config-autoscaler`. There a collector samples
/// every second: `signals: (scrape_interval: 1)` does so here. The buffer of the activator is the
/// application's queue. Prompt and token instances have no counterpart there; each role is scaled by its own
/// requests.
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
    /// Ratio of wanted to active instances in the short window that starts a panic. Default 2, its
    /// 200 %.
    #[schemars(range(min = 1))]
    pub panic_threshold: f64,
    /// The active instances × this are the most that are wanted. Default 1000.
    #[schemars(range(min = 1))]
    pub max_scale_up_rate: f64,
    /// The active instances ÷ this are the fewest that are wanted. Default 2.
    #[schemars(range(min = 1))]
    pub max_scale_down_rate: f64,
    /// Seconds for which fewer must be wanted before there are fewer. Default 0.
    pub scale_down_delay: SimDuration,
    /// How the samples of a window are averaged. Default `Mean`.
    pub averaging: Averaging,
    /// Requests that may come at once and are to be buffered; the activator is in the path while fewer
    /// could be served. 0 for never, -1 for always. Default 211.
    #[schemars(range(min = -1))]
    pub target_burst_capacity: f64,
    /// Any are this many at least. Default 1, its `activation-scale`.
    #[schemars(range(min = 1))]
    pub activation_scale: u32,
    /// Whether the last one may go. Default true.
    pub scale_to_zero: bool,
    /// Seconds for which the activator must have been in the path before the last one goes. Default 30.
    pub scale_to_zero_grace: SimDuration,
    /// Seconds for which the last one stays without activity. Default 0.
    pub scale_to_zero_retention: SimDuration,
    /// Minimum number of instances of a role. Default 0, its `min-scale`; the last one only goes if the
    /// actuator's `min` is 0, too.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<State>,
}

/// How the samples of a window are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Averaging {
    /// Each counts as much.
    #[default]
    Mean,
    /// Each second counts less than the one after it: its `weighted-exponential`.
    Exponential,
}

/// What is remembered of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// When it was last over the panic threshold.
    panic: Option<SimTime>,
    /// The most wanted in the panic.
    peak: u32,
    wishes: Wishes,
    revision: Revision,
}

/// Whether the revision serves requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Activity {
    Active,
    Activating,
    Inactive,
}

/// What decides when the last instance goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Revision {
    activity: Activity,
    since: SimTime,
    /// Since when the activator is in the path of requests.
    proxied: Option<SimTime>,
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
            averaging: Averaging::Mean,
            target_burst_capacity: 211.0,
            activation_scale: 1,
            scale_to_zero: true,
            scale_to_zero_grace: SimDuration::saturating(30.0),
            scale_to_zero_retention: SimDuration::ZERO,
            min: 0,
            max: 100,
            roles: Memories::new(),
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
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure {
            metric: self.metric,
            target: Some(self.target),
        }])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        decide_each(self, signals, desired);
    }
}

impl EachRole for KnativeKpa {
    type Memory = State;

    fn memories(&mut self) -> &mut Memories<State> {
        &mut self.roles
    }

    fn begin(&self, signals: &Signals, of: &RoleSnapshot) -> State {
        let created = signals.now().seconds() - self.interval.seconds();
        let created = SimTime::saturating(created);
        let panics = of.active > 1;
        State {
            panic: panics.then_some(created),
            peak: if panics { of.active } else { 0 },
            wishes: Wishes::default(),
            revision: Revision {
                activity: Activity::Active,
                since: created,
                proxied: None,
            },
        }
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        state: &mut State,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        match self.wanted(signals, of, state) {
            Some((count, reason)) => desired.exactly(of.role, count, reason),
            None => desired.keep(of.role, format!("{} is unknown", self.metric)),
        }
    }
}

/// The granularity of a delay: its tick.
const TICK: f64 = 2.0;

/// A target is this much at least.
const LEAST_TARGET: f64 = 0.01;

impl KnativeKpa {
    fn wanted(
        &self,
        signals: &Signals,
        of: &RoleSnapshot,
        state: &mut State,
    ) -> Option<(u32, String)> {
        let now = signals.now();
        let ready = f64::from(of.active.max(1));
        let target = (self.target * self.utilization).max(LEAST_TARGET);
        let average = |window| self.average(signals, of, window);
        let stable = average(self.stable_window)?;
        let short = average(self.stable_window * self.panic_window)?;
        let least = (ready / self.max_scale_down_rate).floor() as u32;
        let most = (ready * self.max_scale_up_rate).ceil() as u32;
        let within = |count: u32| match count.max(least).min(most) {
            0 => 0,
            count => count.max(self.activation_scale),
        };

        let urgent = (short / target).ceil();
        if urgent / ready >= self.panic_threshold {
            state.panic = Some(now);
        } else if state
            .panic
            .is_some_and(|since| since + self.stable_window < now)
        {
            (state.panic, state.peak) = (None, 0);
        }
        let mut count = within((stable / target).ceil() as u32);
        if state.panic.is_some() {
            state.peak = state.peak.max(count).max(within(urgent as u32));
            count = state.peak;
        }
        let delay = (self.scale_down_delay.seconds() / TICK).ceil() * TICK;
        count = state
            .wishes
            .delayed(now, count, SimDuration::saturating(delay));
        let panic = if state.panic.is_some() { ", panic" } else { "" };
        let reason = format!("{} {stable:.2} and {short:.2}{panic}", self.metric);
        let count = self.bounds().clamp(count);
        let count = self.keep_the_last(now, of, count, &mut state.revision);
        let spare = match self.target_burst_capacity {
            0.0 => 0.0,
            always if always < 0.0 => -1.0,
            burst => (f64::from(of.active) * self.target - burst - short).floor(),
        };
        state
            .revision
            .pass(now, of.active >= self.min.max(1), spare < 0.0);
        Some((count, reason))
    }

    /// The metric over a window; a mean of samples has six decimals.
    fn average(&self, signals: &Signals, of: &RoleSnapshot, window: SimDuration) -> Option<f64> {
        let average = match self.averaging {
            Averaging::Mean => self.metric.total(signals, of.role, window)?,
            Averaging::Exponential => {
                let buckets = window.seconds().ceil().max(1.0);
                let weight = (1.0 - libm::pow(1.0 - 0.9999, 1.0 / buckets)).max(0.2);
                let weight = |age: f64| weight * libm::pow(1.0 - weight, age);
                self.metric.weighted(signals, of.role, buckets, weight)?
            }
        };
        Some(match self.metric.is_sampled() {
            true => (average * 1e6).round() / 1e6,
            false => average,
        })
    }

    /// Wants one instance until the last one may go.
    fn keep_the_last(
        &self,
        now: SimTime,
        of: &RoleSnapshot,
        count: u32,
        revision: &mut Revision,
    ) -> u32 {
        let since = now - revision.since;
        if count > 0 {
            if revision.activity == Activity::Inactive {
                revision.activity = match of.active {
                    0 => Activity::Activating,
                    _ => Activity::Active,
                };
                revision.since = now;
            }
            return count;
        }
        if !self.scale_to_zero {
            return 1;
        }
        match revision.activity {
            Activity::Active if since < self.stable_window => 1,
            Activity::Active => {
                (revision.activity, revision.since) = (Activity::Inactive, now);
                of.current()
            }
            Activity::Activating => of.current(),
            Activity::Inactive => {
                let proxied = revision.proxied;
                let proxied = proxied.is_some_and(|it| now - it >= self.scale_to_zero_grace);
                match proxied && since >= self.scale_to_zero_retention {
                    true => 0,
                    false => of.current(),
                }
            }
        }
    }
}

impl Revision {
    /// Notes whether enough instances are ready, and whether the activator is in the path.
    fn pass(&mut self, now: SimTime, ready: bool, proxied: bool) {
        if self.activity == Activity::Activating && ready {
            (self.activity, self.since) = (Activity::Active, now);
        }
        if proxied || self.activity != Activity::Active {
            self.proxied.get_or_insert(now);
        } else {
            self.proxied = None;
        }
    }
}
