use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Precision;

/// The dimensions of a transformer, from which its parameters and KV cache are computed.
///
/// Depth and width stand beside it, in `Model`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Tokens of the vocabulary.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub vocabulary: u32,
    /// Whether embedding and head are one matrix. Default false.
    #[serde(default)]
    pub tied_embeddings: bool,
    /// How tokens attend to each other.
    pub attention: Attention,
    /// What follows attention in a layer.
    pub mlp: Mlp,
    /// How the published weights are stored. Default `Bf16`.
    #[serde(default)]
    pub weights: Precision,
    /// Whether the model exists in this precision alone. Default false.
    #[serde(default)]
    pub weights_fixed: bool,
}

/// Attention of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Attention {
    /// Each head of keys and values serves a group of query heads.
    Grouped {
        /// Query heads.
        #[schemars(range(min = 1, max = 1_000_000))]
        heads: u32,
        /// Heads of keys and values; as many as query heads is multi-head attention.
        #[schemars(range(min = 1, max = 1_000_000))]
        kv_heads: u32,
        /// Numbers of a head.
        #[schemars(range(min = 1, max = 1_000_000))]
        head_size: u32,
        /// Whether queries, keys and values have biases. Default false.
        #[serde(default)]
        bias: bool,
        /// Layers that attend to the last tokens alone. Default: none.
        #[serde(default)]
        window: Option<Window>,
        /// Layers of linear attention, which have no KV cache. Default: none.
        #[serde(default)]
        linear: Option<LinearAttention>,
    },
    /// Keys and values are cached as one small vector (MLA).
    Latent {
        /// Heads.
        #[schemars(range(min = 1, max = 1_000_000))]
        heads: u32,
        /// Numbers of the cached vector.
        #[schemars(range(min = 1, max = 1_000_000))]
        kv_rank: u32,
        /// Numbers that queries are compressed to; 0 where they are not.
        #[schemars(range(max = 1_000_000))]
        q_rank: u32,
        /// Numbers of a key's head without rotation.
        #[schemars(range(max = 1_000_000))]
        nope: u32,
        /// Numbers of a key with rotation, shared by all heads, cached too.
        #[schemars(range(max = 1_000_000))]
        rope: u32,
        /// Numbers of a value's head.
        #[schemars(range(min = 1, max = 1_000_000))]
        value: u32,
    },
}

/// Layers with a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Tokens that such a layer attends to.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub tokens: u32,
    /// Layers that attend to everything all the same.
    #[schemars(range(max = 1_000_000))]
    pub full_layers: u32,
}

/// Layers of linear attention (gated delta nets): a state of fixed size instead of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearAttention {
    /// Layers that attend to everything and have a KV cache, with a gate on their output.
    #[schemars(range(max = 1_000_000))]
    pub full_layers: u32,
    /// Heads of keys.
    #[schemars(range(max = 1_000_000))]
    pub key_heads: u32,
    /// Numbers of a key.
    #[schemars(range(max = 1_000_000))]
    pub key_size: u32,
    /// Heads of values.
    #[schemars(range(max = 1_000_000))]
    pub value_heads: u32,
    /// Numbers of a value.
    #[schemars(range(max = 1_000_000))]
    pub value_size: u32,
    /// Tokens of the short convolution before it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub convolution: u32,
}

/// What follows attention in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Mlp {
    /// Three matrices, in every layer.
    Dense {
        /// Width between them.
        #[schemars(range(min = 1, max = 1_000_000))]
        intermediate: u32,
    },
    /// A mixture of experts, of which each token takes a few.
    Experts {
        /// Routed experts of a layer.
        #[schemars(range(min = 1, max = 1_000_000))]
        experts: u32,
        /// Routed experts that a token takes.
        #[schemars(range(min = 1, max = 1_000_000))]
        active: u32,
        /// Experts that every token takes. Default 0.
        #[serde(default)]
        #[schemars(range(max = 1_000_000))]
        shared: u32,
        /// Width within an expert.
        #[schemars(range(min = 1, max = 1_000_000))]
        intermediate: u32,
        /// Layers that have experts; the others are dense.
        #[schemars(range(max = 1_000_000))]
        layers: u32,
        /// Width of the dense layers. Default 0, for models that have none.
        #[serde(default)]
        #[schemars(range(max = 1_000_000))]
        dense_intermediate: u32,
        /// Whether an expert's matrices have biases. Default false.
        #[serde(default)]
        bias: bool,
    },
}

/// Parameters of a model by what reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// All of them.
    pub total: u64,
    /// Those that one token is multiplied with: not its row of the embedding, not the norms.
    pub active: u64,
    /// All but the routed experts.
    pub outside_experts: u64,
    /// One routed expert of one layer; 0 without experts.
    pub per_expert: u64,
    /// The embedding.
    pub embedding: u64,
    /// The head; 0 where it is the embedding.
    pub head: u64,
}

impl Attention {
    /// Query heads.
    #[must_use]
    pub const fn heads(&self) -> u32 {
        match *self {
            Self::Grouped { heads, .. } | Self::Latent { heads, .. } => heads,
        }
    }

