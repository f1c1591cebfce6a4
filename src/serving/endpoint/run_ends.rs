use std::mem;

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::EngineId;
use super::prefetch::MANY;
use crate::serving::queue::{Entry, Ladder, LeastIndex};

/// The ends of runs by time, at most one for each engine, so that a run that is cut short just ends anew:
/// in the way that is faster for as many engines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RunEnds {
    Few(LeastIndex<EngineId, SimTime>),
    Many(Box<Ladder<EngineId>>),
}

impl Default for RunEnds {
    fn default() -> Self {
        Self::Few(LeastIndex::default())
    }
}

impl RunEnds {
    /// The run that ends first; of equals, the one whose end was set first.
    #[inline]
    pub(crate) fn first(&self) -> Option<Entry<EngineId, SimTime>> {
        match self {
            Self::Few(runs) => runs.least(),
            Self::Many(runs) => runs.first(),
        }
    }

    /// The engine whose run ends `places` after the first, as far as known.
    pub(crate) fn after(&self, places: usize) -> Option<EngineId> {
        match self {
            Self::Few(_) => None,
            Self::Many(runs) => runs.after(places),
        }
    }

    /// Sets when the run of an engine ends. No end had so high an order before.
    #[inline]
    pub(crate) fn set(&mut self, engine: EngineId, time: SimTime, order: u64) {
        match self {
            Self::Few(runs) if engine.index() < MANY => runs.set(engine, time, order),
            Self::Few(few) => {
                let mut many = Box::new(Ladder::default());
                let mut few = mem::take(few);
                while let Some(run) = few.least() {
                    few.remove(run.id);
                    many.set(run.id, run.key, run.order);
                }
                many.set(engine, time, order);
                *self = Self::Many(many);
            }
            Self::Many(runs) => runs.set(engine, time, order),
        }
    }

    /// Takes the run of an engine out, if it has one.
    pub(crate) fn cancel(&mut self, engine: EngineId) {
        match self {
            Self::Few(runs) => {
                runs.remove(engine);
            }
            Self::Many(runs) => runs.cancel(engine),
        }
    }
}
