//! Requests taken back from their engines.

use crate::time::SimTime;

use super::request::{RequestId, Stage};
use super::scheduler::{Choice, Scheduler, Withdrawn};
use super::task::Task;
use super::{Endpoint, EngineId};

impl Endpoint {
    /// Takes an engine out at once, busy or not. Its requests, and those that were to come to it, go
    /// back to the queue of the application, by arrival, to begin again from the prompt when flushed.
    /// Returns how many.
    pub fn withdraw(&mut self, engine: EngineId, now: SimTime) -> u64 {
        self.now = self.now.max(now);
        self.close(engine);
        if let (Some(recorder), Some(run)) = (&mut self.recorder, &self.engines[engine.index()].run)
        {
            recorder.end(engine, run.iterations_by(self.now), self.now);
        }
        self.counts.output_tokens += self.engines[engine.index()].break_off(self.now);
        let mut touched: Vec<(u64, RequestId)> = self
            .requests
            .iter()
            .filter(|(_, request)| match request.stage {
                Stage::Ended | Stage::Waiting => false,
                Stage::Parked(at) => at == engine,
                Stage::Token { .. } => request.token_engine == engine,
                Stage::Prompt { .. } | Stage::Blocked | Stage::Transfer => {
                    request.prompt_engine == engine || request.token_engine == engine
                }
            })
            .map(|(id, _)| (self.requests.sequence(id), id))
            .collect();
        touched.sort_unstable_by_key(|&(sequence, _)| sequence);
        for &(_, id) in &touched {
            self.take_back(id);
            if !matches!(self.requests[id].stage, Stage::Parked(_)) {
                self.requests.restart(id);
            }
            self.counts.in_flight -= 1;
            self.counts.restarted += 1;
            self.wait_in_order(id);
        }
        self.retire(engine);
        self.forget_transfers();
        for &(_, id) in &touched {
            let request = &self.requests[id];
            for other in [request.prompt_engine, request.token_engine] {
                if other != engine {
                    self.room_was_made(other);
                }
            }
        }
        touched.len() as u64
    }

    /// Takes a request back from its engines, with all that it holds there.
    pub(super) fn take_back(&mut self, id: RequestId) {
        let request = &self.requests[id];
        let shape = self.shape(request);
        let (prompt, token) = (request.prompt_engine, request.token_engine);
        let stage = request.stage;
        let tokens = request.tokens_in_memory();
        let held = self.config.kv_bytes_per_token * tokens;
        let pair = prompt != token;
        let prompt_done = !matches!(stage, Stage::Prompt { .. });
        let decode_tokens = u64::from(request.decode_tokens());
        let prompt_tokens = u64::from(request.prompt_tokens) + 1;
        let release = |endpoint: &mut Self, engine: EngineId| {
            endpoint.engines[engine.index()].give_back(held);
            endpoint.scheduler.memory_released(engine, held);
        };
        let mut prompt_untaken = 0;
        let mut token_untaken = shape.bytes();
        match stage {
            Stage::Ended | Stage::Waiting | Stage::Parked(_) => return,
            Stage::Prompt { .. } => {
                self.engines[prompt.index()].drop_request(&self.requests, id);
                self.engines[prompt.index()].totals.pending_tokens -= prompt_tokens;
                self.engines[token.index()].totals.pending_tokens -= decode_tokens;
                self.scheduler.pool_left(prompt);
                release(self, prompt);
                if pair {
                    prompt_untaken = shape.prompt_bytes - held;
                } else {
                    token_untaken -= held;
                }
                self.unassign(prompt);
            }
            Stage::Blocked => {
                self.engines[prompt.index()].outgoing -= 1;
                self.engines[token.index()].totals.pending_tokens -= decode_tokens;
                release(self, prompt);
                self.unassign(prompt);
            }
            Stage::Transfer => {
                self.engines[prompt.index()].outgoing -= 1;
                self.engines[token.index()].incoming -= 1;
                self.engines[token.index()].totals.pending_tokens -= decode_tokens;
                release(self, prompt);
                release(self, token);
                token_untaken -= held;
                self.unassign(prompt);
            }
            Stage::Token { slot, .. } => {
                let state = &mut self.engines[token.index()];
                state.totals.pending_tokens -= state.iterations_left(Task::token(slot));
                state.drop_request(&self.requests, id);
                self.scheduler.pool_left(token);
                release(self, token);
                token_untaken -= held;
            }
        }
        if pair || prompt_done {
            self.unassign(token);
        }
        self.scheduler.withdrawn(&Withdrawn {
            shape,
            choice: Choice { prompt, token },
            prompt_done,
            prompt_untaken,
            token_untaken,
        });
    }
}