    /// Heads of keys and values: how many processors can share a KV cache without copies.
    #[must_use]
    pub const fn kv_heads(&self) -> u32 {
        match *self {
            Self::Grouped { kv_heads, .. } => kv_heads,
            Self::Latent { .. } => 1,
        }
    }

    /// Tokens that a windowed layer attends to.
    #[must_use]
    pub const fn window(&self) -> Option<Window> {
        match *self {
            Self::Grouped { window, .. } => window,
            Self::Latent { .. } => None,
        }
    }

    /// Of `layers`, those that attend to everything.
    #[must_use]
    pub fn full_layers(&self, layers: u32) -> u32 {
        match self {
            Self::Grouped {
                window: Some(window),
                ..
            } => window.full_layers,
            Self::Grouped {
                linear: Some(linear),
                ..
            } => linear.full_layers,
            Self::Grouped { .. } | Self::Latent { .. } => layers,
        }
    }

    /// Numbers that a token takes in the cache of one layer.
    #[must_use]
    pub fn kv_elements(&self) -> u64 {
        match *self {
            Self::Grouped {
                kv_heads,
                head_size,
                ..
            } => 2 * u64::from(kv_heads) * u64::from(head_size),
            Self::Latent { kv_rank, rope, .. } => u64::from(kv_rank) + u64::from(rope),
        }
    }

    /// Operations for a pair of tokens in a layer, while a prompt is computed.
    #[must_use]
    pub fn prefill_flops_a_pair(&self) -> u64 {
        match *self {
            Self::Grouped {
                heads, head_size, ..
            } => 4 * u64::from(heads) * u64::from(head_size),
            Self::Latent {
                heads,
                nope,
                rope,
                value,
                ..
            } => 2 * u64::from(heads) * (u64::from(nope) + u64::from(rope) + u64::from(value)),
        }
    }

    /// Operations for a pair of tokens in a layer, while one token is generated.
    #[must_use]
    pub fn decode_flops_a_pair(&self) -> u64 {
        match *self {
            Self::Grouped { .. } => self.prefill_flops_a_pair(),
            Self::Latent {
                heads,
                kv_rank,
                rope,
                ..
            } => 2 * u64::from(heads) * (2 * u64::from(kv_rank) + u64::from(rope)),
        }
    }

    /// Parameters of attention in all of `layers` layers of this width.
    fn parameters(&self, layers: u64, hidden: u64) -> u64 {
        match *self {
            Self::Grouped {
                heads,
                kv_heads,
                head_size,
                bias,
                linear,
                ..
            } => {
                let size = u64::from(head_size);
                let (queries, keys) = (u64::from(heads) * size, u64::from(kv_heads) * size);
                let biases = if bias { queries + 2 * keys } else { 0 };
                let full = 2 * hidden * queries + 2 * hidden * keys + biases;
                let Some(linear) = linear else {
                    return layers * full;
                };
                let gate = hidden * queries;
                let full_layers = u64::from(linear.full_layers);
                full_layers * (full + gate)
                    + layers.saturating_sub(full_layers) * linear.parameters(hidden)
            }
            Self::Latent {
                heads,
                kv_rank,
                q_rank,
                nope,
                rope,
                value,
            } => {
                let [heads, kv_rank, q_rank, nope, rope, value] =
                    [heads, kv_rank, q_rank, nope, rope, value].map(u64::from);
                let key = nope + rope;
                let queries = match q_rank {
                    0 => hidden * heads * key,
                    _ => hidden * q_rank + q_rank * heads * key,
                };
                let cached = hidden * (kv_rank + rope) + kv_rank * heads * (nope + value);
                layers * (queries + cached + heads * value * hidden)
            }
        }
    }
}

impl LinearAttention {
    fn parameters(&self, hidden: u64) -> u64 {
        let keys = u64::from(self.key_heads) * u64::from(self.key_size);
        let values = u64::from(self.value_heads) * u64::from(self.value_size);
        let gates = 2 * u64::from(self.value_heads);
        hidden * (2 * keys + 2 * values + gates) + values * hidden
    }

    /// Bytes of the states that a request holds in all of `layers` layers: single precision for
    /// the state, half for the convolution.
    #[must_use]
    pub fn state_bytes(&self, layers: u32) -> u64 {
        let keys = u64::from(self.key_heads) * u64::from(self.key_size);
        let values = u64::from(self.value_heads) * u64::from(self.value_size);
        let state = 4 * values * u64::from(self.key_size);
        let convolution = 2 * (2 * keys + values) * u64::from(self.convolution.saturating_sub(1));
        u64::from(layers.saturating_sub(self.full_layers)) * (state + convolution)
    }
}

impl Mlp {
    /// Layers with experts, experts of a layer, and those that a token takes; zeros without.
    #[must_use]
    pub const fn experts(&self) -> (u32, u32, u32) {
        match *self {
            Self::Dense { .. } => (0, 0, 0),
            Self::Experts {
                layers,
                experts,
                active,
                ..
            } => (layers, experts, active),
        }
    }
}

/// More parameters than any model has; figures beyond are mistakes.
const MOST_PARAMETERS: f64 = 1e15;

