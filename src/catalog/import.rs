//! A catalog entry from the `config.json` that a model has on Hugging Face.

use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::{Architecture, Attention, LinearAttention, Mlp, Model, Precision, Window};

/// Why a configuration makes no entry.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The text is no JSON object.
    #[error("this is no config.json: {0}")]
    NotJson(String),
    /// A field that the dimensions need is absent.
    #[error("the configuration has no `{0}`: it is needed for the dimensions of the model")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("`{field}` is `{value}`: {expected}")]
    Wrong {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Something that no step model knows.
    #[error("{0} has no place in the dimensions that the catalog knows")]
    Unknown(String),
    /// The figures contradict each other.
    #[error("{0}")]
    Flaw(String),
}

/// Makes an entry of a configuration's text.
///
/// Known are dense models and mixtures of experts with grouped, windowed, latent or (in part) linear
/// attention, under the field names of Llama, Mistral, Mixtral, Qwen, DeepSeek, Kimi, GLM, MiniMax
/// and gpt-oss. Of a model with images, the text part counts.
///
/// # Errors
/// [`ImportError`] where a field is absent, or the model is of a kind that the catalog does not know.
pub fn import_model(name: &str, text: &str) -> Result<Model, ImportError> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| ImportError::NotJson(error.to_string()))?;
    let outer = json
        .as_object()
        .ok_or_else(|| ImportError::NotJson("it is not an object".to_owned()))?;
    let inner = match outer.get("text_config") {
        Some(Json::Object(inner)) => inner,
        _ => outer,
    };
    let config = Config { outer, inner };
    config.refuse_unknown_layers()?;
    let layers = config.required("num_hidden_layers")?;
    let hidden_size = config.required("hidden_size")?;
    let architecture = Architecture {
        vocabulary: config.required("vocab_size")?,
        tied_embeddings: config.flag("tie_word_embeddings"),
        attention: config.attention(layers, hidden_size)?,
        mlp: config.mlp(layers)?,
        weights: config.precision()?,
        weights_fixed: config.text("quant_method") == Some("mxfp4"),
    };
    if let Some((_, message)) = architecture.flaw(layers, hidden_size) {
        return Err(ImportError::Flaw(message));
    }
    let model = Model {
        name: name.to_owned(),
        layers,
        hidden_size,
        architecture: Some(architecture),
        source: Some("config.json".to_owned()),
        ..Model::default()
    };
    Ok(model.with_weights())
}

/// The fields of a configuration, those of its text part first.
struct Config<'a> {
    outer: &'a Map<String, Json>,
    inner: &'a Map<String, Json>,
}

/// Fields of layers that are neither attention nor products.
const STATE_SPACE: [&str; 4] = [
    "hybrid_override_pattern",
    "ssm_cfg",
    "layers_block_type",
    "mamba_d_state",
];

