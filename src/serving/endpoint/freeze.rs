//! Engines that are lost, though nobody knows yet.

use super::{Endpoint, EngineId, LostWork};
use crate::serving::engine::RequestId;

use crate::time::SimTime;

impl Endpoint {
    /// Stops an engine for good, without the router being told: what it has, and what still comes to it, is stuck until
    /// the engine is [lost](Self::lose), [withdrawn](Self::withdraw) or removed. The step under way is lost. Caches that
    /// are on their way from it, or wait to be, are lost at once with what they are of: that has failed, or waits to begin
    /// again.
    pub fn freeze(&mut self, engine: EngineId, now: SimTime) -> LostWork {
        self.now = self.now.max(now);
        let mut lost = LostWork::default();
        if self.is_frozen(engine) || self.engines[engine.index()].is_removed() {
            return lost;
        }
        self.record_break(engine);
        let before = self.engines[engine.index()].engine.load(self.now);
        let (seat, mut effects) = self.engine(engine);
        seat.engine.break_off(&mut effects);
        self.settle(engine);
        self.events.cancel_run(engine);
        let after = self.engines[engine.index()].engine.pending_tokens(self.now);
        let done = after.saturating_sub(before.pending_tokens);
        self.frozen.insert(engine, done);
        let mut going: Vec<RequestId> = self.split.going(engine).collect();
        going.retain(|&id| self.requests[id].is_moving());
        going.sort_unstable_by_key(|&id| self.requests.sequence(id));
        for id in going {
            lost.tokens += self.requests.work(id).prompt_held();
            let other = self.requests[id].token_engine;
            self.lose_one(id, self.crash_retries, &mut lost);
            self.room_was_made(other);
        }
        self.counts.lost_tokens += lost.tokens;
        lost
    }

    /// Whether an engine was stopped for good.
    #[inline]
    pub(crate) fn is_frozen(&self, engine: EngineId) -> bool {
        !self.frozen.is_empty() && self.frozen.contains_key(&engine)
    }

    /// Lets an engine that was stopped be taken out. Returns tokens that its pending ones still have and that it had done.
    pub(crate) fn thaw(&mut self, engine: EngineId) -> u64 {
        match self.frozen.is_empty() {
            true => 0,
            false => self.frozen.remove(&engine).unwrap_or(0),
        }
    }
}
