mod token_times;

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DynamoSla, Metric, check_band, check_limits, keep_all};
use crate::autoscale::{
    DesiredInstances, InstanceSnapshot, InvalidParameter, Measure, Policy, RoleSnapshot, Signals,
};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::SimDuration;
use token_times::TokenTimes;

/// One instance more or fewer at a time by what each instance has to do: the load mode of Dynamo's
/// planner.
///
/// With an aim other than `Sla`, one more if any instance is at the upper threshold; one fewer, but not the
/// last, if all are at the lower one **and** the highest load, spread over one fewer, stays below the upper
/// one:
///
/// | role | what | `Throughput` | `Latency` | `Load` |
/// |---|---|---|---|---|
/// | `Prompt` | prompt tokens waiting ÷ context length | ≥ 1, < 0.1 | ≥ 0.1, ≤ 0 | the tokens, ≥ `prompt_up`, ≤ `prompt_down` |
/// | `Token` | KV tokens held ÷ what fits | > 1, < 0.6 | > 0.4, < 0.1 | ≥ `kv_up`, ≤ `kv_down` |
/// | `Mixed` | the same with prompt tokens waiting | > 1, < 0.6 | > 0.4, < 0.1 | ≥ `kv_up`, ≤ `kv_down` |
///
/// With the aim `Sla`, one more if every instance's estimated latency is above its objective; one fewer
/// if every instance's, with the load of n on n − 1, is below: the time that the queue adds below
/// `sensitivity` of what a prompt alone leaves of `ttft`, the time between tokens below `sensitivity` ×
/// `tbt` and the KV cache not full. The next request counts as well. `Mixed` instances grow for either
/// latency and shrink for both.
///
/// While an instance starts up, nothing is added, and a wish for as many as there are without it, or fewer,
/// gives it up. While one drains, or does not show its metrics, nothing changes.
///
/// With `throughput`, the answer of [`DynamoSla`] is the floor of this one.
///
/// | | |
/// |---|---|
/// | inputs | KV cache in use and requests waiting of each active instance; mean prompt; for `Sla`, tokens a second |
/// | window | the instant of the decision; one minute for the mean prompt |
/// | current | active |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `components/src/dynamo/planner/core/{load_scaling,state_machine}.py` of ai-dynamo 1.6.1
/// (November 2026). There an engine reports its queue in tokens; here that is its requests waiting × the
/// mean prompt, of its own work for `Prompt` instances and of the requests that arrived for `Mixed` ones.
/// There the latencies come from an estimator of forward passes; here a prompt runs at the role's prompt
/// capacity, and the time between tokens is a line over the KV tokens of an instance, fitted to the last 50
/// decisions (5 at least). Its budget of GPUs is the fleet's and the actuator's.
#[derive(Component, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoLoad {
    /// Seconds between decisions. Default 5, its load adjustment interval.
    #[schemars(range(min = 0.001))]
    pub interval: SimDuration,
    /// What is aimed at. Default `Throughput`, its easy mode.
    pub aim: Aim,
    /// Tokens of the model's context. Default 4096, that of Llama 2.
    #[schemars(range(min = 1))]
    pub context_length: u32,
    /// For `Load`, prompt tokens waiting at an instance from which on one more is wanted. Default 4096.
    #[schemars(range(min = 0))]
    pub prompt_up: f64,
    /// For `Load`, prompt tokens waiting at every instance down to which one fewer is wanted. Default 0.
    #[schemars(range(min = 0))]
    pub prompt_down: f64,
    /// For `Load`, the share of the KV cache from which on one more is wanted. Default 0.8.
    #[schemars(range(min = 0))]
    pub kv_up: f64,
    /// For `Load`, the share of the KV cache down to which one fewer is wanted. Default 0.4.
    #[schemars(range(min = 0))]
    pub kv_down: f64,
    /// Whether one goes only where the rest can bear its load. Default true; `false` is a planner from before
    /// that test, which takes one away and adds it again.
    pub consolidation: bool,
    /// The throughput mode, whose answer is the floor of this one. Default: none.
    pub throughput: Option<DynamoSla>,
    /// For `Sla`, the objective of the time to first token, in seconds. Default 0.5.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub ttft: f64,
    /// For `Sla`, the objective of the time between tokens, in seconds. Default 0.05.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tbt: f64,
    /// For `Sla`, the share of an objective below which one fewer is safe. Default 0.8, its sensitivity
    /// of 80.
    #[schemars(range(min = 0, max = 1))]
    pub sensitivity: f64,
    /// Minimum number of instances of a role. Default 1, its `min_endpoint`.
    pub min: u32,
    /// Maximum number of instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    #[schemars(skip)]
    times: TokenTimes,
    #[serde(skip)]
    #[schemars(skip)]
    floors: BTreeMap<Role, u32>,
}

