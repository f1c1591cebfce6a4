use std::sync::Arc;

use super::{BatchShape, ConstantTime, Curves, InvalidCurve, Linear, StepModel, Steps};
use crate::catalog::{Catalog, ProfileKey};
use crate::scenario;

/// The step model of an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Performance {
    /// Interpolated from measurements.
    Profile(Arc<Curves>),
    /// The same for every step.
    Constant(ConstantTime),
    /// Linear in what is in the batch.
    Linear(Linear),
    /// Any other model, one of your own too.
    Model(Arc<dyn StepModel>),
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
    /// A step model that is not built in has none for this combination, or is not known.
    #[error("{0}")]
    Named(String),
    /// A coefficient is out of its range.
    #[error("`{0}` of the step time must be finite and {1}")]
    InvalidCoefficient(&'static str, &'static str),
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
            scenario::Performance::Named(term) => Err(PerformanceError::Named(format!(
                "the step time `{}` is not built in",
                term.name()
            ))),
            scenario::Performance::Linear {
                base,
                prefill_token,
                decode_request,
                context_token,
            } => {
                let linear = Linear {
                    base,
                    prefill_token,
                    decode_request,
                    context_token,
                };
                linear.check()?;
                Ok(Self::Linear(linear))
            }
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
            (Self::Linear(ours), Self::Linear(theirs)) => ours == theirs,
            (Self::Model(ours), Self::Model(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// Whether nothing but the prompt tokens and the number of decodes matters, so that steps of one
    /// batch are all alike.
    pub(crate) const fn counts_suffice(&self) -> bool {
        matches!(self, Self::Profile(_) | Self::Constant(_))
    }

    /// Seconds of a step with these prompt tokens and decodes, where what is in the KV cache does not
    /// matter or is not known.
    #[must_use]
    pub fn iteration(&self, prompt_tokens: u64, token_tasks: u64) -> f64 {
        if let Self::Profile(curves) = self {
            return curves.iteration(prompt_tokens, token_tasks);
        }
        self.seconds(&BatchShape {
            prefill_tokens: prompt_tokens,
            decodes: token_tasks,
            ..BatchShape::default()
        })
    }
}

impl StepModel for Performance {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        match self {
            Self::Profile(curves) => curves.seconds(shape),
            Self::Constant(constant) => constant.seconds(shape),
            Self::Linear(linear) => linear.seconds(shape),
            Self::Model(model) => model.seconds(shape),
        }
    }

    fn decode_run(&self, first: &BatchShape, most: u64) -> (u64, Steps) {
        match self {
            Self::Profile(curves) => curves.decode_run(first, most),
            Self::Constant(constant) => constant.decode_run(first, most),
            Self::Linear(linear) => linear.decode_run(first, most),
            Self::Model(model) => model.decode_run(first, most),
        }
    }

    fn window(&self) -> Option<u64> {
        match self {
            Self::Model(model) => model.window(),
            Self::Profile(_) | Self::Constant(_) | Self::Linear(_) => None,
        }
    }
}
