//! KV caches on their way from the engine of the prompt to the engine of the tokens.

use crate::time::{SimDuration, SimTime};

use super::batching::Batching;
use super::request::{RequestId, Stage};
use super::scheduler::Scheduler;
use super::task::{Phase, Task};
use super::{Endpoint, EngineId};

/// A destination without room is tried again after so many seconds (the reference's interval).
const RETRY_S: f64 = 1.0;

impl Endpoint {
    /// Moves a transfer on when it is due: ends it, or tries again to start it.
    pub(super) fn move_transfer(&mut self, id: RequestId) {
        if self.requests[id].stage == Stage::Transfer {
            self.fetch_for_next_transfer();
            self.end_transfer(id);
            return;
        }
        self.fetch_for_next_try();
        if !self.start_transfer(id) {
            self.make_room_if_hopeless(id);
        }
    }

    /// Sends the KV cache of a prompt that is done, as soon as there is room for it.
    pub(super) fn send(&mut self, id: RequestId) {
        if !self.start_transfer(id) {
            self.try_transfer_later(id);
        }
    }

    pub(super) fn try_transfer_later(&mut self, id: RequestId) {
        let again = self.now + SimDuration::saturating(RETRY_S);
        self.events.try_transfer_again(id, again);
    }

    /// Takes the transfers out of the events that were of requests taken back.
    pub(super) fn forget_transfers(&mut self) {
        let requests = &self.requests;
        self.events.keep_transfers(|id| requests[id].is_moving());
    }

    /// The destination takes what the request holds and the cache is on its way. False without room
    /// there.
    pub(super) fn start_transfer(&mut self, id: RequestId) -> bool {
        let now = self.now.seconds();
        let request = &mut self.requests[id];
        let destination = request.token_engine;
        let state = &mut self.engines[destination.index()];
        let held = state.kv_bytes(request.tokens_in_memory());
        if !state.fits(held) {
            return false;
        }
        state.take(held);
        state.incoming += 1;
        request.stage = Stage::Transfer;
        let bytes = state.kv_bytes(u64::from(request.prompt_tokens)) as f64;
        let arrives = SimTime::saturating(now + bytes / self.transfer_bytes_per_s);
        self.events.transfer_ends(id, arrives);
        true
    }

    /// The source gives its memory back, the token task arrives, and the source is told.
    fn end_transfer(&mut self, id: RequestId) {
        let request = &self.requests[id];
        let (source, destination) = (request.prompt_engine, request.token_engine);
        let held = self.config.kv_bytes_per_token * request.tokens_in_memory();
        let state = &mut self.engines[source.index()];
        state.give_back(held);
        state.outgoing -= 1;
        self.scheduler.memory_released(source, held);
        self.unassign(source);
        self.engines[destination.index()].incoming -= 1;
        self.arrive(destination, id, Phase::Token);
        self.evict_and_begin_if_deadlocked(destination);
        self.room_was_made(source);
        self.evict_and_begin_if_deadlocked(source);
    }

    /// Lets an engine look at the head of its queue, now that memory was given back.
    pub(super) fn room_was_made(&mut self, engine: EngineId) {
        let state = &self.engines[engine.index()];
        if state.run.is_none() {
            let head = state.pool.pending().get(0);
            let fits = |head: Task| {
                let request = &self.requests[state.pool.member(head).request];
                state.fits(state.kv_bytes(request.tokens_held(head.phase())))
            };
            if head.is_some_and(fits) {
                self.begin(engine);
            }
        } else if !state.pool.pending().is_empty() && state.kind.rule.has_room(state) {
            self.pause(engine);
        }
    }
}
