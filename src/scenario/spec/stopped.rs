//! Servers that are stopped rather than given back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Delay;

/// Servers that are stopped with their disks when they are removed. The next server of the SKU, in the same zone where there
/// are zones, is the one of them that was stopped last: it has its image, its weights and what else start-ups leave there. Its
/// number is new, and it is bought as any other. One that a fault takes, or that is taken back, is not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoppedServers {
    /// How many are kept; the one that was stopped first goes for one more. Required.
    #[schemars(range(min = 1))]
    pub most: u32,
    /// From the request for a server until one of them is there, in place of `provision_delay`. Required.
    pub resume: Delay,
}
