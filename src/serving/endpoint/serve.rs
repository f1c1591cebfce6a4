//! Serving on an engine: work arrives, a step or a run of steps starts, may be cut short, and ends.

use super::seat::Seat;
use super::{Endpoint, EngineId, Outcome};
use crate::serving::engine::{
    Effects, Interrupted, Phases, Progressed, RequestId, Start, Urge, Works,
};
use crate::serving::requests::Stage;
use crate::serving::routing::Event;
use crate::time::SimTime;

impl Endpoint {
    /// An engine, and where it tells of what happens now.
    pub(crate) fn engine(&mut self, id: EngineId) -> (&mut Seat, Effects<'_>) {
        let effects = Effects {
            now: self.now,
            requests: &mut self.requests,
            told: &mut self.told,
        };
        (&mut self.engines[id.index()], effects)
    }

    /// A request comes to an engine: for its prompt, for its tokens or for both.
    pub(crate) fn arrive(&mut self, engine: EngineId, id: RequestId) {
        let work = self.requests.work(id);
        let seat = &mut self.engines[engine.index()];
        let (place, urge) = seat.engine.enqueue(&work, self.now);
        if seat.engine.wants_description() {
            seat.engine.describe(place, &self.requests.describe(id));
        }
        let request = &mut self.requests[id];
        request.place = place;
        request.stage = match work.phases {
            Phases::Both | Phases::Prompt => Stage::Prompt,
            Phases::Tokens => Stage::Token,
        };
        self.router.on(&Event::Entered { engine });
        self.follow(engine, urge);
        if work.phases == Phases::Both && work.has_token_phase() {
            let seat = &mut self.engines[engine.index()];
            let urge = seat.engine.enqueue_tokens(&work, place, self.now);
            self.follow(engine, urge);
        }
    }

    /// Does what an engine wants.
    fn follow(&mut self, engine: EngineId, urge: Urge) {
        match urge {
            Urge::Nothing => {}
            _ if self.is_frozen(engine) => {}
            Urge::Start => {
                self.begin(engine);
            }
            Urge::Interrupt => self.pause(engine),
        }
    }

    /// Lets an engine look at its queue, now that memory was given back.
    pub(crate) fn room_was_made(&mut self, engine: EngineId) {
        let seat = &self.engines[engine.index()];
        let urge = seat.engine.urge(Works(&self.requests));
        self.follow(engine, urge);
    }

    /// Starts the next step or run of an engine, if there is anything to serve. False when it does not run.
    pub(crate) fn begin(&mut self, id: EngineId) -> bool {
        if self.is_frozen(id) {
            return false;
        }
        loop {
            let (seat, mut effects) = self.engine(id);
            let start = seat.engine.start(&mut effects);
            if !self.told.events.is_empty() {
                self.settle(id);
            }
            match start {
                Start::Until(ends) => {
                    self.record_start(id);
                    self.end_run(id, ends);
                    return true;
                }
                Start::Idle => {
                    self.router.on(&Event::Emptied { engine: id });
                    self.release_parked(id);
                    return self.is_running(id);
                }
                Start::Stuck => {
                    if !self.evict_if_deadlocked(id) {
                        return false;
                    }
                }
            }
        }
    }

    /// Cuts the run of an engine short at the next boundary of a step.
    fn pause(&mut self, engine: EngineId) {
        let seat = &mut self.engines[engine.index()];
        let interrupted = seat.engine.interrupt(self.now);
        self.follow_interrupted(engine, interrupted);
    }

    /// Has a run end where it was cut short.
    #[inline]
    pub(super) fn follow_interrupted(&mut self, engine: EngineId, interrupted: Interrupted) {
        match interrupted {
            Interrupted::No => {}
            Interrupted::Until(ends) => self.end_run(engine, ends),
            Interrupted::Now => self.complete(engine),
        }
    }

    /// Has the run of an engine end at an instant.
    #[inline]
    fn end_run(&mut self, engine: EngineId, ends: SimTime) {
        self.events.run_ends(engine, ends);
        self.fetch_ahead();
    }

