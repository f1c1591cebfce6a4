use std::fmt::Debug;
use std::sync::Arc;

use super::constant::ConstantTime;
use super::profile::{Curves, InvalidCurve};
use crate::catalog::{Catalog, ProfileKey};
use crate::scenario;

/// How long one iteration of a batch takes, in seconds: always positive and finite.
pub trait PerformanceModel: Debug + Send + Sync {
    /// A batch of prompts alone, `tokens` in all.
    fn prompt(&self, tokens: u64) -> f64;
    /// A batch of token tasks alone, `tokens` of them.
    fn token(&self, tokens: u64) -> f64;
    /// A batch of both: prompt tokens and token tasks together.
    fn mixed(&self, tokens: u64) -> f64;
}

/// The performance model of an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Performance {
    /// Interpolated from measurements.
    Profile(Arc<Curves>),
    /// The same for every iteration.
    Constant(ConstantTime),
    /// A model of the user's own.
    Custom(Arc<dyn PerformanceModel>),
}

/// Why an instance has no performance model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PerformanceError {
    /// Nothing was measured for this combination.
    #[error(
        "no profile of {} on {} with tensor parallelism {}: add one to a catalog file, or use `Constant`",
        .0.model, .0.processor, .0.tensor_parallelism
    )]
    NoProfile(ProfileKey),
    /// What was measured cannot be used.
    #[error("the profile of {} on {} cannot be used: {error}", .key.model, .key.processor)]
    InvalidCurve {
        /// Which profile.
        key: ProfileKey,
        /// What is wrong with it.
        error: InvalidCurve,
    },
}

impl Performance {
    /// The model that a scenario asks for.
    ///
    /// # Errors
    /// When it asks for a profile that the catalog does not have.
    pub fn new(
        spec: &scenario::Performance,
        catalog: &Catalog,
        model: &str,
        processor: &str,
        tensor_parallelism: u32,
    ) -> Result<Self, PerformanceError> {
        match *spec {
            scenario::Performance::Constant {
                prompt_time,
                token_time,
            } => Ok(Self::Constant(ConstantTime::new(prompt_time, token_time))),
            scenario::Performance::Profile => {
                let key = ProfileKey {
                    model: model.to_owned(),
                    processor: processor.to_owned(),
                    tensor_parallelism,
                };
                let Some(profile) = catalog.profiles.get(&key) else {
                    return Err(PerformanceError::NoProfile(key));
                };
                match Curves::new(profile) {
                    Ok(curves) => Ok(Self::Profile(Arc::new(curves))),
                    Err(error) => Err(PerformanceError::InvalidCurve { key, error }),
                }
            }
        }
    }

    /// Whether it is the very same model.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Profile(ours), Self::Profile(theirs)) => Arc::ptr_eq(ours, theirs),
            (Self::Constant(ours), Self::Constant(theirs)) => ours == theirs,
            (Self::Custom(ours), Self::Custom(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// Seconds of one iteration of a batch with these prompt tokens and token tasks.
    #[must_use]
    pub fn iteration(&self, prompt_tokens: u64, token_tasks: u64) -> f64 {
        match self {
            Self::Profile(curves) => iteration(&**curves, prompt_tokens, token_tasks),
            Self::Constant(constant) => iteration(constant, prompt_tokens, token_tasks),
            Self::Custom(model) => iteration(&**model, prompt_tokens, token_tasks),
        }
    }
}

fn iteration<M: PerformanceModel + ?Sized>(model: &M, prompt_tokens: u64, token_tasks: u64) -> f64 {
    match (prompt_tokens, token_tasks) {
        (0, tokens) => model.token(tokens),
        (tokens, 0) => model.prompt(tokens),
        (prompts, tokens) => model.mixed(prompts + tokens),
    }
}
