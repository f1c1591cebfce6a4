use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, KvPrecision, Parameters, Precision};

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
    /// Bytes of its weights. Default 0, for what the architecture gives in its precision.
    #[serde(default)]
    pub weights_bytes: u64,
    /// Bytes of one value in the KV cache. Default 2, a half-precision float.
    #[serde(default = "half_precision")]
    #[schemars(range(min = 1))]
    pub bytes_per_value: u32,
    /// Its other dimensions, for the step model `Roofline`. Default: not said, and then there is none.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// Parameters as its makers publish them, to compare. Default: not said.
    #[serde(default)]
    pub published_parameters: Option<u64>,
    /// Year and month in which it came out. Default: not said.
    #[serde(default)]
    pub released: Option<String>,
    /// Where the dimensions come from. Default: not said.
    #[serde(default)]
    pub source: Option<String>,
    /// What else a reader should know. Default: nothing.
    #[serde(default)]
    pub notes: Option<String>,
}

fn half_precision() -> u32 {
    2
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: String::new(),
            layers: 1,
            hidden_size: 1,
            weights_bytes: 0,
            bytes_per_value: half_precision(),
            architecture: None,
            published_parameters: None,
            released: None,
            source: None,
            notes: None,
        }
    }
}

/// How an instance shares a model out among its processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parallelism {
    /// Processors that share each layer.
    pub tensor: u32,
    /// Copies of attention, each with requests of its own; the experts are shared out among all.
    pub data: u32,
}

impl Parallelism {
    /// Tensor parallelism alone.
    #[must_use]
    pub const fn tensor(tensor: u32) -> Self {
        Self { tensor, data: 1 }
    }
}

impl Default for Parallelism {
    fn default() -> Self {
        Self::tensor(1)
    }
}

impl Model {
    /// Bytes that one token takes in the KV cache.
    ///
    /// With an architecture: its numbers a layer × the layers that keep them × bytes a value; layers with
    /// a window count for a tenth. Without: a key and a value per layer, 2 × hidden size × layers ×
    /// bytes a value.
    #[must_use]
    pub fn kv_bytes_per_token(&self) -> u64 {
        let value = u64::from(self.bytes_per_value);
        match &self.architecture {
            Some(of) => self.kv_bytes(of, value, 1.0).ceil() as u64,
            None => (u64::from(self.hidden_size) * u64::from(self.layers))
                .saturating_mul(2)
                .saturating_mul(value),
        }
    }

    /// The same on processors that share each layer, all of them together: those beyond the number of KV
    /// heads hold copies, with latent attention all of them.
    ///
    /// ```
    /// let catalog = fleetsim::catalog::Catalog::built_in();
    /// let latent = &catalog.models["deepseek-v3"];
    /// assert_eq!(latent.kv_bytes_per_token_on(8), 8 * latent.kv_bytes_per_token());
    /// let grouped = &catalog.models["llama-3.1-70b"];
    /// assert_eq!(grouped.kv_bytes_per_token_on(8), grouped.kv_bytes_per_token());
    /// ```
    #[must_use]
    pub fn kv_bytes_per_token_on(&self, tensor_parallelism: u32) -> u64 {
        match self.kv_bytes_on_all(tensor_parallelism, self.bytes_per_value) {
            Some(bytes) => bytes.ceil() as u64,
            None => self.kv_bytes_per_token(),
        }
    }

    fn kv_bytes(&self, architecture: &Architecture, value: u64, copies: f64) -> f64 {
        let attention = &architecture.attention;
        let full = attention.full_layers(self.layers);
        let elements = attention.kv_elements();
        if attention.window().is_some() {
            let all = (elements * u64::from(self.layers) * value) as f64 * copies;
            all * (f64::from(full) / f64::from(self.layers) * 1.1)
        } else {
            (elements * u64::from(full) * value) as f64 * copies
        }
    }

    /// With the bytes of the weights computed where they are not stated.
    pub(super) fn with_weights(mut self) -> Self {
        if self.weights_bytes == 0
            && let Some(precision) = self.precision(None)
            && let Some(bytes) = self.weights_in(precision)
        {
            self.weights_bytes = bytes;
        }
        self
    }

