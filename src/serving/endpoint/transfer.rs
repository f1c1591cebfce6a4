//! KV caches on their way from the engine of the prompt to the engine of the tokens.

use crate::time::{SimDuration, SimTime};

use super::{Endpoint, EngineId};
use crate::serving::engine::{RequestId, Work};
use crate::serving::requests::Stage;
use crate::serving::routing::Event;

/// Seconds until a destination without room is tried again (the reference's interval).
const RETRY_S: f64 = 1.0;

impl Endpoint {
    /// Moves a transfer on when it is due: ends it, or tries again to start it.
    pub(crate) fn move_transfer(&mut self, id: RequestId) {
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
    pub(crate) fn send(&mut self, id: RequestId) {
        if !self.start_transfer(id) {
            self.try_transfer_later(id);
        }
    }

    pub(crate) fn try_transfer_later(&mut self, id: RequestId) {
        let again = self.now + SimDuration::saturating(RETRY_S);
        self.events.try_transfer_again(id, again);
    }

    /// The destination takes what the request holds and the cache is on its way. False without room
    /// there.
    pub(crate) fn start_transfer(&mut self, id: RequestId) -> bool {
        let work = self.requests.work(id);
        let destination = self.requests[id].token_engine;
        let fits = self.engines[destination.index()].engine.take_kv(&work);
        if fits {
            self.on_its_way(id);
        }
        fits
    }

    /// The cache is on its way to a destination that has taken the room for it.
    #[inline(always)]
    pub(crate) fn on_its_way(&mut self, id: RequestId) {
        let own = self.requests.on_the_move(id);
        let bytes_per_s = own.and_then(|it| it.bytes_per_s);
        let bytes_per_s = bytes_per_s.unwrap_or(self.transfer_bytes_per_s);
        let request = &mut self.requests[id];
        self.engines[request.token_engine.index()].incoming += 1;
        request.stage = Stage::Transfer;
        let bytes = self.config.kv_bytes_per_token * u64::from(request.prompt_tokens);
        let seconds = bytes as f64 / bytes_per_s;
        let arrives = SimTime::saturating(self.now.seconds() + seconds);
        self.events.transfer_ends(id, arrives);
    }

    /// The source gives its memory back, the tokens arrive, and the source is told.
    fn end_transfer(&mut self, id: RequestId) {
        let work = self.requests.work(id);
        let request = &self.requests[id];
        let (source, destination) = (request.prompt_engine, request.token_engine);
        self.release_sent(source, &work);
        self.split.has_gone(source, id);
        self.unassign(source);
        self.engines[destination.index()].incoming -= 1;
        self.split.has_come(destination, id, work.decode_tokens());
        self.arrive(destination, id);
        self.evict_and_begin_if_deadlocked(destination);
        self.room_was_made(source);
        self.evict_and_begin_if_deadlocked(source);
    }

    /// The KV cache of a request leaves the engine of its prompt. Returns its bytes.
    pub(crate) fn release_sent(&mut self, source: EngineId, work: &Work) -> u64 {
        let seat = &mut self.engines[source.index()];
        let released = seat.engine.give_up_kv(work);
        seat.outgoing -= 1;
        self.router.on(&Event::MemoryReleased {
            engine: source,
            bytes: released,
        });
        released
    }
}
