use serde::{Deserialize, Serialize};

use super::queue::Id;

/// An engine of an [`Endpoint`](super::Endpoint): the batch engine of one instance. Numbered in the
/// order of joining and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EngineId(pub(crate) u32);

impl EngineId {
    /// The largest number of engines ever at one endpoint.
    pub(crate) const MOST: u32 = super::queue::MOST;

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Id for EngineId {
    fn index(self) -> usize {
        self.index()
    }
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }
}
