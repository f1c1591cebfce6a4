use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::saved::saved_whole;
use super::{Metric, check_band, keep_all};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// One instance more when a role is loaded, one fewer when it is not, each role on its own.
///
/// The load of `Prompt` instances is their pending tokens over 10,000 each; that of `Token` instances
/// is their memory in use over their memory; that of `Mixed` instances is the higher of the two.
///
/// | | |
/// |---|---|
/// | inputs | pending tokens and memory of the active instances |
/// | window | the instant of the decision |
/// | current | active for the load and the minimum; in whatever status for the maximum |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `example_autoscaling_scheduler.py` of Onlytonight/splitwise-DRL, commit f2505269 of 23
/// December 2025. It looks every 100 requests; here, at each interval. An instance that starts up takes no
/// load yet, so a long start-up makes it order more than it needs: that is its definition. Which
/// instance goes is the actuator's to choose; by default it is the source's choice, the least loaded.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Seconds between decisions. Default 5, the source's cool-down.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// Pending tokens at which an instance counts as fully loaded. Default 10,000.
    #[schemars(range(min = 1))]
    pub tokens_per_instance: u64,
    /// One more above this load. Default 0.8.
    #[schemars(range(min = 0))]
    pub up: f64,
    /// One fewer below this load. Default 0.3.
    #[schemars(range(min = 0))]
    pub down: f64,
    /// Seconds from an action, on either role, to the next. Default 5, the source's.
    pub cooldown: SimDuration,
    /// Minimum number of active instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    /// When an instance was last added or removed; the start counts as such a time.
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    acted: SimTime,
}

impl Default for Threshold {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            tokens_per_instance: 10_000,
            up: 0.8,
            down: 0.3,
            cooldown: SimDuration::saturating(5.0),
            min: 1,
            max: 100,
            acted: SimTime::ZERO,
        }
    }
}

impl Policy for Threshold {
    const NAME: &'static str = "Threshold";
    const SUMMARY: &'static str = "one more or fewer as the load of a role crosses a threshold";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_band(("down", self.down), ("up", self.up))?;
        self.bounds().check()
    }

    fn measures(&self, role: Role) -> Option<Vec<Measure>> {
        let metric = match role {
            Role::Prompt | Role::Mixed => Metric::PendingTokens,
            Role::Token => Metric::Memory,
        };
        Some(vec![Measure::of(metric)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now();
        if now - self.acted < self.cooldown {
            return keep_all(signals, desired, "cooling down");
        }
        for of in signals.roles() {
            let load = self.load(of);
            let reason = format!("load {load:.3}");
            if load > self.up && of.current().saturating_add(of.draining) < self.max {
                desired.change(of.role, 1, reason);
            } else if load < self.down && of.active > self.min {
                desired.change(of.role, -1, reason);
            } else if of.current() < self.min {
                desired.exactly(of.role, self.min, "below the minimum");
                continue;
            } else {
                desired.keep(of.role, reason);
                continue;
            }
            self.acted = now;
        }
    }
}

impl Threshold {
    fn load(&self, of: &RoleSnapshot) -> f64 {
        let capacity = self.tokens_per_instance as f64 * f64::from(of.measured);
        let tokens = if of.measured > 0 {
            of.load.pending_tokens as f64 / capacity
        } else {
            0.0
        };
        match of.role {
            Role::Prompt => tokens,
            Role::Token => of.load.memory_share(),
            Role::Mixed => tokens.max(of.load.memory_share()),
        }
    }
}
