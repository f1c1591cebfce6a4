use super::EngineId;
use super::list::List;
use crate::random::Stream;

/// Any engine, each as likely as the others.
#[derive(Debug)]
pub(in super::super) struct Any {
    engines: Vec<EngineId>,
    random: Stream,
}

impl Any {
    pub(super) fn new(random: Stream) -> Self {
        Self {
            engines: Vec::new(),
            random,
        }
    }
}

impl List for Any {
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

    fn pick(&mut self, mut holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        if self.engines.is_empty() {
            return None;
        }
        let first = self.engines[self.random.below(self.engines.len())];
        if holds(first) {
            return Some(first);
        }
        let able: Vec<EngineId> = self.engines.iter().copied().filter(|&e| holds(e)).collect();
        able.get(self.random.below(able.len())).copied()
    }
}
