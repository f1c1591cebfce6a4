//! Memory that the next events need, asked for while this one is served: a fleet that does not fit the
//! cache would wait for it otherwise, line after line.

use prefetch_index::prefetch_index;

use super::scheduler::Scheduler;
use super::{Endpoint, EngineId};

/// The engines of fewer fit the cache, and asking costs more than it brings.
const MANY: usize = 1024;

impl Endpoint {
    /// Asks for what the engines need whose runs end soon, now that the run of `engine` was set anew:
    /// the sooner it ends, the more of it there is already, and the further that points.
    #[inline]
    pub(super) fn fetch_ahead(&self, engine: EngineId) {
        if self.engines.len() >= MANY {
            self.fetch_contenders(engine);
        }
    }

    fn fetch_contenders(&self, engine: EngineId) {
        let contender = |depth| self.events.runs().contender(engine, depth);
        if let Some(id) = contender(3) {
            self.engines[id.index()].fetch();
            self.events.runs().fetch(id);
            self.scheduler.fetch(id);
        }
        if let Some(id) = contender(2) {
            self.engines[id.index()].fetch_lists();
        }
        if let Some(id) = contender(1) {
            let engine = &self.engines[id.index()];
            engine.next_tasks(|task| engine.pool.fetch_member(task));
        }
        if let Some(id) = contender(0) {
            let engine = &self.engines[id.index()];
            engine.next_tasks(|task| self.requests.fetch(engine.pool.member(task).request));
        }
    }
}

/// Asks for the line of the cache in which `field` begins.
pub(super) fn fetch<T>(field: &T) {
    prefetch_index(std::slice::from_ref(field), 0);
}
