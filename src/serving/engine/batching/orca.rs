use super::engine::BatchingEngine;
use super::rule::{Batching, Selection};
use super::task::Task;

/// The old batch, then the pool in order of arrival as far as it fits (Yu et al., "Orca", OSDI 2022,
/// as the reference simulator does it). Nothing is preempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orca {
    pub(crate) max_batch_size: usize,
}

impl Batching for Orca {
    fn select(&self, engine: &mut BatchingEngine, selection: &mut Selection) {
        selection.kept = engine.batch.len();
        let mut used = engine.used();
        for place in 0..engine.pool.waiting().len() {
            if selection.len() == self.max_batch_size {
                return;
            }
            let task = engine.pool.waiting()[place];
            let bytes = engine.bytes_to_run(task);
            if bytes > engine.memory().saturating_sub(used) {
                return;
            }
            used += bytes;
            engine.pool.member_mut(task).selected = true;
            selection.joined.push(task);
        }
    }

    fn interrupts(&self, engine: &BatchingEngine, _: Task) -> bool {
        self.has_room(engine)
    }

    fn has_room(&self, engine: &BatchingEngine) -> bool {
        engine.batch.len() < self.max_batch_size
    }
}
