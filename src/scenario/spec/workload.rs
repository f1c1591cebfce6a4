//! Where requests come from.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Event, Weekday};
use super::open::{Term, open_enum};
use crate::random::Delay;
use crate::time::{SimDuration, SimTime};

/// Where requests come from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("plain" = "Planned"))]
pub enum Workload {
    /// A recorded trace.
    Trace {
        /// The file, relative to the scenario file, plain or compressed with gzip or zstd. Required.
        path: PathBuf,
        /// Its format. Required.
        format: TraceFormat,
        /// Which instant is time zero. Default `Zero` for `Splitwise` and `Requests`, `First` for the
        /// other formats.
        #[serde(default)]
        origin: Option<Origin>,
        /// What the times of `Splitwise`, `BurstGpt` and `Mooncake` count. Default `Seconds`; for
        /// `Mooncake` `Milliseconds`, where the file does not look otherwise.
        #[serde(default)]
        unit: Option<TimeUnit>,
        /// Largest distance in rows by which a row may be out of time order. Default 10,000.
        #[serde(default = "default_reorder_window")]
        #[schemars(range(min = 1))]
        reorder_window: usize,
        /// Number of times that the trace is played, end to end. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        repeat: u32,
        /// Arrivals come this many times as fast. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 1e-9))]
        rate_scale: f64,
        /// Only arrivals from the first second (kept) to the second (left out), before scaling;
        /// time zero becomes the first. Default: all.
        #[serde(default)]
        window: Option<(SimTime, SimTime)>,
        /// Another trace of the same kind, by the seed, instead of this one. Default: this one.
        #[serde(default)]
        resample: Option<Resample>,
        /// Maximum number of requests. Default: all.
        #[serde(default)]
        requests: Option<u64>,
    },
    /// Requests a day, spread over days and weeks by weights. The name may be left out: `(requests_per_day: ..)`.
    Planned {
        /// Requests a day: the mean over a week without events. Required.
        #[schemars(range(min = 1e-4, max = 8.64e10))]
        requests_per_day: f64,
        /// Weights of the parts of a day from midnight on: 24, 48 or another multiple of 24 that divides a
        /// day into whole minutes. Default: all alike.
        #[serde(default)]
        daily: Vec<f64>,
        /// Weights of the 7 days of a week, from Monday on. Default: all alike.
        #[serde(default)]
        weekly: Vec<f64>,
        /// The day on which time zero is. Default `Monday`.
        #[serde(default)]
        starts: Weekday,
        /// The time of that day at time zero, in seconds: a whole number of parts of a day. Default 0: midnight.
        #[serde(default)]
        begins_at: SimDuration,
        /// Times with more or fewer requests, on top; where they overlap, their factors multiply. Default: none.
        #[serde(default)]
        events: Vec<Event>,
        /// Standard deviation of the gaps over their mean: 1 is Poisson, more is burstier. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 0.01))]
        cv: f64,
        /// Lengths of prompts, in tokens. Required.
        prompt_tokens: Lengths,
        /// Lengths of outputs, in tokens. Required.
        output_tokens: Lengths,
        /// System prompts, which come before the prompts. Default none.
        #[serde(default)]
        system_prompts: Option<SystemPrompts>,
        /// Arrivals come this many times as fast. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 1e-9))]
        rate_scale: f64,
        /// Only arrivals from the first second (kept) to the second (left out), before scaling;
        /// time zero becomes the first. Default: all.
        #[serde(default)]
        window: Option<(SimTime, SimTime)>,
        /// Maximum number of requests. Default: no limit; then `window` or `end` must give one.
        #[serde(default)]
        requests: Option<u64>,
    },
    /// A generator.
    Synthetic {
        /// When requests come. Required.
        arrivals: Arrivals,
        /// How the rate changes over time. Default `Constant`.
        #[serde(default)]
        shape: Shape,
        /// Lengths of prompts, in tokens. Required.
        prompt_tokens: Lengths,
        /// Lengths of outputs, in tokens. Required.
        output_tokens: Lengths,
        /// System prompts, which come before the prompts. Default none.
        #[serde(default)]
        system_prompts: Option<SystemPrompts>,
        /// Arrivals come this many times as fast. Default 1.
        #[serde(default = "unit_scale")]
        #[schemars(range(min = 1e-9))]
        rate_scale: f64,
        /// Only arrivals from the first second (kept) to the second (left out), before scaling;
        /// time zero becomes the first. Default: all.
        #[serde(default)]
        window: Option<(SimTime, SimTime)>,
        /// Maximum number of requests. Default: no limit; then `window` or `end` must give one.
        #[serde(default)]
        requests: Option<u64>,
    },
    /// None: the program that embeds the fleet hands requests over, and may scale it.
    Host,
    /// A closed loop: users that send the next request when the last has ended, all from time zero on.
    Users {
        /// How many they are. Required.
        #[schemars(range(min = 1))]
        users: u32,
        /// Maximum number of requests of all users together. Default: no limit; then `end` must give one.
        #[serde(default)]
        requests: Option<u64>,
        /// The pause between an answer and the next request. Default `Constant(0.0)`.
        #[serde(default)]
        think: Delay,
        /// Lengths of prompts, in tokens. Required.
        prompt_tokens: Lengths,
        /// Lengths of outputs, in tokens. Required.
        output_tokens: Lengths,
    },
}

