use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metric, check_limits};
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::{SimDuration, SimTime};

/// One instance more while those that are not saturated have too little to spare, one fewer where they
/// would still have enough: the first saturation analyser of llm-d's variant autoscaler.
///
/// An instance is saturated with `kv_threshold` of its KV cache in use or `queue_threshold` requests
/// waiting. What the others have to spare up to those thresholds is averaged. Below `kv_spare` or
/// `queue_spare`, or with none left, one more. One fewer if, with the load of n spread over n − 1, both
/// are still spare, n being those that are not saturated and at least 2. While there are not as many as
/// were asked for last, or not all of them show their metrics, it asks for the same again: on a rise it adds
/// one for each start-up, however many are missing. A number that the actuator refused is asked for once
/// more, and then what there is counts.
///
/// | | |
/// |---|---|
/// | inputs | KV cache in use and requests waiting, of each active instance, at their peak |
/// | window | `peak_window`, a look at each decision |
/// | current | active; while one starts up, nothing changes |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `internal/{saturation/analyzer,engines/pipeline}` of
/// llm-d/llm-d-workload-variant-autoscaler, commit b08b1c77 of 19 February 2026. There the cheapest variant of a model grows and the dearest
/// shrinks; here that is `actuator: (sku: Cheapest, victim: Costliest)`, and each role is a model of its
/// own.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SaturationV1 {
    /// Seconds between decisions. Default 30, as in BLIS (15 to 30); the source's 60 would make the
    /// peak of a minute a single look.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// An instance with this share of its KV cache in use is saturated. Default 0.8.
    #[schemars(range(min = 0.01, max = 1))]
    pub kv_threshold: f64,
    /// An instance with this many requests waiting is saturated. Default 5.
    #[schemars(range(min = 0))]
    pub queue_threshold: f64,
    /// The share of the KV cache to have to spare. Default 0.1.
    #[schemars(range(min = 0, max = 1))]
    pub kv_spare: f64,
    /// The requests waiting to have to spare. Default 3.
    #[schemars(range(min = 0))]
    pub queue_spare: f64,
    /// Seconds over which the highest value counts. Default 60, its `max_over_time[1m]`.
    pub peak_window: SimDuration,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    looks: BTreeMap<u64, VecDeque<Look>>,
    /// What was asked for last, and whether it was asked for again though nothing was under way.
    #[serde(skip)]
    asked: BTreeMap<Role, (u32, bool)>,
}

/// An instance as it was once seen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    time: SimTime,
    kv: f64,
    queue: f64,
}

/// What the instances that are not saturated have to spare, on average.
struct Spare {
    instances: f64,
    kv: f64,
    queue: f64,
}

impl Default for SaturationV1 {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(30.0),
            kv_threshold: 0.8,
            queue_threshold: 5.0,
            kv_spare: 0.1,
            queue_spare: 3.0,
            peak_window: SimDuration::saturating(60.0),
            min: 1,
            max: 100,
            looks: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }
}

impl Policy for SaturationV1 {
    const NAME: &'static str = "SaturationV1";
    const SUMMARY: &'static str = "one more or fewer by what unsaturated instances have to spare";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Kv)])
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        self.look(signals);
        for of in signals.roles() {
            let spare = self.spare(of);
            let current = of.current();
            let last = self.asked.get(&of.role).copied();
            let (asked, repeated) = last.unwrap_or((current, false));
            let under_way = of.measured != current || of.draining > 0;
            let refused = repeated && !under_way;
            let asked = if refused { current } else { asked };
            let settled = asked == current && of.measured == current;
            let count = if !settled || current == 0 {
                asked
            } else if self.is_short(&spare) {
                current.saturating_add(1)
            } else if self.can_do_with_fewer(&spare) {
                current.saturating_sub(1)
            } else {
                current
            };
            let reason = match settled {
                true => format!("spare KV {:.3}, queue {:.2}", spare.kv, spare.queue),
                false => format!("{asked} asked for, {} show their metrics", of.measured),
            };
            let count = count.clamp(self.min, self.max);
            let repeated = asked != current && !under_way;
            self.asked.insert(of.role, (count, repeated));
            desired.exactly(of.role, count, reason);
        }
    }
}

impl SaturationV1 {
    /// Adds what is seen now, and forgets what is too old and who is gone.
    fn look(&mut self, signals: &Signals) {
        let (time, window) = (signals.time(), self.peak_window);
        let mut before = std::mem::take(&mut self.looks);
        for it in signals.roles().flat_map(|of| &of.instances) {
            let mut looks = before.remove(&it.number).unwrap_or_default();
            looks.retain(|look| time < look.time + window);
            looks.push_back(Look {
                time,
                kv: it.load.kv_share(),
                queue: it.load.waiting() as f64,
            });
            self.looks.insert(it.number, looks);
        }
    }

    fn spare(&self, of: &RoleSnapshot) -> Spare {
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let mut sum = Spare {
            instances: 0.0,
            kv: 0.0,
            queue: 0.0,
        };
        for looks in active.filter_map(|it| self.looks.get(&it.number)) {
            let peak = |figure: fn(&Look) -> f64| looks.iter().map(figure).fold(0.0, f64::max);
            let kv = self.kv_threshold - peak(|it| it.kv);
            let queue = self.queue_threshold - peak(|it| it.queue);
            if kv > 0.0 && queue > 0.0 {
                sum.instances += 1.0;
                sum.kv += kv;
                sum.queue += queue;
            }
        }
        let count = sum.instances.max(1.0);
        Spare {
            kv: sum.kv / count,
            queue: sum.queue / count,
            ..sum
        }
    }

    fn is_short(&self, spare: &Spare) -> bool {
        spare.kv < self.kv_spare || spare.queue < self.queue_spare
    }

    fn can_do_with_fewer(&self, spare: &Spare) -> bool {
        let more = spare.instances / (spare.instances - 1.0);
        let left = Spare {
            instances: spare.instances - 1.0,
            kv: self.kv_threshold - (self.kv_threshold - spare.kv) * more,
            queue: self.queue_threshold - (self.queue_threshold - spare.queue) * more,
        };
        spare.instances >= 2.0 && !self.is_short(&left)
    }
}
