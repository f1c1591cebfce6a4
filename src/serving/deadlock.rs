//! Memory in which nothing can run any more: requests that hold their prompts' KV cache and wait for
//! more. The latest to arrive is evicted, and begins again once the engine has made progress.

use super::batching::Batching;
use super::request::{RequestId, Stage};
use super::{Endpoint, EngineId};

impl Endpoint {
    /// Evicts one request from an engine that waits for memory which nothing will give back. False
    /// when that is not so.
    pub(super) fn evict_if_deadlocked(&mut self, engine: EngineId) -> bool {
        let state = &self.engines[engine.index()];
        let waits_in_vain = state.run.is_none()
            && state.has_waiting()
            && state.outgoing == 0
            && state.incoming == 0;
        waits_in_vain && self.evict_latest_waiting(engine)
    }

    /// The same for an engine that is told of memory only when the head of its queue fits.
    pub(super) fn evict_and_begin_if_deadlocked(&mut self, engine: EngineId) {
        let state = &mut self.engines[engine.index()];
        if state.run.is_some() || !state.has_waiting() || state.is_removed() {
            return;
        }
        self.selection.clear();
        let rule = state.kind.rule;
        rule.select(state, &mut self.selection);
        for &task in &self.selection.joined {
            state.pool.member_mut(task).selected = false;
        }
        if self.selection.is_empty() && self.evict_if_deadlocked(engine) {
            self.begin(engine);
        }
    }

    /// Evicts from the destination of a transfer that finds no room there, if nothing will ever run
    /// there or leave it, until the transfer starts: the room is for it and for nothing else.
    pub(super) fn make_room_if_hopeless(&mut self, id: RequestId) {
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
        let state = &self.engines[engine.index()];
        if state.run.is_some() || state.incoming > 0 {
            return false;
        }
        if seen.contains(&engine) {
            return true;
        }
        seen.push(engine);
        state.outgoing == 0
            || self
                .requests
                .iter()
                .filter(|(_, request)| request.prompt_engine == engine)
                .all(|(_, request)| match request.stage {
                    Stage::Transfer => false,
                    Stage::Blocked => self.is_hopeless(request.token_engine, seen),
                    _ => true,
                })
    }

    fn evict_latest_waiting(&mut self, engine: EngineId) -> bool {
        let pool = &self.engines[engine.index()].pool;
        let latest = pool
            .tokens_waiting()
            .iter()
            .rev()
            .filter(|task| !task.is_prompt())
            .map(|&task| pool.member(task).request)
            .find(|&id| self.requests[id].tokens_in_memory() > 0);
        latest.is_some_and(|id| self.evict(engine, id))
    }

    fn evict_latest_blocked(&mut self, engine: EngineId) -> bool {
        let latest = self
            .requests
            .iter()
            .filter(|(_, request)| {
                request.stage == Stage::Blocked && request.prompt_engine == engine
            })
            .max_by_key(|(id, _)| self.requests.sequence(*id))
            .map(|(id, _)| id);
        let evicted = latest.is_some_and(|id| self.evict(engine, id));
        self.forget_transfers();
        evicted
    }

    fn evict(&mut self, engine: EngineId, id: RequestId) -> bool {
        self.take_back(id);
        self.requests[id].stage = Stage::Parked(engine);
        self.requests.restart(id);
        self.counts.evicted += 1;
        self.parked.entry(engine).or_default().push(id);
        true
    }

    /// Dispatches anew what was evicted from an engine that has made progress since.
    pub(super) fn release_parked(&mut self, engine: EngineId) {
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
    pub(super) fn wake_stalled(&mut self) -> bool {
        if self.counts.in_flight == 0 {
            return false;
        }
        let mut woken = false;
        for index in 0..self.engines.len() {
            let engine = EngineId(index as u32);
            let state = &self.engines[index];
            if state.run.is_none() && (state.has_waiting() || self.parked.contains_key(&engine)) {
                self.begin(engine);
                woken |= self.engines[index].run.is_some();
            }
        }
        woken
    }

    /// Puts a request back into the queue of the application, by arrival.
    pub(super) fn wait_in_order(&mut self, id: RequestId) {
        self.requests[id].stage = Stage::Waiting;
        self.counts.waiting += 1;
        let sequence = self.requests.sequence(id);
        let place = self
            .waiting
            .partition_point(|&other| self.requests.sequence(other) < sequence);
        self.waiting.insert(place, id);
    }
}
