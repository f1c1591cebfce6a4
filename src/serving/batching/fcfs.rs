use super::{Batching, Engine, Requests, Selection, Task};

/// One task at a time, in the order of queueing, each run to completion.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Fcfs;

impl Batching for Fcfs {
    fn select(&self, engine: &Engine, requests: &mut Requests, selection: &mut Selection) {
        selection.kept = engine.batch().len();
        if selection.kept > 0 {
            return;
        }
        let Some(&task) = engine.pending().first() else {
            return;
        };
        let request = &mut requests[task.request()];
        if request.is_first(task.phase()) {
            request.selected = true;
            selection.joined.push(task);
        }
    }

    fn interrupts(&self, _: &Engine, _: &Requests, _: Task) -> bool {
        false
    }

    fn has_room(&self, _: &Engine) -> bool {
        false
    }
}
