use std::sync::Arc;

use crate::time::{SimDuration, SimTime};

use super::ahead::fetch;
use super::batch::Batch;
use super::batching::Batching;
use super::kind::Kind;
use super::pool::Pool;
use super::request::{Request, RequestId, Requests};
use super::run::Run;
use super::task::{Phase, Slot, Task};
use super::{EngineSpec, Role};

/// Room for so many requests is made at once when the first comes, so that the lists of an engine stand
/// side by side in memory unless it gets many more.
const USUAL: usize = 32;

/// The state of one instance's batch engine. An event needs most of it, so it is kept short: five lines of
/// the cache, with what stands in which settled by the order of the fields.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Engine {
    pub(super) pool: Pool,
    pub(super) batch: Batch,
    pub(super) run: Option<Run>,
    pub(super) kind: Arc<Kind>,
    used: u64,
    pub(super) totals: Totals,

    /// Requests assigned here that are not finished here.
    pub(super) assigned: u32,
    pub(super) outgoing: u32,
    pub(super) incoming: u32,
    pub(super) admission: Admission,
    /// Somebody wants to know when it is idle.
    pub(super) watched: bool,
    pub(super) role: Role,
}

const _: () = assert!(size_of::<Engine>() <= 5 * 64, "five lines of the cache");

/// When an engine came and went. It is seldom asked for, so it stands beside the engine.
#[derive(Debug)]
pub(super) struct Stay {
    joined: SimTime,
    removed: Option<SimTime>,
    pub(super) idle_since: SimTime,
}

impl Stay {
    pub(super) fn new(now: SimTime) -> Self {
        Self {
            joined: now,
            removed: None,
            idle_since: now,
        }
    }

    pub(super) fn end(&mut self, now: SimTime) {
        self.removed.get_or_insert(now);
    }

    /// How long the engine has been there, or was.
    pub(super) fn length(&self, now: SimTime) -> SimDuration {
        self.removed.unwrap_or(now) - self.joined
    }
}

/// Whether the scheduler may choose an engine. It goes one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Not yet.
    Joined,
    /// Yes.
    Open,
    /// Never again.
    Closed,
    /// It was taken out.
    Removed,
}

/// What an engine did so far, its run under way not included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) prompt_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) prompt_busy_s: f64,
    pub(super) token_busy_s: f64,
    /// Tokens still to be processed for the requests assigned here.
    pub(super) pending_tokens: u64,
}

impl Engine {
    pub(super) fn new(spec: &EngineSpec, kind: Arc<Kind>, weights_bytes: u64) -> Self {
        Self {
            pool: Pool::default(),
            batch: Batch::default(),
            run: None,
            kind,
            used: weights_bytes,
            totals: Totals::default(),
            assigned: 0,
            outgoing: 0,
            incoming: 0,
            admission: Admission::Joined,
            watched: false,
            role: spec.role,
        }
    }

    /// Asks for the lines of the cache that this takes, by a field of each. The lists are elsewhere.
    pub(super) fn fetch(&self) {
        self.pool.fetch();
        fetch(&self.run);
        fetch(&self.totals);
    }

    /// Asks for the lines that say how much it holds and has to do.
    pub(super) fn fetch_state(&self) {
        fetch(&self.used);
        fetch(&self.assigned);
    }

    /// Asks for the first lines of the lists.
    pub(super) fn fetch_lists(&self) {
        self.batch.fetch_list();
        self.pool.fetch_lists();
    }

    /// Asks for what takes in the next request that comes: the lists, and its place.
    pub(super) fn fetch_for_newcomer(&self) {
        self.fetch_lists();
        self.pool.fetch_free();
    }

    /// Calls `act` with the tasks that the run under way finishes, and with the first that waits.
    pub(super) fn next_tasks(&self, mut act: impl FnMut(Task)) {
        self.batch.finishing().for_each(&mut act);
        self.pool
            .waiting()
            .first()
            .copied()
            .into_iter()
            .for_each(act);
    }

    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn memory(&self) -> u64 {
        self.kind.memory
    }

    pub(super) fn is_removed(&self) -> bool {
        self.admission == Admission::Removed
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.pool.waiting().is_empty()
    }

    pub(super) fn pool_is_empty(&self) -> bool {
        !self.has_waiting() && self.batch.is_empty()
    }

    /// Bytes of KV cache of so many tokens.
    pub(super) fn kv_bytes(&self, tokens: u64) -> u64 {
        self.kind.kv_bytes_per_token * tokens
    }

    /// Bytes that a task takes if it joins the batch now: none when it was preempted and kept them.
    pub(super) fn bytes_to_run(&self, task: Task) -> u64 {
        self.kv_bytes(self.pool.member(task).tokens_to_hold(task.phase()))
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= self.memory().saturating_sub(self.used)
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.used += bytes;
        debug_assert!(
            self.used <= self.memory(),
            "memory used never exceeds memory present"
        );
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used -= bytes;
    }

    /// Lets a request in that waits for this phase.
    pub(super) fn enter(&mut self, id: RequestId, request: &Request, phase: Phase) -> Slot {
        if self.pool.has_no_room() {
            self.pool.reserve(USUAL);
            self.batch.reserve(USUAL);
        }
        self.pool.enter(id, request, phase)
    }

    /// Puts a task into the pending list.
    pub(super) fn enqueue(&mut self, task: Task) {
        self.pool.enqueue(task, self.kind.rule.sorts_pending());
    }

    /// Takes a request out of the pool; a run under way goes on without it.
    pub(super) fn drop_request(&mut self, requests: &Requests, id: RequestId) {
        let Some(task) = requests[id].task() else {
            return;
        };
        if !self.batch.remove(task) {
            self.pool.drop_waiting(task);
        }
        if task.is_prompt() {
            self.pool.drop_behind_prompt(task.slot());
        }
        self.pool.leave(task.slot());
    }

    /// Token iterations that a token task still needs.
    pub(super) fn iterations_left(&self, task: Task) -> u64 {
        let running = self.batch.iterations_left(task);
        u64::from(running.unwrap_or_else(|| self.pool.member(task).iterations()))
    }

    /// Lets go of all storage once the engine is taken out.
    pub(super) fn retire(&mut self, weights_bytes: u64) {
        self.pool = Pool::default();
        self.batch = Batch::default();
        self.run = None;
        self.used = weights_bytes;
        self.assigned = 0;
        self.outgoing = 0;
        self.incoming = 0;
        self.totals.pending_tokens = 0;
        self.admission = Admission::Removed;
    }
}
