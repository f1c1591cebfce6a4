//! The engine of vLLM at an endpoint.

use std::sync::Arc;

use super::VllmConfig;
use super::engine::Vllm;
use super::news::News;
use super::request::{Part, Ticket, Work as Request};
use super::step::StepRow;
use crate::serving::engine::{
    Description, Effects, Engine, EngineLimits, EngineLoad, Interrupted, Phases, Place, Recount,
    RequestId, Start, UnderWay, Urge, Work, Works,
};
use crate::serving::{EngineSpec, Performance};
use crate::time::SimTime;

/// An engine that schedules as vLLM does, at an endpoint.
///
/// One without work does not start at once: what comes at the same instant takes part in its first step,
/// so it begins with a wait of no length.
#[derive(Clone, Debug)]
pub(crate) struct VllmEngine {
    core: Vllm,
    kind: Arc<VllmKind>,
    /// The instant at which it waits for what else comes.
    waits: Option<SimTime>,
    /// Work came since it last scheduled.
    fresh: bool,
    /// A step has just ended, and the next is to be scheduled.
    at_event: bool,
    /// What it knows of time.
    now: SimTime,
    /// Requests whose blocks are kept to be sent.
    kept: Vec<(RequestId, Ticket)>,
    /// Bytes of KV cache of requests that are sent from here or to here.
    sent_bytes: u64,
    /// Tokens that the endpoint was told of: of prompts, and outputs.
    told: (u64, u64),
    news: News,
}

/// What engines that are alike have in common.
#[derive(Debug)]
struct VllmKind {
    performance: Performance,
    weights: u64,
    kv_bytes_per_token: u64,
    limits: EngineLimits,
}

impl VllmEngine {
    /// The engine of `spec`, if that is a `Vllm`. `last` joined before it: what is alike is shared.
    pub(crate) fn of(
        spec: &EngineSpec,
        kv_bytes_per_token: u64,
        weights: u64,
        last: Option<&Self>,
    ) -> Option<Self> {
        let config = VllmConfig::of(&spec.batching)?;
        let kind = VllmKind {
            performance: spec.performance.clone(),
            weights,
            kv_bytes_per_token,
            limits: spec.batching.limits(),
        };
        let kind = match last {
            Some(last) if last.kind.is(&kind) => Arc::clone(&last.kind),
            _ => Arc::new(kind),
        };
        Some(Self {
            core: Vllm::new(config),
            kind,
            waits: None,
            fresh: false,
            at_event: false,
            now: SimTime::ZERO,
            kept: Vec::new(),
            sent_bytes: 0,
            told: (0, 0),
            news: News::default(),
        })
    }

    /// Requests that wait, and requests that run.
    pub(crate) fn queued_and_running(&self) -> (usize, usize) {
        self.core.queued_and_running()
    }

    /// Tokens still to be processed, a run under way not credited.
    pub(crate) const fn pending_tokens(&self) -> u64 {
        self.core.tokens_left
    }

    /// Bytes of weights and of all blocks.
    pub(crate) fn memory(&self) -> u64 {
        self.kind.weights + self.block_bytes() * u64::from(self.core.blocks.usable())
    }

    /// Whether a request with these bytes of KV cache can ever be served here.
    pub(crate) fn holds(&self, kv_bytes: u64) -> bool {
        let tokens = kv_bytes / self.kind.kv_bytes_per_token.max(1);
        self.kind.limits.takes_oversized || self.core.config().holds(tokens)
    }

    fn block_bytes(&self) -> u64 {
        self.kind.kv_bytes_per_token * u64::from(self.core.config().block_size)
    }

    fn kv_bytes(&self, tokens: u64) -> u64 {
        self.kind.kv_bytes_per_token * tokens
    }

    /// Schedules what can be scheduled now.
    fn schedule(&mut self, effects: &mut Effects<'_>) {
        self.fresh = false;
        self.core
            .start(self.now, &self.kind.performance, &mut self.news);
        self.tell(effects);
    }

