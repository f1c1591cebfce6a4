mod behaviour;
mod calculator;

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::metric::check_target;
use super::saved::saved_whole;
use super::{Metric, MetricKind, MetricTarget};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::serving::Role;
use crate::time::SimDuration;

pub use behaviour::{Behaviour, RateLimit, Select};
use behaviour::{Past, Way};
use calculator::{Pods, Tolerances, proposal, thousandths};

/// Each role as the horizontal pod autoscaler of Kubernetes scales pods: current × metric ÷ target.
///
/// For each metric, ratio = its mean over the active instances ÷ its target. Within the tolerance of 1,
/// nothing changes; otherwise ceil(ratio × active) are wanted, and of several metrics the most. If a
/// metric is unknown, nothing is removed. What is wanted then goes through `scale_up` and
/// `scale_down`: first the stabilisation windows, then the limits of the rate. A mean is cut to whole
/// thousandths, a utilisation to whole per cent, before it is divided by its target. See [`MetricKind`] for
/// what a metric is a metric of.
///
/// An instance that starts up is a pod that is not ready: where the ratio is above 1 it counts as one
/// whose metric is 0, and if that turns the ratio round, nothing changes; where it is below 1 it does
/// not count, so that the number wanted is that of active instances alone. Set `starting` to `Missing`
/// for pods that run without showing the metric yet: they count as 0 on the way up and as at the
/// target on the way down. So do instances that are active but were not when the metrics were taken. A
/// `Value` times the instances that are active **or drain**: pods that terminate are ready still.
///
/// | | |
/// |---|---|
/// | inputs | the metrics, of each role by itself |
/// | window | `window` |
/// | current | starting up and active |
/// | rounding | up; a percentage up to add, the rest of a percentage down to remove |
/// | first decision | one interval after the start |
///
/// Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` of kubernetes/kubernetes, as
/// at commit a769d588 of omerap12/kubernetes in 2026, and the defaults of `autoscaling/v2`; a
/// tolerance for each way since 1.33 (KEP-4951). A change counts for the limits even where the
/// actuator refuses it. With none there and a `min` above 0 the original does nothing at all; the actuator's
/// own minimum still holds.
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
    /// Nothing changes where a ratio is so near to 1, unless `scale_up` or `scale_down` has a tolerance of
    /// its own. Default 0.1, the controller's.
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: f64,
    /// What an instance that starts up counts as. Default `NotReady`.
    pub starting: Starting,
    /// Whether `scale_up` and `scale_down` hold. Default true. `false` is an object without `behavior`: at
    /// most max(2 × current, 4) at a time, and fewer only once they are wanted for 300 s.
    pub behaviour: bool,
    /// How fast instances may be added.
    pub scale_up: Behaviour,
    /// How fast instances may be removed.
    pub scale_down: Behaviour,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: BTreeMap<Role, Past>,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    given: Vec<Given>,
}

/// A total of the application that another policy goes by, and what each pod is to have of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) total: f64,
    pub(super) target: f64,
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

/// The stabilisation of an object without `behavior`: the controller's default.
const WITHOUT_BEHAVIOUR: SimDuration = SimDuration::saturating(300.0);

impl Default for KubernetesHpa {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(15.0),
            metrics: vec![MetricTarget::new(Metric::Busy, 0.8)],
            window: SimDuration::saturating(15.0),
            tolerance: 0.1,
            starting: Starting::NotReady,
            behaviour: true,
            scale_up: Behaviour::default(),
            scale_down: Behaviour::default(),
            min: 1,
            max: 100,
            roles: BTreeMap::new(),
            given: Vec::new(),
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
        self.bounds().check()
    }

    fn names(&self) -> Vec<Role> {
        self.metrics.iter().filter_map(|it| it.role).collect()
    }

    fn measures(&self, role: Role) -> Option<Vec<Measure>> {
        let measure = |it: &MetricTarget| Measure {
            metric: it.metric,
            target: Some(it.target),
        };
        Some(self.metrics_of(role).map(measure).collect())
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            match self.decide_role(signals, of) {
                (Some(count), reason) => desired.exactly(of.role, count, reason),
                (None, reason) => desired.keep(of.role, reason),
            }
        }
    }
}