impl Architecture {
    /// What makes its steps unlike those of others, in two words at most: `dense`, `experts`, `latent attention`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match (&self.attention, &self.mlp) {
            (Attention::Latent { .. }, _) => "latent attention",
            (_, Mlp::Experts { .. }) => "experts",
            _ => "dense",
        }
    }

    /// What cannot be in a model of this depth and width: the field, and why.
    pub(super) fn flaw(&self, layers: u32, hidden_size: u32) -> Option<(&'static str, String)> {
        let (with_experts, experts, active) = self.mlp.experts();
        let full = self.attention.full_layers(layers);
        if full > layers {
            let message = format!("{full} layers with full attention are more than all {layers}");
            return Some(("attention", message));
        }
        if let Attention::Grouped {
            window: Some(_),
            linear: Some(_),
            ..
        } = self.attention
        {
            let message = "no step model knows windows and linear attention together".to_owned();
            return Some(("attention", message));
        }
        if with_experts > layers {
            let message = format!("{with_experts} layers with experts are more than all {layers}");
            return Some(("mlp", message));
        }
        if active > experts {
            let message = format!("a token takes {active} experts, and there are {experts}");
            return Some(("mlp", message));
        }
        if let Mlp::Experts {
            dense_intermediate: 0,
            ..
        } = self.mlp
            && with_experts < layers
        {
            let message = format!("{} layers are dense, of no width", layers - with_experts);
            return Some(("mlp", message));
        }
        let parameters = self.roughly(layers, hidden_size);
        (parameters > MOST_PARAMETERS).then(|| {
            let message =
                format!("this makes {parameters:.1e} parameters, more than any model has");
            ("mlp", message)
        })
    }

    /// Parameters to within a factor of a few, without overflow.
    fn roughly(&self, layers: u32, hidden_size: u32) -> f64 {
        let [layers, hidden] = [layers, hidden_size].map(f64::from);
        let attention = match self.attention {
            Attention::Grouped {
                heads,
                kv_heads,
                head_size,
                linear,
                ..
            } => {
                let linear = linear.map_or(0.0, |of| {
                    f64::from(of.key_heads) * f64::from(of.key_size)
                        + f64::from(of.value_heads) * f64::from(of.value_size)
                });
                (f64::from(heads) + f64::from(kv_heads)) * f64::from(head_size) + linear
            }
            Attention::Latent {
                heads,
                kv_rank,
                q_rank,
                nope,
                rope,
                value,
            } => {
                let [heads, kv_rank, q_rank, nope, rope, value] =
                    [heads, kv_rank, q_rank, nope, rope, value].map(f64::from);
                heads * (nope + rope + value) * (1.0 + (q_rank + kv_rank) / hidden)
            }
        };
        let mlp = match self.mlp {
            Mlp::Dense { intermediate } => f64::from(intermediate),
            Mlp::Experts {
                experts,
                shared,
                intermediate,
                dense_intermediate,
                ..
            } => {
                (f64::from(experts) + f64::from(shared)) * f64::from(intermediate)
                    + f64::from(dense_intermediate)
            }
        };
        hidden * (f64::from(self.vocabulary) + 4.0 * layers * (attention + mlp))
    }

    /// Parameters of a model of this depth and width: matrices, biases and the norms of a layer.
    ///
    /// Small vectors such as the norms of compressed queries are left out: of no published total are
    /// they more than a hundred thousandth.
    #[must_use]
    pub fn parameters(&self, layers: u32, hidden_size: u32) -> Parameters {
        let (layers, hidden) = (u64::from(layers), u64::from(hidden_size));
        let embedding = u64::from(self.vocabulary) * hidden;
        let head = if self.tied_embeddings { 0 } else { embedding };
        let norms = 2 * layers * hidden + hidden;
        let attention = self.attention.parameters(layers, hidden);
        let rest = embedding + head + norms + attention;
        match self.mlp {
            Mlp::Dense { intermediate } => {
                let total = rest + layers * 3 * hidden * u64::from(intermediate);
                Parameters {
                    total,
                    active: total - norms - head,
                    outside_experts: total,
                    per_expert: 0,
                    embedding,
                    head,
                }
            }
            Mlp::Experts {
                experts,
                active,
                shared,
                intermediate,
                layers: with_experts,
                dense_intermediate,
                bias,
            } => {
                let matrices = 3 * hidden * u64::from(intermediate);
                let biases = 2 * u64::from(intermediate) + hidden;
                let per_expert = matrices + if bias { biases } else { 0 };
                let (experts, with_experts) = (u64::from(experts), u64::from(with_experts));
                let dense_layers = layers.saturating_sub(with_experts);
                let outside_experts = rest
                    + dense_layers * 3 * hidden * u64::from(dense_intermediate)
                    + with_experts * (u64::from(shared) * matrices + experts * hidden);
                Parameters {
                    total: outside_experts + with_experts * experts * per_expert,
                    active: outside_experts - norms - head
                        + with_experts * u64::from(active) * per_expert,
                    outside_experts,
                    per_expert,
                    embedding,
                    head,
                }
            }
        }
    }
}
