mod aggregate;
mod handle;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::handle::{Handle, Ongoing, Periods};
use super::Metric;
use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::metric::check_target;
use super::saved::saved_whole;
use crate::autoscale::{
    DesiredInstances, InstanceSnapshot, InvalidParameter, Load, Measure, Policy, RoleSnapshot,
    Signals,
};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

pub use self::aggregate::{Aggregation, Series};

/// Each role as Ray Serve scales replicas: ongoing requests ÷ requests meant for each, after a delay.
///
/// R are the instances that run, T is the number that the policy asked for last, N the ongoing requests, waiting
/// ones included: their mean over time of the last report. The router records them, those of each instance by
/// itself, every `look_back` ÷ 5 but at least every `metrics_interval`, keeps what is younger than `look_back`, and
/// reports every `metrics_interval`, or at once where a request finds no instance that runs. With instances that run, d = N ÷ `target_ongoing_requests`;
/// ceil(R + factor × (d − R)) are wanted, with `upscaling_factor` where d is above R and `downscaling_factor`
/// otherwise, and one fewer where that stays at R and ceil(d) is below it. A number above T must be wanted
/// for `upscale_delay` before it becomes the new T, one below T for `downscale_delay`; the last wish counts. Zero is
/// only reached from one, after `downscale_to_zero_delay`. With none that runs and requests there, ceil of
/// the upscaling factor are wanted at once, however many requests wait.
///
/// | | |
/// |---|---|
/// | inputs | requests assigned, and requests that wait at the application while no instance is active |
/// | window | `look_back` of the last report |
/// | current | active; the delay compares with what was asked for last |
/// | rounding | up |
/// | first decision | one interval after the start; T is the number that there is |
///
/// Source: `autoscaling_policy.py`, `config.py` and `_private/autoscaling_state.py` of ray\[serve\] 2.60.0
/// (November 2026), with the limits of `num_replicas="auto"`. There a controller decides ten times a second, and
/// several routers report. A metric that is no count of an instant has no records: its figure over `look_back`
/// counts.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RayServe {
    /// Seconds between decisions. Default 2, which divides its periods of 6 and 10; its own loop is one of 0.1.
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
    /// Seconds between two reports. Default 10.
    #[schemars(range(min = 0.001))]
    pub metrics_interval: SimDuration,
    /// What is taken of the ongoing requests. Default `Mean`.
    pub aggregation: Aggregation,
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
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<State>,
}

/// What is remembered of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What was asked for last.
    target: u32,
    /// Since when a change is wanted, and whether it is an addition.
    wanting: Option<(SimTime, bool)>,
    handle: Handle,
}

impl Default for RayServe {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(2.0),
            metric: Metric::Requests,
            target_ongoing_requests: 2.0,
            look_back: SimDuration::saturating(30.0),
            metrics_interval: SimDuration::saturating(10.0),
            aggregation: Aggregation::Mean,
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

    saved_whole!();

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
            handle: Handle::default(),
        }
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        state: &mut State,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        let total = match self.ongoing(signals, of) {
            Some(ongoing) => {
                state.handle.look(&ongoing, self.periods());
                Some(state.handle.total(&ongoing, self.aggregation))
            }
            None => self.metric.total(signals, of.role, self.look_back),
        };
        let Some(total) = total else {
            return desired.keep(of.role, format!("{} is unknown", self.metric));
        };
        let answer = self.answer(signals.now(), of, total, state);
        state.target = self.bounds().clamp(answer);
        let reason = format!("{total:.2} ongoing on {}", of.active);
        desired.exactly(of.role, state.target, reason);
    }
}

impl RayServe {
    /// Records and reports what is due, without a decision.
    pub fn report(&mut self, signals: &Signals) {
        let mut roles = std::mem::take(&mut self.roles);
        for of in signals.roles() {
            let state = roles
                .entry(of.role)
                .or_insert_with(|| self.begin(signals, of));
            if let Some(ongoing) = self.ongoing(signals, of) {
                state.handle.look(&ongoing, self.periods());
            }
        }
        self.roles = roles;
    }

    fn periods(&self) -> Periods {
        Periods {
            record: (self.look_back * 0.2).min(self.metrics_interval),
            report: self.metrics_interval,
            look_back: self.look_back,
        }
    }

    /// The ongoing requests of each instance that runs; none for a metric that is not counted at an instant.
    fn ongoing(&self, signals: &Signals, of: &RoleSnapshot) -> Option<Ongoing> {
        self.metric.of_instance(&Load::ZERO)?;
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let value = |it: &InstanceSnapshot| Some((it.number, self.metric.of_instance(&it.load)?));
        let waits = match signals.roles().count() {
            1 => signals.snapshot().waiting,
            _ => signals.snapshot().waiting_for(of),
        };
        Some(Ongoing {
            time: signals.now().seconds(),
            arrived: signals.snapshot().arrived,
            queued: if self.metric.counts_queue() {
                waits as f64
            } else {
                0.0
            },
            instances: active.filter_map(value).collect(),
        })
    }

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
