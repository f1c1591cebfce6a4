use super::EngineId;
use super::list::List;
use crate::serving::queue::LeastIndex;

/// The engine with the fewest scheduled tokens pending.
#[derive(Debug, Default)]
pub(crate) struct FewestTokens {
    engines: LeastIndex<EngineId, i64>,
}

impl List for FewestTokens {
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

    fn scheduled(&mut self, engine: EngineId, tokens: i64) {
        self.engines.update(engine, |pending| pending + tokens);
    }

    fn served(&mut self, engine: EngineId, tokens: i64) {
        self.engines.update(engine, |pending| pending - tokens);
    }
}