/// What [`DynamoLoad`] aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aim {
    /// Full instances, with fixed thresholds.
    #[default]
    Throughput,
    /// Empty queues, with fixed thresholds.
    Latency,
    /// The user's own thresholds.
    Load,
    /// The objectives `ttft` and `tbt`.
    Sla,
}

/// The window of the mean prompt, its default of 50 forward passes being far shorter than a decision.
const PROMPTS: SimDuration = SimDuration::saturating(60.0);

impl Default for DynamoLoad {
    fn default() -> Self {
        Self {
            interval: SimDuration::saturating(5.0),
            aim: Aim::Throughput,
            context_length: 4096,
            prompt_up: 4096.0,
            prompt_down: 0.0,
            kv_up: 0.8,
            kv_down: 0.4,
            consolidation: true,
            throughput: None,
            ttft: 0.5,
            tbt: 0.05,
            sensitivity: 0.8,
            min: 1,
            max: 100,
            times: TokenTimes::default(),
            floors: BTreeMap::new(),
        }
    }
}

impl Policy for DynamoLoad {
    const NAME: &'static str = "DynamoLoad";
    const SUMMARY: &'static str = "one more or fewer by the load of each instance";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        let throughput = self.throughput.as_ref().map(Policy::window);
        self.interval
            .max(PROMPTS)
            .max(throughput.unwrap_or_default())
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_band(
            ("prompt_down", self.prompt_down),
            ("prompt_up", self.prompt_up),
        )?;
        check_band(("kv_down", self.kv_down), ("kv_up", self.kv_up))?;
        check_limits(self.min, self.max)
    }

    fn measures(&self, role: Role) -> Option<Vec<Measure>> {
        let metric = match role {
            Role::Prompt => Metric::Waiting,
            Role::Token | Role::Mixed => Metric::Kv,
        };
        Some(vec![Measure::of(metric)])
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            self.times.observe(signals, of, self.interval);
        }
        self.look_at_throughput(signals);
        let pending = signals.roles().any(|of| of.scaling_up() > 0);
        let moves = signals.roles().any(|of| of.draining > 0) && !pending;
        if signals.roles().all(|of| of.measured == 0) {
            return keep_all(signals, desired, "no instance is active");
        }
        if moves || signals.roles().any(|of| of.measured != of.active) {
            return keep_all(signals, desired, "a change is in progress");
        }
        for of in signals.roles() {
            let (wanted, reason) = self.wanted(signals, of);
            let wanted = wanted.filter(|&wanted| !pending || wanted <= of.active);
            let floor = self.floors.get(&of.role).copied().unwrap_or(0);
            let least = self.min.max(floor);
            if wanted.is_none() && of.role == Role::Mixed && self.aim != Aim::Sla {
                // Without an opinion the source does not even restore the minimum.
                desired.keep(of.role, reason);
                continue;
            }
            let count = wanted.map_or(of.active, |wanted| wanted).max(least);
            if !pending {
                desired.exactly(of.role, count.min(self.max), reason);
            } else if wanted.is_some() && count <= of.active && count < of.current() {
                desired.exactly(of.role, count, format!("{reason}, despite a start-up"));
            } else {
                desired.keep(of.role, "a change is in progress");
            }
        }
    }
}

