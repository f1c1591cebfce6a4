mod behaviour;

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::check_target;
use super::{Metric, MetricTarget, check_limits, round_up};
use crate::autoscale::{DesiredInstances, InvalidParameter, Policy, RoleSnapshot, Signals};
use crate::serving::Role;
use crate::time::SimDuration;

pub use behaviour::{Behaviour, RateLimit, Select};
use behaviour::{Past, Way};

/// Each role as the horizontal pod autoscaler of Kubernetes scales pods: current × metric ÷ target.
///
/// For each metric, ratio = its mean over the active instances ÷ its target. Within the tolerance of 1,
/// nothing changes; otherwise ceil(ratio × active) are wanted, and of several metrics the most. If a
/// metric is unknown, nothing is removed. What is wanted then goes through `scale_up` and
/// `scale_down`: first the stabilisation windows, then the limits of the rate.
///
/// An instance that starts up is a pod that is not ready: where the ratio is above 1 it counts as one
/// whose metric is 0, and if that turns the ratio round, nothing changes; where it is below 1 it does
/// not count, so that the number wanted is that of active instances alone. Set `starting` to `Missing`
/// for pods that run without showing the metric yet: they count as 0 on the way up and as at the
/// target on the way down. A latency is a metric of the application and not of pods: its ratio times the
/// active instances, whatever starts up.
///
/// | | |
/// |---|---|
/// | inputs | the metrics, of each role by itself |
/// | window | `window` |
/// | current | starting up and active |
/// | rounding | up; a percentage up to add, the rest of a percentage down to remove |
/// | first decision | one interval after the start |
///
/// Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` of kubernetes/kubernetes
/// and the defaults of `autoscaling/v2`. These are the rules of an object with `behavior`; one without
/// adds up to max(2 × current, 4) at a time instead. The tolerance is inclusive at both ends, as since
/// 1.33. With none there, ceil(total ÷ target) are wanted, as with the gate `HPAScaleToZero`. A change
/// counts for the limits even where the actuator refuses it.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesHpa {
    /// Seconds between decisions. Default 15, the controller's sync period.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is measured, and its targets. Default: `Busy` at 0.8, as the default of `autoscaling/v2`
    /// is 80 % of the processor.
    pub metrics: Vec<MetricTarget>,
    /// Seconds over which the metrics are taken. Default 15, the resolution of metrics-server.
    pub window: SimDuration,
    /// Nothing changes where a ratio is so near to 1. Default 0.1, the controller's.
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: f64,
    /// What an instance that starts up counts as. Default `NotReady`.
    pub starting: Starting,
    /// How fast instances may be added.
    pub scale_up: Behaviour,
    /// How fast instances may be removed.
    pub scale_down: Behaviour,
    /// At least so many instances of a role. Default 1.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    roles: BTreeMap<Role, Past>,
}

/// What an instance that starts up counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Starting {
    /// A pod that is not ready.
    #[default]
    NotReady,
    /// A pod whose metric is missing.
    Missing,
}

impl Default for KubernetesHpa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(15.0),
            metrics: vec![MetricTarget::new(Metric::Busy, 0.8)],
            window: SimDuration::saturating(15.0),
            tolerance: 0.1,
            starting: Starting::NotReady,
            scale_up: Behaviour::default(),
            scale_down: Behaviour::default(),
            min: 1,
            max: 100,
            roles: BTreeMap::new(),
        }
    }
}

impl Policy for KubernetesHpa {
    const NAME: &'static str = "KubernetesHpa";
    const SUMMARY: &'static str = "current × metric ÷ target, with windows and rate limits";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.interval.max(self.window)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        for of in &self.metrics {
            check_target("metrics", of.target)?;
        }
        for (field, behaviour) in [
            ("scale_up", &self.scale_up),
            ("scale_down", &self.scale_down),
        ] {
            if behaviour.is_empty() {
                return Err(InvalidParameter {
                    field,
                    message: "no limit to select: name one, or `select: Disabled`".to_owned(),
                });
            }
        }
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let current = of.current();
            let (count, reason) = if current > self.max {
                (self.max, "above the maximum".to_owned())
            } else if current < self.min {
                (self.min, "below the minimum".to_owned())
            } else {
                let Some((wanted, reason)) = self.wanted(signals, of) else {
                    desired.keep(of.role, "a metric is unknown");
                    continue;
                };
                (self.allowed(signals, of, wanted), reason)
            };
            if count != current {
                let longest = self.scale_up.longest(Way::Up);
                let longest = longest.max(self.scale_down.longest(Way::Down));
                let by = i64::from(count) - i64::from(current);
                let past = self.roles.entry(of.role).or_default();
                past.changed(signals.now(), by, longest);
            }
            desired.exactly(of.role, count, reason);
        }
    }
}

impl KubernetesHpa {
    /// The most that any metric wants; none if that is not known.
    fn wanted(&self, signals: &Signals, of: &RoleSnapshot) -> Option<(u32, String)> {
        let metrics = self.metrics.iter();
        let metrics = metrics.filter(|it| it.role.is_none_or(|role| role == of.role));
        let proposals: Vec<_> = metrics.map(|it| self.proposal(it, signals, of)).collect();
        let known = proposals.iter().flatten();
        let (wanted, reason) = known.max_by_key(|it| it.0)?.clone();
        let complete = proposals.iter().all(Option::is_some);
        (complete || wanted >= of.current()).then_some((wanted, reason))
    }

    fn proposal(
        &self,
        of: &MetricTarget,
        signals: &Signals,
        role: &RoleSnapshot,
    ) -> Option<(u32, String)> {
        let total = of.metric.total(signals, role.role, self.window)?;
        let (active, current) = (f64::from(role.active), role.current());
        if current == 0 {
            let reason = format!("{} {total:.3} in all", of.metric);
            return Some((round_up(total / of.target), reason));
        }
        if role.active == 0 {
            return None;
        }
        let ratio = total / (of.target * active);
        let reason = format!("{} {:.3} of {}", of.metric, total / active, of.target);
        let missing = self.starting == Starting::Missing;
        let counted = if of.metric.is_latency() || role.scaling_up() == 0 {
            None
        } else if ratio > 1.0 {
            Some(total)
        } else if missing {
            Some(total + of.target * f64::from(role.scaling_up()))
        } else {
            None
        };
        let (ratio, pods) = match counted {
            None => (ratio, active),
            Some(total) => {
                let all = f64::from(current);
                let counted = total / (of.target * all);
                if (counted > 1.0) != (ratio > 1.0) {
                    return Some((current, format!("{reason}, not with those that start up")));
                }
                (counted, all)
            }
        };
        if (1.0 - self.tolerance..=1.0 + self.tolerance).contains(&ratio) {
            return Some((current, reason));
        }
        Some((round_up(ratio * pods), reason))
    }

    /// What is wanted, after the windows, the limits of the rate and those of the number.
    fn allowed(&mut self, signals: &Signals, of: &RoleSnapshot, wanted: u32) -> u32 {
        let (now, current) = (signals.now(), of.current());
        let past = self.roles.entry(of.role).or_default();
        let behaviours = (&self.scale_up, &self.scale_down);
        let wanted = past.stabilized(now, (current, wanted), behaviours);
        if wanted > current {
            let most = self.scale_up.farthest(Way::Up, now, current, past);
            wanted.min(most).min(self.max)
        } else if wanted < current {
            let least = self.scale_down.farthest(Way::Down, now, current, past);
            wanted.max(least).max(self.min)
        } else {
            current
        }
    }
}
