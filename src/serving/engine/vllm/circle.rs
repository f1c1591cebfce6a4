//! Requests that preempt one another, or themselves, in a circle without end.

use serde::{Deserialize, Serialize};

/// What tells a circle: with no token sampled and nothing come or gone, a step that preempts leaves the engine as an
/// earlier one left it.
///
/// vLLM goes on without end then. One way there is a request that runs out of blocks, of which others hold some that do
/// not run: those with KV that was sent here and which are not admitted yet, is on its way, or is kept to be
/// sent. The other is requests of equal priority and arrival, of which each is the victim of the other.
/// The engine rests where it goes in a circle, until something comes or goes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Circle {
    /// Tokens were sampled, or something came or went, this often.
    changes: u64,
    /// That count at the last step that preempted.
    seen: u64,
    /// Steps that preempted since it last changed.
    steps: u64,
    /// The state after one of them.
    state: Option<u128>,
    /// The count of changes at which it goes in a circle.
    closed: Option<u64>,
}

impl Circle {
    /// Tokens were sampled, or something came or went.
    pub(super) const fn broken(&mut self) {
        self.changes += 1;
    }

    /// Whether the engine goes in a circle.
    pub(super) fn is_closed(&self) -> bool {
        self.closed == Some(self.changes)
    }

    /// Looks, after a step that preempted, whether the engine was in the same state before.
    ///
    /// The state is compared with that after the first, second, fourth, eighth… step (Brent 1980).
    pub(super) fn look(&mut self, state: impl FnOnce() -> u128) {
        let Self { changes, seen, .. } = *self;
        if changes != seen {
            *self = Self {
                changes,
                seen: changes,
                ..Self::default()
            };
            return;
        }
        let state = state();
        if self.state == Some(state) {
            self.closed = Some(changes);
        }
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.state = Some(state);
        }
    }
}
