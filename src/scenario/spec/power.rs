//! The most power that servers may draw together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most power that the servers of a fleet may draw together. Each that is there counts with the most that it draws
/// (`max_power_w` of its SKU), whether it is busy or not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerCap {
    /// Watts. Required.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub watts: f64,
    /// What happens where servers would draw more. Default `Wait`.
    #[serde(default)]
    pub beyond: BeyondPower,
}

/// What happens where servers would draw more power than they may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BeyondPower {
    /// A server beyond it is refused: it can be had when others have gone. Servers on their way and under repair count.
    #[default]
    Wait,
    /// Every step of every instance takes longer by what the servers that are there would draw over what they may,
    /// from the next step on: as if the energy of a step stayed the same, and all power were drawn by steps.
    Slow,
}
