//! Hardware, models and performance profiles: the built-in ones and the user's own.

mod architecture;
mod coefficients;
mod file;
mod hardware;
mod import;
mod model;
mod precision;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measured::StepRow;

pub use architecture::{Architecture, Attention, LinearAttention, Mlp, Parameters, Window};
pub use coefficients::{Basis, Chosen, CoefficientSet, Coefficients, Layer, LayerUsed};
pub(crate) use hardware::GIB;
pub use hardware::{AllReduce, PriceSource, Processor, Sku, Speeds, StepPower};
pub use import::{ImportError, import_model, model_entry};
pub use model::{MemoryUse, Model, Parallelism};
pub use precision::{KvPrecision, Precision, UnknownPrecision};

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
    /// Fitted coefficients of the step model `Roofline`.
    pub coefficients: Vec<CoefficientSet>,
    /// Measured step times of the step model `Table`, by the path that a scenario names.
    pub step_tables: BTreeMap<PathBuf, Arc<Vec<StepRow>>>,
}

/// A name that the catalog does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalog has no {kind} `{name}`")]
pub struct UnknownName {
    /// Model or processor.
    pub kind: &'static str,
    /// What was asked for.
    pub name: String,
}

impl Catalog {
    /// A model by its name.
    ///
    /// # Errors
    /// [`UnknownName`] where there is none.
    pub fn model(&self, name: &str) -> Result<&Arc<Model>, UnknownName> {
        known("model", &self.models, name)
    }

    /// A processor by its name.
    ///
    /// # Errors
    /// [`UnknownName`] where there is none.
    pub fn processor(&self, name: &str) -> Result<&Arc<Processor>, UnknownName> {
        known("processor", &self.processors, name)
    }
}

fn known<'a, T>(
    kind: &'static str,
    of: &'a BTreeMap<String, T>,
    name: &str,
) -> Result<&'a T, UnknownName> {
    let unknown = || UnknownName {
        kind,
        name: name.to_owned(),
    };
    of.get(name).ok_or_else(unknown)
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
