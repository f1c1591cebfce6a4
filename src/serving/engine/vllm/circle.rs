//! Requests that preempt one another, or themselves, in a circle without end.

use serde::{Deserialize, Serialize};

use super::content::mix;
use super::engine::Vllm;
use super::request::Ticket;

/// What tells a circle: with no token sampled and nothing come or gone, a step that preempts leaves the engine as an
/// earlier one left it.
///
/// vLLM goes on for ever then. One way there is a request that runs out of blocks, of which others hold some that do
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
}

impl Vllm {
    /// Looks, after a step that preempted, whether the engine was in the same state before.
    ///
    /// The state is compared with that after the first, second, fourth, eighth… step (Brent 1980).
    pub(super) fn look_for_circle(&mut self) {
        let Circle { changes, seen, .. } = self.circle;
        if changes != seen {
            self.circle = Circle {
                changes,
                seen: changes,
                ..Circle::default()
            };
            return;
        }
        let state = self.state();
        let circle = &mut self.circle;
        if circle.state == Some(state) {
            circle.closed = Some(changes);
        }
        circle.steps += 1;
        if circle.steps.is_power_of_two() {
            circle.state = Some(state);
        }
    }

    /// All that decides on the steps to come, as a hash. No request is in the lockstep.
    fn state(&self) -> u128 {
        let request = |state: u128, ticket: Ticket| {
            let of = &self.requests[ticket.index()];
            let numbers = [
                ticket.index() as u32,
                of.computed,
                of.tokens,
                of.coming,
                of.under_way,
                of.stale,
                of.blocks,
                of.registered,
                of.short.into(),
            ];
            numbers
                .into_iter()
                .fold(state, |state, number| mix(state, number.into()))
        };
        let interval = i64::from(self.config.prefill_schedule_interval);
        let since = (self.steps_done as i64 - self.last_prefill_step).min(interval);
        let mut state = mix(since as u128, self.capacity_bound.into());
        state = mix(state, self.blocks.free().into());
        state = self.loose.iter().copied().fold(state, request);
        state = mix(state, u64::MAX);
        state = self.waiting.backwards().fold(state, request);
        for item in self.under_way.iter().flat_map(|step| &step.items) {
            state = mix(state, item.ticket.index() as u64);
            state = mix(state, item.tokens.into());
        }
        if self.config.enable_prefix_caching {
            for content in self.blocks.queue().flatten() {
                state = mix(mix(state, content as u64), (content >> 64) as u64);
            }
        }
        state
    }
}
