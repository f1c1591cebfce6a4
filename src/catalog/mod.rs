//! Hardware, models and performance profiles: the built-in ones and the user's own.

mod file;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that scenarios name: SKUs, processors, models and profiles.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Kinds of server, by name.
    pub skus: BTreeMap<String, Arc<Sku>>,
    /// Kinds of processor, by name.
    pub processors: BTreeMap<String, Arc<Processor>>,
    /// Models, by name.
    pub models: BTreeMap<String, Arc<Model>>,
    /// Measured profiles, by what was measured.
    pub profiles: BTreeMap<ProfileKey, Arc<Profile>>,
}

/// A kind of server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sku {
    /// Unique in the catalog.
    pub name: String,
    /// The kind of its processors.
    pub processor: String,
    /// How many processors it has, at most 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub processors: u32,
    /// Power drawn by the server itself, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
    /// Price of an hour, in dollars. Default: no price, and then no cost is reported.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub price_per_hour: Option<f64>,
}

/// A kind of processor (a GPU).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Processor {
    /// Unique in the catalog.
    pub name: String,
    /// Memory, in bytes.
    #[schemars(range(min = 1))]
    pub memory_bytes: u64,
    /// Power when idle, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub idle_power_w: f64,
    /// Power in iterations that have a prompt, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub prompt_power_w: f64,
    /// Power in iterations of tokens alone, in watts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub token_power_w: f64,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Unique in the catalog.
    pub name: String,
    /// Layers.
    #[schemars(range(min = 1))]
    pub layers: u32,
    /// Width of a layer.
    #[schemars(range(min = 1))]
    pub hidden_size: u32,
    /// Bytes of its weights.
    pub weights_bytes: u64,
    /// Bytes of one value in the KV cache. Default 2, a half-precision float.
    #[serde(default = "half_precision")]
    #[schemars(range(min = 1))]
    pub bytes_per_value: u32,
}

fn half_precision() -> u32 {
    2
}

impl Model {
    /// Bytes that one token takes in the KV cache: a key and a value per layer,
    /// 2 × hidden size × layers × bytes a value.
    #[must_use]
    pub const fn kv_bytes_per_token(&self) -> u64 {
        (self.hidden_size as u64 * self.layers as u64)
            .saturating_mul(2)
            .saturating_mul(self.bytes_per_value as u64)
    }
}

/// What a profile was measured on.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct ProfileKey {
    /// The model's name.
    pub model: String,
    /// The processor's name.
    pub processor: String,
    /// Processors that share each layer.
    pub tensor_parallelism: u32,
}

/// How long an iteration takes, measured: knots to interpolate between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `(batch tokens, seconds)` of iterations of prompts, at least two, tokens rising.
    #[schemars(length(min = 2))]
    pub prompt: Vec<(f64, f64)>,
    /// `(batch tokens, seconds)` of iterations of tokens, at least two, tokens rising.
    #[schemars(length(min = 2))]
    pub token: Vec<(f64, f64)>,
}
