//! Memory in which nothing can run any more: requests that hold their prompts' KV cache and wait for
//! more. The latest to arrive is evicted, and begins again once the engine has made progress.

use super::{Endpoint, EngineId};
use crate::serving::engine::RequestId;
use crate::serving::requests::Stage;

impl Endpoint {
    /// Evicts one request from an engine that waits for memory which nothing will give back. False
    /// when that is not so.
    pub(crate) fn evict_if_deadlocked(&mut self, engine: EngineId) -> bool {
        let seat = &self.engines[engine.index()];
        let waits_in_vain = !seat.engine.is_running() && seat.outgoing == 0 && seat.incoming == 0;
        waits_in_vain && self.evict_latest_waiting(engine)
    }

    /// The same for an engine that is told of memory only when the head of its queue fits.
    #[inline]
    pub(crate) fn evict_and_begin_if_deadlocked(&mut self, id: EngineId) {
        if !self.engines[id.index()].engine.is_running() && !self.is_frozen(id) {
            self.evict_and_begin_if_stuck(id);
        }
    }

    fn evict_and_begin_if_stuck(&mut self, id: EngineId) {
        let (seat, mut effects) = self.engine(id);
        if seat.engine.is_stuck(&mut effects) && self.evict_if_deadlocked(id) {
            self.begin(id);
        }
    }

    /// Evicts from the destination of a transfer that finds no room there, if nothing will ever run
    /// there or leave it, until the transfer starts: the room is for it and for nothing else.
    pub(crate) fn make_room_if_hopeless(&mut self, id: RequestId) {
        let destination = self.requests[id].token_engine;
        let (mut evicted, mut started) = (false, false);
        while !started
            && self.is_hopeless(destination, &mut Vec::new())
            && (self.evict_latest_waiting(destination) || self.evict_latest_blocked(destination))
        {
            evicted = true;
            started = self.start_transfer(id);
        }
        if !started {
            self.try_transfer_later(id);
        }
        if evicted {
            self.begin(destination);
        }
    }

    /// Nothing runs on the engine, nothing is on its way from or to it, and what it wants to send goes
    /// to engines of which the same is true.
    fn is_hopeless(&self, engine: EngineId, seen: &mut Vec<EngineId>) -> bool {
        let seat = &self.engines[engine.index()];
        if seat.engine.is_running() || seat.incoming > 0 || self.is_frozen(engine) {
            return false;
        }
        if seen.contains(&engine) {
            return true;
        }
        seen.push(engine);
        self.split.going(engine).all(|id| {
            let request = &self.requests[id];
            request.stage == Stage::Blocked && self.is_hopeless(request.token_engine, seen)
        })
    }

    fn evict_latest_waiting(&mut self, engine: EngineId) -> bool {
        let latest = self.engines[engine.index()].engine.victim();
        latest.is_some_and(|id| self.evict(engine, id))
    }

    fn evict_latest_blocked(&mut self, engine: EngineId) -> bool {
        let going = self.split.going(engine);
        let latest = going
            .filter(|&id| self.requests[id].stage == Stage::Blocked)
            .max_by_key(|&id| self.requests.sequence(id));
        latest.is_some_and(|id| self.evict(engine, id))
    }

    fn evict(&mut self, engine: EngineId, id: RequestId) -> bool {
        self.take_back(id);
        self.requests[id].stage = Stage::Parked;
        self.requests.restart(id);
        self.counts.evicted += 1;
        self.parked.entry(engine).or_default().push(id);
        true
    }

    /// Dispatches anew what was evicted from an engine that has made progress since.
    #[inline]
    pub(crate) fn release_parked(&mut self, engine: EngineId) {
        if !self.parked.is_empty() {
            self.dispatch_parked(engine);
        }
    }

    fn dispatch_parked(&mut self, engine: EngineId) {
        let Some(mut parked) = self.parked.remove(&engine) else {
            return;
        };
        parked.sort_unstable_by_key(|&id| self.requests.sequence(id));
        for id in parked {
            self.requests[id].stage = Stage::Waiting;
            self.counts.in_flight -= 1;
            if !self.dispatch(id) {
                self.wait_in_order(id);
            }
        }
        self.tell_if_idle(engine);
    }

    /// When nothing is due and nothing comes any more: engines that were not told of room that they
    /// have look for themselves. True when one of them runs again.
    pub(crate) fn wake_stalled(&mut self) -> bool {
        if self.counts.in_flight == 0 {
            return false;
        }
        let mut woken = false;
        for index in 0..self.engines.len() {
            let engine = EngineId(index as u32);
            if self.is_frozen(engine) {
                continue;
            }
            let seat = &self.engines[index];
            let waits = || !seat.engine.is_empty() || self.parked.contains_key(&engine);
            if !seat.engine.is_running() && waits() {
                self.begin(engine);
                woken |= self.engines[index].engine.is_running();
            }
        }
        woken
    }

    /// Puts a request back into the queue of the application, by arrival.
    pub(crate) fn wait_in_order(&mut self, id: RequestId) {
        self.requests[id].stage = Stage::Waiting;
        self.counts.waiting += 1;
        let sequence = self.requests.sequence(id);
        let place = self
            .waiting
            .partition_point(|&other| self.requests.sequence(other) < sequence);
        self.waiting.insert(place, id);
    }
}
