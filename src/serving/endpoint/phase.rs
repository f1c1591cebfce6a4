use super::{Endpoint, EngineId};
use crate::serving::engine::AnyEngine;

/// What an engine does at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No batch runs.
    Idle,
    /// A batch runs that has a prompt in it.
    Prompt,
    /// A batch of tokens alone runs.
    Token,
}

impl Endpoint {
    /// What an engine does at the instant that has been served up to. Nothing, of one that was taken out.
    ///
    /// An engine of your own that is at work and does not tell what [runs](crate::serving::engine::Engine::under_way)
    /// counts as `Token`.
    #[must_use]
    pub fn phase(&self, engine: EngineId) -> Phase {
        let Some(seat) = self.engines.get(engine.index()) else {
            return Phase::Idle;
        };
        if !seat.engine.is_running() || self.is_frozen(engine) {
            return Phase::Idle;
        }
        match seat.engine.under_way(self.now) {
            Some(run) if run.prompts > 0 => Phase::Prompt,
            Some(_) => Phase::Token,
            None if matches!(seat.engine, AnyEngine::Boxed(_)) => Phase::Token,
            None => Phase::Idle,
        }
    }
}
