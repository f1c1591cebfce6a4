use std::fmt::Debug;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::list::{Change, List};
use crate::serving::EngineId;
use crate::serving::queue::LeastIndex;

/// The engine with the least of a figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Fewest<F> {
    engines: LeastIndex<EngineId, i64>,
    figure: PhantomData<F>,
}

/// What is counted.
pub(crate) trait Figure: Clone + Debug + Send + Sync + 'static {
    /// By how much it changes.
    fn change(change: Change) -> i64;
}

/// Requests in the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests;

/// Scheduled tokens pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens;

impl Figure for Requests {
    fn change(change: Change) -> i64 {
        match change {
            Change::Requests(by) => by,
            Change::Tokens(_) => 0,
        }
    }
}

impl Figure for Tokens {
    fn change(change: Change) -> i64 {
        match change {
            Change::Tokens(by) => by,
            Change::Requests(_) => 0,
        }
    }
}

impl<F> Default for Fewest<F> {
    fn default() -> Self {
        Self {
            engines: LeastIndex::default(),
            figure: PhantomData,
        }
    }
}

impl<F: Figure> List for Fewest<F> {
    fn open(&mut self, engine: EngineId) {
        self.engines.set(engine, 0, engine.index() as u64);
    }

    fn close(&mut self, engine: EngineId) {
        self.engines.remove(engine);
    }

    fn has(&self, holds: impl FnMut(EngineId) -> bool) -> bool {
        self.engines.least_where(holds).is_some()
    }

    fn pick(&mut self, holds: impl FnMut(EngineId) -> bool) -> Option<EngineId> {
        self.engines.least_where(holds).map(|entry| entry.id)
    }

    #[inline]
    fn count(&mut self, engine: EngineId, change: Change) {
        let by = F::change(change);
        if by != 0 {
            self.engines.update(engine, |count| count + by);
        }
    }

    fn fetch(&self, engine: EngineId) {
        self.engines.fetch(engine);
    }

    fn likely(&self) -> Option<EngineId> {
        self.engines.least().map(|entry| entry.id)
    }
}
