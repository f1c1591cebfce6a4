mod token_times;

use bevy_ecs::component::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_limits;
use crate::autoscale::{
    DesiredInstances, InstanceSnapshot, InvalidParameter, Policy, RoleSnapshot, Signals,
};
use crate::fleet::InstanceStatus;
use crate::serving::Role;
use crate::time::SimDuration;
use token_times::TokenTimes;

/// One instance more or fewer at a time by what each instance has to do: the load mode of Dynamo's
/// planner.
///
/// With the aim `Throughput` or `Latency`, one more if any instance is above the upper threshold; one
/// fewer, but not the last, if all are below the lower one:
///
/// | role | what | `Throughput` | `Latency` |
/// |---|---|---|---|
/// | `Prompt` | prompt tokens waiting ÷ context length | ≥ 1, < 0.1 | ≥ 0.1, none |
/// | `Token` | KV tokens held and waiting ÷ what fits | > 1, < 0.6 | > 0.4, < 0.1 |
/// | `Mixed` | the same with prompt tokens waiting | > 1, < 0.6 | > 0.4, < 0.1 |
///
/// With the aim `Sla`, one more if every instance's estimated latency is above its objective; one fewer
/// if every instance's, with the load of n on n − 1, is below: the time that the queue adds below
/// `sensitivity` of what a prompt alone leaves of `ttft`, the time between tokens below `sensitivity` ×
/// `tbt` and the KV cache not full. `Mixed` instances grow for either latency and shrink for both.
///
/// While any instance starts up or drains, nothing changes.
///
/// | | |
/// |---|---|
/// | inputs | KV cache in use and requests waiting of each active instance; mean prompt; for `Sla`, tokens a second |
/// | window | the instant of the decision; one minute for the mean prompt |
/// | current | active |
/// | rounding | none: steps of one |
/// | first decision | one interval after the start |
///
/// Source: `components/src/dynamo/planner/core/load_scaling.py` of ai-dynamo/dynamo. There an engine
/// reports its queue in tokens; here that is its requests waiting × the mean prompt, of its own work for
/// `Prompt` instances and of the requests that arrived for the others. There the latencies come from
/// regressions over the forward passes; here a prompt runs at the role's prompt capacity, and the time
/// between tokens is a line over the KV tokens of an instance, fitted to the last 50 decisions (5 at
/// least). Its budget of 8 GPUs is `max`, and its throughput mode, which gives a floor to this one, is
/// another policy.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// At least so many instances of a role. Default 1, its `min_endpoint`.
    pub min: u32,
    /// At most so many instances of a role. Default 100.
    pub max: u32,
    #[serde(skip)]
    times: TokenTimes,
}

/// What [`DynamoLoad`] aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aim {
    /// Full instances, with fixed thresholds.
    #[default]
    Throughput,
    /// Empty queues, with fixed thresholds.
    Latency,
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
            ttft: 0.5,
            tbt: 0.05,
            sensitivity: 0.8,
            min: 1,
            max: 100,
            times: TokenTimes::default(),
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
        self.interval.max(PROMPTS)
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        check_limits(self.min, self.max)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            self.times.observe(signals, of, self.interval);
        }
        let busy = signals.roles().any(|of| of.scaling_up() + of.draining > 0);
        for of in signals.roles() {
            let (by, reason) = if busy {
                (0, "a change is in progress".to_owned())
            } else {
                self.step(signals, of)
            };
            let count = of.current().saturating_add_signed(by);
            desired.exactly(of.role, count.clamp(self.min, self.max), reason);
        }
    }
}

impl DynamoLoad {
    fn step(&self, signals: &Signals, of: &RoleSnapshot) -> (i32, String) {
        let mean = signals.mean_prompt_tokens(PROMPTS);
        let active = of.instances.iter();
        let active = active.filter(|it| it.status == InstanceStatus::Active);
        let work: Vec<Work> = active.map(|it| Work::of(of, it, mean)).collect();
        if work.is_empty() {
            return (0, "no instance is active".to_owned());
        }
        match self.aim {
            Aim::Throughput => self.by_thresholds(of, &work, Thresholds::THROUGHPUT),
            Aim::Latency => self.by_thresholds(of, &work, Thresholds::LATENCY),
            Aim::Sla => self.by_latency(of, &work, mean),
        }
    }

    fn by_thresholds(&self, of: &RoleSnapshot, work: &[Work], limits: Thresholds) -> (i32, String) {
        let context = f64::from(self.context_length);
        let (level, up, down) = match of.role {
            Role::Prompt => {
                let level = work.iter().map(|it| it.queue / context).collect::<Vec<_>>();
                let up = level.iter().any(|it| *it >= limits.prompt_up);
                let empty = limits.prompt_down == 0.0;
                let down = level
                    .iter()
                    .all(|it| *it < limits.prompt_down || empty && *it == 0.0);
                (level, up, down)
            }
            Role::Token | Role::Mixed => {
                let level = work.iter().map(|it| it.kv_share(1.0)).collect::<Vec<_>>();
                let up = level.iter().any(|it| *it > limits.kv_up);
                let down = level.iter().all(|it| *it < limits.kv_down);
                (level, up, down)
            }
        };
        let highest = level.into_iter().fold(0.0, f64::max);
        let down = down && work.len() > 1;
        (towards(up, down), format!("highest load {highest:.3}"))
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
        Some(Estimate {
            highest: line.at(highest(work, |it| it.kv + it.queue)),
            up: work.iter().all(|it| line.at(it.kv + it.queue) > self.tbt),
            down: more.is_some_and(|more| {
                let fits = |it: &Work| it.kv_share(more) < 1.0;
                let fast =
                    |it: &Work| line.at((it.kv + it.queue) * more) < self.tbt * self.sensitivity;
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
        Self {
            queue: load.waiting() as f64 * mean_prompt.unwrap_or(0.0),
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

struct Thresholds {
    prompt_up: f64,
    prompt_down: f64,
    kv_up: f64,
    kv_down: f64,
}

impl Thresholds {
    const THROUGHPUT: Self = Self {
        prompt_up: 1.0,
        prompt_down: 0.1,
        kv_up: 1.0,
        kv_down: 0.6,
    };
    const LATENCY: Self = Self {
        prompt_up: 0.1,
        prompt_down: 0.0,
        kv_up: 0.4,
        kv_down: 0.1,
    };
}

const fn towards(up: bool, down: bool) -> i32 {
    match (up, down) {
        (true, _) => 1,
        (false, true) => -1,
        (false, false) => 0,
    }
}

/// What the load of each is multiplied by if one of so many goes; none if it is the last.
fn consolidated(count: usize) -> Option<f64> {
    (count > 1).then(|| count as f64 / (count as f64 - 1.0))
}

fn highest(work: &[Work], figure: impl Fn(&Work) -> f64) -> f64 {
    work.iter().map(figure).fold(0.0, f64::max)
}
