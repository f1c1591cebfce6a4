//! Engines: how the requests of one instance are batched. One file or folder an engine.
//!
//! # Adding an engine
//! An engine owns its queue, its batch and its KV memory, and implements [`Engine`]. The endpoint owns the
//! rest: the queue of the application, who serves what, transfers of KV caches, records, and time. It
//! calls, and the engine answers:
//!
//! 1. [`enqueue`](Engine::enqueue) brings work. The answer says whether the engine wants to start, to cut its
//!    run short, or nothing.
//! 2. [`start`](Engine::start) commits the next step, or a run of steps that end in one event, and says when
//!    it ends. The endpoint comes back at that instant, unless the engine is told of something before.
//! 3. [`finish`](Engine::finish) ends it and tells of each first token and each completion through
//!    [`Effects`]; the endpoint writes it down, then calls `start` again.
//! 4. [`withdraw`](Engine::withdraw) takes a request out at any time, with all that it holds.
//!
//! The endpoint's calls come in this order at one instant, so an engine needs no clock, no event queue
//! and no knowledge of other engines. An engine that no prompt is sent from and no KV cache is sent to can
//! leave out the rest: the defaults refuse KV caches, never interrupt and are never stuck.
//!
//! Give it to an endpoint with [`Endpoint::add`](super::Endpoint::add).

pub(crate) mod batching;
mod effects;
mod either;
mod load;
mod movable;
pub mod vllm;
mod work;

use std::fmt::Debug;

use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

pub use effects::Effects;
pub(crate) use effects::{Progressed, Told};
pub(crate) use either::AnyEngine;
pub use load::EngineLoad;
pub(crate) use movable::Movable;
pub use work::{
    Description, Interrupted, Phases, Place, Recount, RequestId, Start, UnderWay, Urge, Work,
};

pub use super::requests::Works;
pub use crate::scenario::{EngineLimits, Frontend, KvMemory};
pub use vllm::StepRow;

/// The batch engine of one instance: its queue, its batch and its KV memory.
///
/// See the [module](self) for who calls what when. An engine of one's own, in a program:
///
/// ```
#[doc = include_str!("../../../examples/custom_engine.rs")]
/// ```
pub trait Engine: CloneEngine + Debug + Send + Sync {
    /// Takes work in. The place is handed back wherever the endpoint speaks of the request again.
    fn enqueue(&mut self, work: &Work, now: SimTime) -> (Place, Urge);

