use super::{Batching, Engine, Selection, Task};

/// One task at a time, in the order of queueing, each run to completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Fcfs;

impl Batching for Fcfs {
    fn select(&self, engine: &mut Engine, selection: &mut Selection) {
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

    fn interrupts(&self, _: &Engine, _: Task) -> bool {
        false
    }

    fn has_room(&self, _: &Engine) -> bool {
        false
    }
}
