//! Memory that the next events need, asked for by those who know where it is.

use super::engine::BatchingEngine;
use super::task::Task;
use crate::serving::engine::RequestId;
use crate::serving::queue::fetch;

impl BatchingEngine {
    /// Asks for the lines of the cache that this takes, by a field of each. The lists are elsewhere.
    pub(crate) fn fetch(&self) {
        self.pool.fetch();
        fetch(&self.run);
        fetch(&self.totals);
    }

    /// Asks for the line that says how much it holds.
    pub(crate) fn fetch_memory(&self) {
        fetch(&self.used);
    }

    /// Asks for the first lines of the lists.
    pub(crate) fn fetch_lists(&self) {
        self.batch.fetch_list();
        self.pool.fetch_lists();
    }

    /// Asks for what takes in the next request that comes: the lists, and its place.
    pub(crate) fn fetch_for_newcomer(&self) {
        self.fetch_lists();
        self.pool.fetch_free();
    }

    /// Asks for the places of the requests that are told of next.
    pub(crate) fn fetch_next(&self) {
        self.next_tasks(|task| self.pool.fetch_member(task));
    }

    /// Calls `act` with the requests that the run under way finishes, and with the first that waits.
    pub(crate) fn next_requests(&self, mut act: impl FnMut(RequestId)) {
        self.next_tasks(|task| act(self.pool.member(task).request));
    }

    /// Calls `act` with the requests whose prompts the run under way finishes.
    pub(crate) fn next_prompts(&self, mut act: impl FnMut(RequestId)) {
        if self.batch.prompts() > 0 {
            let tasks = self.batch.finishing();
            tasks.for_each(|task| act(self.pool.member(task).request));
        }
    }

    fn next_tasks(&self, mut act: impl FnMut(Task)) {
        self.batch.finishing().for_each(&mut act);
        self.pool
            .waiting()
            .first()
            .copied()
            .into_iter()
            .for_each(act);
    }
}
