use super::EngineId;
use super::list::{InOrder, List};
use crate::random::Stream;

/// Any engine, each as likely as the others.
#[derive(Debug)]
pub(crate) struct Any {
    engines: InOrder,
    random: Stream,
}

impl Any {
    pub(crate) fn new(random: Stream) -> Self {
        Self {
            engines: InOrder::default(),
            random,
        }
    }
}

impl List for Any {
    fn open(&mut self, engine: EngineId) {
        self.engines.insert(engine);
    }

    fn close(&mut self, engine: EngineId) {
        self.engines.remove(engine);
    }

    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool {
        self.engines.has(holds)
    }

    fn pick(&mut self, mut holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        let engines = self.engines.as_slice();
        if engines.is_empty() {
            return None;
        }
        let first = engines[self.random.below(engines.len())];
        if holds(first) {
            return Some(first);
        }
        let able: Vec<EngineId> = engines.iter().copied().filter(|&e| holds(e)).collect();
        able.get(self.random.below(able.len())).copied()
    }
}