impl DynamoLoad {
    /// Takes the answer of the throughput mode when its time has come.
    fn look_at_throughput(&mut self, signals: &Signals) {
        let Some(throughput) = &mut self.throughput else {
            return;
        };
        let now = signals.now().seconds();
        let every = throughput.interval.seconds();
        let number = |at: f64| (at / every).floor();
        if number(now) > number(now - self.interval.seconds()) {
            self.floors.extend(throughput.counts(signals));
        }
    }

    /// How many active instances a role is to have; none for no opinion.
    fn wanted(&self, signals: &Signals, of: &RoleSnapshot) -> (Option<u32>, String) {
        let mean = signals.mean_prompt_tokens(PROMPTS);
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let work: Vec<Work> = active.map(|it| Work::of(of, it, mean)).collect();
        if work.is_empty() {
            return (None, "no instance is active".to_owned());
        }
        if self.aim != Aim::Sla {
            return self.by_thresholds(of, &work);
        }
        let (by, reason) = self.by_latency(of, &work, mean);
        let wanted = of.active.saturating_add_signed(by).max(self.min);
        ((by != 0).then_some(wanted), reason)
    }

    fn by_thresholds(&self, of: &RoleSnapshot, work: &[Work]) -> (Option<u32>, String) {
        let of_prompts = of.role == Role::Prompt;
        let context = match self.aim {
            Aim::Load => 1.0,
            _ => f64::from(self.context_length),
        };
        let level = |it: &Work| match of_prompts {
            true => it.queue / context,
            false => it.kv_share(1.0),
        };
        let (up, down) = match (self.aim, of_prompts) {
            (Aim::Throughput | Aim::Sla, true) => (1.0, 0.1),
            (Aim::Throughput | Aim::Sla, false) => (1.0, 0.6),
            (Aim::Latency, true) => (0.1, 0.0),
            (Aim::Latency, false) => (0.4, 0.1),
            (Aim::Load, true) => (self.prompt_up, self.prompt_down),
            (Aim::Load, false) => (self.kv_up, self.kv_down),
        };
        let high = |it: f64| it > up || it >= up && (of_prompts || self.aim == Aim::Load);
        let even = self.aim == Aim::Load || of_prompts && self.aim == Aim::Latency;
        let low = |it: f64| it < down || it <= down && even;
        let (count, least) = (of.active, self.min);
        let highest = highest(work, level);
        let reason = format!("highest load {highest:.3}");
        let wanted = if work.iter().any(|it| high(level(it))) {
            Some(count.saturating_add(1))
        } else if work.iter().all(|it| low(level(it))) && of.current() > 1 {
            let fewer = count.saturating_sub(1).max(least);
            let safe = !self.consolidation
                || fewer == 0
                || fewer >= count
                || highest * f64::from(count) / f64::from(fewer) < up;
            Some(if safe { fewer } else { count })
        } else {
            None
        };
        (wanted, reason)
    }

    fn by_latency(&self, of: &RoleSnapshot, work: &[Work], mean: Option<f64>) -> (i32, String) {
        let first =
            matches!(of.role, Role::Prompt | Role::Mixed).then(|| self.ttft(of, work, mean));
        let next = matches!(of.role, Role::Token | Role::Mixed).then(|| self.tbt(of, work));
        let both = [("TTFT", first), ("TBT", next)];
        let parts: Vec<_> = both
            .into_iter()
            .filter_map(|(name, it)| Some((name, it?)))
            .collect();
        let up = parts.iter().any(|(_, it)| it.is_some_and(|it| it.up));
        let down = parts.iter().all(|(_, it)| it.is_some_and(|it| it.down));
        let reason = parts.iter().map(|(name, it)| match it {
            Some(it) => format!("{name} {:.4} s", it.highest),
            None => format!("{name} unknown"),
        });
        (towards(up, down), reason.collect::<Vec<_>>().join(", "))
    }

