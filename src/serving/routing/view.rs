use std::sync::Arc;

use crate::serving::endpoint::{Seat, Split};
use crate::serving::engine::{AnyEngine, Phases};
use crate::serving::{EngineId, EngineLimits};
use crate::time::SimTime;
use crate::workload::Details;

/// What a router sees of a request: what a real one could know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// The workload's number for it.
    pub id: u64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// What only few workloads say. It has the blocks of the output, too.
    pub(crate) details: Option<Arc<Details>>,
    pub(crate) output_tokens: u32,
    /// Bytes of KV cache of its prompt phase.
    pub(crate) prompt_bytes: u64,
    /// Bytes of KV cache that its token phase adds.
    pub(crate) token_bytes: u64,
    /// Every engine there is holds it, so that none need be asked.
    pub(crate) fits_all: bool,
}

impl RequestView {
    /// The conversation that it belongs to, if the workload says so.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.details.as_ref()?.session.as_deref()
    }

    /// The smaller the more urgent; 0 where the workload says nothing.
    #[must_use]
    pub fn priority(&self) -> i64 {
        self.details.as_ref().map_or(0, |it| it.priority)
    }

    /// Ids of the blocks of tokens that the prompt begins with, none where the workload says nothing, and the
    /// tokens that each stands for. Blocks beyond the prompt are what it will generate, and not shown.
    #[must_use]
    pub fn prefix_blocks(&self) -> (&[u64], u32) {
        let Some(details) = &self.details else {
            return (&[], 0);
        };
        let blocks = self.prompt_tokens.div_ceil(details.block_tokens.max(1)) as usize;
        let known = details.prefix_blocks.len().min(blocks);
        (&details.prefix_blocks[..known], details.block_tokens)
    }

    /// Tokens that it will generate. No real router knows: a rule that asks is an oracle.
    #[must_use]
    pub const fn oracle_output_tokens(&self) -> u32 {
        self.output_tokens
    }

    /// Bytes of KV cache of both phases.
    pub(crate) const fn bytes(&self) -> u64 {
        self.prompt_bytes.saturating_add(self.token_bytes)
    }

    /// Tokens of prompt and output together.
    pub(crate) const fn tokens(&self) -> u64 {
        self.prompt_tokens as u64 + self.output_tokens as u64
    }

    pub(crate) const fn has_token_phase(&self) -> bool {
        self.output_tokens > 1
    }
}

/// What a router may ask of the engines.
#[derive(Clone, Copy, Debug)]
pub struct Engines<'a> {
    pub(crate) engines: &'a [Seat],
    pub(crate) split: &'a Split,
    pub(crate) weights_bytes: u64,
    pub(crate) now: SimTime,
}

impl Engines<'_> {
    #[inline]
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

    /// Whether an engine that has nothing else can serve these phases of a request.
    #[must_use]
    #[inline]
    pub fn holds(&self, engine: EngineId, request: &RequestView, phases: Phases) -> bool {
        request.fits_all || self.has_memory(engine, request, phases)
    }

    fn has_memory(&self, engine: EngineId, request: &RequestView, phases: Phases) -> bool {
        let bytes = match phases {
            Phases::Prompt => request.prompt_bytes,
            Phases::Both | Phases::Tokens => request.bytes(),
        };
        let engine = self.engine(engine);
        engine.holds(self.weights_bytes, bytes, self.now)
            && engine.takes(request.prompt_tokens.into(), request.tokens())
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