    /// Tells the endpoint what happened.
    fn tell(&mut self, effects: &mut Effects<'_>) {
        let mut news = std::mem::take(&mut self.news);
        for (owner, start) in news.started.drain(..) {
            effects.started_at(RequestId(owner), start);
        }
        for owner in news.first_tokens.drain(..) {
            let request = RequestId(owner);
            effects.first_token(request);
            if effects.work(request).phases == Phases::Both
                && effects.work(request).has_token_phase()
            {
                effects.tokens_started(request);
            }
        }
        for ended in news.ended.drain(..) {
            let request = RequestId(ended.owner);
            let work = effects.work(request);
            effects.served(request, &ended.progress);
            if self.core.is_kept(ended.ticket) {
                self.kept.push((request, ended.ticket));
                self.sent_bytes += self.kv_bytes(work.prompt_held());
                effects.kv_ready(request);
            } else {
                let tokens = work.prompt_held() + u64::from(work.decode_tokens());
                effects.completed(request, self.kv_bytes(tokens));
            }
        }
        self.news = news;
        self.tell_processed(effects);
    }

    fn tell_processed(&mut self, effects: &mut Effects<'_>) {
        let totals = self.core.totals();
        let done = (totals.prefill_tokens, totals.output_tokens);
        effects.processed(done.0 - self.told.0, done.1 - self.told.1);
        self.told = done;
    }

    fn request(&self, work: &Work, now: SimTime) -> Request {
        Request {
            owner: work.request.0,
            part: match work.phases {
                Phases::Both => Part::Whole,
                Phases::Prompt => Part::Prompt,
                Phases::Tokens => Part::Tokens { first_token: now },
            },
            id: u64::from(work.request.0),
            arrival: work.arrival,
            prompt_tokens: work.prompt_tokens,
            output_tokens: work.output_tokens,
            ..Request::default()
        }
    }
}

impl VllmKind {
    fn is(&self, other: &Self) -> bool {
        self.performance.is(&other.performance)
            && self.limits == other.limits
            && self.kv_bytes_per_token == other.kv_bytes_per_token
            && self.weights == other.weights
    }
}

impl Engine for VllmEngine {
    fn enqueue(&mut self, work: &Work, now: SimTime) -> (Place, Urge) {
        self.now = now;
        self.fresh = true;
        if work.phases == Phases::Tokens {
            self.sent_bytes -= self.kv_bytes(work.prompt_held());
        }
        let request = self.request(work, now);
        let before = self.core.next_event();
        let ticket = self.core.enqueue(request, now);
        let urge = match before {
            _ if self.at_event => Urge::Nothing,
            None if self.waits.is_none() => Urge::Start,
            Some(before) if self.core.next_event() != Some(before) => Urge::Interrupt,
            _ => Urge::Nothing,
        };
        (Place(ticket.0), urge)
    }

    fn describe(&mut self, place: Place, more: &Description<'_>) {
        self.core.describe(Ticket(place.0), more);
    }

    fn start(&mut self, effects: &mut Effects<'_>) -> Start {
        self.now = effects.now();
        let at_event = std::mem::take(&mut self.at_event);
        if self.fresh && !at_event && self.core.is_at_rest() {
            self.waits = Some(self.now);
            return Start::Until(self.now);
        }
        self.schedule(effects);
        match self.core.next_event() {
            Some(ends) => Start::Until(ends),
            None if self.is_empty() => Start::Idle,
            None => Start::Stuck,
        }
    }

    fn finish(&mut self, effects: &mut Effects<'_>) {
        let now = effects.now();
        self.waits = None;
        self.at_event = true;
        // A request that was taken out may have let the run end before its time.
        while let Some(next) = self.core.next_event()
            && next < now
        {
            self.now = next;
            self.core.finish(&mut self.news);
            self.schedule(effects);
        }
        self.now = now;
        if self.core.next_event() == Some(now) {
            self.core.finish(&mut self.news);
        }
        self.tell(effects);
    }

