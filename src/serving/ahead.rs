//! Memory that the next event needs, asked for while this one is served: a fleet that does not fit the
//! cache would wait for it otherwise, line after line.

use prefetch_index::prefetch_index;

use super::engine::Engine;
use super::{Endpoint, EngineId};

/// The engines of fewer fit the cache, and asking costs more than it brings.
const MANY: usize = 256;

impl Endpoint {
    /// Asks for the engine whose run ends after that of `engine`, which ends now.
    pub(super) fn fetch_after(&mut self, engine: EngineId) {
        if self.engines.len() >= MANY {
            self.events.cancel_run(engine);
            self.fetch_ahead();
        }
    }

    /// Asks for the engine whose run ends next.
    pub(super) fn fetch_ahead(&self) {
        if let Some(engine) = self.engine_ahead() {
            engine.fetch();
        }
    }

    /// Asks for the lists of that engine, which has come meanwhile.
    pub(super) fn fetch_lists_ahead(&self) {
        if let Some(engine) = self.engine_ahead() {
            engine.fetch_lists();
        }
    }

    /// The engine whose run ends next, where there are many.
    fn engine_ahead(&self) -> Option<&Engine> {
        if self.engines.len() < MANY {
            return None;
        }
        let engine = self.events.next_run()?;
        Some(&self.engines[engine.index()])
    }
}

/// Asks for the line of the cache in which `field` begins.
pub(super) fn fetch<T>(field: &T) {
    prefetch_index(std::slice::from_ref(field), 0);
}
