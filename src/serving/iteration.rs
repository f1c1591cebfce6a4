//! The life of a batch: tasks arrive, an iteration is selected, it runs, it may be cut short, it ends.

use crate::time::SimTime;

use super::batching::Batching;
use super::request::{RequestId, Stage};
use super::run::Finished;
use super::scheduler::Scheduler;
use super::task::{Phase, Slot, Task};
use super::{Endpoint, EngineId, Outcome};

impl Endpoint {
    /// A request's next phase comes to an engine, or its token phase right behind its prompt.
    pub(super) fn arrive(&mut self, engine: EngineId, id: RequestId, phase: Phase) {
        let state = &mut self.engines[engine.index()];
        let request = &mut self.requests[id];
        let slot = if let Stage::Prompt { slot, .. } = request.stage {
            slot
        } else {
            let slot = state.enter(id, request, phase);
            request.stage = Stage::new(phase, slot);
            self.scheduler.pool_entered(engine);
            slot
        };
        let task = Task::new(slot, phase);
        state.enqueue(task);
        if state.run.is_none() {
            if state.fits(state.kv_bytes(request.tokens_held(phase))) {
                self.begin(engine);
            }
        } else if state.kind.rule.interrupts(state, task) {
            self.pause(engine);
        }
    }

    /// Starts the next iteration, if there is anything to run.
    pub(super) fn begin(&mut self, engine: EngineId) {
        loop {
            let state = &mut self.engines[engine.index()];
            self.selection.clear();
            let rule = state.kind.rule;
            rule.select(state, &mut self.selection);
            state.rebatch(&mut self.requests, &self.selection, self.now);
            if !state.batch.is_empty() {
                let ends = state.start_run(self.now);
                if let Some(recorder) = &mut self.recorder {
                    recorder.begin(engine, self.instances[engine.index()], state, self.now);
                }
                self.end_run(engine, ends);
                return;
            }
            if state.pool_is_empty() {
                self.scheduler.freed(engine);
                self.release_parked(engine);
                return;
            }
            if !self.evict_if_deadlocked(engine) {
                return;
            }
        }
    }

    /// Cuts the run of token iterations short at the next boundary, once a run.
    pub(super) fn pause(&mut self, engine: EngineId) {
        let state = &mut self.engines[engine.index()];
        let prompts = state.batch.prompts();
        let Some(run) = &mut state.run else { return };
        if run.paused || prompts > 0 {
            return;
        }
        run.paused = true;
        let elapsed = self.now.seconds() - run.start();
        let iterations =
            (floor_divide(elapsed, run.duration) + 1.0).clamp(0.0, f64::from(run.iterations));
        let left = run.duration * iterations - elapsed;
        run.iterations = iterations as u32;
        if left > 0.0 {
            run.ends = SimTime::saturating(self.now.seconds() + left);
            let ends = run.ends;
            self.end_run(engine, ends);
        } else {
            self.complete(engine);
        }
    }

    /// Has the run of an engine end at an instant.
    fn end_run(&mut self, engine: EngineId, ends: SimTime) {
        self.events.run_ends(engine, ends);
        self.fetch_ahead();
    }

    /// Ends a run: finished tasks leave and are followed up, then the next iteration begins.
    pub(super) fn complete(&mut self, engine: EngineId) {
        let mut finished = std::mem::take(&mut self.finished);
        let state = &mut self.engines[engine.index()];
        if let (Some(recorder), Some(run)) = (&mut self.recorder, &state.run) {
            recorder.end(engine, u64::from(run.iterations), self.now);
        }
        let before = (state.totals.prompt_tokens, state.totals.output_tokens);
        state.finish_run(&mut finished);
        self.counts.prompt_tokens += state.totals.prompt_tokens - before.0;
        self.counts.output_tokens += state.totals.output_tokens - before.1;
        let mut progressed = false;
        for Finished { request, task } in finished.drain(..) {
            match task.phase() {
                Phase::Prompt => self.finish_prompt(engine, request, task.slot()),
                Phase::Token => self.finish_request(engine, request, task.slot()),
            }
            progressed |= !task.is_prompt();
        }
        self.finished = finished;
        if progressed {
            self.release_parked(engine);
        }
        if self.engines[engine.index()].run.is_none() {
            self.begin(engine);
        }
        if self.engines[engine.index()].run.is_none() {
            self.events.cancel_run(engine);
            self.fetch_ahead();
        }
    }

    fn finish_prompt(&mut self, engine: EngineId, id: RequestId, slot: Slot) {
        let request = &mut self.requests[id];
        request.first_token.get_or_insert(self.now);
        self.scheduler.prompt_done(engine, request.prompt_tokens);
        if !request.has_token_phase() {
            self.finish_request(engine, id, slot);
        } else if request.token_engine == engine {
            request.stage = Stage::new(Phase::Token, slot);
            self.engines[engine.index()].pool.follow_up(slot);
        } else {
            request.stage = Stage::Blocked;
            self.scheduler.pool_left(engine);
            let state = &mut self.engines[engine.index()];
            state.pool.leave(slot);
            state.outgoing += 1;
            self.send(id);
        }
    }

    fn finish_request(&mut self, engine: EngineId, id: RequestId, slot: Slot) {
        self.scheduler.request_done(engine);
        self.scheduler.pool_left(engine);
        let tokens = self.requests[id].tokens_in_memory();
        let record = self.record(id, Outcome::Completed, Some(self.now));
        self.ended.push(record);
        self.requests.remove(id);
        let state = &mut self.engines[engine.index()];
        state.pool.leave(slot);
        let held = state.kv_bytes(tokens);
        state.give_back(held);
        self.scheduler.memory_released(engine, held);
        self.unassign(engine);
        self.counts.in_flight -= 1;
        self.counts.completed += 1;
    }
}

/// `floor(a / b)` for a positive `b` by way of the exact remainder, as in IEEE 754 `fmod`. Rounding
/// `a / b` first would now and then give one more.
fn floor_divide(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    let (quotient, remainder) = ((a - remainder) / b, remainder);
    let quotient = if remainder < 0.0 {
        quotient - 1.0
    } else {
        quotient
    };
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::floor_divide;

    #[test]
    fn division_is_floored_by_the_exact_remainder() {
        assert_eq!(floor_divide(0.6, 0.2), 2.0);
        assert_eq!((0.6_f64 / 0.2).floor(), 2.0);
        assert_eq!(floor_divide(1.0, 0.1), 9.0);
        assert_eq!((1.0_f64 / 0.1).floor(), 10.0);
        assert_eq!(floor_divide(7.0, 2.0), 3.0);
        assert_eq!(floor_divide(-1e-18, 0.5), -1.0);
        assert_eq!(floor_divide(0.0, 0.5), 0.0);
    }
}
