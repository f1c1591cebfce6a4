//! What a server does around its engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// What a server takes around its engine until a user has the first token.
///
/// A request is parsed and tokenised, and its tokens go back through the same hands. So a user sees each token
/// later than the engine has it: by `constant`, and by `decode_steps` × the mean time between the request's own
/// tokens. TTFT and E2E grow by as much, the time between tokens does not, and a user of a closed loop sends the
/// next request as much later. The engine itself is not slowed down.
///
/// Fitted to servers, beside the engine `Vllm`, which itself waits for the step in progress and schedules a step
/// ahead: vLLM 0.15 on H100 under open arrivals `(constant: 0.0055, decode_steps: 0.3)`. `fleetsim validate` uses
/// the same law; docs/ACCURACY.md says how far it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Frontend {
    /// Seconds. Default 0.
    pub constant: SimDuration,
    /// Times between tokens. Default 0.
    #[schemars(range(min = 0))]
    pub decode_steps: f64,
}

impl Frontend {
    /// Nothing.
    pub const NONE: Self = Self {
        constant: SimDuration::ZERO,
        decode_steps: 0.0,
    };

    /// By how much later a user sees the tokens of a request that had its first and its last token then. One
    /// that has not all of its tokens is late by the constant.
    #[must_use]
    pub fn delay(
        &self,
        first: Option<SimTime>,
        last: Option<SimTime>,
        output_tokens: u32,
    ) -> SimDuration {
        if *self == Self::NONE {
            return SimDuration::ZERO;
        }
        let step = match (first, last) {
            (Some(first), Some(last)) if output_tokens > 1 => {
                (last - first).seconds() / f64::from(output_tokens - 1)
            }
            _ => 0.0,
        };
        SimDuration::saturating(self.constant.seconds() + self.decode_steps * step)
    }
}
