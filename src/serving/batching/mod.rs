//! Who is in the next batch: one file an engine.

mod fcfs;
mod orca;
mod splitwise;

use fcfs::Fcfs;
use orca::Orca;
use splitwise::Splitwise;

use super::engine::Engine;
use super::task::Task;
use crate::scenario;

/// The rule by which an engine makes its batches, one iteration at a time.
///
/// When it is asked, the batch holds token tasks alone: a prompt takes one iteration and has left.
pub(super) trait Batching {
    /// Chooses the next batch: how much of the old one stays, and which tasks join it in which order.
    /// Marks the requests that it takes as selected.
    fn select(&self, engine: &mut Engine, selection: &mut Selection);

    /// Whether `task`, which has just arrived, may cut short the run under way.
    fn interrupts(&self, engine: &Engine, task: Task) -> bool;

    /// Whether the batch has room for more, as counted when it was selected.
    fn has_room(&self, engine: &Engine) -> bool;

    /// Whether the pending list is kept by preemptions and arrival rather than by time of queueing.
    fn sorts_pending(&self) -> bool {
        false
    }
}

/// A choice of batch. Storage that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// So many tasks from the front of the old batch stay.
    pub(super) kept: usize,
    /// These join, in this order.
    pub(super) joined: Vec<Task>,
    /// Tokens of one iteration of the new batch, as far as the engine counts them.
    pub(super) tokens: u64,
}

impl Selection {
    pub(super) fn clear(&mut self) {
        self.kept = 0;
        self.joined.clear();
        self.tokens = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept == 0 && self.joined.is_empty()
    }

    fn len(&self) -> usize {
        self.kept + self.joined.len()
    }
}

/// The built-in batch engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchEngine {
    Splitwise(Splitwise),
    Orca(Orca),
    Fcfs(Fcfs),
}

impl BatchEngine {
    pub(super) fn new(spec: scenario::Engine) -> Self {
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
            scenario::Engine::Fcfs => Self::Fcfs(Fcfs),
        }
    }
}

/// Bytes that an instance may use: what its processors have, or no limit for [`Fcfs`].
pub(super) fn usable_memory(spec: scenario::Engine, memory_bytes: u64) -> u64 {
    match spec {
        scenario::Engine::Fcfs => u64::MAX,
        _ => memory_bytes,
    }
}

impl Batching for BatchEngine {
    fn select(&self, engine: &mut Engine, selection: &mut Selection) {
        match self {
            Self::Splitwise(rule) => rule.select(engine, selection),
            Self::Orca(rule) => rule.select(engine, selection),
            Self::Fcfs(rule) => rule.select(engine, selection),
        }
    }

    fn interrupts(&self, engine: &Engine, task: Task) -> bool {
        match self {
            Self::Splitwise(rule) => rule.interrupts(engine, task),
            Self::Orca(rule) => rule.interrupts(engine, task),
            Self::Fcfs(rule) => rule.interrupts(engine, task),
        }
    }

    fn has_room(&self, engine: &Engine) -> bool {
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