impl Workload {
    /// A generator for what is planned; anything else as it is.
    #[must_use]
    pub fn generator(&self) -> Cow<'_, Self> {
        let Self::Planned {
            requests_per_day,
            daily,
            weekly,
            starts,
            begins_at,
            events,
            cv,
            prompt_tokens,
            output_tokens,
            system_prompts,
            rate_scale,
            window,
            requests,
        } = self
        else {
            return Cow::Borrowed(self);
        };
        let rate = requests_per_day / 86_400.0;
        Cow::Owned(Self::Synthetic {
            arrivals: match *cv {
                1.0 => Arrivals::Poisson { rate },
                cv => Arrivals::Gamma { rate, cv },
            },
            shape: Shape::Calendar {
                daily: daily.clone(),
                weekly: weekly.clone(),
                starts: *starts,
                begins_at: *begins_at,
                events: events.clone(),
            },
            prompt_tokens: prompt_tokens.clone(),
            output_tokens: output_tokens.clone(),
            system_prompts: *system_prompts,
            rate_scale: *rate_scale,
            window: *window,
            requests: *requests,
        })
    }

    /// The trace as it was recorded, played once; `None` for what is no trace.
    #[must_use]
    pub fn recorded(&self) -> Option<Self> {
        let mut spec = self.clone();
        match &mut spec {
            Self::Trace {
                repeat, resample, ..
            } => {
                *repeat = 1;
                *resample = None;
            }
            _ => return None,
        }
        Some(spec)
    }
}

/// How another trace of the same kind is made out of a trace, by the seed: a workload for each seed, as a
/// generator has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// Each request is kept with this probability. Default 1.
    #[serde(default = "unit_scale")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub keep: f64,
    /// Length of the blocks of time that are drawn from anywhere in the trace, with replacement, and put end to
    /// end until the trace is as long as before; a second or more. What happens within a block stays, such
    /// as bursts; when it happens changes, such as the hour of the day. The whole trace is then held in memory,
    /// 32 bytes a request. Default: none, all requests stay where they are.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub block: Option<SimDuration>,
}

/// System prompts that generated requests begin with, for engines with a prefix cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemPrompts {
    /// How many there are; each request begins with one of them, chosen at random. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub count: u32,
    /// Tokens of each, on top of `prompt_tokens`. Required.
    #[schemars(range(min = 1))]
    pub tokens: u32,
}

fn default_reorder_window() -> usize {
    10_000
}

fn one() -> u32 {
    1
}

fn unit_scale() -> f64 {
    1.0
}

/// The columns of a recorded trace: its rows say when a request came, and its lengths in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(remote = "TraceFormat")]
pub enum TraceFormat {
    /// `request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size`
    Splitwise,
    /// `TIMESTAMP,ContextTokens,GeneratedTokens`; timestamps are dates and times in UTC.
    Azure,
    /// `Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type`;
    /// rows with 0 response tokens are requests that failed, and are left out.
    BurstGpt,
    /// Lines of JSON with `timestamp` in milliseconds, `input_length`, `output_length` and `hash_ids`.
    /// Files with timestamps that have fractions, or with `chat_id`, `parent_chat_id` or `turn`, may be in
    /// seconds: they need a `unit`.
    Mooncake,
    /// CSV with `arrival_s,prompt_tokens,output_tokens` and, where wanted,
    /// `request_id,application,priority,session,prefix_blocks`, in any order. Only rows of the application
    /// are taken, and those that name none. `prefix_blocks` are ids separated by blanks: where two requests
    /// have the same ids from the first on, their tokens are the same.
    Requests {
        /// Tokens that an id of `prefix_blocks` stands for. Default 512.
        #[serde(default = "default_block_tokens")]
        #[schemars(range(min = 1))]
        block_tokens: u32,
    },
    /// One that is not built in, by its name in a registry.
    #[schemars(skip)]
    Named(Term),
}

open_enum!(TraceFormat);

fn default_block_tokens() -> u32 {
    512
}

/// Which instant of a trace is time zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// The earliest row within the reorder window.
    First,
    /// The zero of the trace's own times; for dates, the start of the year 1970 in UTC.
    Zero,
}

/// What the times of a trace count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
}

