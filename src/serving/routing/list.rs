use std::fmt::Debug;

use super::EngineId;

/// The open engines of one kind, and the rule that picks one of them. Ties go to the engine that
/// joined first.
pub(crate) trait List: Debug + Send + Sync {
    fn open(&mut self, engine: EngineId);
    fn close(&mut self, engine: EngineId);
    /// Whether `holds` takes any.
    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool;
    /// One of those that `holds` takes.
    fn pick(&mut self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId>;
    /// So many tokens were scheduled to an engine.
    fn scheduled(&mut self, _engine: EngineId, _tokens: i64) {}
    /// So many of them are done.
    fn served(&mut self, _engine: EngineId, _tokens: i64) {}
    fn fetch(&self, _engine: EngineId) {}
    /// The one that it would pick now of all, where that is easily told.
    fn likely(&self) -> Option<EngineId> {
        None
    }
    fn pool_entered(&mut self, _engine: EngineId) {}
    fn pool_left(&mut self, _engine: EngineId) {}
}

/// Open engines in the order in which they joined.
#[derive(Debug, Default)]
pub(crate) struct InOrder(Vec<EngineId>);

impl InOrder {
    pub(crate) fn insert(&mut self, engine: EngineId) {
        if let Err(place) = self.0.binary_search(&engine) {
            self.0.insert(place, engine);
        }
    }

    pub(crate) fn remove(&mut self, engine: EngineId) {
        if let Ok(place) = self.0.binary_search(&engine) {
            self.0.remove(place);
        }
    }

    pub(crate) fn has(&self, mut holds: impl FnMut(EngineId) -> bool) -> bool {
        self.0.iter().any(|&engine| holds(engine))
    }

    pub(crate) fn as_slice(&self) -> &[EngineId] {
        &self.0
    }
}
