use serde::{Deserialize, Serialize};

/// The two halves of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The whole prompt in one iteration, which yields the first token.
    Prompt,
    /// The other tokens, one an iteration.
    Token,
}

/// The place of a request in the pool of its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) fn at(index: usize) -> Self {
        assert!(index < 1 << 31, "under 2^31 requests in a pool");
        Self(index as u32)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One phase of one request in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task(u32);

impl Task {
    pub(crate) const fn new(slot: Slot, phase: Phase) -> Self {
        match phase {
            Phase::Prompt => Self::prompt(slot),
            Phase::Token => Self::token(slot),
        }
    }

    pub(crate) const fn prompt(slot: Slot) -> Self {
        Self(slot.0 << 1)
    }

    pub(crate) const fn token(slot: Slot) -> Self {
        Self(slot.0 << 1 | 1)
    }

    pub(crate) const fn slot(self) -> Slot {
        Slot(self.0 >> 1)
    }

    /// A number of its own among the tasks of a pool.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn phase(self) -> Phase {
        if self.0 & 1 == 0 {
            Phase::Prompt
        } else {
            Phase::Token
        }
    }

    pub(crate) const fn is_prompt(self) -> bool {
        matches!(self.phase(), Phase::Prompt)
    }
}