    /// Ends the run of an engine, follows up what came of it, and begins the next.
    pub(crate) fn complete(&mut self, id: EngineId) {
        self.record_end(id);
        let (seat, mut effects) = self.engine(id);
        seat.engine.finish(&mut effects);
        if self.settle(id) {
            self.release_parked(id);
        }
        if !self.is_running(id) && !self.begin(id) {
            self.events.cancel_run(id);
            self.fetch_ahead();
        }
    }

    pub(crate) fn is_running(&self, id: EngineId) -> bool {
        self.engines[id.index()].engine.is_running()
    }

    /// Writes down what an engine told of. True when requests were completed that had a token phase.
    #[inline(always)]
    pub(crate) fn settle(&mut self, engine: EngineId) -> bool {
        self.counts.prompt_tokens += std::mem::take(&mut self.told.prompt_tokens);
        self.counts.output_tokens += std::mem::take(&mut self.told.output_tokens);
        if self.told.events.is_empty() {
            return false;
        }
        let mut events = std::mem::take(&mut self.told.events);
        let mut completed = false;
        for event in &events {
            let id = event.0;
            match event.1 {
                Progressed::FirstToken => self.finish_prompt(engine, id),
                Progressed::KvReady => self.hand_over(engine, id),
                Progressed::PromptLeft => {
                    self.finish_prompt(engine, id);
                    self.hand_over(engine, id);
                }
                Progressed::Completed { released } => {
                    completed |= self.requests[id].has_token_phase();
                    self.finish_request(engine, id, released);
                }
            }
        }
        events.clear();
        self.told.events = events;
        completed
    }

    fn finish_prompt(&mut self, engine: EngineId, id: RequestId) {
        let request = &mut self.requests[id];
        request.stage = Stage::Token;
        let prompt_tokens = request.prompt_tokens;
        self.router.on(&Event::PromptDone {
            engine,
            prompt_tokens,
        });
    }

    /// The KV cache of a request goes to the engine of its tokens.
    fn hand_over(&mut self, engine: EngineId, id: RequestId) {
        self.requests[id].stage = Stage::Blocked;
        self.router.on(&Event::Left { engine });
        self.engines[engine.index()].outgoing += 1;
        self.split.will_go(engine, id);
        if self.router.hands_over() {
            self.choose_destination(id);
        }
        if self.requests[id].is_split() {
            self.send(id);
        } else {
            self.keep_here(engine, id);
        }
    }

    /// Lets the router choose anew where the tokens of a request go.
    fn choose_destination(&mut self, id: RequestId) {
        let request = &self.requests[id];
        let (routed, decode_tokens) = (request.token_engine, request.decode_tokens());
        let view = self.view(id);
        let (router, engines) = self.router_and_engines();
        let chosen = router.hand_over(&view, routed, &engines);
        if chosen == routed || !self.is_open(chosen) {
            return;
        }
        self.split.has_come(routed, id, decode_tokens);
        self.split.will_come(chosen, id, decode_tokens);
        self.requests[id].token_engine = chosen;
        self.assign(chosen);
        self.unassign(routed);
    }

    /// The engine of the prompt serves the tokens, too: the KV cache stays.
    fn keep_here(&mut self, engine: EngineId, id: RequestId) {
        let work = self.requests.work(id);
        self.release_sent(engine, &work);
        self.split.has_gone(engine, id);
        self.split.has_come(engine, id, work.decode_tokens());
        let seat = &mut self.engines[engine.index()];
        let fits = seat.engine.take_kv(&work);
        debug_assert!(fits, "what was given up a moment ago");
        self.unassign(engine);
        self.arrive(engine, id);
    }

    fn finish_request(&mut self, engine: EngineId, id: RequestId, released: u64) {
        self.router.on(&Event::Completed { engine });
        self.router.on(&Event::Left { engine });
        let record = self.record(id, Outcome::Completed, Some(self.now));
        let seen = self.now + record.frontend;
        self.ended.push(record);
        self.arrivals.ended(seen, false);
        self.requests.remove(id);
        self.router.on(&Event::MemoryReleased {
            engine,
            bytes: released,
        });
        self.unassign(engine);
        self.counts.in_flight -= 1;
        self.counts.completed += 1;
    }
}
