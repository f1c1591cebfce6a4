use std::mem;

use crate::time::SimTime;

use super::EngineId;
use super::agenda::Agenda;
use super::ahead::MANY;
use super::index::{Entry, LeastIndex};

/// The ends of runs by time, at most one for each engine, so that a run that is cut short just ends anew:
/// in the way that is faster for as many engines.
#[derive(Debug)]
pub(super) enum Ends {
    Few(LeastIndex<SimTime>),
    Many(Box<Agenda>),
}

impl Default for Ends {
    fn default() -> Self {
        Self::Few(LeastIndex::default())
    }
}

impl Ends {
    /// The run that ends first; of equals, the one whose end was set first.
    pub(super) fn first(&self) -> Option<Entry<SimTime>> {
        match self {
            Self::Few(runs) => runs.least(),
            Self::Many(runs) => runs.first(),
        }
    }

    /// The engine whose run ends so many places after the first, as far as that is known.
    pub(super) fn after(&self, places: usize) -> Option<EngineId> {
        match self {
            Self::Few(_) => None,
            Self::Many(runs) => runs.after(places),
        }
    }

    /// Sets when the run of an engine ends. No end had so high an order before.
    pub(super) fn set(&mut self, engine: EngineId, time: SimTime, order: u64) {
        match self {
            Self::Few(runs) if engine.index() < MANY => runs.set(engine, time, order),
            Self::Few(few) => {
                let mut many = Box::new(Agenda::default());
                let mut few = mem::take(few);
                while let Some(run) = few.least() {
                    few.remove(run.engine);
                    many.set(run.engine, run.key, run.order);
                }
                many.set(engine, time, order);
                *self = Self::Many(many);
            }
            Self::Many(runs) => runs.set(engine, time, order),
        }
    }

    /// Takes the run of an engine out, if it has one.
    pub(super) fn cancel(&mut self, engine: EngineId) {
        match self {
            Self::Few(runs) => {
                runs.remove(engine);
            }
            Self::Many(runs) => runs.cancel(engine),
        }
    }
}
