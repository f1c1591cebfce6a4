use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Catalog, Model, Precision, ProfileKey, Speeds};
use crate::measured::StepRow;

/// What a processor and an engine reach of the data sheet's speeds, and what they take beside.
///
/// `Roofline` of the room `serving` says where each of them stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    /// Share of the operations a second outside the experts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gemm_flops: f64,
    /// Share of the memory's bandwidth for weights outside the experts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight_bandwidth: f64,
    /// Share of the operations a second in the experts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub expert_flops: f64,
    /// Share of the memory's bandwidth for weights of experts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub expert_bandwidth: f64,
    /// Share of the operations a second in the attention of prompts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub prefill_attention_flops: f64,
    /// Share of the memory's bandwidth for the KV cache.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub kv_bandwidth: f64,
    /// Seconds of a layer's small kernels.
    #[schemars(range(min = 0))]
    pub s_per_layer: f64,
    /// Seconds more of a layer that has experts.
    #[schemars(range(min = 0))]
    pub s_per_moe_layer: f64,
    /// Seconds of each step.
    #[schemars(range(min = 0))]
    pub s_per_step: f64,
    /// Seconds until an all-reduce moves data.
    #[schemars(range(min = 0))]
    pub s_per_allreduce: f64,
    /// Share of the link's bandwidth in all-reduces.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub link: f64,
    /// Share of the memory's bandwidth for activations.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub activation_bandwidth: f64,
    /// Seconds of each request that decodes and of each prompt.
    #[schemars(range(min = 0))]
    pub s_per_sequence: f64,
    /// How sharply the larger of operations and bandwidth wins, outside the experts.
    #[schemars(range(min = 1, max = 100))]
    pub norm_dense: f64,
    /// The same in the experts.
    #[schemars(range(min = 1, max = 100))]
    pub norm_experts: f64,
}

/// What a set of coefficients was fitted on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub enum Basis {
    /// Measurements of the user's own.
    Own,
    /// Mean times of real servers with this model.
    Serving,
    /// Step times composed of measured kernels, for this model.
    Kernel,
    /// The same, for all models, or all without experts.
    KernelAll,
    /// Mean times of real servers, of all models on this processor and engine.
    ServingAll,
    /// Mean times of all real servers.
    Everything,
}

/// A fitted set of coefficients, and what it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoefficientSet {
    /// What it was fitted on. Default `Own`.
    #[serde(default = "own")]
    pub basis: Basis,
    /// The processor's name, or `*`.
    pub processor: String,
    /// The engine: `vllm`, `sglang`, `trtllm`, or `*`.
    pub engine: String,
    /// The model's name, `dense` for all without experts, or `*`.
    pub model: String,
    /// The precision of the weights. Default: any.
    #[serde(default)]
    pub precision: Option<Precision>,
    /// Its mean error on points that it was not fitted on, in per cent. Default: not known.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub error_percent: Option<f64>,
    /// The coefficients.
    pub values: Coefficients,
}

fn own() -> Basis {
    Basis::Own
}

/// Which coefficients may be used: the first that exists wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Layer {
    /// The user's set, the model's from real servers, the model's from kernels, the processor's.
    #[default]
    Auto,
    /// The model's set from kernel tables, else the processor's.
    Kernel,
    /// The processor's set for any model, else that of its relative, else the global one.
    Generic,
    /// One set fitted on all real servers.
    Global,
}

/// The set of coefficients that was used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LayerUsed {
    /// The user's own.
    Own,
    /// The model's, from real servers.
    Serving,
    /// The model's, from kernel tables.
    Kernel,
    /// That of a processor and an engine, for any model.
    Generic {
        /// The processor.
        processor: String,
        /// The engine.
        engine: String,
    },
    /// The one for everything.
    Global,
}

impl fmt::Display for LayerUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own:calibrated"),
            Self::Serving => f.write_str("own:serving"),
            Self::Kernel => f.write_str("own:kernel"),
            Self::Generic { processor, engine } => write!(f, "generic:{processor}/{engine}"),
            Self::Global => f.write_str("global"),
        }
    }
}

