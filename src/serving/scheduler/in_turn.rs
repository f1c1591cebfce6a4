use super::EngineId;
use super::list::List;

/// Each engine in turn, in the order in which they joined. The turn is a position in the list as it
/// stands when a request comes, so it survives engines that come and go.
#[derive(Debug, Default)]
pub(in super::super) struct InTurn {
    engines: Vec<EngineId>,
    turn: usize,
}

impl List for InTurn {
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
        let n = self.engines.len();
        for _ in 0..n {
            let engine = self.engines[self.turn % n];
            self.turn = (self.turn + 1) % n;
            if holds(engine) {
                return Some(engine);
            }
        }
        None
    }
}