impl Config<'_> {
    fn get(&self, field: &str) -> Option<&Json> {
        let value = self.inner.get(field).or_else(|| self.outer.get(field))?;
        (!value.is_null()).then_some(value)
    }

    fn number(&self, field: &'static str) -> Result<Option<u32>, ImportError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
        let number = number.filter(|&it| it <= 1_000_000);
        number.map(Some).ok_or_else(|| ImportError::Wrong {
            field,
            value: value.to_string(),
            expected: "a whole number up to 1000000 belongs there",
        })
    }

    /// A number that is at least 1.
    fn required(&self, field: &'static str) -> Result<u32, ImportError> {
        match self.number(field)? {
            None => Err(ImportError::Missing(field)),
            Some(0) => Err(ImportError::Wrong {
                field,
                value: "0".to_owned(),
                expected: "at least 1 belongs there",
            }),
            Some(number) => Ok(number),
        }
    }

    /// The first of these fields that is there.
    fn first(&self, fields: &[&'static str]) -> Result<Option<u32>, ImportError> {
        for field in fields {
            if let Some(number) = self.number(field)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn flag(&self, field: &str) -> bool {
        self.get(field).and_then(Json::as_bool).unwrap_or(false)
    }

    /// A text, perhaps of the quantisation.
    fn text(&self, field: &str) -> Option<&str> {
        let of = self.get("quantization_config").and_then(|it| it.get(field));
        of.or_else(|| self.get(field)).and_then(Json::as_str)
    }

    fn kind(&self) -> &str {
        self.get("model_type").and_then(Json::as_str).unwrap_or("")
    }

    fn refuse_unknown_layers(&self) -> Result<(), ImportError> {
        match STATE_SPACE.iter().find(|it| self.get(it).is_some()) {
            Some(field) => Err(ImportError::Unknown(format!(
                "`{field}`, a model with layers of state space,"
            ))),
            None => Ok(()),
        }
    }

    /// How many layers are of this type, where the configuration lists them.
    fn layers_of_type(&self, name: &str) -> Option<u32> {
        let list = self.get("layer_types")?.as_array()?;
        let of = list.iter().filter(|it| it.as_str() == Some(name)).count();
        u32::try_from(of).ok()
    }

    fn attention(&self, layers: u32, hidden_size: u32) -> Result<Attention, ImportError> {
        let heads = self.required("num_attention_heads")?;
        if let Some(kv_rank) = self.number("kv_lora_rank")? {
            return Ok(Attention::Latent {
                heads,
                kv_rank,
                q_rank: self.number("q_lora_rank")?.unwrap_or(0),
                nope: self.required("qk_nope_head_dim")?,
                rope: self.required("qk_rope_head_dim")?,
                value: self.required("v_head_dim")?,
            });
        }
        let head_size = match self.number("head_dim")? {
            Some(size) => size,
            None => hidden_size / heads,
        };
        Ok(Attention::Grouped {
            heads,
            kv_heads: self.number("num_key_value_heads")?.unwrap_or(heads),
            head_size,
            bias: self.flag("attention_bias") || self.kind().starts_with("qwen2"),
            window: self.window(layers)?,
            linear: self.linear()?,
        })
    }

    fn window(&self, layers: u32) -> Result<Option<Window>, ImportError> {
        let unused = self.get("use_sliding_window") == Some(&Json::Bool(false));
        let (Some(tokens), false) = (self.number("sliding_window")?, unused) else {
            return Ok(None);
        };
        let full_layers = match self.layers_of_type("sliding_attention") {
            Some(windowed) => layers.saturating_sub(windowed),
            None => match self.number("sliding_window_pattern")? {
                Some(every @ 1..) => layers / every,
                _ => 0,
            },
        };
        Ok((full_layers < layers).then_some(Window {
            tokens,
            full_layers,
        }))
    }

    fn linear(&self) -> Result<Option<LinearAttention>, ImportError> {
        if self.layers_of_type("linear_attention").unwrap_or(0) == 0 {
            return Ok(None);
        }
        Ok(Some(LinearAttention {
            full_layers: self.layers_of_type("full_attention").unwrap_or(0),
            key_heads: self.required("linear_num_key_heads")?,
            key_size: self.required("linear_key_head_dim")?,
            value_heads: self.required("linear_num_value_heads")?,
            value_size: self.required("linear_value_head_dim")?,
            convolution: self.required("linear_conv_kernel_dim")?,
        }))
    }

    fn mlp(&self, layers: u32) -> Result<Mlp, ImportError> {
        let names = ["num_local_experts", "n_routed_experts", "num_experts"];
        let Some(experts @ 1..) = self.first(&names)? else {
            return Ok(Mlp::Dense {
                intermediate: self.required("intermediate_size")?,
            });
        };
        let active = ["num_experts_per_tok", "experts_per_token", "moe_top_k"];
        let active = self
            .first(&active)?
            .ok_or(ImportError::Missing("num_experts_per_tok"))?;
        let of_dense = self.first(&["intermediate_size_mlp", "intermediate_size"])?;
        let intermediate = match self.number("moe_intermediate_size")? {
            Some(width) => width,
            None => self.required("intermediate_size")?,
        };
        let with_experts = self.layers_with_experts(layers)?;
        Ok(Mlp::Experts {
            experts,
            active,
            shared: self.shared_experts(intermediate)?,
            intermediate,
            layers: with_experts,
            dense_intermediate: match with_experts < layers {
                true => of_dense.ok_or(ImportError::Missing("intermediate_size"))?,
                false => 0,
            },
            bias: self.kind() == "gpt_oss",
        })
    }

    fn shared_experts(&self, intermediate: u32) -> Result<u32, ImportError> {
        if let Some(shared) = self.first(&["n_shared_experts", "num_shared_experts"])? {
            return Ok(shared);
        }
        if let Some(width) = self.number("shared_expert_intermediate_size")? {
            return Ok(width / intermediate.max(1));
        }
        Ok(u32::from(self.kind().starts_with("llama4")))
    }

    fn layers_with_experts(&self, layers: u32) -> Result<u32, ImportError> {
        if let Some(dense) = self.number("first_k_dense_replace")? {
            return Ok(layers.saturating_sub(dense));
        }
        let every = self.first(&["interleave_moe_layer_step", "decoder_sparse_step"])?;
        let sparse = layers / every.unwrap_or(1).max(1);
        let dense = self.get("mlp_only_layers").and_then(Json::as_array);
        let dense = dense.map_or(0, |list| list.len() as u32);
        Ok(sparse.saturating_sub(dense))
    }

    fn precision(&self) -> Result<Precision, ImportError> {
        if self.get("quantization_config").is_none() {
            return Ok(Precision::Bf16);
        }
        let method = self.text("quant_method").unwrap_or_default();
        let algorithm = self.text("quant_algo").unwrap_or_default();
        match (method, algorithm) {
            ("fp8" | "fbgemm_fp8", _) | (_, "FP8") => Ok(Precision::Fp8),
            ("mxfp4", _) => Ok(Precision::Mxfp4),
            (_, "NVFP4") => Ok(Precision::Nvfp4),
            ("compressed-tensors", _) => Ok(Precision::Int4),
            _ => Err(ImportError::Unknown(format!(
                "quantisation by `{method}` {algorithm}"
            ))),
        }
    }
}

/// A catalog file with this model alone.
#[must_use]
pub fn model_entry(model: &Model) -> String {
    let Some(of) = &model.architecture else {
        return "()\n".to_owned();
    };
    let attention = match of.attention {
        Attention::Grouped {
            heads,
            kv_heads,
            head_size,
            bias,
            window,
            linear,
        } => {
            let mut text =
                format!("Grouped(heads: {heads}, kv_heads: {kv_heads}, head_size: {head_size}");
            if bias {
                text += ", bias: true";
            }
            if let Some(Window {
                tokens,
                full_layers,
            }) = window
            {
                text += &format!(", window: (tokens: {tokens}, full_layers: {full_layers})");
            }
            if let Some(it) = linear {
                text += &format!(
                    ", linear: (full_layers: {}, key_heads: {}, key_size: {}, value_heads: {}, \
                     value_size: {}, convolution: {})",
                    it.full_layers,
                    it.key_heads,
                    it.key_size,
                    it.value_heads,
                    it.value_size,
                    it.convolution
                );
            }
            text + ")"
        }
        Attention::Latent {
            heads,
            kv_rank,
            q_rank,
            nope,
            rope,
            value,
        } => format!(
            "Latent(heads: {heads}, kv_rank: {kv_rank}, q_rank: {q_rank}, nope: {nope}, rope: \
             {rope}, value: {value})"
        ),
    };
    let mlp = match of.mlp {
        Mlp::Dense { intermediate } => format!("Dense(intermediate: {intermediate})"),
        Mlp::Experts {
            experts,
            active,
            shared,
            intermediate,
            layers,
            dense_intermediate,
            bias,
        } => format!(
            "Experts(experts: {experts}, active: {active}, shared: {shared}, intermediate: \
             {intermediate}, layers: {layers}, dense_intermediate: {dense_intermediate}, bias: {bias})"
        ),
    };
    let quoted = |text: &str| Json::from(text).to_string();
    let mut lines = vec![
        format!("name: {}", quoted(&model.name)),
        format!("layers: {}", model.layers),
        format!("hidden_size: {}", model.hidden_size),
        "architecture: (".to_owned(),
        format!("    vocabulary: {}", of.vocabulary),
        format!("    tied_embeddings: {}", of.tied_embeddings),
        format!("    attention: {attention}"),
        format!("    mlp: {mlp}"),
        format!("    weights: {:?}", of.weights),
        format!("    weights_fixed: {}", of.weights_fixed),
        ")".to_owned(),
    ];
    if let Some(source) = &model.source {
        lines.push(format!("source: {}", quoted(source)));
    }
    let lines: String = lines
        .iter()
        .map(|line| match line.ends_with('(') {
            true => format!("            {line}\n"),
            false => format!("            {line},\n"),
        })
        .collect();
    format!("(\n    models: [\n        (\n{lines}        ),\n    ],\n)\n")
}
