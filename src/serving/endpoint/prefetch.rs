//! Memory that the next events need, asked for while this one is served: a fleet that does not fit the
//! cache would wait for it otherwise, line after line.

use super::{Endpoint, EngineId};

/// The engines of fewer fit the cache, and asking costs more than it brings.
pub(crate) const MANY: usize = 1024;

impl Endpoint {
    const fn has_many_engines(&self) -> bool {
        self.engines.len() >= MANY
    }

    /// Asks for what the engines need whose runs end soon, now that the end of a run was set.
    #[inline]
    pub(crate) fn fetch_ahead(&self) {
        if self.has_many_engines() {
            self.fetch_for_next_runs();
            self.fetch_lists_for_next_transfer();
        }
    }

    /// The sooner a run ends, the more of what it needs is there already, and the further that points.
    fn fetch_for_next_runs(&self) {
        let after = |places| self.events.runs().after(places);
        if let Some(id) = after(9) {
            self.engines[id.index()].fetch();
            self.router.fetch(id);
            self.split.fetch(id);
        }
        if let Some(id) = after(6) {
            self.engines[id.index()].fetch_lists();
        }
        let ahead = |id: EngineId| self.engines[id.index()].engine.ahead();
        if let Some(engine) = after(4).and_then(ahead) {
            engine.fetch_next();
        }
        if let Some(engine) = after(2).and_then(ahead) {
            engine.next_requests(|request| self.requests.fetch(request));
        }
        if let Some(id) = after(0) {
            self.fetch_destinations(id);
        }
    }

    /// Asks for the engines that KV caches will be sent to when the run of this one ends.
    fn fetch_destinations(&self, id: EngineId) {
        let Some(engine) = self.engines[id.index()].engine.ahead() else {
            return;
        };
        engine.next_prompts(|request| {
            let destination = self.requests[request].token_engine;
            if destination != id {
                self.engines[destination.index()].fetch_state();
            }
        });
    }

    /// Asks for the engines that the router would choose now, and for their lists when it would still
    /// choose them an event later.
    #[inline]
    pub(crate) fn fetch_for_next_arrival(&mut self) {
        if self.has_many_engines() {
            self.fetch_likely();
        }
    }

    fn fetch_likely(&mut self) {
        let likely = self.router.likely();
        let Some((prompt, token)) = likely else {
            return;
        };
        if self.likely == likely {
            self.engines[prompt.index()].fetch_for_newcomer();
            return;
        }
        self.likely = likely;
        self.engines[prompt.index()].fetch();
        self.router.fetch(prompt);
        if token != prompt {
            self.engines[token.index()].fetch_state();
            self.router.fetch(token);
            self.split.fetch(token);
        }
    }

    /// Asks for both sides of the next transfer to end, and for the requests of which one comes after it.
    #[inline]
    pub(crate) fn fetch_for_next_transfer(&self) {
        if !self.has_many_engines() {
            return;
        }
        let mut transfers = self.events.next_to_end();
        if let Some(next) = transfers.next() {
            let request = &self.requests[next];
            self.engines[request.token_engine.index()].fetch();
            self.split.fetch(request.token_engine);
            self.engines[request.prompt_engine.index()].fetch_state();
            self.router.fetch(request.prompt_engine);
            self.split.fetch(request.prompt_engine);
        }
        transfers.for_each(|id| self.requests.fetch(id));
    }

    /// Asks for the destination of a transfer to be tried soon, and for the request of a later one.
    #[inline]
    pub(crate) fn fetch_for_next_try(&self) {
        if !self.has_many_engines() {
            return;
        }
        if let Some(soon) = self.events.tried_after(2) {
            let destination = self.requests[soon].token_engine;
            self.engines[destination.index()].fetch_state();
        }
        if let Some(later) = self.events.tried_after(4) {
            self.requests.fetch(later);
        }
    }

    fn fetch_lists_for_next_transfer(&self) {
        if let Some(next) = self.events.next_to_end().next() {
            let engine = self.requests[next].token_engine;
            self.engines[engine.index()].fetch_for_newcomer();
        }
    }
}
