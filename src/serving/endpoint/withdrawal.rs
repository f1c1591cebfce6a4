//! Requests taken back from their engines.

use crate::time::SimTime;

use serde::{Deserialize, Serialize};

use super::{Endpoint, EngineId, Outcome};
use crate::serving::engine::{Phases, Place, RequestId, Work};
use crate::serving::requests::Stage;
use crate::serving::routing::{Event, Withdrawn};

/// What came of the work of an engine that was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostWork {
    /// Requests that wait to begin again.
    pub retried: u64,
    /// Requests that have failed.
    pub failed: u64,
    /// Tokens that were processed for both.
    pub tokens: u64,
}

impl Endpoint {
    /// Takes an engine out at once, busy or not. Its requests, and those that were to come to it, go
    /// back to the queue of the application, by arrival, to begin again from the prompt when flushed.
    /// Returns how many.
    pub fn withdraw(&mut self, engine: EngineId, now: SimTime) -> u64 {
        self.take_out(engine, now, None).retried
    }

    /// Loses an engine to a fault, as [`withdraw`](Self::withdraw) takes it out. What has begun again
    /// [as often as it may](Self::set_crash_retries) has failed.
    pub fn lose(&mut self, engine: EngineId, now: SimTime) -> LostWork {
        self.take_out(engine, now, self.crash_retries)
    }

    /// How often a request begins again at most after losing its instance to a fault; without end for `None`, which
    /// is the default.
    pub fn set_crash_retries(&mut self, most: Option<u32>) {
        self.crash_retries = most;
    }

    fn take_out(&mut self, engine: EngineId, now: SimTime, retries: Option<u32>) -> LostWork {
        self.now = self.now.max(now);
        self.close(engine);
        self.record_break(engine);
        let pending = self.engines[engine.index()].engine.load(self.now);
        let pending = pending.pending_tokens.saturating_sub(self.thaw(engine));
        let (seat, mut effects) = self.engine(engine);
        seat.engine.break_off(&mut effects);
        self.settle(engine);
        let touched = self.touched(engine);
        let mut lost = LostWork {
            tokens: self.processed(engine, &touched, pending),
            ..LostWork::default()
        };
        self.counts.lost_tokens += lost.tokens;
        let mut others = Vec::new();
        for &id in &touched {
            let request = &self.requests[id];
            others.push([request.prompt_engine, request.token_engine]);
            self.lose_one(id, retries, &mut lost);
        }
        self.retire(engine);
        for other in others.into_iter().flatten() {
            if other != engine {
                self.room_was_made(other);
            }
        }
        lost
    }

    /// A request loses what it has on its engines: it waits to begin again, or has failed.
    pub(super) fn lose_one(&mut self, id: RequestId, retries: Option<u32>, lost: &mut LostWork) {
        let spent = retries.is_some_and(|most| self.requests.restarts(id) >= most);
        let record = spent.then(|| self.record(id, Outcome::Failed, Some(self.now)));
        self.take_back(id);
        self.counts.in_flight -= 1;
        if let Some(record) = record {
            lost.failed += 1;
            self.counts.failed += 1;
            self.last_event = self.now;
            self.requests.remove(id);
            self.ended.push(record);
            self.arrivals.ended(self.now, false);
            return;
        }
        lost.retried += 1;
        self.begin_again(id);
    }

    /// A request that was taken back waits to begin again.
    pub(super) fn begin_again(&mut self, id: RequestId) {
        if self.requests[id].stage != Stage::Parked {
            self.requests.restart(id);
        }
        self.counts.restarted += 1;
        self.wait_in_order(id);
    }

    /// Tokens that were processed for requests that an engine is about to lose, of which it had these still to
    /// process.
    fn processed(&self, engine: EngineId, touched: &[RequestId], pending: u64) -> u64 {
        let mut processed = 0;
        let mut to_process = 0;
        for &id in touched {
            let request = &self.requests[id];
            let (prompt, output) = (
                u64::from(request.prompt_tokens),
                u64::from(request.output_tokens),
            );
            let here = match request.stage {
                Stage::Token => request.token_engine == engine,
                Stage::Prompt => request.prompt_engine == engine,
                _ => false,
            };
            match (request.stage, request.phases()) {
                (Stage::Blocked | Stage::Transfer, _) => processed += prompt + 1,
                (_, Phases::Tokens) if here && request.is_split() => {
                    processed += prompt + 1;
                    to_process += output - 1;
                }
                (_, Phases::Prompt) if here => to_process += prompt + 1,
                _ if here => to_process += prompt + output,
                _ => {}
            }
        }
        processed + to_process.saturating_sub(pending)
    }

    /// The requests that an engine has, sends, waits for or had evicted, by arrival.
    pub(super) fn touched(&self, engine: EngineId) -> Vec<RequestId> {
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
            Some(ends) if before != Some(ends) && !self.is_frozen(engine) => {
                self.events.run_ends(engine, ends);
            }
            _ => {}
        }
        held
    }
}
