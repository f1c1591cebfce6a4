use std::fmt::Debug;

use crate::serving::EngineId;

/// The open engines of one kind, and the rule that picks one of them. Ties go to the engine that
/// joined first.
pub(crate) trait List: Clone + Debug + Send + Sync + 'static {
    fn open(&mut self, engine: EngineId);
    fn close(&mut self, engine: EngineId);
    /// Whether `holds` takes any.
    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool;
    /// One of those that `holds` takes.
    fn pick(&mut self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId>;
    /// An engine has more or less of something.
    fn count(&mut self, _engine: EngineId, _change: Change) {}
    /// Asks for the memory that a count of this engine will need.
    fn fetch(&self, _engine: EngineId) {}
    /// The one that it would pick now of all, where that is easily told.
    fn likely(&self) -> Option<EngineId> {
        None
    }
}

/// By how much something of an engine changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Requests in its pool.
    Requests(i64),
    /// Tokens scheduled and not done.
    Tokens(i64),
}
