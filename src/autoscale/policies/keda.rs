use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::kubernetes_hpa::Given;
use super::metric::check_target;
use super::saved::saved_whole;
use super::{KubernetesHpa, Metric, MetricKind, MetricTarget};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Each role as KEDA scales an object: to zero and back by activity, in between by a pod autoscaler.
///
/// Every `polling` seconds it looks whether the metric's total is **above** `activation`. If so and there are
/// none, max(1, `min`) are wanted; if it was not for longer than `cooldown` and `min` is 0, none is wanted,
/// however many there are. In between [`KubernetesHpa`] decides, by an object without `behavior`, on the
/// metric's total against `target` for each (`AverageValue`), and keeps one at least. A timetable (`cron`) counts
/// as activity and wants its number while it lasts. If the metric is unknown, `fallback` says what stands in for
/// it.
///
/// A metric that sees only what waits goes to zero under running requests.
///
/// | | |
/// |---|---|
/// | inputs | the metric's total, of each role by itself |
/// | window | one interval |
/// | current | starting up and active |
/// | rounding | up |
/// | first decision | one interval after the start; the first poll `polling` after it |
///
/// Source: `pkg/scaling/executor/scale_scaledobjects.go` and `pkg/fallback/fallback.go` of kedacore/keda,
/// commit 8b4f083c of 20 August 2026; its HPA is the one of KubernetesHpa's page.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keda {
    /// Seconds between decisions of the pod autoscaler. Default 15, the controller's sync period.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Seconds between two looks at the activity. Default 30.
    #[schemars(range(min = 0.001))]
    pub polling: SimDuration,
    /// What is measured. Default `Requests`: waiting and running.
    pub metric: Metric,
    /// What each instance is to have of it. Default 10; KEDA has no default.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target: f64,
    /// There is activity above this total. Default 0.
    #[schemars(range(min = 0))]
    pub activation: f64,
    /// Seconds without activity after which there are none. Default 300.
    pub cooldown: SimDuration,
    /// Seconds from the start for which it does not go to zero if there was no activity at all. Default 0.
    pub initial_cooldown: SimDuration,
    /// Whether there are none without activity though `min` is above 0: `idleReplicaCount: 0`. Default false.
    pub idle_at_zero: bool,
    /// What stands in for a metric that is unknown. Default: nothing, and nothing is removed.
    pub fallback: Option<Fallback>,
    /// Hours of the day with a number of their own. Default: none.
    pub cron: Vec<Cron>,
    /// Minimum number of instances of a role. Default 0.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<State>,
}

/// What stands in for a metric that is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The number to fall back to. Required.
    pub replicas: u32,
    /// How it goes with the number that there is. Default `Static`.
    #[serde(default)]
    pub behaviour: FallbackBehaviour,
}

/// How the number to fall back to goes with the number that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FallbackBehaviour {
    /// It counts alone.
    #[default]
    Static,
    /// The number that there is counts.
    CurrentReplicas,
    /// The higher of the two counts.
    CurrentReplicasIfHigher,
    /// The lower of the two counts.
    CurrentReplicasIfLower,
}

impl Fallback {
    /// The number that counts where there are `current`.
    #[must_use]
    pub fn count(self, current: u32) -> u32 {
        match self.behaviour {
            FallbackBehaviour::Static => self.replicas,
            FallbackBehaviour::CurrentReplicas => current,
            FallbackBehaviour::CurrentReplicasIfHigher => current.max(self.replicas),
            FallbackBehaviour::CurrentReplicasIfLower => current.min(self.replicas),
        }
    }

    /// The metric, in thousandths, that wants this number of a target in thousandths; none if it is a
    /// `Value` and no pod is ready.
    #[must_use]
    pub fn stand_in(self, kind: MetricKind, target: u64, current: u32, ready: u32) -> Option<u64> {
        let total = target * u64::from(self.count(current));
        match kind {
            MetricKind::Value => total.checked_div(u64::from(ready)),
            _ => Some(total),
        }
    }
}

/// Hours of the day with a minimum number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// The hour at which it begins; the run begins at hour 0. Required.
    #[schemars(range(min = 0, max = 24))]
    pub from: f64,
    /// The hour at which it ends; one before `from` is on the next day. Required.
    #[schemars(range(min = 0, max = 24))]
    pub to: f64,
    /// The number. Required.
    pub replicas: u32,
}

impl Cron {
    fn holds(&self, hour: f64) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&hour),
            false => hour >= self.from || hour < self.to,
        }
    }
}

/// What is remembered of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    created: SimTime,
    active: Option<SimTime>,
    hpa: KubernetesHpa,
}