impl KubernetesHpa {
    /// Sets what it goes by besides its metrics.
    pub(super) fn give(&mut self, given: Vec<Given>) {
        self.given = given;
    }

    /// The number that a role is to have, and why; none for no change.
    pub(super) fn decide_role(
        &mut self,
        signals: &Signals,
        of: &RoleSnapshot,
    ) -> (Option<u32>, String) {
        let (now, current) = (signals.now(), of.current());
        self.roles.entry(of.role).or_default().begin(now, current);
        let (count, reason) = if current == 0 && self.min > 0 {
            (0, "scaling is disabled at zero".to_owned())
        } else if current > self.max {
            (self.max, "above the maximum".to_owned())
        } else if current < self.min {
            (self.min, "below the minimum".to_owned())
        } else {
            let Some((wanted, reason)) = self.wanted(signals, of) else {
                return (None, "a metric is unknown".to_owned());
            };
            (self.allowed(signals, of, wanted), reason)
        };
        if count != current {
            let longest = match count > current {
                true => self.scale_up.longest(Way::Up),
                false => self.scale_down.longest(Way::Down),
            };
            let by = i64::from(count) - i64::from(current);
            let past = self.roles.entry(of.role).or_default();
            past.changed(now, by, longest);
        }
        (Some(count), reason)
    }

    fn metrics_of(&self, role: Role) -> impl Iterator<Item = &MetricTarget> {
        let metrics = self.metrics.iter();
        metrics.filter(move |it| it.role.is_none_or(|of| of == role))
    }

    /// The most that any metric wants; none if that is not known.
    fn wanted(&self, signals: &Signals, of: &RoleSnapshot) -> Option<(u32, String)> {
        let metrics = self.metrics_of(of.role);
        let given = self.given.iter().map(|it| self.by_given(*it, of));
        let proposals = metrics
            .map(|it| self.proposal(it, signals, of))
            .chain(given);
        let proposals: Vec<_> = proposals.collect();
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
        let kind = of.kind();
        let usage = match kind {
            MetricKind::Value => of.metric.figure(signals, role.role, self.window)?,
            _ => of.metric.total(signals, role.role, self.window)?,
        };
        let pods = self.pods(role);
        let wanted = proposal(kind, thousandths(usage), of.target, pods, self.tolerances())?;
        let reason = match kind {
            MetricKind::Value => format!("{} {usage:.3} of {}", of.metric, of.target),
            _ => format!("{} {usage:.3} in all, {} each", of.metric, of.target),
        };
        Some((wanted, reason))
    }

    fn by_given(&self, given: Given, role: &RoleSnapshot) -> Option<(u32, String)> {
        let Given { total, target } = given;
        let (kind, pods) = (MetricKind::AverageValue, self.pods(role));
        let wanted = proposal(kind, thousandths(total), target, pods, self.tolerances())?;
        Some((wanted, format!("{total:.3} in all, {target} each")))
    }

    fn tolerances(&self) -> Tolerances {
        Tolerances {
            up: self.scale_up.tolerance.unwrap_or(self.tolerance),
            down: self.scale_down.tolerance.unwrap_or(self.tolerance),
        }
    }

    fn pods(&self, role: &RoleSnapshot) -> Pods {
        let missing = role.active.saturating_sub(role.measured);
        let starting = role.scaling_up();
        let (missing, unready) = match self.starting {
            Starting::NotReady => (missing, starting),
            Starting::Missing => (missing.saturating_add(starting), 0),
        };
        Pods {
            current: role.current(),
            measured: role.measured,
            missing,
            unready,
            ready: role.active.saturating_add(role.draining),
        }
    }

    /// What is wanted, after the windows, the limits of the rate and those of the number.
    fn allowed(&mut self, signals: &Signals, of: &RoleSnapshot, wanted: u32) -> u32 {
        let (now, current) = (signals.now(), of.current());
        let past = self.roles.entry(of.role).or_default();
        if !self.behaviour {
            let highest = past.highest(now, wanted, WITHOUT_BEHAVIOUR);
            let most = current.saturating_mul(2).max(4).min(self.max);
            return highest.min(most).max(self.min);
        }
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