    /// The model with its weights and its KV cache in these precisions, as one of `ranks` has it that share the
    /// experts out among them; without an architecture, as it is.
    #[must_use]
    pub fn stored(&self, weights: Option<Precision>, kv: KvPrecision, ranks: u32) -> Self {
        let mut stored = self.clone();
        let parallelism = Parallelism {
            tensor: 1,
            data: ranks.max(1),
        };
        if (weights.is_some() || ranks > 1)
            && let Some(precision) = self.precision(weights)
            && let Some(bytes) = self.weights_on_one(precision, parallelism)
        {
            stored.weights_bytes = bytes.ceil() as u64;
        }
        if self.architecture.is_some() {
            stored.bytes_per_value = kv.bytes();
        }
        stored
    }

    /// Parameters, computed from the dimensions; `None` without an architecture.
    #[must_use]
    pub fn parameters(&self) -> Option<Parameters> {
        let architecture = self.architecture.as_ref()?;
        Some(architecture.parameters(self.layers, self.hidden_size))
    }

    /// The precision that the model runs in where this one is asked for, by default the published one.
    ///
    /// `None` without an architecture.
    #[must_use]
    pub fn precision(&self, asked: Option<Precision>) -> Option<Precision> {
        let architecture = self.architecture.as_ref()?;
        match asked {
            Some(precision) if !architecture.weights_fixed => Some(precision),
            _ => Some(architecture.weights),
        }
    }

    /// Bytes of weights on one processor: embedding and head in half precision, the experts shared out
    /// among all processors, the rest among those of a layer. `None` without an architecture.
    #[must_use]
    pub fn weights_on_one(&self, precision: Precision, parallelism: Parallelism) -> Option<f64> {
        let precision = self.precision(Some(precision))?;
        let of = self.parameters()?;
        let (layers, experts, _) = self.architecture.as_ref()?.mlp.experts();
        let (tensor, data) = (f64::from(parallelism.tensor), f64::from(parallelism.data));
        let ends = (of.embedding + of.head) as f64;
        let rest = (of.outside_experts as f64 - ends) * precision.weight_bytes() + ends * 2.0;
        let experts = f64::from(layers)
            * f64::from(experts)
            * of.per_expert as f64
            * precision.expert_bytes();
        Some(rest / tensor + experts / (tensor * data))
    }

    /// Bytes of all weights in this precision; `None` without an architecture.
    #[must_use]
    pub fn weights_in(&self, precision: Precision) -> Option<u64> {
        let bytes = self.weights_on_one(precision, Parallelism::default())?;
        Some(bytes.ceil() as u64)
    }

    /// Bytes of a token in the KV cache on all processors that share a layer, copies included.
    ///
    /// Processors beyond the number of KV heads hold copies, with latent attention all of them. `None`
    /// without an architecture.
    #[must_use]
    pub fn kv_bytes_on_all(&self, tensor: u32, bytes_per_value: u32) -> Option<f64> {
        let architecture = self.architecture.as_ref()?;
        let kv_heads = f64::from(architecture.attention.kv_heads());
        let copies = (f64::from(tensor) / kv_heads).max(1.0);
        Some(self.kv_bytes(architecture, u64::from(bytes_per_value), copies))
    }

    /// Tokens of KV cache that stay beside the weights, in whole blocks of 16; 0 where they do not fit.
    ///
    /// `memory_bytes` is that of one processor, `utilization` the share of it that the engine takes, and
    /// `reserved` what it needs there for other things. `None` without an architecture.
    #[must_use]
    pub fn kv_tokens(
        &self,
        memory_bytes: u64,
        precision: Precision,
        parallelism: Parallelism,
        bytes_per_value: u32,
        room: MemoryUse,
    ) -> Option<u64> {
        let weights = self.weights_on_one(precision, parallelism)?;
        let free = room.utilization * memory_bytes as f64 - weights - room.reserved_bytes;
        let token = self.kv_bytes_on_all(parallelism.tensor, bytes_per_value)?;
        let blocks = (free * f64::from(parallelism.tensor) / token / 16.0).max(0.0);
        Some(blocks as u64 * 16)
    }
}

/// How much of a processor's memory an engine uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryUse {
    /// The share that it takes at all, from 0 to 1.
    pub utilization: f64,
    /// Bytes of that for activations, graphs and buffers.
    pub reserved_bytes: f64,
}

impl Default for MemoryUse {
    /// vLLM's share of 0.9, and 2 GB, which meets what vLLM 0.15 reports within 1.3 %.
    fn default() -> Self {
        Self {
            utilization: 0.9,
            reserved_bytes: 2.0e9,
        }
    }
}
