//! Engines that are slow for a while.

use super::{Endpoint, EngineId};
use crate::time::SimTime;

impl Endpoint {
    /// Lets the steps of an engine take this many times as long as its step model says, from the next step on; 1 is
    /// its own pace. An engine that is not built in keeps its pace, unless it has an
    /// [`Engine::set_pace`](crate::serving::engine::Engine::set_pace).
    pub fn set_pace(&mut self, engine: EngineId, factor: f64, now: SimTime) {
        let before = self.paces.get(&engine).copied().unwrap_or(1.0);
        let seat = self.engines.get(engine.index());
        let stands = seat.is_none_or(super::Seat::is_removed) || self.is_frozen(engine);
        if before == factor || stands {
            return;
        }
        self.now = self.now.max(now);
        if factor == 1.0 {
            self.paces.remove(&engine);
        } else {
            self.paces.insert(engine, factor);
        }
        let seat = &mut self.engines[engine.index()];
        let interrupted = seat.engine.set_pace(factor, self.now);
        self.follow_interrupted(engine, interrupted);
    }

    /// By how much the steps of an engine are longer than its step model says.
    #[must_use]
    pub fn pace(&self, engine: EngineId) -> f64 {
        self.paces.get(&engine).copied().unwrap_or(1.0)
    }

    /// Gives restored engines their pace.
    pub(super) fn restore_paces(&mut self) {
        for (engine, &factor) in &self.paces {
            let seat = &mut self.engines[engine.index()];
            seat.engine.restore_pace(factor);
        }
    }
}
