use super::EngineId;
use super::list::List;
use crate::serving::queue::LeastIndex;

/// The engine with the fewest requests in its pool.
#[derive(Debug, Default)]
pub(crate) struct FewestRequests {
    engines: LeastIndex<EngineId, u64>,
}

impl List for FewestRequests {
    fn fetch(&self, engine: EngineId) {
        self.engines.fetch(engine);
    }

    fn likely(&self) -> Option<EngineId> {
        self.engines.least().map(|entry| entry.id)
    }

    fn open(&mut self, engine: EngineId) {
        self.engines.set(engine, 0, engine.index() as u64);
    }

    fn close(&mut self, engine: EngineId) {
        self.engines.remove(engine);
    }

    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool {
        self.engines.least_where(holds).is_some()
    }

    fn pick(&mut self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        self.engines.least_where(holds).map(|entry| entry.id)
    }

    fn pool_entered(&mut self, engine: EngineId) {
        self.engines.update(engine, |requests| requests + 1);
    }

    fn pool_left(&mut self, engine: EngineId) {
        self.engines.update(engine, |requests| requests - 1);
    }
}
