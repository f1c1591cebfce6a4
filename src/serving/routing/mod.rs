//! Which engines serve a request: one file a rule.
//!
//! A rule is a [`Router`]. The built-in ones are made of a list of engines with a rule that picks from it
//! (`Fewest`, `InOrder`), for one engine a request or for a pair.

mod fewest;
mod in_order;
mod list;
mod mixed_pool;
mod one_instance;
mod two_instances;
mod view;

use std::fmt::Debug;

use fewest::{Fewest, Requests, Tokens};
use in_order::{Draw, InOrder, Turn};
use mixed_pool::MixedPool;
use one_instance::OneInstance;
use serde::{Deserialize, Serialize};
use two_instances::TwoInstances;

pub use view::{Engines, RequestView};

use super::{EngineId, Role};
use crate::random::Stream;
use crate::scenario;
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};

/// Decides which engines serve a request.
///
/// Events tell it what happens, in order, so that it can keep what it needs in an index rather than look
/// at every engine.
///
/// ```
/// use fleetsim::serving::EngineId;
/// use fleetsim::serving::engine::Phases;
/// use fleetsim::serving::routing::{Engines, Event, RequestView, Route, Router};
///
/// /// The engine with the fewest tokens to process.
/// #[derive(Clone, Debug, Default)]
/// struct LeastWork(Vec<EngineId>);
///
/// impl Router for LeastWork {
///     fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
///         let able = self.0.iter().copied().filter(|&it| engines.holds(it, request, Phases::Both));
///         let least = able.min_by_key(|&it| engines.pending_tokens(it));
///         least.map_or(Route::Wait, Route::Engine)
///     }
///
///     fn on(&mut self, event: &Event) {
///         match *event {
///             Event::Opened { engine, .. } => self.0.push(engine),
///             Event::Closed { engine } => self.0.retain(|&other| other != engine),
///             _ => {}
///         }
///     }
/// }
/// ```
pub trait Router: CloneRouter + Debug + Send + Sync {
    /// Where a request goes, when it arrives or when engines have opened while it waited. Engines must be
    /// open and hold it; where one is not open, the request waits.
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route;

    /// Where the tokens of a request go, now that its prompt is done on another engine than was
    /// `routed` for them. An engine that is not open is not taken; the prompt's own engine may be named.
    fn hand_over(
        &mut self,
        _request: &RequestView,
        routed: EngineId,
        _engines: &Engines<'_>,
    ) -> EngineId {
        routed
    }

    /// Something happened.
    fn on(&mut self, event: &Event);

    /// Writes its state into a snapshot: all that has changed since it was made.
    ///
    /// # Errors
    /// What cannot be written. The default refuses, so that no state is lost unnoticed.
    fn save(&self, _to: &mut StateWriter) -> Result<(), SaveError> {
        let what = format!("the router {}", std::any::type_name::<Self>());
        Err(SaveError::not_saved(what, "it has no `Router::save`"))
    }

    /// Takes the state of a router that was made from the same, as [`save`](Self::save) wrote it.
    ///
    /// # Errors
    /// What cannot be read.
    fn restore(&mut self, _from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let what = format!("the router {}", std::any::type_name::<Self>());
        Err(RestoreError::unreadable(
            what,
            "it has no `Router::restore`",
        ))
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It waits at the application until an engine opens.
    Wait,
    /// One engine serves it.
    Engine(EngineId),
    /// One engine serves its prompt and another its tokens; its KV cache is sent. Both may be the same.
    Pair {
        /// Serves its prompt.
        prompt: EngineId,
        /// Serves its tokens.
        token: EngineId,
    },
}

/// What routers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An engine has joined. It may not be chosen yet.
    Joined {
        /// Which.
        engine: EngineId,
        /// What it serves.
        role: Role,
    },
    /// An engine may be chosen from now on.
    Opened {
        /// Which.
        engine: EngineId,
        /// What it serves.
        role: Role,
    },
    /// An engine may not be chosen any more.
    Closed {
        /// Which.
        engine: EngineId,
    },
    /// A request came to an engine.
    Entered {
        /// Which.
        engine: EngineId,
    },
    /// A request left an engine.
    Left {
        /// Which.
        engine: EngineId,
    },
    /// The prompt of a request is done.
    PromptDone {
        /// Where.
        engine: EngineId,
        /// Its tokens.
        prompt_tokens: u32,
    },
    /// The last token of a request is done.
    Completed {
        /// Where.
        engine: EngineId,
    },
    /// An engine gave back KV-cache memory.
    MemoryReleased {
        /// Which.
        engine: EngineId,
        /// How much.
        bytes: u64,
    },
    /// An engine has nothing left to do.
    Emptied {
        /// Which.
        engine: EngineId,
    },
    /// A request was taken back from its engines and will be routed anew, or is [moved](Self::Moved).
    Withdrawn(Withdrawn),
    /// A request that was taken back from an engine goes to another with its KV cache, for the rest of its tokens.
    Moved {
        /// What it looks like: the tokens that it has got, but the last, are part of its prompt.
        request: RequestView,
        /// From where its KV cache is sent.
        from: EngineId,
        /// Where it goes on.
        to: EngineId,
    },
}

