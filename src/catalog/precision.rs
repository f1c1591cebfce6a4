use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the numbers of a model's weights are stored.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub enum Precision {
    /// Two bytes a weight.
    #[default]
    Bf16,
    /// One byte a weight.
    Fp8,
    /// 4.5 bits a weight with its scales: NVIDIA's fp4.
    Nvfp4,
    /// 4.25 bits a weight of the experts, the rest as `Bf16`; products run as `Bf16`.
    Mxfp4,
    /// 4.25 bits a weight of the experts, the rest as `Bf16`; products run as `Bf16`.
    Int4,
}

impl Precision {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Bf16, Self::Fp8, Self::Nvfp4, Self::Mxfp4, Self::Int4];

    /// Bytes of a weight outside the experts; embedding and head always take two.
    #[must_use]
    pub const fn weight_bytes(self) -> f64 {
        match self {
            Self::Fp8 => 1.0,
            Self::Nvfp4 => 0.5625,
            Self::Bf16 | Self::Mxfp4 | Self::Int4 => 2.0,
        }
    }

    /// Bytes of a weight of an expert.
    #[must_use]
    pub const fn expert_bytes(self) -> f64 {
        match self {
            Self::Bf16 => 2.0,
            Self::Fp8 => 1.0,
            Self::Nvfp4 => 0.5625,
            Self::Mxfp4 | Self::Int4 => 0.53125,
        }
    }

    /// The name in tables of measurements: `bf16`, `fp8`, `fp4`, `mxfp4`, `int4`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
            Self::Nvfp4 => "fp4",
            Self::Mxfp4 => "mxfp4",
            Self::Int4 => "int4",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no [`Precision`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{0}`; there are bf16, fp8, fp4 (nvfp4), mxfp4, int4")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        match name {
            "bf16" | "fp16" => Ok(Self::Bf16),
            "fp8" => Ok(Self::Fp8),
            "fp4" | "nvfp4" => Ok(Self::Nvfp4),
            "mxfp4" => Ok(Self::Mxfp4),
            "int4" => Ok(Self::Int4),
            _ => Err(UnknownPrecision(name.to_owned())),
        }
    }
}

/// How the numbers of a KV cache are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum KvPrecision {
    /// Two bytes a number.
    #[default]
    Bf16,
    /// One byte a number.
    Fp8,
}

impl KvPrecision {
    /// Bytes of a number.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Bf16 => 2,
            Self::Fp8 => 1,
        }
    }
}
