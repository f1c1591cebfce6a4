//! Requests taken back from their engines.

use crate::time::SimTime;

use super::{Endpoint, EngineId};
use crate::serving::engine::{Place, RequestId, Work};
use crate::serving::requests::Stage;
use crate::serving::routing::{Event, Withdrawn};

impl Endpoint {
    /// Takes an engine out at once, busy or not. Its requests, and those that were to come to it, go
    /// back to the queue of the application, by arrival, to begin again from the prompt when flushed.
    /// Returns how many.
    pub fn withdraw(&mut self, engine: EngineId, now: SimTime) -> u64 {
        self.now = self.now.max(now);
        self.close(engine);
        self.record_break(engine);
        let (seat, mut effects) = self.engine(engine);
        seat.engine.break_off(&mut effects);
        self.settle(engine);
        let touched = self.touched(engine);
        for &id in &touched {
            self.take_back(id);
            if self.requests[id].stage != Stage::Parked {
                self.requests.restart(id);
            }
            self.counts.in_flight -= 1;
            self.counts.restarted += 1;
            self.wait_in_order(id);
        }
        self.retire(engine);
        for &id in &touched {
            let request = &self.requests[id];
            for other in [request.prompt_engine, request.token_engine] {
                if other != engine {
                    self.room_was_made(other);
                }
            }
        }
        touched.len() as u64
    }

    /// The requests that an engine has, sends, waits for or had evicted, by arrival.
    fn touched(&self, engine: EngineId) -> Vec<RequestId> {
        let mut touched = Vec::new();
        let seat = &self.engines[engine.index()];
        seat.engine.each_request(&mut |id| touched.push(id));
        touched.extend(self.split.coming(engine));
        touched.extend(self.split.going(engine));
        touched.extend(self.parked.get(&engine).into_iter().flatten());
        touched.sort_unstable_by_key(|&id| self.requests.sequence(id));
        touched
    }

    /// Takes a request back from its engines, with all that it holds there.
    pub(crate) fn take_back(&mut self, id: RequestId) {
        let request = &self.requests[id];
        let view = self.view(id);
        let (prompt, token) = (request.prompt_engine, request.token_engine);
        let (stage, place, pair) = (request.stage, request.place, request.is_split());
        let work = self.requests.work(id);
        let prompt_done = stage != Stage::Prompt;
        let mut prompt_untaken = 0;
        let mut token_untaken = view.bytes();
        match stage {
            Stage::Ended | Stage::Waiting | Stage::Parked => return,
            Stage::Prompt | Stage::Token => {
                let engine = if prompt_done { token } else { prompt };
                let held = self.withdraw_from(engine, &work, place);
                self.router.on(&Event::Left { engine });
                self.router.on(&Event::MemoryReleased {
                    engine,
                    bytes: held,
                });
                if pair && !prompt_done {
                    prompt_untaken = view.prompt_bytes.saturating_sub(held);
                } else {
                    token_untaken = token_untaken.saturating_sub(held);
                }
            }
            Stage::Blocked => {
                self.events.forget_transfer(id);
                self.release_sent(prompt, &work);
                self.split.has_gone(prompt, id);
            }
            Stage::Transfer => {
                self.events.forget_transfer(id);
                self.release_sent(prompt, &work);
                self.split.has_gone(prompt, id);
                let seat = &mut self.engines[token.index()];
                seat.incoming -= 1;
                let held = seat.engine.give_up_kv(&work);
                self.router.on(&Event::MemoryReleased {
                    engine: token,
                    bytes: held,
                });
                token_untaken = token_untaken.saturating_sub(held);
            }
        }
        if stage != Stage::Token {
            if pair {
                self.split.has_come(token, id, work.decode_tokens());
            }
            self.unassign(prompt);
        }
        if pair || prompt_done {
            self.unassign(token);
        }
        self.router.on(&Event::Withdrawn(Withdrawn {
            request: view,
            prompt,
            token,
            prompt_done,
            prompt_untaken,
            token_untaken,
        }));
    }

    /// Takes a request out of an engine, whose run may then end earlier. Returns the bytes that it held.
    fn withdraw_from(&mut self, engine: EngineId, work: &Work, place: Place) -> u64 {
        let seat = &mut self.engines[engine.index()];
        let before = seat.engine.ends();
        let held = seat.engine.withdraw(work, place, self.now);
        match seat.engine.ends() {
            Some(ends) if before != Some(ends) => self.events.run_ends(engine, ends),
            _ => {}
        }
        held
    }
}