/// Coefficients for a model on a processor, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The coefficients.
    pub values: Coefficients,
    /// What they were fitted on.
    pub layer: LayerUsed,
    /// Their mean error on points that they were not fitted on, in per cent, where known.
    pub error_percent: Option<f64>,
}

impl Catalog {
    /// The coefficients for a model on a processor under an engine, by the layers allowed.
    ///
    /// Models of equal dimensions share their own sets. `None` where the catalog has no set at all, or
    /// the model has no architecture.
    #[must_use]
    pub fn coefficients(
        &self,
        model: &Model,
        processor: &str,
        engine: &str,
        precision: Precision,
        layer: Layer,
    ) -> Option<Chosen> {
        let architecture = model.architecture.as_ref()?;
        let precision = model.precision(Some(precision))?;
        let entry = self.processors.get(processor)?;
        let processor = entry.same_as.as_deref().unwrap_or(processor);
        let bases: &[Basis] = match layer {
            Layer::Auto => &[Basis::Own, Basis::Serving, Basis::Kernel],
            Layer::Kernel => &[Basis::Kernel],
            Layer::Generic | Layer::Global => &[],
        };
        for &basis in bases {
            let own = self.set(basis, processor, engine, &model.name, precision);
            let found = own.or_else(|| {
                let alike = self.models.values().filter(|it| it.is_like(model));
                let mut names = alike.map(|it| it.name.as_str());
                names.find_map(|name| self.set(basis, processor, engine, name, precision))
            });
            if let Some(set) = found {
                return Some(set.chosen(match basis {
                    Basis::Own => LayerUsed::Own,
                    Basis::Serving => LayerUsed::Serving,
                    _ => LayerUsed::Kernel,
                }));
            }
        }
        if layer != Layer::Global {
            let models = match architecture.mlp.experts().0 {
                0 => "dense",
                _ => "*",
            };
            let relative = self.processors.get(processor)?.coefficients_of.as_deref();
            for processor in [Some(processor), relative].into_iter().flatten() {
                for engine in [engine, "vllm"] {
                    let set = self.set(Basis::KernelAll, processor, engine, models, precision);
                    if let Some(set) = set {
                        return Some(set.chosen(LayerUsed::Generic {
                            processor: processor.to_owned(),
                            engine: engine.to_owned(),
                        }));
                    }
                }
            }
        }
        let set = self.set(Basis::Everything, "*", "*", "*", precision)?;
        Some(set.chosen(LayerUsed::Global))
    }

    /// The rows of a table of step times for a model on a processor under a server.
    #[must_use]
    pub fn step_rows(
        &self,
        path: &Path,
        of: &ProfileKey,
        server: &str,
        precision: Precision,
    ) -> Vec<&StepRow> {
        let rows = self.step_tables.get(path).map(|it| it.as_slice());
        let entry = self.processors.get(&of.processor);
        let same = entry.and_then(|it| it.same_as.as_deref());
        let here = |row: &&StepRow| {
            row.model == of.model
                && (row.gpu == of.processor || Some(row.gpu.as_str()) == same)
                && row.engine == server
                && row.precision.parse() == Ok(precision)
                && row.tp == of.tensor_parallelism
                && row.dp == 1
        };
        rows.unwrap_or_default().iter().filter(here).collect()
    }

    /// The speeds of a processor, or of the entry that is the same GPU.
    #[must_use]
    pub fn speeds(&self, processor: &str) -> Option<&Speeds> {
        let entry = self.processors.get(processor)?;
        match (&entry.speeds, &entry.same_as) {
            (None, Some(other)) => self.processors.get(other)?.speeds.as_ref(),
            (speeds, _) => speeds.as_ref(),
        }
    }

