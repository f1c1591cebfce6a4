use serde::{Deserialize, Serialize};

/// How long steps took longer, for the servers would have drawn more power than they may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PowerCapSummary {
    /// Seconds in which they took longer.
    pub slowed_s: f64,
    /// By what they were multiplied at most.
    pub highest_factor: f64,
}
