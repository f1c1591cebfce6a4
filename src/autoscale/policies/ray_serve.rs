use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::metric::check_target;
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// Each role as Ray Serve scales replicas: ongoing requests ÷ requests meant for each, after a delay.
///
/// R are the instances that run, T is the number that the policy asked for last, N the mean of the ongoing
/// requests over `look_back`, waiting ones included. With instances that run, d = N ÷ `target_ongoing_requests`;
/// ceil(R + factor × (d − R)) are wanted, with `upscaling_factor` where d is above R and `downscaling_factor`
/// otherwise, and one fewer where that stays at R and ceil(d) is below it. A number above T must be wanted
/// for `upscale_delay` before it becomes the new T, one below T for `downscale_delay`; the last wish counts. Zero is
/// only reached from one, after `downscale_to_zero_delay`. With none that runs and requests there, ceil of
/// the upscaling factor are wanted at once, however many requests wait.
///
/// | | |
/// |---|---|
/// | inputs | requests assigned, and requests that wait at the application while no instance is active |
/// | window | `look_back`, a sample at each look |
/// | current | active; the delay compares with what was asked for last |
/// | rounding | up |
/// | first decision | one interval after the start; T is the number that there is |
///
/// Source: `autoscaling_policy.py`, `config.py` and `_private/autoscaling_state.py` of ray\[serve\] 2.60.0
/// (November 2026), with the limits of `num_replicas="auto"`. There each handle reports to a controller that
/// decides ten times a second; here there is one router, and a decision at each report.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RayServe {
    /// Seconds between decisions. Default 10, its `metrics_interval_s`.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What counts as ongoing. Default `Requests`.
    pub metric: Metric,
    /// Ongoing requests meant for each instance. Default 2.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub target_ongoing_requests: f64,
    /// Seconds over which the ongoing requests are averaged. Default 30.
    #[schemars(range(min = 0.001))]
    pub look_back: SimDuration,
    /// Seconds for which more must be wanted. Default 30.
    pub upscale_delay: SimDuration,
    /// Seconds for which fewer must be wanted. Default 600.
    pub downscale_delay: SimDuration,
    /// Seconds for which none must be wanted. Default: as `downscale_delay`.
    pub downscale_to_zero_delay: Option<SimDuration>,
    /// Part of the way to more that is taken at once. Default 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub upscaling_factor: f64,
    /// Part of the way to fewer that is taken at once. Default 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub downscaling_factor: f64,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: Memories<State>,
}

/// What is remembered of a role.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// What was asked for last.
    target: u32,
    /// Since when a change is wanted, and whether it is an addition.
    wanting: Option<(SimTime, bool)>,
}

impl Default for RayServe {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(10.0),
            metric: Metric::Requests,
            target_ongoing_requests: 2.0,
            look_back: SimDuration::saturating(30.0),
            upscale_delay: SimDuration::saturating(30.0),
            downscale_delay: SimDuration::saturating(600.0),
            downscale_to_zero_delay: None,
            upscaling_factor: 1.0,
            downscaling_factor: 1.0,
            min: 1,
            max: 100,
            roles: Memories::new(),
        }
    }
}

impl Policy for RayServe {
    const NAME: &'static str = "RayServe";
    const SUMMARY: &'static str = "ongoing requests ÷ requests meant for each, after a delay";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.interval.max(self.look_back)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_target("target_ongoing_requests", self.target_ongoing_requests)?;
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure {
            metric: self.metric,
            target: Some(self.target_ongoing_requests),
        }])
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        decide_each(self, signals, desired);
    }
}

impl EachRole for RayServe {
    type Memory = State;

    fn memories(&mut self) -> &mut Memories<State> {
        &mut self.roles
    }

    fn begin(&self, _: &Signals, of: &RoleSnapshot) -> State {
        State {
            target: self.bounds().clamp(of.current()),
            wanting: None,
        }
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        state: &mut State,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        let Some(total) = self.metric.total(signals, of.role, self.look_back) else {
            return desired.keep(of.role, format!("{} is unknown", self.metric));
        };
        let answer = self.answer(signals.now(), of, total, state);
        state.target = self.bounds().clamp(answer);
        let reason = format!("{total:.2} ongoing on {}", of.active);
        desired.exactly(of.role, state.target, reason);
    }
}

impl RayServe {
    /// What is asked for, before the limits.
    fn answer(&self, now: SimTime, of: &RoleSnapshot, total: f64, state: &mut State) -> u32 {
        let target = state.target;
        let wanted = match of.active {
            0 if total > 0.0 => return target.max(self.upscaling_factor.ceil() as u32),
            0 if target > 0 => return target,
            0 => 0,
            running => self.wanted(running, total),
        };
        if wanted == target {
            state.wanting = None;
            return target;
        }
        let more = wanted > target;
        let since = match state.wanting {
            Some((since, way)) if way == more => since,
            _ => now,
        };
        state.wanting = Some((since, more));
        let delay = match (more, target) {
            (true, _) => self.upscale_delay,
            (false, 1) => self.downscale_to_zero_delay.unwrap_or(self.downscale_delay),
            (false, _) => self.downscale_delay,
        };
        // The source, too, forgives a microsecond.
        if (now - since).seconds() + 1e-6 < delay.seconds() {
            return target;
        }
        state.wanting = None;
        if more || target == 1 {
            wanted
        } else {
            wanted.max(1)
        }
    }

    /// How many instances `total` ongoing requests want, where `running` run.
    fn wanted(&self, running: u32, total: f64) -> u32 {
        let count = f64::from(running);
        let exact = count * (total / (self.target_ongoing_requests * count));
        let factor = match exact > count {
            true => self.upscaling_factor,
            false => self.downscaling_factor,
        };
        let wanted = (count + factor * (exact - count)).ceil() as u32;
        if exact.ceil() < count && wanted == running {
            wanted.saturating_sub(1)
        } else {
            wanted
        }
    }
}
