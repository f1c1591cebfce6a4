//! What a search file holds, as it is written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::study::sweep::Range;

/// A search: a base scenario, what it must meet, and what is looked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchFile {
    /// The base scenario, relative to the search file. Required.
    pub scenario: PathBuf,
    /// What the search goes by. Default: the file's name without its extension.
    #[serde(default)]
    pub name: Option<String>,
    /// Values replaced in every run, each `PATH=VALUE` as after `--set`. Default none.
    #[serde(default)]
    pub set: Vec<String>,
    /// What every answer must meet. Required.
    pub meets: Vec<Constraint>,
    /// What is looked for. Required.
    pub find: Find,
    /// Seeds that a setting is run with before it is judged; twice as many, and again, while the
    /// intervals leave it open. Default 5.
    #[serde(default = "default_replications")]
    #[schemars(range(min = 2))]
    pub replications: u32,
    /// Seeds of one setting at most. Default 40.
    #[serde(default = "default_most")]
    #[schemars(range(min = 2))]
    pub most_replications: u32,
    /// Runs in all, at most. Default 1000.
    #[serde(default = "default_runs")]
    #[schemars(range(min = 1))]
    pub runs: u32,
    /// The seed of random samples. Default 0.
    #[serde(default)]
    pub seed: u64,
}

/// A limit on a figure: one of `attainment`, `slo_kept`, `goodput_per_s`, `ttft_s.p50`, `ttft_s.p99`, `tbt_s.p99`, `cost`,
/// `gpu_hours` and `energy_kwh`, or the path of one in `summary.json`, such as `chat.metrics.e2e_s.p95`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Constraint {
    /// The mean of a figure is this or more.
    AtLeast {
        /// The figure.
        figure: String,
        /// The limit.
        value: f64,
    },
    /// The mean of a figure is this or less.
    AtMost {
        /// The figure.
        figure: String,
        /// The limit.
        value: f64,
    },
}

/// What is looked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Find {
    /// The smallest whole number that meets the limits, by bisection. Whether larger numbers meet them,
    /// too, is checked.
    Smallest {
        /// The field.
        path: String,
        /// The smallest number to try.
        from: u32,
        /// The largest number to try.
        to: u32,
        /// The value with `{}` in the place of the number, such as `Servers({})`. Default `{}`.
        #[serde(default = "default_value")]
        value: String,
    },
    /// The cheapest of random samples that meets the limits, by successive halving: all are run with few
    /// seeds, the better half with twice as many, and so on.
    Cheapest {
        /// How many samples, spread by a Latin hypercube.
        #[schemars(range(min = 2))]
        samples: u32,
        /// The fields and their ranges.
        ranges: Vec<Range>,
        /// The figure to make small. Default `cost`.
        #[serde(default = "default_by")]
        by: String,
    },
}

fn default_replications() -> u32 {
    5
}

fn default_most() -> u32 {
    40
}

fn default_runs() -> u32 {
    1000
}

fn default_value() -> String {
    "{}".to_owned()
}

fn default_by() -> String {
    "cost".to_owned()
}
