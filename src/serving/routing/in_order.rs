use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::list::List;
use crate::random::Stream;
use crate::serving::EngineId;

/// The open engines in the order in which they joined, and a rule that picks by position.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct InOrder<P> {
    engines: Vec<EngineId>,
    rule: P,
}

/// Picks from a list by position.
pub(crate) trait Pick: Clone + Debug + Send + Sync + 'static {
    /// One of those that `holds` takes.
    fn pick(
        &mut self,
        engines: &[EngineId],
        holds: impl FnMut(EngineId) -> bool,
    ) -> Option<EngineId>;
    /// The one that it would pick now of all, where that is easily told.
    fn likely(&self, _engines: &[EngineId]) -> Option<EngineId> {
        None
    }
}

/// Each in turn. The turn is a position in the list as it stands when a request comes, so it survives
/// engines that come and go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Turn(usize);

/// Any, each as likely as the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Draw(Stream);

impl<P> InOrder<P> {
    pub(super) const fn new(rule: P) -> Self {
        Self {
            engines: Vec::new(),
            rule,
        }
    }
}

impl Draw {
    pub(super) const fn new(random: Stream) -> Self {
        Self(random)
    }
}

impl Pick for Turn {
    fn pick(
        &mut self,
        engines: &[EngineId],
        mut holds: impl FnMut(EngineId) -> bool,
    ) -> Option<EngineId> {
        let n = engines.len();
        for _ in 0..n {
            let engine = engines[self.0 % n];
            self.0 = (self.0 + 1) % n;
            if holds(engine) {
                return Some(engine);
            }
        }
        None
    }

    fn likely(&self, engines: &[EngineId]) -> Option<EngineId> {
        engines.get(self.0 % engines.len().max(1)).copied()
    }
}

impl Pick for Draw {
    fn pick(
        &mut self,
        engines: &[EngineId],
        mut holds: impl FnMut(EngineId) -> bool,
    ) -> Option<EngineId> {
        if engines.is_empty() {
            return None;
        }
        let first = engines[self.0.below(engines.len())];
        if holds(first) {
            return Some(first);
        }
        let able: Vec<EngineId> = engines.iter().copied().filter(|&e| holds(e)).collect();
        able.get(self.0.below(able.len())).copied()
    }
}

impl<P: Pick> List for InOrder<P> {
    fn open(&mut self, engine: EngineId) {
        if let Err(place) = self.engines.binary_search(&engine) {
            self.engines.insert(place, engine);
        }
    }

    fn close(&mut self, engine: EngineId) {
        if let Ok(place) = self.engines.binary_search(&engine) {
            self.engines.remove(place);
        }
    }

    fn has(&self, mut holds: impl FnMut(EngineId) -> bool) -> bool {
        self.engines.iter().any(|&engine| holds(engine))
    }

    fn pick(&mut self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        self.rule.pick(&self.engines, holds)
    }

    fn likely(&self) -> Option<EngineId> {
        self.rule.likely(&self.engines)
    }
}
