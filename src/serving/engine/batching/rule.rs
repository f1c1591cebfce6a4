use super::engine::BatchingEngine;
use super::fcfs::Fcfs;
use super::orca::Orca;
use super::splitwise::Splitwise;
use super::task::Task;
use crate::scenario;

/// The rule by which an engine makes its batches, one iteration at a time.
///
/// When it is asked, the batch holds token tasks alone: a prompt takes one iteration and has left.
pub(crate) trait Batching {
    /// Chooses the next batch: how much of the old one stays, and which tasks join it in which order.
    /// Marks the requests that it takes as selected.
    fn select(&self, engine: &mut BatchingEngine, selection: &mut Selection);

    /// Whether `task`, which has just arrived, may cut short the run under way.
    fn interrupts(&self, engine: &BatchingEngine, task: Task) -> bool;

    /// Whether the batch has room for more, as counted when it was selected.
    fn has_room(&self, engine: &BatchingEngine) -> bool;

    /// Whether the pending list is kept by preemptions and arrival rather than by time of queueing.
    fn sorts_pending(&self) -> bool {
        false
    }
}

/// A choice of batch. Storage that is used again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The number of tasks that stay, from the front of the old batch.
    pub(crate) kept: usize,
    /// These join, in this order.
    pub(crate) joined: Vec<Task>,
    /// Tokens of one iteration of the new batch, as far as the engine counts them.
    pub(crate) tokens: u64,
}

impl Selection {
    pub(crate) fn clear(&mut self) {
        self.kept = 0;
        self.joined.clear();
        self.tokens = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept == 0 && self.joined.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept + self.joined.len()
    }
}

/// The rules that come with fleetsim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Splitwise(Splitwise),
    Orca(Orca),
    Fcfs(Fcfs),
}

impl Rule {
    pub(crate) fn new(spec: scenario::Engine) -> Self {
        match spec {
            scenario::Engine::Splitwise {
                max_batch_size,
                max_batch_tokens,
                max_preemptions,
            } => Self::Splitwise(Splitwise {
                max_batch_size: max_batch_size as usize,
                max_batch_tokens,
                max_preemptions,
            }),
            scenario::Engine::Orca { max_batch_size } => Self::Orca(Orca {
                max_batch_size: max_batch_size as usize,
            }),
            // The others never get here: they are made by their own kinds.
            scenario::Engine::Fcfs
            | scenario::Engine::Named(_)
            | scenario::Engine::Vllm { .. }
            | scenario::Engine::Sglang { .. }
            | scenario::Engine::Trtllm { .. } => Self::Fcfs(Fcfs),
        }
    }
}

impl Batching for Rule {
    fn select(&self, engine: &mut BatchingEngine, selection: &mut Selection) {
        match self {
            Self::Splitwise(rule) => rule.select(engine, selection),
            Self::Orca(rule) => rule.select(engine, selection),
            Self::Fcfs(rule) => rule.select(engine, selection),
        }
    }

    fn interrupts(&self, engine: &BatchingEngine, task: Task) -> bool {
        match self {
            Self::Splitwise(rule) => rule.interrupts(engine, task),
            Self::Orca(rule) => rule.interrupts(engine, task),
            Self::Fcfs(rule) => rule.interrupts(engine, task),
        }
    }

    fn has_room(&self, engine: &BatchingEngine) -> bool {
        match self {
            Self::Splitwise(rule) => rule.has_room(engine),
            Self::Orca(rule) => rule.has_room(engine),
            Self::Fcfs(rule) => rule.has_room(engine),
        }
    }

    fn sorts_pending(&self) -> bool {
        match self {
            Self::Splitwise(rule) => rule.sorts_pending(),
            Self::Orca(rule) => rule.sorts_pending(),
            Self::Fcfs(rule) => rule.sorts_pending(),
        }
    }
}
