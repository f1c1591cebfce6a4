//! The engine of vLLM at an endpoint.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::VllmConfig;
use super::engine::Vllm;
use super::news::News;
use super::request::{Part, Progress, Ticket, Work as Request};
use super::step::StepRow;
use crate::serving::engine::{
    Description, Effects, Engine, EngineLimits, EngineLoad, Frontend, Interrupted, Phases, Place,
    Recount, RequestId, Start, UnderWay, Urge, Work, Works,
};
use crate::serving::{EngineSpec, Performance};
use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

/// An engine that schedules as vLLM does, at an endpoint.
///
/// One without work does not start at once: what comes at the same instant takes part in its first step,
/// so it begins with a wait of no length.
#[derive(Clone, Debug)]
pub(crate) struct VllmEngine {
    core: Vllm,
    kind: Arc<VllmKind>,
    desk: Desk,
}

/// What stands between the engine and its endpoint. With the core it is all that changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Desk {
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
    frontend: Frontend,
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
            frontend: spec.batching.frontend(),
        };
        let kind = match last {
            Some(last) if last.kind.is(&kind) => Arc::clone(&last.kind),
            _ => Arc::new(kind),
        };
        Some(Self {
            core: if kind.limits.takes_oversized {
                Vllm::new(config)
            } else {
                Vllm::new(config).resting()
            },
            kind,
            desk: Desk::default(),
        })
    }

    /// Takes this many times as long for each step that is still to be scheduled.
    pub(crate) fn change_pace(&mut self, factor: f64) {
        self.kind = Arc::new(VllmKind {
            performance: self.kind.performance.paced(factor),
            ..*self.kind
        });
    }

    /// Writes all that has changed since it was made.
    pub(crate) fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        let Self {
            core,
            kind: _,
            desk,
        } = self;
        to.put(&(core, desk))
    }

    /// Takes the state of an engine of the same kind.
    pub(crate) fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        (self.core, self.desk) = from.take()?;
        Ok(())
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
    #[inline]
    pub(crate) fn holds(&self, kv_bytes: u64) -> bool {
        let tokens = kv_bytes / self.kind.kv_bytes_per_token.max(1);
        self.kind.limits.takes_oversized || self.core.config().holds(tokens)
    }

    /// How far a request is that can go on elsewhere, once the run under way is broken off.
    pub(crate) fn progress_to_move(&mut self, place: Place) -> Option<Progress> {
        self.core.progress_to_move(Ticket(place.0))
    }

    fn block_bytes(&self) -> u64 {
        self.kind.kv_bytes_per_token * u64::from(self.core.config().block_size)
    }

    fn kv_bytes(&self, tokens: u64) -> u64 {
        self.kind.kv_bytes_per_token * tokens
    }

    /// Schedules what can be scheduled now.
    fn schedule(&mut self, effects: &mut Effects<'_>) {
        self.desk.fresh = false;
        self.core
            .start(self.desk.now, &self.kind.performance, &mut self.desk.news);
        self.tell(effects);
    }

    /// Tells the endpoint what happened.
    fn tell(&mut self, effects: &mut Effects<'_>) {
        let mut news = std::mem::take(&mut self.desk.news);
        for &(owner, start) in &news.started {
            effects.started_at(RequestId(owner), start);
        }
        for &owner in &news.first_tokens {
            let request = RequestId(owner);
            effects.first_token(request);
            if effects.work(request).phases == Phases::Both
                && effects.work(request).has_token_phase()
            {
                effects.tokens_started(request);
            }
        }
        for ended in &news.ended {
            let request = RequestId(ended.owner);
            let work = effects.work(request);
            effects.served(request, &ended.progress);
            if self.core.is_kept(ended.ticket) {
                self.desk.kept.push((request, ended.ticket));
                self.desk.sent_bytes += self.kv_bytes(work.prompt_held());
                effects.kv_ready(request);
            } else {
                let tokens = work.prompt_held() + u64::from(work.decode_tokens());
                effects.completed(request, self.kv_bytes(tokens));
            }
        }
        news.started.clear();
        news.first_tokens.clear();
        news.ended.clear();
        self.desk.news = news;
        self.tell_processed(effects);
    }

    #[inline]
    fn tell_processed(&mut self, effects: &mut Effects<'_>) {
        for gaps in &self.desk.news.gaps {
            effects.token_gaps_of_steps(gaps);
        }
        self.desk.news.gaps.clear();
        let totals = self.core.totals();
        let done = (totals.prefill_tokens, totals.output_tokens);
        effects.processed(done.0 - self.desk.told.0, done.1 - self.desk.told.1);
        self.desk.told = done;
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
            && self.frontend == other.frontend
            && self.kv_bytes_per_token == other.kv_bytes_per_token
            && self.weights == other.weights
    }
}