    fn ttft(&self, of: &RoleSnapshot, work: &[Work], mean: Option<f64>) -> Option<Estimate> {
        let mean = mean.or_else(|| work.iter().find_map(|it| it.mean_prompt))?;
        let capacity = Some(of.prompt_capacity).filter(|&it| it > 0.0)?;
        let own = mean / capacity;
        let budget = (self.ttft - own) * self.sensitivity;
        let more = consolidated(work.len());
        Some(Estimate {
            highest: own + highest(work, |it| it.queue) / capacity,
            up: work.iter().all(|it| own + it.queue / capacity > self.ttft),
            down: more
                .is_some_and(|more| work.iter().all(|it| it.queue * more / capacity < budget)),
        })
    }

    fn tbt(&self, of: &RoleSnapshot, work: &[Work]) -> Option<Estimate> {
        let line = self.times.line(of.role)?;
        let more = consolidated(work.len());
        // The next request finds as much context as those that run, on average.
        let running: f64 = work.iter().map(|it| it.running).sum();
        let held: f64 = work.iter().map(|it| it.kv).sum();
        let next = if running > 0.0 { held / running } else { 0.0 };
        Some(Estimate {
            highest: line.at(highest(work, |it| it.kv + it.queue) + next),
            up: work
                .iter()
                .all(|it| line.at(it.kv + it.queue + next) > self.tbt),
            down: more.is_some_and(|more| {
                let fits = |it: &Work| it.kv_share(more) < 1.0;
                let fast = |it: &Work| {
                    line.at((it.kv + it.queue) * more + next) < self.tbt * self.sensitivity
                };
                work.iter().all(|it| fits(it) && fast(it))
            }),
        })
    }
}

/// What an instance has to do, in tokens.
struct Work {
    /// Of the requests that wait.
    queue: f64,
    /// In the KV cache.
    kv: f64,
    /// Requests in the batch.
    running: f64,
    /// That fit into the KV cache.
    room: f64,
    mean_prompt: Option<f64>,
}

impl Work {
    fn of(of: &RoleSnapshot, it: &InstanceSnapshot, mean: Option<f64>) -> Self {
        let load = &it.load;
        let own = (load.assigned > 0).then(|| load.pending_tokens as f64 / load.assigned as f64);
        let mean_prompt = match of.role {
            Role::Prompt => own,
            Role::Token | Role::Mixed => mean.or(own),
        };
        // A prompt that waits at a token instance is in its KV cache already.
        let queue = match of.role {
            Role::Token => 0.0,
            Role::Prompt | Role::Mixed => load.waiting() as f64 * mean_prompt.unwrap_or(0.0),
        };
        Self {
            queue,
            running: load.running as f64,
            kv: of.kv_tokens(load.kv_used),
            room: of.kv_tokens(load.kv),
            mean_prompt,
        }
    }

    /// So many times what it holds and what waits, as a share of what fits; 0 where that is not known.
    fn kv_share(&self, times: f64) -> f64 {
        if self.room > 0.0 {
            (self.kv + self.queue) * times / self.room
        } else {
            0.0
        }
    }
}

/// A latency, and what it asks for.
#[derive(Clone, Copy)]
struct Estimate {
    highest: f64,
    up: bool,
    down: bool,
}

const fn towards(up: bool, down: bool) -> i32 {
    match (up, down) {
        (true, _) => 1,
        (false, true) => -1,
        (false, false) => 0,
    }
}

/// What the load of each is multiplied by if one of `count` goes; none if it is the last.
fn consolidated(count: usize) -> Option<f64> {
    (count > 1).then(|| count as f64 / (count as f64 - 1.0))
}

fn highest(work: &[Work], figure: impl Fn(&Work) -> f64) -> f64 {
    work.iter().map(figure).fold(0.0, f64::max)
}
