use super::EngineId;
use super::list::{InOrder, List};

/// Each engine in turn, in the order in which they joined. The turn is a position in the list as it
/// stands when a request comes, so it survives engines that come and go.
#[derive(Debug, Default)]
pub(crate) struct InTurn {
    engines: InOrder,
    turn: usize,
}

impl List for InTurn {
    fn open(&mut self, engine: EngineId) {
        self.engines.insert(engine);
    }

    fn close(&mut self, engine: EngineId) {
        self.engines.remove(engine);
    }

    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool {
        self.engines.has(holds)
    }

    fn likely(&self) -> Option<EngineId> {
        let engines = self.engines.as_slice();
        engines.get(self.turn % engines.len().max(1)).copied()
    }

    fn pick(&mut self, mut holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        let engines = self.engines.as_slice();
        let n = engines.len();
        for _ in 0..n {
            let engine = engines[self.turn % n];
            self.turn = (self.turn + 1) % n;
            if holds(engine) {
                return Some(engine);
            }
        }
        None
    }
}