impl Engine for VllmEngine {
    fn enqueue(&mut self, work: &Work, now: SimTime) -> (Place, Urge) {
        self.desk.now = now;
        self.desk.fresh = true;
        if work.phases == Phases::Tokens {
            self.desk.sent_bytes -= self.kv_bytes(work.prompt_held());
        }
        let request = self.request(work, now);
        let before = self.core.next_event();
        let ticket = self.core.enqueue(request, now);
        let urge = match before {
            _ if self.desk.at_event => Urge::Nothing,
            None if self.desk.waits.is_none() => Urge::Start,
            Some(before) if self.core.next_event() != Some(before) => Urge::Interrupt,
            _ => Urge::Nothing,
        };
        (Place(ticket.0), urge)
    }

    fn describe(&mut self, place: Place, more: &Description<'_>) {
        self.core.describe(Ticket(place.0), more);
    }

    fn start(&mut self, effects: &mut Effects<'_>) -> Start {
        self.desk.now = effects.now();
        let at_event = std::mem::take(&mut self.desk.at_event);
        if self.desk.fresh && !at_event && self.core.is_at_rest() {
            self.desk.waits = Some(self.desk.now);
            return Start::Until(self.desk.now);
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
        self.desk.waits = None;
        self.desk.at_event = true;
        self.desk.now = now;
        if let Some(next) = self.core.next_event() {
            debug_assert!(next >= now, "the endpoint knows of each event");
            if next == now {
                self.core.finish(&mut self.desk.news);
            }
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

    fn set_pace(&mut self, factor: f64, now: SimTime) -> Interrupted {
        self.change_pace(factor);
        match self.desk.waits {
            Some(_) => Interrupted::No,
            None => self.interrupt(now),
        }
    }

    fn break_off(&mut self, effects: &mut Effects<'_>) {
        self.desk.now = effects.now();
        self.core.settle_until(self.desk.now, &mut self.desk.news);
        self.desk.waits = None;
        self.desk.at_event = false;
        self.tell_processed(effects);
    }

    fn withdraw(&mut self, _work: &Work, place: Place, now: SimTime) -> u64 {
        let ticket = Ticket(place.0);
        self.core.withdraw(ticket, now, &mut self.desk.news);
        0
    }

    fn each_request(&self, each: &mut dyn FnMut(RequestId)) {
        self.core
            .works()
            .for_each(|work| each(RequestId(work.owner)));
    }

    fn ends(&self) -> Option<SimTime> {
        if self.desk.at_event {
            return None;
        }
        self.core.next_event().or(self.desk.waits)
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

    fn frontend(&self) -> Frontend {
        self.kind.frontend
    }

    fn recount(&self, _: Works<'_>) -> Result<Recount, String> {
        self.core.recount()?;
        Ok(Recount {
            requests: self.core.works().count() as u64,
            pending_tokens: self.core.tokens_left,
            sent_bytes: self.desk.sent_bytes,
        })
    }

    fn urge(&self, _: Works<'_>) -> Urge {
        if self.queued_and_running().0 == 0 || self.desk.waits.is_some() || self.desk.at_event {
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
            self.desk.sent_bytes += self.kv_bytes(work.prompt_held());
        }
        fits
    }

    fn give_up_kv(&mut self, work: &Work) -> u64 {
        let bytes = self.kv_bytes(work.prompt_held());
        self.desk.sent_bytes -= bytes;
        let kept = &mut self.desk.kept;
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
        self.desk = Desk {
            now: self.desk.now,
            told: self.desk.told,
            ..Desk::default()
        };
    }

    fn record_steps(&mut self) {
        self.core.record_steps();
    }

    fn take_steps(&mut self) -> Vec<StepRow> {
        self.core.take_rows()
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::random::Stream;
    use crate::scenario::{Engine as Options, Frontend, Scheduler, SchedulingPolicy};
    use crate::serving::engine::AnyEngine;
    use crate::serving::{Endpoint, EndpointConfig, Linear, PossibleEngine, RequestRecord, Role};
    use crate::workload::Arrival;

    const OPTIONS: Options = Options::Vllm {
        max_num_seqs: Some(6),
        max_num_batched_tokens: Some(64),
        max_model_len: Some(400),
        block_size: 16,
        num_gpu_blocks: Some(40),
        gpu_memory_utilization: 0.9,
        enable_prefix_caching: true,
        enable_chunked_prefill: true,
        long_prefill_token_threshold: 0,
        long_prefill_token_threshold_adaptive: false,
        scheduling_policy: SchedulingPolicy::Priority,
        watermark: 0.0,
        scheduler_reserve_full_isl: false,
        max_num_active_seqs: None,
        prefill_schedule_interval: 1,
        async_scheduling: true,
        reject_oversized: true,
        frontend: Frontend::NONE,
    };

    fn written_and_read<T: Serialize + DeserializeOwned>(value: &T) -> T {
        let text = serde_json::to_string(value).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Serves 60 requests on an engine for prompts and one for tokens, both written down and read again at each
    /// tenth of a second, if asked for.
    fn serve(save: bool) -> Vec<RequestRecord> {
        let roles = [Role::Prompt, Role::Token];
        let arrivals = (0..60_u32).map(|id| {
            Ok(Arrival {
                id: id.into(),
                time: SimTime::saturating(f64::from(id / 3) / 10.0),
                prompt_tokens: 1 + id * 37 % 250,
                output_tokens: 1 + id * 53 % 120,
                details: None,
            })
        });
        let config = EndpointConfig {
            weights_bytes: 0,
            kv_bytes_per_token: 1,
            scheduler: Scheduler::KvJsq {
                transfer_gib_per_s: 1e-6,
            },
            random: Stream::new(0, "scheduler"),
            possible: roles
                .map(|role| PossibleEngine::new(role, OPTIONS, 0))
                .into(),
        };
        let mut endpoint = Endpoint::new(config, Box::new(arrivals));
        for (instance, role) in (0..).zip(roles) {
            let engine = endpoint.add_engine(EngineSpec {
                instance,
                role,
                batching: OPTIONS,
                memory_bytes: 0,
                performance: Performance::Linear(Linear {
                    base: 0.01,
                    prefill_token: 1e-5,
                    decode_request: 1e-4,
                    context_token: 1e-6,
                }),
            });
            endpoint.open(engine);
        }
        let mut tenth = 0;
        while endpoint.next_event().is_some() {
            tenth += 1;
            endpoint.serve_until(SimTime::saturating(f64::from(tenth) / 10.0));
            for seat in &mut endpoint.engines {
                if let (true, AnyEngine::Vllm(engine)) = (save, &mut seat.engine) {
                    engine.core = written_and_read(&engine.core);
                    engine.desk = written_and_read(&engine.desk);
                }
            }
        }
        assert!(endpoint.is_done());
        endpoint.take_ended().collect()
    }

    #[test]
    fn engines_go_on_from_what_was_written_down() {
        assert_eq!(serve(true), serve(false));
    }
}
