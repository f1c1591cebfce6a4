use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::kind::Kind;
use super::pool::Pool;
use super::run::Run;
use super::shaped::Shaped;
use super::task::{Slot, Task};
use crate::serving::engine::Place;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// The state of one engine. An event needs most of it, so it is kept short, with what stands in which
/// line of the cache settled by the order of the fields.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct BatchingEngine {
    pub(crate) pool: Pool,
    pub(crate) batch: Batch,
    pub(crate) run: Option<Run>,
    pub(crate) kind: Arc<Kind>,
    pub(crate) used: u64,
    pub(crate) totals: Totals,
    /// Only where the time of a step depends on more than counts.
    pub(crate) shaped: Option<Box<Shaped>>,
}

/// What an engine did so far, its run under way not included, and has to do.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) prompt_busy_s: f64,
    pub(crate) token_busy_s: f64,
    /// Tokens still to be processed for the requests here.
    pub(crate) pending_tokens: u64,
}

impl BatchingEngine {
    pub(crate) fn new(kind: Arc<Kind>) -> Self {
        Self {
            pool: Pool::default(),
            batch: Batch::default(),
            run: None,
            used: kind.weights,
            totals: Totals::default(),
            shaped: (!kind.performance.counts_suffice()).then(Box::default),
            kind,
        }
    }

    /// Writes all that has changed since it was made.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            pool,
            batch,
            run,
            kind: _,
            used,
            totals,
            shaped,
        } = self;
        to.put(&(pool, batch, run, used, totals, shaped))
    }

    /// Takes the state of an engine of the same kind.
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        (
            self.pool,
            self.batch,
            self.run,
            self.used,
            self.totals,
            self.shaped,
        ) = from.take()?;
        Ok(())
    }

    /// Takes this many times as long for each step that is still to begin.
    pub(crate) fn change_pace(&mut self, factor: f64) {
        self.kind = Arc::new(self.kind.paced(factor));
    }

    pub(crate) const fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn memory(&self) -> u64 {
        self.kind.memory
    }

    pub(crate) const fn pending_tokens(&self) -> u64 {
        self.totals.pending_tokens
    }

    pub(crate) fn queued_and_running(&self) -> (usize, usize) {
        (self.pool.waiting().len(), self.batch.len())
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.pool.waiting().is_empty()
    }

    /// Bytes of KV cache of `tokens` tokens.
    pub(crate) fn kv_bytes(&self, tokens: u64) -> u64 {
        self.kind.kv_bytes_per_token * tokens
    }

    /// Bytes that a task takes if it joins the batch now: none when it was preempted and kept them.
    pub(crate) fn bytes_to_run(&self, task: Task) -> u64 {
        self.kv_bytes(self.pool.member(task).tokens_to_hold(task.phase()))
    }

    pub(crate) fn fits(&self, bytes: u64) -> bool {
        bytes <= self.memory().saturating_sub(self.used)
    }

    pub(crate) fn take(&mut self, bytes: u64) {
        self.used += bytes;
        debug_assert!(
            self.used <= self.memory(),
            "memory used never exceeds memory present"
        );
    }

    /// Tokens that a request in the pool has by `now` beside its prompt, if that is done.
    pub(crate) fn outputs_by(&self, place: Place, output_tokens: u32, now: SimTime) -> Option<u32> {
        let task = Task::token(Slot::at(place.0 as usize));
        if !self.pool.is_next(task) {
            return None;
        }
        let run = self.run.as_ref().filter(|run| !run.prompts);
        let run = run.filter(|_| self.batch.has(task));
        let done = run.map_or(0, |run| self.iterations_by(run, now));
        let left = u64::from(self.iterations_left(task)).saturating_sub(done);
        // One more is to come, or it would have ended.
        Some(output_tokens - u32::try_from(left.max(1)).unwrap_or(u32::MAX))
    }

    /// Token iterations that the token task of a request in the pool still needs.
    pub(crate) fn iterations_left(&self, task: Task) -> u32 {
        let running = self.batch.iterations_left(task);
        running.unwrap_or_else(|| self.pool.member(task).iterations())
    }
}
