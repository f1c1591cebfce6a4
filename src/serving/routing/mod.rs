//! Which instance serves a request: one file a rule.

mod any;
mod fewest_requests;
mod fewest_tokens;
mod in_turn;
mod list;
mod mixed_pool;
mod one_instance;
mod two_instances;

use std::fmt::Debug;

use any::Any;
use fewest_requests::FewestRequests;
use fewest_tokens::FewestTokens;
use in_turn::InTurn;
use mixed_pool::MixedPool;
use one_instance::OneInstance;
use two_instances::TwoInstances;

use super::endpoint::{Seat, Split};
use super::engine::AnyEngine;
use super::{EngineId, EngineLimits, Role};
use crate::random::Stream;
use crate::scenario;
use crate::time::SimTime;

/// Chooses the instances that serve a request, once, when it arrives.
///
/// The hooks tell it what happens, so that it can keep what it needs in an index rather than look at
/// every engine. They come in the order in which things happen.
pub trait Scheduler: Debug + Send + Sync {
    /// An engine has joined. It may not be chosen yet.
    fn join(&mut self, _engine: EngineId, _role: Role) {}
    /// An engine may be chosen from now on.
    fn open(&mut self, engine: EngineId, role: Role, engines: &Engines<'_>);
    /// An engine may not be chosen any more.
    fn close(&mut self, engine: EngineId);
    /// The engines for a request, or nothing when it must wait. They must be open and hold it.
    fn choose(&mut self, request: &Shape, engines: &Engines<'_>) -> Option<Choice>;
    /// A request entered an engine's pool.
    fn pool_entered(&mut self, _engine: EngineId) {}
    /// A request left an engine's pool.
    fn pool_left(&mut self, _engine: EngineId) {}
    /// A prompt of so many tokens is done.
    fn prompt_done(&mut self, _engine: EngineId, _prompt_tokens: u32) {}
    /// A request's last token is done.
    fn request_done(&mut self, _engine: EngineId) {}
    /// An engine gave back KV-cache memory.
    fn memory_released(&mut self, _engine: EngineId, _bytes: u64) {}
    /// An engine has nothing left to do.
    fn freed(&mut self, _engine: EngineId) {}
    /// An engine is about to be told of: a chance to ask for the memory that this takes.
    fn fetch(&self, _engine: EngineId) {}
    /// What it would choose now if every engine had room, where that is easily told: a hint, by which
    /// memory is asked for before the request comes.
    fn likely(&mut self) -> Option<Choice> {
        None
    }
    /// A request was taken back from the engines chosen for it and will be chosen for anew.
    fn withdrawn(&mut self, _withdrawn: &Withdrawn) {}
}

/// What a scheduler sees of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens that it asks for; with one, there is no token phase.
    pub output_tokens: u32,
    /// Bytes of KV cache of its prompt phase.
    pub prompt_bytes: u64,
    /// Bytes of KV cache that its token phase adds.
    pub token_bytes: u64,
}

impl Shape {
    /// Bytes of KV cache of both phases.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.prompt_bytes.saturating_add(self.token_bytes)
    }

    const fn has_token_phase(&self) -> bool {
        self.output_tokens > 1
    }
}

/// The engines that serve a request. When they differ, its KV cache is sent from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Serves its prompt.
    pub prompt: EngineId,
    /// Serves its tokens.
    pub token: EngineId,
}

impl Choice {
    /// One engine for both phases.
    #[must_use]
    pub const fn both(engine: EngineId) -> Self {
        Self {
            prompt: engine,
            token: engine,
        }
    }
}

/// A request taken back from its engines, and how far it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// What it looked like.
    pub shape: Shape,
    /// Where it was.
    pub choice: Choice,
    /// Its prompt was done.
    pub prompt_done: bool,
    /// Bytes of its prompt phase that it had not taken yet on the engine of its prompt, where that is
    /// another than the engine of its tokens.
    pub prompt_untaken: u64,
    /// Bytes of both phases that it had not taken yet on the engine of its tokens.
    pub token_untaken: u64,
}

/// What a scheduler may ask of the engines.
#[derive(Clone, Copy, Debug)]
pub struct Engines<'a> {
    pub(crate) engines: &'a [Seat],
    pub(crate) split: &'a Split,
    pub(crate) weights_bytes: u64,
    pub(crate) now: SimTime,
}