    fn set(
        &self,
        basis: Basis,
        processor: &str,
        engine: &str,
        model: &str,
        precision: Precision,
    ) -> Option<&CoefficientSet> {
        self.coefficients.iter().find(|set| {
            set.basis == basis
                && set.processor == processor
                && set.engine == engine
                && set.model == model
                && set.precision.is_none_or(|it| it == precision)
        })
    }

    /// Adds a set; one for the same takes the place of another.
    pub(super) fn add_coefficients(&mut self, set: CoefficientSet) {
        let same = |it: &CoefficientSet| {
            it.basis == set.basis
                && it.processor == set.processor
                && it.engine == set.engine
                && it.model == set.model
                && it.precision == set.precision
        };
        self.coefficients.retain(|it| !same(it));
        self.coefficients.push(set);
    }
}

impl CoefficientSet {
    fn chosen(&self, layer: LayerUsed) -> Chosen {
        Chosen {
            values: self.values,
            layer,
            error_percent: self.error_percent,
        }
    }
}

impl Model {
    /// Whether a step takes as long with both, but for their precision.
    fn is_like(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (&self.architecture, &other.architecture) else {
            return false;
        };
        let same = self.layers == other.layers && self.hidden_size == other.hidden_size;
        same && self.name != other.name
            && a.vocabulary == b.vocabulary
            && a.tied_embeddings == b.tied_embeddings
            && a.attention == b.attention
            && a.mlp == b.mlp
    }
}

/// The sets that come with fleetsim, one a row.
const BUILT_IN: &str = include_str!("../../assets/coefficients.csv");

/// A row of that table.
#[derive(Deserialize)]
struct Row {
    fitted_on: String,
    gpu: String,
    engine: String,
    model: String,
    precision: String,
    eff_gemm_flops: f64,
    eff_weight_bandwidth: f64,
    eff_expert_flops: f64,
    eff_expert_bandwidth: f64,
    eff_prefill_attention_flops: f64,
    eff_kv_bandwidth: f64,
    s_per_layer: f64,
    s_per_moe_layer: f64,
    s_per_step: f64,
    s_per_allreduce: f64,
    eff_link: f64,
    eff_activation_bandwidth: f64,
    s_per_sequence: f64,
    norm_dense: f64,
    norm_experts: f64,
    mape_percent: Option<f64>,
}

/// The sets that come with fleetsim.
pub(super) fn built_in() -> Vec<CoefficientSet> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(BUILT_IN.as_bytes());
    let rows = reader.deserialize::<Row>();
    rows.map(|row| row.expect("the built-in table never changes, and tests read it"))
        .map(Row::set)
        .collect()
}

impl Row {
    fn set(self) -> CoefficientSet {
        let basis = match self.fitted_on.as_str() {
            "serving measurements, one model" => Basis::Serving,
            "kernel tables, one model" => Basis::Kernel,
            "serving measurements, all" => Basis::Everything,
            "serving measurements" => Basis::ServingAll,
            _ => Basis::KernelAll,
        };
        CoefficientSet {
            basis,
            processor: self.gpu,
            engine: self.engine,
            model: self.model,
            precision: self.precision.parse().ok(),
            error_percent: self.mape_percent,
            values: Coefficients {
                gemm_flops: self.eff_gemm_flops,
                weight_bandwidth: self.eff_weight_bandwidth,
                expert_flops: self.eff_expert_flops,
                expert_bandwidth: self.eff_expert_bandwidth,
                prefill_attention_flops: self.eff_prefill_attention_flops,
                kv_bandwidth: self.eff_kv_bandwidth,
                s_per_layer: self.s_per_layer,
                s_per_moe_layer: self.s_per_moe_layer,
                s_per_step: self.s_per_step,
                s_per_allreduce: self.s_per_allreduce,
                link: self.eff_link,
                activation_bandwidth: self.eff_activation_bandwidth,
                s_per_sequence: self.s_per_sequence,
                norm_dense: self.norm_dense,
                norm_experts: self.norm_experts,
            },
        }
    }
}
