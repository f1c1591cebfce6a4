use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use super::bounds::Bounded;
use super::each_role::{EachRole, Memories, decide_each};
use super::saturation::{Targets, dearest_first, measured, variants};
use super::saved::saved_whole;
use crate::autoscale::{
    DesiredInstances, InvalidParameter, Measure, Policy, RoleSnapshot, Signals, Variant,
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
/// Each SKU that can carry the role is a *variant*. Of those with active instances the cheapest grows, and the
/// dearest that has more than one shrinks. A variant without active instances keeps what was asked of it: a SKU that
/// has never carried one is not tried.
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
/// llm-d/llm-d-workload-variant-autoscaler, commit b08b1c77 of 19 February 2026. Each
/// role is a model of its own. Where `actuator: (sku: ..)` names a SKU, that is the only variant.
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
    /// Whether the GPUs that are left are shared out before the actuator: those with the least KV cache to spare
    /// come first, of all applications whose policies say so. Default false.
    pub limiter: bool,
    /// Minimum number of instances of a role. Default 1.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(with = "crate::snapshot::remembered")]
    #[schemars(skip)]
    roles: Memories<Memory>,
}

/// What is remembered of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Looks at each instance, by its number.
    looks: BTreeMap<u64, VecDeque<Look>>,
    /// What was asked for last of each variant, by its SKU.
    asked: BTreeMap<usize, Asked>,
}

/// A number that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Asked {
    count: u32,
    /// Whether it was asked for again though nothing was under way.
    again: bool,
}

/// An instance as it was once seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
            limiter: false,
            min: 1,
            max: 100,
            roles: Memories::new(),
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
        self.bounds().check()
    }

    fn measures(&self, _role: Role) -> Option<Vec<Measure>> {
        Some(vec![Measure::of(Metric::Kv)])
    }

    saved_whole!();

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        decide_each(self, signals, desired);
    }
}

impl EachRole for SaturationV1 {
    type Memory = Memory;

    fn memories(&mut self) -> &mut Memories<Memory> {
        &mut self.roles
    }

    fn begin(&self, _: &Signals, _: &RoleSnapshot) -> Memory {
        Memory::default()
    }

    fn decide_on(
        &self,
        of: &RoleSnapshot,
        memory: &mut Memory,
        signals: &Signals,
        desired: &mut DesiredInstances,
    ) {
        memory.look(signals.time(), of, self.peak_window);
        let spare = self.spare(of, memory);
        let variants = variants(of);
        let mut targets = Targets::default();
        let mut unsettled = None;
        let mut shown = Vec::new();
        for variant in &variants {
            let (current, seen) = (variant.current(), count(measured(of, variant)));
            let asked = memory.asked_of(variant, seen != current || of.draining > 0);
            targets.set(variant, asked);
            if seen > 0 {
                shown.push(*variant);
            }
            if seen > 0 && (asked != current || seen != current) {
                unsettled.get_or_insert((asked, seen));
            }
        }
        let reason = match unsettled {
            None => format!("spare KV {:.3}, queue {:.2}", spare.kv, spare.queue),
            Some((asked, seen)) => format!("{asked} asked for, {seen} show their metrics"),
        };
        if unsettled.is_none() {
            if self.is_short(&spare) {
                let dearest_first = dearest_first(&shown);
                if let Some(cheapest) = dearest_first.last() {
                    targets.set(cheapest, cheapest.current().saturating_add(1));
                }
            } else if self.can_do_with_fewer(&spare) {
                let several = |it: &&&Variant| it.current() > 1;
                if let Some(dearest) = dearest_first(&shown).iter().find(several) {
                    targets.set(dearest, dearest.current() - 1);
                }
            }
        }
        targets.keep_within(self.bounds(), &variants);
        for variant in &variants {
            memory.ask(variant, targets.of(variant));
        }
        targets.want(of, reason, desired);
        if self.limiter {
            desired.claim(of.role, spare.kv);
        }
    }
}

fn count(instances: impl Iterator) -> u32 {
    u32::try_from(instances.count()).unwrap_or(u32::MAX)
}

impl Memory {
    /// Adds what is seen now, and forgets what is too old and who is gone.
    fn look(&mut self, time: SimTime, of: &RoleSnapshot, window: SimDuration) {
        let mut before = std::mem::take(&mut self.looks);
        for it in &of.instances {
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

    /// What was asked for last of a variant. What was asked for twice while nothing was under way was
    /// refused, and what there is counts.
    fn asked_of(&mut self, variant: &Variant, under_way: bool) -> u32 {
        let current = variant.current();
        let first = Asked {
            count: current,
            again: false,
        };
        let asked = self.asked.entry(variant.sku).or_insert(first);
        if asked.again && !under_way {
            asked.count = current;
        }
        asked.again = asked.count != current && !under_way;
        asked.count
    }

    fn ask(&mut self, variant: &Variant, count: u32) {
        if let Some(asked) = self.asked.get_mut(&variant.sku) {
            asked.count = count;
        }
    }
}

impl SaturationV1 {
    fn spare(&self, of: &RoleSnapshot, memory: &Memory) -> Spare {
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let mut sum = Spare {
            instances: 0.0,
            kv: 0.0,
            queue: 0.0,
        };
        for looks in active.filter_map(|it| memory.looks.get(&it.number)) {
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