    /// Tells more of a request that [`enqueue`](Self::enqueue) has just taken in.
    fn describe(&mut self, _place: Place, _more: &Description<'_>) {}

    /// Queues the tokens of a request behind its prompt, for engines that keep the phases apart. Called
    /// for a request of both phases, once the urge of [`enqueue`](Self::enqueue) was followed.
    fn enqueue_tokens(&mut self, _work: &Work, _place: Place, _now: SimTime) -> Urge {
        Urge::Nothing
    }

    /// Commits the next step, or a run of steps. Only called while none is under way.
    fn start(&mut self, effects: &mut Effects<'_>) -> Start;

    /// Ends the step or run under way: called at its end.
    fn finish(&mut self, effects: &mut Effects<'_>);

    /// Ends the run under way at the next boundary of a step, if it can be.
    fn interrupt(&mut self, _now: SimTime) -> Interrupted {
        Interrupted::No
    }

    /// Lets its steps take this many times as long as its step model says, from the next step on; 1 is its own
    /// pace. A run under way ends at the next boundary of a step, if it can. The default keeps its pace.
    fn set_pace(&mut self, _factor: f64, _now: SimTime) -> Interrupted {
        Interrupted::No
    }

    /// Stops the run under way where it is, as the instance goes; what it did counts as processed.
    /// Every request is withdrawn next. The default counts nothing.
    fn break_off(&mut self, _effects: &mut Effects<'_>) {}

    /// Gives a request up, be it queued or running. A run under way goes on without it, or ends at the next
    /// boundary of a step: [`ends`](Self::ends) is asked next. Returns the bytes of KV cache that it gave back.
    fn withdraw(&mut self, work: &Work, place: Place, now: SimTime) -> u64;

    /// Calls `each` with every request that it has: queued, preempted and running.
    fn each_request(&self, each: &mut dyn FnMut(RequestId));

    /// When the step or run under way ends.
    fn ends(&self) -> Option<SimTime>;

    /// Whether it has no request.
    fn is_empty(&self) -> bool {
        let load = self.load(SimTime::ZERO);
        load.queued + load.running == 0
    }

    /// What it holds and did, with the run under way credited up to `at`. The endpoint adds what it
    /// knows: `assigned`, `up_s`, and the pending tokens of requests that are still to come.
    fn load(&self, at: SimTime) -> EngineLoad;

    /// What it can hold and do at most. The default has no limits.
    fn limits(&self) -> EngineLimits {
        EngineLimits::NONE
    }

    /// What its server takes around it until a user has a token. The default is nothing.
    fn frontend(&self) -> Frontend {
        Frontend::NONE
    }

    /// Counts all that it keeps as running totals request by request. For tests. The default counts the
    /// requests and keeps no totals.
    ///
    /// # Errors
    /// What does not agree, in words.
    fn recount(&self, _works: Works<'_>) -> Result<Recount, String> {
        let mut requests = 0;
        self.each_request(&mut |_| requests += 1);
        Ok(Recount {
            requests,
            pending_tokens: self.load(SimTime::ZERO).pending_tokens,
            sent_bytes: 0,
        })
    }

    /// What it would do now that memory was given back.
    fn urge(&self, _works: Works<'_>) -> Urge {
        Urge::Nothing
    }

    /// Takes room for the KV cache of a request that is about to be sent here. False without room.
    fn take_kv(&mut self, _work: &Work) -> bool {
        false
    }

    /// Gives up the KV cache of a request that is not here: it was sent on, or is not sent here after
    /// all. Returns the bytes that it gave back.
    fn give_up_kv(&mut self, _work: &Work) -> u64 {
        0
    }

    /// Whether requests are queued of which none could start now. Asked while nothing is under way.
    fn is_stuck(&mut self, _effects: &mut Effects<'_>) -> bool {
        false
    }

    /// The request to evict when the engine is stuck for good: it begins again once something completes.
    fn victim(&self) -> Option<RequestId> {
        None
    }

    /// Whether anything is queued, tokens behind their own prompt included.
    fn has_queue(&self) -> bool {
        self.load(SimTime::ZERO).queued > 0
    }

    /// The run under way, for those who record runs.
    fn under_way(&self, _at: SimTime) -> Option<UnderWay> {
        None
    }

    /// Keeps what each step does from now on, for [`take_steps`](Self::take_steps).
    fn record_steps(&mut self) {}

    /// Takes the steps recorded that are over.
    fn take_steps(&mut self) -> Vec<StepRow> {
        Vec::new()
    }

    /// Lets go of all storage: the engine is empty and nothing comes any more. What it did stays.
    fn clear(&mut self) {}

    /// Writes its state into a snapshot: all that has changed since it was made.
    ///
    /// # Errors
    /// What cannot be written. The default refuses, so that no state is lost unnoticed.
    fn save(&self, _to: &mut StateWriter) -> Result<(), SaveError> {
        let what = format!("the engine {}", std::any::type_name::<Self>());
        Err(SaveError::not_saved(what, "it has no `Engine::save`"))
    }

    /// Takes the state of an engine that was made from the same, as [`save`](Self::save) wrote it.
    ///
    /// # Errors
    /// What cannot be read.
    fn restore(&mut self, _from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let what = format!("the engine {}", std::any::type_name::<Self>());
        Err(RestoreError::unreadable(
            what,
            "it has no `Engine::restore`",
        ))
    }
}

/// Engines can be copied, so that a run can be forked. Every engine that is `Clone` has it.
pub trait CloneEngine {
    /// A copy.
    fn clone_boxed(&self) -> Box<dyn Engine>;
}

impl<E: Engine + Clone + 'static> CloneEngine for E {
    fn clone_boxed(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Engine> {
    fn clone(&self) -> Self {
        (**self).clone_boxed()
    }
}
