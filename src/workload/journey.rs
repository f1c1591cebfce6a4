use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// The way of a request from its user to the region that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// The user's region: its position in the scenario.
    pub region: u32,
    /// When the user sent it.
    pub sent: SimTime,
    /// Seconds that it takes, and that each of its tokens takes on the way back.
    pub one_way: SimDuration,
}

impl Journey {
    /// When it arrives at the region that serves it.
    #[must_use]
    pub fn arrives(&self) -> SimTime {
        self.sent + self.one_way
    }
}
