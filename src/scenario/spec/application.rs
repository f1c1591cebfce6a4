//! An application: what it serves, and what its users were promised.

use std::path::PathBuf;
use std::sync::Arc;

use ron::value::RawValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::open::{Term, name_of, open_enum};
use super::{CrashPolicy, Engine, Objective, Role, Scaling, Scheduler, Template, Workload};
use crate::catalog::{Catalog, KvPrecision, Layer, Model, Precision};
use crate::scenario::{Actuator, Signals};
use crate::time::SimDuration;

/// An application: a model behind an endpoint, its instances, its work.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Unique in the scenario. Required.
    #[schemars(length(min = 1))]
    pub name: String,
    /// A model of the catalog. Required.
    pub model: String,
    /// How long an iteration takes. Default `Profile`.
    #[serde(default)]
    pub performance: Performance,
    /// Which instance serves a request. Default `TokenJsq`.
    #[serde(default)]
    pub scheduler: Scheduler,
    /// Instance templates. Scale-up uses the first of the role that fits the SKU. Required.
    #[schemars(length(min = 1))]
    pub instances: Vec<Template>,
    /// Delays and drain rules. Every field has a default.
    #[serde(default)]
    pub scaling: Scaling,
    /// The autoscaling policy, kept as written until the policy that it names reads it. Default
    /// none.
    #[serde(default)]
    pub autoscaler: Option<RawPolicy>,
    /// How old what the policy sees is. Default: fresh at each decision.
    #[serde(default)]
    pub signals: Signals,
    /// How what the policy wants is carried out. Every field has a default.
    #[serde(default)]
    pub actuator: Actuator,
    /// Of the applications of a `pool`, those with a higher one get servers first. Default 0.
    #[serde(default)]
    pub priority: i32,
    /// What becomes of requests whose instance is lost to a fault. Default `Retry`.
    #[serde(default)]
    pub crash: CrashPolicy,
    /// What users were promised. Default: no objective.
    #[serde(default)]
    pub slo: Objective,
    /// Where requests come from. Required.
    pub workload: Workload,
}

impl Application {
    /// Whether its requests come from the program that embeds the fleet, which may scale it, too.
    pub(crate) const fn has_host(&self) -> bool {
        matches!(self.workload, Workload::Host)
    }

    /// Its model with the weights and the KV cache as its performance has them; nothing, if the catalog
    /// does not have it.
    #[must_use]
    pub fn model_in(&self, catalog: &Catalog) -> Option<Arc<Model>> {
        let model = catalog.models.get(&self.model)?;
        let Some((weights, kv)) = self.performance.precisions() else {
            return Some(Arc::clone(model));
        };
        let ranks = self.performance.data_parallelism();
        Some(Arc::new(model.stored(weights, kv, ranks)))
    }

    /// The positions of the templates of a role, in the order in which scale-up tries them.
    pub fn templates_of(&self, role: Role) -> impl Iterator<Item = usize> + '_ {
        (0..self.instances.len()).filter(move |&it| self.instances[it].role == role)
    }
}

/// A policy term such as `HeteroScale(max: 50)`, not yet read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawPolicy(pub Box<RawValue>);

impl RawPolicy {
    /// The policy's name: what stands before the parenthesis.
    #[must_use]
    pub fn name(&self) -> &str {
        name_of(self.0.get_ron())
    }
}

