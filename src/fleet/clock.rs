use std::num::NonZero;

use bevy_ecs::resource::Resource;
use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// The instant that the fleet has reached. Only a tick moves it, and never back.
#[derive(Resource, Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    now: SimTime,
    /// Ticks in a row that did not move it although something was due.
    standing: u32,
}

impl Clock {
    /// The instant that everything has been simulated to.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// Moves to `to`; `due` says whether something was to be done there.
    pub(super) fn advance(&mut self, to: SimTime, due: bool) {
        debug_assert!(to >= self.now, "the clock would go back to {to}");
        self.standing = if due && to <= self.now {
            self.standing.saturating_add(1)
        } else {
            0
        };
        self.now = self.now.max(to);
    }

    pub(super) const fn standing(&self) -> u32 {
        self.standing
    }
}

/// How far one tick may go. A host may change it between ticks.
#[derive(Resource, Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TickLimits {
    /// No tick goes beyond this instant. Default [`SimTime::MAX`]: no bound.
    pub horizon: SimTime,
    /// No tick is longer. Default: no bound, ticks end where something is due.
    pub max_tick: Option<SimDuration>,
    /// Where a tick ends early. Default [`Rest::Never`].
    pub rest: Rest,
    /// Whether a tick ends where a request does, completed or turned away: for hosts that answer it at that
    /// instant, such as with the next request of a closed loop. Default false.
    pub stop_at_ends: bool,
    /// So many ticks in a row may do work without moving the clock before stepping is refused.
    /// Default 1,000,000: far above what any instant can need, reached within a second or two.
    pub max_standing: u32,
    /// Threads that serve applications at once in a tick; results do not depend on it. Default 1.
    pub threads: NonZero<usize>,
}

/// Where a tick ends before the next thing is due: at the last thing that happened, when nothing that
/// the run is for is left. What was to come then, such as a sample or a decision, does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rest {
    /// Nowhere: somebody outside may yet ask for something.
    Never,
    /// Where the world is [quiet](super::FleetWorldExt::is_quiet).
    Quiet,
    /// Where it has [stalled](super::FleetWorldExt::is_stalled).
    Stalled,
}

impl Default for TickLimits {
    fn default() -> Self {
        Self {
            horizon: SimTime::MAX,
            max_tick: None,
            rest: Rest::Never,
            stop_at_ends: false,
            max_standing: 1_000_000,
            threads: NonZero::<usize>::MIN,
        }
    }
}