impl Engines<'_> {
    fn engine(&self, engine: EngineId) -> &AnyEngine {
        &self.engines[engine.index()].engine
    }

    /// Bytes of memory of an engine, weights included.
    #[must_use]
    pub fn memory(&self, engine: EngineId) -> u64 {
        self.engine(engine).memory(self.now)
    }

    /// What an engine can hold and do at most.
    #[must_use]
    pub fn limits(&self, engine: EngineId) -> EngineLimits {
        self.engine(engine).limits()
    }

    /// Bytes that the weights take on each.
    #[must_use]
    pub const fn weights_bytes(&self) -> u64 {
        self.weights_bytes
    }

    /// Whether so much KV cache fits into an engine that has nothing else.
    #[must_use]
    pub fn holds(&self, engine: EngineId, kv_bytes: u64) -> bool {
        self.weights_bytes.saturating_add(kv_bytes) <= self.memory(engine)
    }

    /// Whether anything is queued or preempted on an engine.
    #[must_use]
    pub fn has_pending(&self, engine: EngineId) -> bool {
        self.engine(engine).has_queue()
    }

    /// Requests queued or preempted on an engine, and requests in its batch.
    #[must_use]
    pub fn queued_and_running(&self, engine: EngineId) -> (usize, usize) {
        self.engine(engine).queued_and_running(self.now)
    }

    /// Tokens still to be processed for the requests assigned to an engine, runs under way not
    /// credited.
    #[must_use]
    pub fn pending_tokens(&self, engine: EngineId) -> u64 {
        self.engine(engine).pending_tokens(self.now) + self.split.tokens_to_come(engine)
    }
}

/// The built-in schedulers, and the user's own.
#[derive(Debug)]
pub(crate) enum AnyScheduler {
    RoundRobin(OneInstance<InTurn>),
    Random(OneInstance<Any>),
    Jsq(OneInstance<FewestRequests>),
    TokenJsq(OneInstance<FewestTokens>),
    KvRoundRobin(TwoInstances<InTurn>),
    KvJsq(TwoInstances<FewestRequests>),
    KvTokenJsq(TwoInstances<FewestTokens>),
    MixedPool(MixedPool),
    Custom(Box<dyn Scheduler>),
}

impl AnyScheduler {
    pub(crate) fn new(spec: scenario::Scheduler, random: Stream) -> Self {
        use scenario::Scheduler as Spec;
        match spec {
            Spec::RoundRobin => Self::RoundRobin(OneInstance::default()),
            Spec::Random => Self::Random(OneInstance::new(Any::new(random))),
            Spec::Jsq => Self::Jsq(OneInstance::default()),
            Spec::TokenJsq => Self::TokenJsq(OneInstance::default()),
            Spec::KvRoundRobin { .. } => Self::KvRoundRobin(TwoInstances::default()),
            Spec::KvJsq { .. } => Self::KvJsq(TwoInstances::default()),
            Spec::KvTokenJsq { .. } => Self::KvTokenJsq(TwoInstances::default()),
            Spec::MixedPool {
                prompt_max_pending_tokens,
                ..
            } => Self::MixedPool(MixedPool::new(prompt_max_pending_tokens)),
        }
    }
}

macro_rules! each {
    ($self:ident, $rule:ident => $call:expr) => {
        match $self {
            AnyScheduler::RoundRobin($rule) => $call,
            AnyScheduler::Random($rule) => $call,
            AnyScheduler::Jsq($rule) => $call,
            AnyScheduler::TokenJsq($rule) => $call,
            AnyScheduler::KvRoundRobin($rule) => $call,
            AnyScheduler::KvJsq($rule) => $call,
            AnyScheduler::KvTokenJsq($rule) => $call,
            AnyScheduler::MixedPool($rule) => $call,
            AnyScheduler::Custom($rule) => $call,
        }
    };
}

impl Scheduler for AnyScheduler {
    fn join(&mut self, engine: EngineId, role: Role) {
        each!(self, rule => rule.join(engine, role));
    }
    fn open(&mut self, engine: EngineId, role: Role, engines: &Engines<'_>) {
        each!(self, rule => rule.open(engine, role, engines));
    }
    fn close(&mut self, engine: EngineId) {
        each!(self, rule => rule.close(engine));
    }
    fn choose(&mut self, request: &Shape, engines: &Engines<'_>) -> Option<Choice> {
        each!(self, rule => rule.choose(request, engines))
    }
    fn pool_entered(&mut self, engine: EngineId) {
        each!(self, rule => rule.pool_entered(engine));
    }
    fn pool_left(&mut self, engine: EngineId) {
        each!(self, rule => rule.pool_left(engine));
    }
    fn prompt_done(&mut self, engine: EngineId, prompt_tokens: u32) {
        each!(self, rule => rule.prompt_done(engine, prompt_tokens));
    }
    fn request_done(&mut self, engine: EngineId) {
        each!(self, rule => rule.request_done(engine));
    }
    fn memory_released(&mut self, engine: EngineId, bytes: u64) {
        each!(self, rule => rule.memory_released(engine, bytes));
    }
    fn freed(&mut self, engine: EngineId) {
        each!(self, rule => rule.freed(engine));
    }
    fn fetch(&self, engine: EngineId) {
        each!(self, rule => rule.fetch(engine));
    }
    fn likely(&mut self) -> Option<Choice> {
        each!(self, rule => rule.likely())
    }
    fn withdrawn(&mut self, withdrawn: &Withdrawn) {
        each!(self, rule => rule.withdrawn(withdrawn));
    }
}