impl JsonSchema for RawPolicy {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// How long an iteration takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(remote = "Performance")]
pub enum Performance {
    /// The measured profile of the catalog for this model, processor and tensor parallelism.
    #[default]
    Profile,
    /// The same time for every iteration.
    Constant {
        /// Seconds of an iteration that has a prompt in it.
        #[schemars(extend("exclusiveMinimum" = 0))]
        prompt_time: SimDuration,
        /// Seconds of an iteration of tokens alone.
        #[schemars(extend("exclusiveMinimum" = 0))]
        token_time: SimDuration,
    },
    /// Linear in what is in the batch, in seconds: the sum of these, each times its count.
    Linear {
        /// Seconds of each step.
        #[schemars(extend("exclusiveMinimum" = 0))]
        base: f64,
        /// Seconds for each prompt token of the step. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0))]
        prefill_token: f64,
        /// Seconds for each request that gets a token in the step. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0))]
        decode_request: f64,
        /// Seconds for each token in the KV cache of the batch when the step ends. Default 0.
        #[serde(default)]
        #[schemars(range(min = 0))]
        context_token: f64,
    },
    /// From the model's dimensions and the processor's data sheet, with fitted coefficients.
    Roofline {
        /// The server whose coefficients are used. Default: that of the template's engine, `Vllm` for most.
        #[serde(default)]
        server: Option<ServerKind>,
        /// The coefficients that may be used. Default `Auto`, the best that there are.
        #[serde(default)]
        layer: Layer,
        /// How the weights are stored. Default: as they are published.
        #[serde(default)]
        precision: Option<Precision>,
        /// How the KV cache is stored: the memory that it takes. Default `Bf16`.
        #[serde(default)]
        kv_precision: KvPrecision,
        /// No step is shorter, in seconds: the host's share. Default 0.
        #[serde(default)]
        minimum: SimDuration,
        /// Ranks that share the experts out among them, each with attention, requests and KV cache of its own.
        /// An instance is one rank, and the others are taken to be as busy. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        data_parallelism: u32,
        /// Where the time of all-reduces between GPUs comes from. Default `Fitted`.
        #[serde(default)]
        all_reduce: AllReduceTimes,
    },
    /// Step times of your own, interpolated; beyond them, with the slope of the roofline.
    Table {
        /// A CSV file of step times, relative to the scenario file.
        path: PathBuf,
        /// The server whose rows, and whose coefficients, are used. Default: that of the template's engine.
        #[serde(default)]
        server: Option<ServerKind>,
        /// How the weights are stored. Default: as they are published.
        #[serde(default)]
        precision: Option<Precision>,
        /// How the KV cache is stored: the memory that it takes. Default `Bf16`.
        #[serde(default)]
        kv_precision: KvPrecision,
    },
    /// One that is not built in, by its name in a registry.
    #[schemars(skip)]
    Named(Term),
}

fn one() -> u32 {
    1
}

/// Where the time of all-reduces between GPUs comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum AllReduceTimes {
    /// From the coefficients, which were fitted together with all else.
    #[default]
    Fitted,
    /// From the times that were measured alone, where the catalog has them. On GPUs without NVLink that is better
    /// with the layer `Generic`: there the links between two, four and eight GPUs differ, and the
    /// coefficients have one for all.
    Measured,
}

/// A program that serves models, as measurements name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum ServerKind {
    /// vLLM.
    #[default]
    Vllm,
    /// SGLang.
    Sglang,
    /// TensorRT-LLM.
    Trtllm,
}

impl ServerKind {
    /// The name in tables of measurements and coefficients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Trtllm => "trtllm",
        }
    }

    /// The name in prose.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::Trtllm => "TensorRT-LLM",
        }
    }
}

impl Performance {
    /// The server whose coefficients it uses for an engine.
    #[must_use]
    pub fn server_of(&self, engine: &Engine) -> ServerKind {
        match self {
            Self::Roofline { server, .. } | Self::Table { server, .. } => {
                server.unwrap_or(engine.server())
            }
            _ => engine.server(),
        }
    }

    /// Ranks that share the experts out among them.
    #[must_use]
    pub const fn data_parallelism(&self) -> u32 {
        match *self {
            Self::Roofline {
                data_parallelism, ..
            } => data_parallelism,
            _ => 1,
        }
    }

    /// The precision of the weights of a model: the one asked for, or the published one.
    #[must_use]
    pub fn precision_of(&self, model: &Model) -> Precision {
        let asked = self.precisions().and_then(|(weights, _)| weights);
        model.precision(asked).unwrap_or_default()
    }

    /// The precisions of weights and KV cache that it is for; nothing where it has none of its own.
    #[must_use]
    pub const fn precisions(&self) -> Option<(Option<Precision>, KvPrecision)> {
        match *self {
            Self::Roofline {
                precision,
                kv_precision,
                ..
            }
            | Self::Table {
                precision,
                kv_precision,
                ..
            } => Some((precision, kv_precision)),
            Self::Profile | Self::Constant { .. } | Self::Linear { .. } | Self::Named(_) => None,
        }
    }
}

open_enum!(Performance);
