//! Engines that come and go.

use super::seat::{Admission, Seat, Stay};
use super::state::Made;
use super::{Endpoint, EngineBusy, EngineId, EngineLoad, EngineSpec, Role};
use crate::serving::engine::batching::{BatchingEngine, Kind};
use crate::serving::engine::vllm::VllmEngine;
use crate::serving::engine::{AnyEngine, Engine};
use crate::serving::registry::EngineSite;
use crate::serving::routing::Event;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

impl Endpoint {
    /// Adds an engine. The router leaves it alone until it is opened.
    pub fn add_engine(&mut self, spec: EngineSpec) -> EngineId {
        let engine = self.make(&spec);
        self.seat(spec.instance, spec.role, engine)
    }

    /// The engine of `spec`, which shares what is alike with the one that joined last.
    fn make(&self, spec: &EngineSpec) -> AnyEngine {
        let config = &self.config;
        let last = self.engines.last().and_then(|last| last.engine.ahead());
        let (token, weights) = (config.kv_bytes_per_token, config.weights_bytes);
        let like = self.engines.last().and_then(|last| last.engine.vllm());
        if let Some(engine) = VllmEngine::of(spec, token, weights, like) {
            AnyEngine::Vllm(Box::new(engine))
        } else {
            let kind = Kind::of(spec, token, weights, last.map(BatchingEngine::kind));
            AnyEngine::Batching(BatchingEngine::new(kind))
        }
    }

    /// Seats an engine as it was when its state was saved.
    pub(super) fn restore_seat(
        &mut self,
        engine: Made,
        from: &mut StateReader<'_>,
    ) -> Result<(), RestoreError> {
        let mut engine = match engine {
            Made::From(spec) => self.make(&spec),
            Made::Own(engine) => AnyEngine::Boxed(engine),
        };
        let (assigned, outgoing, incoming, admission, watched, role) = from.take()?;
        engine.restore(from)?;
        self.engines.push(Seat {
            engine,
            assigned,
            outgoing,
            incoming,
            admission,
            watched,
            role,
        });
        Ok(())
    }

    /// Writes an engine, with what the endpoint keeps of it.
    pub(super) fn save_seat(seat: &Seat, to: &mut StateWriter) -> Result<(), SaveError> {
        let Seat {
            engine,
            assigned,
            outgoing,
            incoming,
            admission,
            watched,
            role,
        } = seat;
        to.put(&(assigned, outgoing, incoming, admission, watched, role))?;
        engine.save(to)
    }

    /// What an engine made from this works with.
    #[must_use]
    pub fn site(&self, spec: &EngineSpec) -> EngineSite {
        EngineSite {
            performance: spec.performance.clone(),
            memory_bytes: spec.memory_bytes,
            weights_bytes: self.config.weights_bytes,
            kv_bytes_per_token: self.config.kv_bytes_per_token,
        }
    }

    /// Adds an engine of your own, for an instance of this number and role. As [`Self::add_engine`] else.
    pub fn add(&mut self, instance: u64, role: Role, engine: Box<dyn Engine>) -> EngineId {
        self.seat(instance, role, AnyEngine::Boxed(engine))
    }

    fn seat(&mut self, instance: u64, role: Role, engine: AnyEngine) -> EngineId {
        let id = EngineId(self.engines.len() as u32);
        assert!(id.0 < EngineId::MOST, "under 2^24 instances ever");
        self.router.on(&Event::Joined { engine: id, role });
        self.least_memory = self.least_memory.min(engine.certain_memory());
        self.engines.push(Seat::new(engine, role));
        self.instances.push(instance);
        self.stays.push(Stay::new(self.now));
        self.record_steps_of(id);
        id
    }

    /// Lets the router choose the engine, unless it was closed or taken out. Follow with
    /// [`Self::flush`] once all that open at the same instant are open.
    pub fn open(&mut self, engine: EngineId) {
        let state = &mut self.engines[engine.index()];
        if state.admission == Admission::Joined {
            state.admission = Admission::Open;
            let role = state.role;
            self.router.on(&Event::Opened { engine, role });
        }
    }

