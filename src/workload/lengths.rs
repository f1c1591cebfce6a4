//! Draws lengths of prompts and outputs.

use serde::{Deserialize, Serialize};

use super::error::WorkloadError;
use crate::random::Stream;
use crate::scenario::Lengths;

/// A distribution of lengths, ready to draw from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Sampler {
    Constant(u32),
    LogNormal {
        median: f64,
        sigma: f64,
        min: f64,
        max: f64,
    },
    Geometric {
        /// ln(1 − 1/mean), −∞ for a mean of 1.
        log_failure: f64,
    },
    Empirical {
        /// Each length with the sum of the weights up to and with its own.
        cumulative: Vec<(u32, f64)>,
        total: f64,
    },
}

impl Sampler {
    /// `field` names the lengths in an error.
    pub(super) fn new(lengths: &Lengths, field: &str) -> Result<Self, WorkloadError> {
        let expect = |holds, expected| WorkloadError::unless(holds, field, lengths, expected);
        match lengths {
            Lengths::Constant(length) => {
                expect(*length > 0, "at least 1 token")?;
                Ok(Self::Constant(*length))
            }
            Lengths::LogNormal {
                median,
                sigma,
                min,
                max,
            } => {
                let (median, sigma) = (*median, *sigma);
                expect(median.is_finite() && median >= 1.0, "a median of 1 or more")?;
                expect(sigma.is_finite() && sigma >= 0.0, "a sigma of 0 or more")?;
                expect(1 <= *min && min <= max, "1 ≤ min ≤ max")?;
                let (min, max) = (f64::from(*min), f64::from(*max));
                Ok(Self::LogNormal {
                    median,
                    sigma,
                    min,
                    max,
                })
            }
            Lengths::Geometric { mean } => {
                expect(mean.is_finite() && *mean >= 1.0, "a mean of 1 or more")?;
                let log_failure = libm::log1p(-1.0 / mean);
                Ok(Self::Geometric { log_failure })
            }
            Lengths::Empirical(weights) => Self::empirical(weights, field),
        }
    }

    fn empirical(weights: &[(u32, f64)], field: &str) -> Result<Self, WorkloadError> {
        let mut total = 0.0;
        let mut cumulative = Vec::with_capacity(weights.len());
        for entry in weights {
            let (length, weight) = *entry;
            let holds = length > 0 && weight.is_finite() && weight >= 0.0;
            let expected = "a length of 1 or more with a weight of 0 or more";
            WorkloadError::unless(holds, field, entry, expected)?;
            total += weight;
            if weight > 0.0 {
                cumulative.push((length, total));
            }
        }
        let field = format!("the sum of the weights of {field}");
        let holds = total.is_finite() && total > 0.0;
        WorkloadError::unless(holds, &field, total, "a finite number above 0")?;
        Ok(Self::Empirical { cumulative, total })
    }

    /// Draws one length, at least 1.
    pub(super) fn draw(&self, stream: &mut Stream) -> u32 {
        match self {
            Self::Constant(length) => *length,
            Self::LogNormal {
                median,
                sigma,
                min,
                max,
            } => {
                let length = median * libm::exp(sigma * stream.normal());
                libm::round(length).clamp(*min, *max) as u32
            }
            Self::Geometric { log_failure } => {
                // Saturates at the largest `u32`.
                (1.0 + libm::floor(libm::log(stream.uniform()) / log_failure)) as u32
            }
            Self::Empirical { cumulative, total } => {
                let point = total * stream.uniform();
                let at = cumulative.partition_point(|(_, sum)| *sum <= point);
                cumulative[at.min(cumulative.len() - 1)].0
            }
        }
    }
}
