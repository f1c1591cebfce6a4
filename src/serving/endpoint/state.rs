//! The state of an endpoint in a snapshot.

use super::{Endpoint, EngineSpec};
use crate::serving::EngineId;
use crate::serving::engine::Engine;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};

/// What the engine of a seat is made from, when its state is restored.
pub(crate) enum Made {
    /// A built-in engine.
    From(EngineSpec),
    /// One that is not built in.
    Own(Box<dyn Engine>),
}

impl Endpoint {
    /// The engines that are or were here, each with the number of its instance.
    pub(crate) fn engine_instances(&self) -> impl Iterator<Item = (EngineId, u64)> + '_ {
        (0..).map(EngineId).zip(self.instances.iter().copied())
    }

    /// Writes all that has changed since it was made.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            config: _,
            requests,
            engines,
            instances,
            stays,
            router,
            transfer_bytes_per_s: _,
            events,
            arrivals,
            waiting,
            parked,
            ended,
            counts,
            now,
            last_event,
            told,
            split,
            departed,
            recorder,
            steps,
            idle,
            likely: _,
            largest: _,
            least_memory,
            crash_retries: _,
            paces,
            frozen,
        } = self;
        to.put(instances)?;
        engines
            .iter()
            .try_for_each(|seat| Self::save_seat(seat, to))?;
        router.save(to)?;
        arrivals.save(to)?;
        to.put(&(requests, stays, events, waiting, parked, ended, counts))?;
        to.put(&(now, last_event, told, split, departed))?;
        to.put(&(recorder, steps, idle, least_memory, paces, frozen))
    }

    /// Takes the state of an endpoint that was made from the same. `make` says what the engine of an
    /// instance, by its number, is made from.
    pub(crate) fn restore(
        &mut self,
        from: &mut StateReader<'_>,
        mut make: impl FnMut(&Self, u64) -> Result<Made, RestoreError>,
    ) -> Result<(), RestoreError> {
        self.instances = from.take()?;
        self.engines.clear();
        for engine in 0..self.instances.len() {
            let made = make(self, self.instances[engine])?;
            self.restore_seat(made, from)?;
        }
        self.router.restore(from)?;
        self.arrivals.restore(from)?;
        (
            self.requests,
            self.stays,
            self.events,
            self.waiting,
            self.parked,
            self.ended,
            self.counts,
        ) = from.take()?;
        (
            self.now,
            self.last_event,
            self.told,
            self.split,
            self.departed,
        ) = from.take()?;
        (
            self.recorder,
            self.steps,
            self.idle,
            self.least_memory,
            self.paces,
            self.frozen,
        ) = from.take()?;
        self.restore_paces();
        self.likely = None;
        Ok(())
    }
}