    /// Stops the router from choosing the engine, for good; what it has it finishes.
    pub fn close(&mut self, engine: EngineId) {
        let state = &mut self.engines[engine.index()];
        match state.admission {
            Admission::Joined => state.admission = Admission::Closed,
            Admission::Open => {
                state.admission = Admission::Closed;
                self.router.on(&Event::Closed { engine });
            }
            Admission::Closed | Admission::Removed => {}
        }
    }

    /// Whether the router may choose an engine.
    pub(crate) fn is_open(&self, engine: EngineId) -> bool {
        let seat = self.engines.get(engine.index());
        seat.is_some_and(|seat| seat.admission == Admission::Open)
    }

    /// Whether no request is assigned to the engine, transfers from and to it included.
    #[must_use]
    pub fn is_idle(&self, engine: EngineId) -> bool {
        self.unfinished(engine) == 0
    }

    /// Requests assigned to an engine, and those evicted from it that begin again once something
    /// completes there.
    fn unfinished(&self, engine: EngineId) -> u64 {
        let parked = self.parked.get(&engine).map_or(0, Vec::len);
        u64::from(self.engines[engine.index()].assigned) + parked as u64
    }

    /// Since when it has been idle, if it is: its last request's end, or when it joined if it never had any.
    #[must_use]
    pub fn idle_since(&self, engine: EngineId) -> Option<SimTime> {
        self.is_idle(engine)
            .then(|| self.stays[engine.index()].idle_since)
    }

    /// Takes an idle engine out.
    ///
    /// # Errors
    /// [`EngineBusy`] while a request is assigned to it.
    pub fn remove(&mut self, engine: EngineId) -> Result<(), EngineBusy> {
        let assigned = self.unfinished(engine);
        if assigned > 0 {
            return Err(EngineBusy { assigned });
        }
        self.close(engine);
        self.retire(engine);
        Ok(())
    }

    /// Lets an engine go; what it did is kept.
    pub(crate) fn retire(&mut self, engine: EngineId) {
        if self.engines[engine.index()].is_removed() {
            return;
        }
        self.events.cancel_run(engine);
        let did = self.load(engine, self.now);
        self.keep_steps_of(engine);
        let state = &mut self.engines[engine.index()];
        self.departed[state.role as usize] += EngineLoad {
            prompt_tokens: did.prompt_tokens,
            output_tokens: did.output_tokens,
            queried_tokens: did.queried_tokens,
            hit_tokens: did.hit_tokens,
            preemptions: did.preemptions,
            prompt_busy_s: did.prompt_busy_s,
            token_busy_s: did.token_busy_s,
            up_s: did.up_s,
            ..EngineLoad::default()
        };
        state.retire();
        self.paces.remove(&engine);
        self.thaw(engine);
        self.parked.remove(&engine);
        self.stays[engine.index()].end(self.now);
        self.tell_if_idle(engine);
    }

    /// Has [`Self::take_idle`] give the engine once it is idle or taken out.
    pub fn watch(&mut self, engine: EngineId) {
        self.engines[engine.index()].watched = true;
        self.tell_if_idle(engine);
    }

    /// Notes an engine that is watched and has become idle.
    pub(crate) fn tell_if_idle(&mut self, engine: EngineId) {
        if self.engines[engine.index()].watched && self.is_idle(engine) {
            self.idle.push(engine);
        }
    }

    /// Takes the watched engines that have become idle since the last call, in the order in which they
    /// did. They are not watched any longer.
    pub fn take_idle(&mut self) -> Vec<EngineId> {
        let mut idle = std::mem::take(&mut self.idle);
        idle.retain(|&engine| {
            let idle = self.is_idle(engine);
            let watched = &mut self.engines[engine.index()].watched;
            idle && std::mem::take(watched)
        });
        idle
    }

    /// What the engines of a role that were taken out did, all together.
    #[must_use]
    pub const fn departed(&self, role: Role) -> EngineLoad {
        self.departed[role as usize]
    }

    pub(crate) fn assign(&mut self, engine: EngineId) {
        self.engines[engine.index()].assigned += 1;
    }

    pub(crate) fn unassign(&mut self, id: EngineId) {
        let engine = &mut self.engines[id.index()];
        engine.assigned -= 1;
        if engine.assigned == 0 {
            self.stays[id.index()].idle_since = self.now;
            self.tell_if_idle(id);
        }
    }
}