impl TraceFormat {
    /// `Requests` with blocks of 512 tokens.
    pub const REQUESTS: Self = Self::Requests { block_tokens: 512 };

    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Splitwise => "Splitwise",
            Self::Azure => "Azure",
            Self::BurstGpt => "BurstGpt",
            Self::Mooncake => "Mooncake",
            Self::Requests { .. } => "Requests",
            Self::Named(term) => term.name(),
        }
    }

    /// Which instant is time zero unless the scenario says otherwise: formats with times of their own
    /// begin at these, formats with dates or clocks at their first row.
    #[must_use]
    pub const fn default_origin(self) -> Origin {
        match self {
            Self::Splitwise | Self::Requests { .. } => Origin::Zero,
            Self::Azure | Self::BurstGpt | Self::Mooncake | Self::Named(_) => Origin::First,
        }
    }

    /// Whether its times are numbers of which one may say the unit.
    #[must_use]
    pub const fn takes_unit(self) -> bool {
        match self {
            Self::Splitwise | Self::BurstGpt | Self::Mooncake => true,
            Self::Azure | Self::Requests { .. } | Self::Named(_) => false,
        }
    }
}

/// When generated requests come. Rates are requests a second, before `shape`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Arrivals {
    /// Independent of each other.
    Poisson {
        /// Requests a second.
        #[schemars(range(min = 1e-9, max = 1e6))]
        rate: f64,
    },
    /// Gamma-distributed gaps: burstier than Poisson for `cv` above 1.
    Gamma {
        /// Requests a second.
        #[schemars(range(min = 1e-9, max = 1e6))]
        rate: f64,
        /// Standard deviation of the gaps over their mean.
        #[schemars(range(min = 0.01))]
        cv: f64,
    },
    /// Equal gaps.
    Constant {
        /// Requests a second.
        #[schemars(range(min = 1e-9, max = 1e6))]
        rate: f64,
    },
}

/// How the rate changes over time: a factor on the rate of [`Arrivals`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Shape {
    /// The factor 1, always.
    #[default]
    Constant,
    /// `(from, factor)`: from each instant on, that factor; before the first, the first.
    Piecewise(#[schemars(length(min = 1))] Vec<(SimTime, f64)>),
    /// The factor 1 for `on` seconds, then `low` for `off` seconds, again and again.
    OnOff {
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        on: f64,
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        off: f64,
        /// The factor in between. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0))]
        low: f64,
    },
    /// Days and weeks, by weights, with a mean of 1 over a week without events.
    Calendar {
        /// Weights of the parts of a day from midnight on: 24, 48 or another multiple of 24 that divides a
        /// day into whole minutes. Default: all alike.
        #[serde(default)]
        daily: Vec<f64>,
        /// Weights of the 7 days of a week, from Monday on. Default: all alike.
        #[serde(default)]
        weekly: Vec<f64>,
        /// The day on which time zero is. Default `Monday`.
        #[serde(default)]
        starts: Weekday,
        /// The time of that day at time zero, in seconds: a whole number of parts of a day. Default 0: midnight.
        #[serde(default)]
        begins_at: SimDuration,
        /// Times with more or fewer requests, on top; where they overlap, their factors multiply. Default: none.
        #[serde(default)]
        events: Vec<Event>,
    },
    /// `1 + amplitude × sin(2π (t + phase) / period)`.
    Sinusoidal {
        /// Between 0 and 1.
        #[schemars(range(min = 0, max = 1))]
        amplitude: f64,
        /// Seconds.
        #[schemars(range(min = 1e-6))]
        period: f64,
        /// Seconds. Default 0.
        #[serde(default)]
        phase: f64,
    },
}

impl Shape {
    /// What it says of days and weeks, if it is about them.
    pub(crate) fn calendar(&self) -> Option<Calendar<'_>> {
        match self {
            Self::Calendar {
                daily,
                weekly,
                starts,
                begins_at,
                events,
            } => Some(Calendar {
                daily,
                weekly,
                starts: *starts,
                begins_at: *begins_at,
                events,
            }),
            _ => None,
        }
    }
}

/// Lengths in tokens, at least 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Lengths {
    /// Always the same.
    Constant(#[schemars(range(min = 1))] u32),
    /// Log-normal, rounded to whole tokens and clamped.
    LogNormal {
        /// Half of all lengths are shorter.
        #[schemars(range(min = 1))]
        median: f64,
        /// Standard deviation of the logarithm of the length.
        #[schemars(range(min = 0))]
        sigma: f64,
        /// The shortest. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        min: u32,
        /// The longest. Default 32,768.
        #[serde(default = "default_max_tokens")]
        #[schemars(range(min = 1))]
        max: u32,
    },
    /// Geometric on 1, 2, 3, …
    Geometric {
        /// The mean, at least 1.
        #[schemars(range(min = 1))]
        mean: f64,
    },
    /// `(length, weight)`: each length in proportion to its weight.
    Empirical(#[schemars(length(min = 1))] Vec<(u32, f64)>),
}

fn default_max_tokens() -> u32 {
    32_768
}
