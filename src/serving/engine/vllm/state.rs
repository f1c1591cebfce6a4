//! What decides on the steps to come, told by a number.

use super::content::mix;
use super::engine::Vllm;
use super::request::Ticket;

impl Vllm {
    /// Looks, after a step that preempted, whether requests preempt one another in a circle.
    pub(super) fn look_for_circle(&mut self) {
        let mut circle = self.circle;
        circle.look(|| self.state());
        self.circle = circle;
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
