//! What an engine tells of itself.

use crate::serving::engine::UnderWay;
use crate::time::SimTime;

use super::engine::{Totals, Vllm};
use super::request::{Standing, Ticket, Work};

/// What an engine holds at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests admitted.
    pub running: u32,
    /// Requests that wait to be admitted.
    pub waiting: u32,
    /// KV blocks with a user.
    pub used_blocks: u32,
    /// KV blocks that can be used.
    pub usable_blocks: u32,
    /// Tokens still to be computed or sampled for these requests.
    pub tokens_left: u64,
    /// Tokens sampled since the last event.
    pub sampled: u64,
}

impl Vllm {
    /// Whether nothing is under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Requests that wait, and requests that run.
    #[must_use]
    pub fn queued_and_running(&self) -> (usize, usize) {
        (self.waiting.len(), self.running as usize)
    }

    /// Seconds of steps with prompt tokens, and without, until `at`.
    #[must_use]
    pub fn busy_until(&self, at: SimTime) -> (f64, f64) {
        let at = at.seconds();
        let (mut prefill_s, mut decode_s) = (self.totals.prefill_s, self.totals.decode_s);
        for step in &self.under_way {
            let to_come = step.end - step.start.max(at).min(step.end);
            if step.prefills {
                prefill_s -= to_come;
            } else {
                decode_s -= to_come;
            }
        }
        if let Some(run) = &self.run {
            let end = self.end_of(run.after + run.count);
            decode_s += (at.min(end) - run.from).max(0.0);
        }
        (prefill_s.max(0.0), decode_s.max(0.0))
    }

    /// What is under way at `at`, for those who record runs.
    #[must_use]
    pub fn under_way(&self, at: SimTime) -> Option<UnderWay> {
        let step = self.under_way.front()?;
        let prompts = step.items.iter().filter(|item| item.prefill);
        let count = self.run.map_or(0, |run| run.count);
        let done = self.events_before(at) + u64::from(self.end_of(step.number) <= at.seconds());
        Some(UnderWay {
            prompts: prompts.clone().count() as u32,
            prompt_tokens: prompts.clone().map(|item| u64::from(item.tokens)).sum(),
            token_tasks: step.locked + (step.items.len() - prompts.count()) as u32,
            steps: 1 + count,
            done: done.min(1 + count),
        })
    }

    /// The requests that wait or run.
    pub fn works(&self) -> impl Iterator<Item = &Work> + '_ {
        let away = [Standing::Gone, Standing::Kept];
        let here = self.requests.iter();
        here.filter(move |request| !away.contains(&request.standing))
            .map(|request| &request.work)
    }

    /// A request that is in the engine.
    #[must_use]
    pub fn work(&self, ticket: Ticket) -> Option<&Work> {
        let request = self.requests.get(ticket.index())?;
        (request.standing != Standing::Gone).then_some(&request.work)
    }

    /// The last of those who wait with blocks that they brought.
    #[must_use]
    pub fn last_that_holds(&self) -> Option<&Work> {
        let waiting = self.waiting.backwards();
        let mut waiting = waiting.map(|ticket| &self.requests[ticket.index()]);
        Some(&waiting.find(|request| request.blocks > 0)?.work)
    }

    /// Whether blocks are held that no running request has: for KV that is on its way here, that has come with a
    /// request that waits, or that is kept to be sent.
    pub(super) fn holds_for_others(&self) -> bool {
        let idle = [Standing::Waiting, Standing::Kept];
        let mut requests = self.requests.iter();
        self.reserved > 0 || requests.any(|it| it.blocks > 0 && idle.contains(&it.standing))
    }

    /// Whether nothing is in the engine and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// What it holds at `now`, an instant not before the last event.
    #[must_use]
    pub fn load(&self, now: SimTime) -> Load {
        let reached = self.events_before(now);
        let taken = self.lockstep.blocks_in(self.scheduled, reached) as u32;
        Load {
            running: self.running,
            waiting: self.waiting.len() as u32,
            used_blocks: self.blocks.used() + taken,
            usable_blocks: self.blocks.usable(),
            tokens_left: self.tokens_left - u64::from(self.lockstep.active) * reached,
            sampled: u64::from(self.lockstep.active) * reached,
        }
    }

    /// What it did until the last event.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }
}
