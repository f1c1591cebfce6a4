use serde::{Deserialize, Serialize};

use super::journey::Journey;

/// What only few workloads say of a request, kept beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Its id as it is written, where that is no number.
    pub name: Option<Box<str>>,
    /// The conversation that it belongs to.
    pub session: Option<Box<str>>,
    /// The smaller the more urgent; 0 where nothing is said.
    pub priority: i64,
    /// Ids of what its tokens are: position `p` of prompt and output together has the content
    /// `(prefix_blocks[p / block_tokens], p mod block_tokens)`. Positions beyond the list are like nothing
    /// else.
    pub prefix_blocks: Box<[u64]>,
    /// Tokens that one of these ids stands for.
    pub block_tokens: u32,
    /// Its way to the region that serves it; none where there are no regions.
    pub journey: Option<Journey>,
}

impl Details {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.session.is_none()
            && self.priority == 0
            && self.prefix_blocks.is_empty()
            && self.journey.is_none()
    }
}
