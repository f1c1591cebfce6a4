use super::batching::BatchingEngine;
use super::vllm::VllmEngine;
use super::{
    Description, Effects, Engine, EngineLimits, EngineLoad, Frontend, Interrupted, Movable, Place,
    Recount, RequestId, Start, StepRow, UnderWay, Urge, Work, Works,
};
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// An engine of an endpoint: those of the hot path stand in place, all others behind a pointer.
#[expect(
    clippy::large_enum_variant,
    reason = "the engines of the hot path are read without a pointer between"
)]
#[derive(Clone, Debug)]
pub(crate) enum AnyEngine {
    Batching(BatchingEngine),
    Vllm(Box<VllmEngine>),
    Boxed(Box<dyn Engine>),
}

const _: () = assert!(
    size_of::<AnyEngine>() == size_of::<BatchingEngine>(),
    "the tag takes no room"
);

macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            AnyEngine::Batching($engine) => $call,
            AnyEngine::Vllm($engine) => $call,
            AnyEngine::Boxed($engine) => $call,
        }
    };
}

impl AnyEngine {
    #[inline]
    pub(crate) fn enqueue(&mut self, work: &Work, now: SimTime) -> (Place, Urge) {
        each!(self, it => it.enqueue(work, now))
    }
    pub(crate) const fn wants_description(&self) -> bool {
        !matches!(self, Self::Batching(_))
    }
    pub(crate) fn describe(&mut self, place: Place, more: &Description<'_>) {
        each!(self, it => it.describe(place, more));
    }
    #[inline]
    pub(crate) fn enqueue_tokens(&mut self, work: &Work, place: Place, now: SimTime) -> Urge {
        each!(self, it => it.enqueue_tokens(work, place, now))
    }
    #[inline]
    pub(crate) fn start(&mut self, effects: &mut Effects<'_>) -> Start {
        each!(self, it => it.start(effects))
    }
    #[inline]
    pub(crate) fn finish(&mut self, effects: &mut Effects<'_>) {
        each!(self, it => it.finish(effects));
    }
    #[inline]
    pub(crate) fn interrupt(&mut self, now: SimTime) -> Interrupted {
        each!(self, it => it.interrupt(now))
    }
    pub(crate) fn set_pace(&mut self, factor: f64, now: SimTime) -> Interrupted {
        each!(self, it => it.set_pace(factor, now))
    }
    /// Gives an engine that was restored in the middle of a run its pace.
    pub(crate) fn restore_pace(&mut self, factor: f64) {
        match self {
            Self::Batching(engine) => engine.change_pace(factor),
            Self::Vllm(engine) => engine.change_pace(factor),
            // What it keeps of a pace it has saved itself.
            Self::Boxed(_) => {}
        }
    }
    pub(crate) fn break_off(&mut self, effects: &mut Effects<'_>) {
        each!(self, it => it.break_off(effects));
    }
    /// Stops the run under way where it is, as [`Engine::break_off`] does, and says how far each of these requests is, if
    /// its KV cache can be sent to another engine.
    pub(crate) fn break_off_to_move(
        &mut self,
        effects: &mut Effects<'_>,
        requests: &[(RequestId, Place, Work)],
    ) -> Vec<Option<Movable>> {
        match self {
            Self::Batching(engine) => {
                let now = effects.now();
                let each = requests.iter();
                let each = each.map(|&(_, place, work)| {
                    Some(Movable {
                        outputs: engine.outputs_by(place, work.output_tokens, now)?,
                        last_token: None,
                        progress: None,
                    })
                });
                let each = each.collect();
                engine.break_off(effects);
                each
            }
            Self::Vllm(engine) => {
                engine.break_off(effects);
                let each = requests.iter();
                let each = each.map(|&(_, place, _)| {
                    let progress = engine.progress_to_move(place)?;
                    Some(Movable {
                        outputs: progress.outputs,
                        last_token: progress.last_token,
                        progress: Some(progress),
                    })
                });
                each.collect()
            }
            Self::Boxed(engine) => {
                engine.break_off(effects);
                vec![None; requests.len()]
            }
        }
    }
    pub(crate) fn withdraw(&mut self, work: &Work, place: Place, now: SimTime) -> u64 {
        each!(self, it => it.withdraw(work, place, now))
    }
    pub(crate) fn ends(&self) -> Option<SimTime> {
        each!(self, it => it.ends())
    }
    pub(crate) fn each_request(&self, each: &mut dyn FnMut(RequestId)) {
        each!(self, it => it.each_request(each));
    }
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        each!(self, it => it.ends().is_some())
    }
    pub(crate) fn is_empty(&self) -> bool {
        each!(self, it => it.is_empty())
    }
    pub(crate) fn load(&self, at: SimTime) -> EngineLoad {
        each!(self, it => it.load(at))
    }
    pub(crate) fn limits(&self) -> EngineLimits {
        each!(self, it => it.limits())
    }
    #[inline]
    pub(crate) fn frontend(&self) -> Frontend {
        match self {
            Self::Batching(_) => Frontend::NONE,
            Self::Vllm(engine) => engine.frontend(),
            Self::Boxed(engine) => engine.frontend(),
        }
    }
    pub(crate) fn recount(&self, works: Works<'_>) -> Result<Recount, String> {
        each!(self, it => it.recount(works))
    }
    pub(crate) fn urge(&self, works: Works<'_>) -> Urge {
        each!(self, it => it.urge(works))
    }
    #[inline]
    pub(crate) fn take_kv(&mut self, work: &Work) -> bool {
        each!(self, it => it.take_kv(work))
    }
    #[inline]
    pub(crate) fn give_up_kv(&mut self, work: &Work) -> u64 {
        each!(self, it => it.give_up_kv(work))
    }
    pub(crate) fn is_stuck(&mut self, effects: &mut Effects<'_>) -> bool {
        each!(self, it => it.is_stuck(effects))
    }
    pub(crate) fn victim(&self) -> Option<RequestId> {
        each!(self, it => it.victim())
    }
    #[inline]
    pub(crate) fn has_queue(&self) -> bool {
        each!(self, it => it.has_queue())
    }
    pub(crate) fn under_way(&self, at: SimTime) -> Option<UnderWay> {
        each!(self, it => it.under_way(at))
    }
    pub(crate) fn record_steps(&mut self) {
        each!(self, it => it.record_steps());
    }
    pub(crate) fn take_steps(&mut self) -> Vec<StepRow> {
        each!(self, it => it.take_steps())
    }
    pub(crate) fn clear(&mut self) {
        each!(self, it => it.clear());
    }
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        each!(self, it => it.save(to))
    }
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        each!(self, it => it.restore(from))
    }

    /// Whether a request with this prompt, and these tokens of prompt and output together, is not too long.
    #[inline]
    pub(crate) fn takes(&self, prompt: u64, tokens: u64) -> bool {
        match self {
            Self::Batching(_) => true,
            Self::Vllm(engine) => engine.limits().takes_prompt(prompt),
            Self::Boxed(engine) => {
                let limits = engine.limits();
                limits.takes_prompt(prompt) && limits.takes(tokens)
            }
        }
    }

    /// Requests queued or preempted, and requests in the batch.
    pub(crate) fn queued_and_running(&self, now: SimTime) -> (usize, usize) {
        match self {
            Self::Batching(engine) => engine.queued_and_running(),
            Self::Vllm(engine) => engine.queued_and_running(),
            Self::Boxed(engine) => {
                let load = engine.load(now);
                (load.queued as usize, load.running as usize)
            }
        }
    }

    /// Tokens still to be processed; the run under way need not be credited.
    #[inline]
    pub(crate) fn pending_tokens(&self, now: SimTime) -> u64 {
        match self {
            Self::Batching(engine) => engine.pending_tokens(),
            Self::Vllm(engine) => engine.pending_tokens(),
            Self::Boxed(engine) => engine.load(now).pending_tokens,
        }
    }

    /// Bytes of memory, weights included, that requests can use.
    #[inline]
    pub(crate) fn memory(&self, now: SimTime) -> u64 {
        match self {
            Self::Batching(engine) => engine.memory(),
            Self::Vllm(engine) => engine.memory(),
            Self::Boxed(engine) if engine.limits().counts_memory() => engine.load(now).memory,
            Self::Boxed(_) => u64::MAX,
        }
    }

    /// Bytes of memory, weights included, into which any request fits that is not larger; 0 where that
    /// depends on more.
    pub(crate) fn certain_memory(&self) -> u64 {
        match self {
            Self::Batching(engine) => engine.memory(),
            Self::Vllm(_) | Self::Boxed(_) => 0,
        }
    }

    /// Whether these bytes of KV cache fit into it, weights aside, when it is empty.
    #[inline]
    pub(crate) fn holds(&self, weights: u64, kv_bytes: u64, now: SimTime) -> bool {
        match self {
            Self::Vllm(engine) => engine.holds(kv_bytes),
            _ => weights.saturating_add(kv_bytes) <= self.memory(now),
        }
    }

    /// The engine of vLLM, if it is one.
    pub(crate) fn vllm(&self) -> Option<&VllmEngine> {
        match self {
            Self::Vllm(engine) => Some(engine),
            _ => None,
        }
    }

    /// The batching engine, which says what memory to ask for ahead.
    pub(crate) const fn ahead(&self) -> Option<&BatchingEngine> {
        match self {
            Self::Batching(engine) => Some(engine),
            Self::Vllm(_) | Self::Boxed(_) => None,
        }
    }
}
