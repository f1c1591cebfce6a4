//! What becomes of an attempt at a start-up, as it was drawn.

use serde::{Deserialize, Serialize};

/// What becomes of an attempt at a start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The instance comes up.
    Up,
    /// It fails at the end of the stage at this place, or of the next that takes time.
    Fails { place: usize },
    /// It goes on without end there.
    Hangs { place: usize },
}

impl Fate {
    /// Where it stops, if it does.
    pub(super) const fn stop(self) -> Option<Stop> {
        match self {
            Self::Up => None,
            Self::Fails { place } => Some(Stop {
                place,
                hangs: false,
            }),
            Self::Hangs { place } => Some(Stop { place, hangs: true }),
        }
    }
}

/// Where an attempt at a start-up stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stop {
    /// The position of the stage.
    pub(super) place: usize,
    /// It hangs there; else it fails.
    pub(super) hangs: bool,
}
