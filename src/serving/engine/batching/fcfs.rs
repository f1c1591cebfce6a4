use super::engine::BatchingEngine;
use super::rule::{Batching, Selection};
use super::task::Task;

/// One task at a time, in the order of queueing, each run to completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fcfs;

impl Batching for Fcfs {
    fn select(&self, engine: &mut BatchingEngine, selection: &mut Selection) {
        selection.kept = engine.batch.len();
        if selection.kept > 0 {
            return;
        }
        let Some(task) = engine.pool.pending().get(0) else {
            return;
        };
        if engine.pool.is_next(task) {
            engine.pool.member_mut(task).selected = true;
            selection.joined.push(task);
        }
    }

    fn interrupts(&self, _: &BatchingEngine, _: Task) -> bool {
        false
    }

    fn has_room(&self, _: &BatchingEngine) -> bool {
        false
    }
}