impl Default for Keda {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(15.0),
            polling: SimDuration::saturating(30.0),
            metric: Metric::Requests,
            target: 10.0,
            activation: 0.0,
            cooldown: SimDuration::saturating(300.0),
            initial_cooldown: SimDuration::ZERO,
            idle_at_zero: false,
            fallback: None,
            cron: Vec::new(),
            min: 0,
            max: 100,
            roles: Memories::new(),
        }
    }
}

impl Policy for Keda {
    const NAME: &'static str = "Keda";
    const SUMMARY: &'static str = "to zero and back by activity, in between as KubernetesHpa";

    fn interval(&self) -> SimDuration {
        self.interval
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

impl EachRole for Keda {
    type Memory = State;

    fn memories(&mut self) -> &mut Memories<State> {
        &mut self.roles
    }

    fn begin(&self, signals: &Signals, _: &RoleSnapshot) -> State {
        let since = signals.now().seconds() - self.interval.seconds();
        let mut hpa = KubernetesHpa::default();
        hpa.window = self.interval;
        hpa.behaviour = false;
        (hpa.min, hpa.max) = (self.min.max(1), self.max);
        State {
            created: SimTime::saturating(since),
            active: None,
            hpa,
        }
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        state: &mut State,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        let (now, current) = (signals.now(), of.current());
        let total = self.metric.total(signals, of.role, self.interval);
        let hour = now.seconds() / 3600.0 % 24.0;
        let cron = self.cron.iter().filter(|it| it.holds(hour));
        let cron = cron.map(|it| it.replicas).max();
        let after = match self.polls(now) {
            true => {
                let active = total.map(|total| total > self.activation);
                let active = if cron.is_some() { Some(true) } else { active };
                self.activate(now, current, active, state)
            }
            false => current,
        };
        state.hpa.metrics = match (total, self.fallback) {
            (None, Some(_)) => Vec::new(),
            _ => vec![MetricTarget {
                kind: Some(MetricKind::AverageValue),
                ..MetricTarget::new(self.metric, self.target)
            }],
        };
        state.hpa.give(self.given(total, cron, after));
        let (count, reason) = state.hpa.decide_role(signals, &resized(of, after));
        let reason = match (after == current, total) {
            (false, _) => format!("{after} by activity, {reason}"),
            (true, Some(total)) => format!("{} {total:.2} in all, {reason}", self.metric),
            (true, None) => reason,
        };
        desired.exactly(of.role, count.unwrap_or(after), reason);
    }
}

impl Keda {
    /// Whether it looks at the activity in the interval that ends now.
    fn polls(&self, now: SimTime) -> bool {
        let number = |at: f64| (at / self.polling.seconds()).floor();
        number(now.seconds()) > number(now.seconds() - self.interval.seconds())
    }

    /// The number after a look at the activity; an unknown activity changes nothing.
    fn activate(&self, now: SimTime, current: u32, active: Option<bool>, state: &mut State) -> u32 {
        match active {
            None => current,
            Some(true) => {
                state.active = Some(now);
                let wakes = current == 0 || self.idle_at_zero && current < self.min;
                if wakes { self.min.max(1) } else { current }
            }
            Some(false) if current > 0 && (self.min == 0 || self.idle_at_zero) => {
                let rests = match state.active {
                    None => now - state.created < self.initial_cooldown,
                    Some(active) => now - active <= self.cooldown,
                };
                if rests { current } else { 0 }
            }
            Some(false) if current < self.min && !self.idle_at_zero => self.min,
            Some(false) => current,
        }
    }

    /// What the pod autoscaler is given besides its metric, or in its place.
    fn given(&self, total: Option<f64>, cron: Option<u32>, current: u32) -> Vec<Given> {
        let cron = cron.map(|replicas| Given {
            total: f64::from(replicas),
            target: 1.0,
        });
        let fallback = self.fallback.filter(|_| total.is_none());
        let fallback = fallback.map(|it| Given {
            total: f64::from(it.count(current)),
            target: 1.0,
        });
        cron.into_iter().chain(fallback).collect()
    }
}

/// A role as if it had `count` instances.
fn resized(of: &RoleSnapshot, count: u32) -> RoleSnapshot {
    let mut of = of.clone();
    of.instances = Vec::new();
    if count == 0 {
        (of.active, of.measured) = (0, 0);
        of.starting.clear();
    }
    let missing = count.saturating_sub(of.current());
    let length = of.starting.len() + missing as usize;
    of.starting.resize(length, SimTime::MAX);
    of
}