/// A request taken back from its engines, and how far it had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// What it looked like.
    pub request: RequestView,
    /// Where its prompt was served.
    pub prompt: EngineId,
    /// Where its tokens were to be served.
    pub token: EngineId,
    /// Its prompt was done.
    pub prompt_done: bool,
    /// Bytes of its prompt phase that it had not taken yet on the engine of its prompt, where that is
    /// another than the engine of its tokens.
    pub prompt_untaken: u64,
    /// Bytes of both phases that it had not taken yet on the engine of its tokens.
    pub token_untaken: u64,
}

/// Routers can be copied, so that a run can be forked. Every router that is `Clone` has it.
pub trait CloneRouter {
    /// A copy.
    fn clone_boxed(&self) -> Box<dyn Router>;
}

impl<R: Router + Clone + 'static> CloneRouter for R {
    fn clone_boxed(&self) -> Box<dyn Router> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Router> {
    fn clone(&self) -> Self {
        (**self).clone_boxed()
    }
}

/// What built-in routers say ahead of events, for memory to be asked for.
trait Ahead {
    /// An engine is about to be told of: asks for the memory that this takes.
    fn fetch(&self, engine: EngineId);
    /// The engines of prompt and tokens that it would choose now if every engine had room, where that is
    /// easily told.
    fn likely(&mut self) -> Option<(EngineId, EngineId)>;
}

/// The built-in routers, and any other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum AnyRouter {
    RoundRobin(OneInstance<InOrder<Turn>>),
    Random(OneInstance<InOrder<Draw>>),
    Jsq(OneInstance<Fewest<Requests>>),
    TokenJsq(OneInstance<Fewest<Tokens>>),
    KvRoundRobin(TwoInstances<InOrder<Turn>>),
    KvJsq(TwoInstances<Fewest<Requests>>),
    KvTokenJsq(TwoInstances<Fewest<Tokens>>),
    MixedPool(MixedPool),
    #[serde(skip)]
    Boxed(Box<dyn Router>),
}

macro_rules! each {
    ($self:ident, $rule:ident => $call:expr, $boxed:ident => $other:expr) => {
        match $self {
            AnyRouter::RoundRobin($rule) => $call,
            AnyRouter::Random($rule) => $call,
            AnyRouter::Jsq($rule) => $call,
            AnyRouter::TokenJsq($rule) => $call,
            AnyRouter::KvRoundRobin($rule) => $call,
            AnyRouter::KvJsq($rule) => $call,
            AnyRouter::KvTokenJsq($rule) => $call,
            AnyRouter::MixedPool($rule) => $call,
            AnyRouter::Boxed($boxed) => $other,
        }
    };
}

impl AnyRouter {
    /// Writes its state into a snapshot.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        match self {
            Self::Boxed(router) => router.save(to),
            built_in => to.put(built_in),
        }
    }

    /// Takes the state of a router of the same rule.
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        match self {
            Self::Boxed(router) => router.restore(from)?,
            built_in => *built_in = from.take()?,
        }
        Ok(())
    }
}

impl AnyRouter {
    pub(super) fn new(spec: scenario::Scheduler, random: Stream, weights_bytes: u64) -> Self {
        use scenario::Scheduler as Spec;
        match spec {
            Spec::RoundRobin => Self::RoundRobin(OneInstance::default()),
            Spec::Random => Self::Random(OneInstance::new(InOrder::new(Draw::new(random)))),
            Spec::Jsq => Self::Jsq(OneInstance::default()),
            // One that is not built in comes as a router of its own.
            Spec::TokenJsq | Spec::Named(_) => Self::TokenJsq(OneInstance::default()),
            Spec::KvRoundRobin { .. } => Self::KvRoundRobin(TwoInstances::default()),
            Spec::KvJsq { .. } => Self::KvJsq(TwoInstances::default()),
            Spec::KvTokenJsq { .. } => Self::KvTokenJsq(TwoInstances::default()),
            Spec::MixedPool {
                prompt_max_pending_tokens,
                ..
            } => Self::MixedPool(MixedPool::new(prompt_max_pending_tokens, weights_bytes)),
        }
    }

    pub(super) fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        each!(self, rule => rule.route(request, engines), own => own.route(request, engines))
    }

    /// Whether [`Router::hand_over`] may differ from what was routed.
    pub(super) const fn hands_over(&self) -> bool {
        matches!(self, Self::Boxed(_))
    }

    pub(super) fn hand_over(
        &mut self,
        request: &RequestView,
        routed: EngineId,
        engines: &Engines<'_>,
    ) -> EngineId {
        each!(self, _rule => routed, own => own.hand_over(request, routed, engines))
    }

    /// Inlined, so that of each rule what it does at this event alone is left.
    #[inline(always)]
    pub(super) fn on(&mut self, event: &Event) {
        each!(self, rule => rule.on(event), own => own.on(event));
    }

    pub(super) fn fetch(&self, engine: EngineId) {
        each!(self, rule => rule.fetch(engine), _own => ());
    }

    pub(super) fn likely(&mut self) -> Option<(EngineId, EngineId)> {
        each!(self, rule => rule.likely(), _own => None)
    }
}
