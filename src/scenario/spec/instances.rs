//! Instances: what they are made from, how they come and go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::open::{Term, open_enum};
use crate::random::Delay;
use crate::time::SimDuration;

/// What an instance may serve.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Role {
    /// The prompt phase (prefill).
    Prompt,
    /// The token phase (decode).
    Token,
    /// Both phases.
    Mixed,
}

/// An instance template.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What its instances serve. Required.
    pub role: Role,
    /// How its instances batch. Default `Splitwise` with its defaults.
    #[serde(default)]
    pub engine: Engine,
    /// Processors that share each layer. Default 8, a full server of the built-in SKUs.
    #[serde(default = "default_tensor_parallelism")]
    #[schemars(range(min = 1))]
    pub tensor_parallelism: u32,
    /// Groups of processors that share the layers out. Default 1.
    #[serde(default = "default_pipeline_parallelism")]
    #[schemars(range(min = 1))]
    pub pipeline_parallelism: u32,
    /// What is there, already active, at time zero. Default `None`.
    #[serde(default)]
    pub start: Start,
}

impl Template {
    /// Processors that one instance takes.
    #[must_use]
    pub const fn processors(&self) -> u32 {
        self.tensor_parallelism
            .saturating_mul(self.pipeline_parallelism)
    }
}

fn default_tensor_parallelism() -> u32 {
    8
}

fn default_pipeline_parallelism() -> u32 {
    1
}

/// How an instance batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(remote = "Engine")]
pub enum Engine {
    /// Prompts first within a token budget; token tasks that fall out are preempted.
    Splitwise {
        /// The most tasks in a batch. Default 512, as in Splitwise.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
        /// The most tokens in an iteration. Default 2048, as in Splitwise.
        #[serde(default = "default_max_batch_tokens")]
        #[schemars(range(min = 1))]
        max_batch_tokens: u64,
        /// A task preempted this often goes first. Default 4, as in Splitwise.
        #[serde(default = "default_max_preemptions")]
        max_preemptions: u32,
    },
    /// Iteration-level batching in arrival order, without preemption.
    Orca {
        /// The most tasks in a batch. Default 512.
        #[serde(default = "default_max_batch_size")]
        #[schemars(range(min = 1))]
        max_batch_size: u32,
    },
    /// One task at a time, first come first served, without a memory limit.
    Fcfs,
    /// One that is not built in, by its name in a registry.
    #[serde(skip)]
    #[schemars(skip)]
    Named(Term),
}

open_enum!(Engine: "Splitwise", "Orca", "Fcfs");

impl Default for Engine {
    fn default() -> Self {
        Self::Splitwise {
            max_batch_size: default_max_batch_size(),
            max_batch_tokens: default_max_batch_tokens(),
            max_preemptions: default_max_preemptions(),
        }
    }
}

fn default_max_batch_size() -> u32 {
    512
}

fn default_max_batch_tokens() -> u64 {
    2048
}

fn default_max_preemptions() -> u32 {
    4
}

/// What of a template is there at time zero, already active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Start {
    /// Nothing.
    #[default]
    None,
    /// The next so many servers with room for one, in fleet order.
    Servers(u32),
    /// Every server.
    AllServers,
    /// Every server of this SKU.
    Sku(String),
}

/// How an application's instances come and go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scaling {
    /// The allocator's overhead before an instance joins. Default `Constant(0.0)`.
    pub spin_up: Delay,
    /// Seconds from the server being ready until a new instance is active. Default 10, the
    /// value of the scaling manager that fleetsim carries over.
    pub scale_up_delay: SimDuration,
    /// When a draining instance is looked at. Default `Poll(1.0)`, its `drain_check_interval`.
    pub drain: Drain,
    /// After so many seconds of draining the work left is put back. Default: never.
    pub drain_timeout: Option<SimDuration>,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            spin_up: Delay::ZERO,
            scale_up_delay: SimDuration::saturating(10.0),
            drain: Drain::default(),
            drain_timeout: None,
        }
    }
}

/// When a draining instance is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Drain {
    /// At once and then every so many seconds.
    Poll(#[schemars(range(min = 0.001))] SimDuration),
    /// At the exact instant at which its work is done.
    OnIdle,
}

impl Default for Drain {
    fn default() -> Self {
        Self::Poll(SimDuration::saturating(1.0))
    }
}
