use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};

/// When instances were last added and last removed, each way with a rest of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cooldowns {
    out: Option<SimTime>,
    into: Option<SimTime>,
}

impl Cooldowns {
    /// Whether the last addition is at least `rest` ago; if so, this one is noted.
    pub(super) fn adds(&mut self, now: SimTime, rest: SimDuration) -> bool {
        passes(&mut self.out, now, rest)
    }

    /// Whether the last removal is at least `rest` ago; if so, this one is noted.
    pub(super) fn removes(&mut self, now: SimTime, rest: SimDuration) -> bool {
        passes(&mut self.into, now, rest)
    }
}

fn passes(last: &mut Option<SimTime>, now: SimTime, rest: SimDuration) -> bool {
    let passes = last.is_none_or(|last| now - last >= rest);
    if passes {
        *last = Some(now);
    }
    passes
}