    fn interrupt(&mut self, now: SimTime) -> Interrupted {
        self.core.interrupt(now);
        match self.core.next_event() {
            Some(ends) => Interrupted::Until(ends),
            None => Interrupted::No,
        }
    }

    fn break_off(&mut self, effects: &mut Effects<'_>) {
        self.now = effects.now();
        self.core.settle_until(self.now);
        self.waits = None;
        self.at_event = false;
        self.tell_processed(effects);
    }

    fn withdraw(&mut self, _work: &Work, place: Place) -> u64 {
        self.core.withdraw(Ticket(place.0), self.now);
        0
    }

    fn each_request(&self, each: &mut dyn FnMut(RequestId)) {
        self.core
            .works()
            .for_each(|work| each(RequestId(work.owner)));
    }

    fn ends(&self) -> Option<SimTime> {
        if self.at_event {
            return None;
        }
        self.core.next_event().or(self.waits)
    }

    fn is_empty(&self) -> bool {
        self.queued_and_running() == (0, 0)
    }

    fn load(&self, at: SimTime) -> EngineLoad {
        let load = self.core.load(at);
        let (prefill_s, decode_s) = self.core.busy_until(at);
        let totals = self.core.totals();
        let blocks = |count: u32| self.kind.weights + self.block_bytes() * u64::from(count);
        EngineLoad {
            queued: load.waiting.into(),
            running: load.running.into(),
            pending_tokens: load.tokens_left,
            memory_used: blocks(load.used_blocks),
            memory: blocks(load.usable_blocks),
            prompt_tokens: totals.prefill_tokens,
            output_tokens: totals.output_tokens + load.sampled,
            queried_tokens: totals.queried_tokens,
            hit_tokens: totals.hit_tokens,
            preemptions: totals.preemptions,
            prompt_busy_s: prefill_s,
            token_busy_s: decode_s,
            ..EngineLoad::default()
        }
    }

    fn limits(&self) -> EngineLimits {
        self.kind.limits
    }

    fn recount(&self, _: Works<'_>) -> Result<Recount, String> {
        self.core.recount()?;
        Ok(Recount {
            requests: self.core.works().count() as u64,
            pending_tokens: self.core.tokens_left,
            sent_bytes: self.sent_bytes,
        })
    }

    fn urge(&self, _: Works<'_>) -> Urge {
        if self.queued_and_running().0 == 0 || self.waits.is_some() || self.at_event {
            Urge::Nothing
        } else if self.core.next_event().is_some() {
            Urge::Interrupt
        } else {
            Urge::Start
        }
    }

    fn take_kv(&mut self, work: &Work) -> bool {
        let fits = self.core.reserve(work.prompt_tokens);
        if fits {
            self.sent_bytes += self.kv_bytes(work.prompt_held());
        }
        fits
    }

    fn give_up_kv(&mut self, work: &Work) -> u64 {
        let bytes = self.kv_bytes(work.prompt_held());
        self.sent_bytes -= bytes;
        let kept = &mut self.kept;
        match kept
            .iter()
            .position(|&(request, _)| request == work.request)
        {
            Some(place) => {
                let (_, ticket) = kept.swap_remove(place);
                self.core.give_up(ticket);
            }
            None => self.core.unreserve(work.prompt_tokens),
        }
        bytes
    }

    /// The last that waits with KV cache that was sent to it, while one before it needs the room.
    fn victim(&self) -> Option<RequestId> {
        let last = self.core.last_that_holds()?;
        Some(RequestId(last.owner))
    }

    fn has_queue(&self) -> bool {
        self.queued_and_running().0 > 0
    }

    fn under_way(&self, at: SimTime) -> Option<UnderWay> {
        self.core.under_way(at)
    }

    fn clear(&mut self) {
        self.core.clear();
        self.waits = None;
        self.at_event = false;
        self.fresh = false;
        self.kept = Vec::new();
        self.sent_bytes = 0;
    }

    fn record_steps(&mut self) {
        self.core.record_steps();
    }

    fn take_steps(&mut self) -> Vec<StepRow> {
        self.core.take_rows()
    }
}
