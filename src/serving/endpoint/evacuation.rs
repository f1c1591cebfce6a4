//! Requests that move from an engine to others, each with its KV cache.

use serde::{Deserialize, Serialize};

use super::{Endpoint, EngineId};
use crate::catalog::GIB;
use crate::serving::Role;
use crate::serving::engine::{Movable, Phases, Place, RequestId, Work};
use crate::serving::requests::{OnTheMove, Stage};
use crate::serving::routing::Event;
use crate::time::SimTime;

/// What became of the requests of an engine that was evacuated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evacuated {
    /// Requests whose KV cache is sent to another engine, or waits for room there.
    pub moved: u64,
    /// Requests that wait to begin again.
    pub put_back: u64,
    /// Tokens that were processed for the latter.
    pub lost_tokens: u64,
}

/// Where a request is before it moves, and how far.
struct Departure {
    source: EngineId,
    movable: Movable,
    /// Bytes a second on its way; those of the router's transfers for none.
    bytes_per_s: Option<f64>,
}

impl Endpoint {
    /// Empties an engine, which takes nothing new: each request whose prompt is done goes to another open engine with
    /// its KV cache, at this bandwidth in GiB/s each, and goes on there without a new prefill. The others go back to the
    /// queue of the application, as [`withdraw`](Self::withdraw) puts them. Caches that are on their way from the engine
    /// go on; those on their way to it go elsewhere, from where they were.
    ///
    /// A request goes to the engine with the fewest pending tokens of those that have room for it now; else to that of
    /// those that could ever have room, and is tried again each second. With none it is put back. The step under way is
    /// lost. An engine that is not built in moves nothing.
    pub fn evacuate(&mut self, engine: EngineId, gib_per_s: f64, now: SimTime) -> Evacuated {
        self.now = self.now.max(now);
        self.close(engine);
        self.record_break(engine);
        let touched = self.touched(engine);
        let here = touched.iter().filter(|&&id| self.is_generating(id, engine));
        let here: Vec<(RequestId, Place, Work)> = here
            .map(|&id| (id, self.requests[id].place, self.requests.work(id)))
            .collect();
        let (seat, mut effects) = self.engine(engine);
        let movable = seat.engine.break_off_to_move(&mut effects, &here);
        self.settle(engine);
        let mut movable = here.iter().map(|it| it.0).zip(movable).peekable();
        let mut done = Evacuated::default();
        let mut others = Vec::new();
        for &id in &touched {
            let request = &self.requests[id];
            let (prompt, token) = (request.prompt_engine, request.token_engine);
            let departure = if movable.peek().is_some_and(|it| it.0 == id) {
                movable.next().and_then(|(_, movable)| {
                    Some(Departure {
                        source: engine,
                        movable: movable?,
                        bytes_per_s: Some(gib_per_s * GIB),
                    })
                })
            } else if request.is_moving() {
                if token != engine {
                    continue;
                }
                Some(Departure {
                    source: prompt,
                    movable: Movable {
                        outputs: 1,
                        last_token: None,
                        progress: None,
                    },
                    bytes_per_s: self.requests.on_the_move(id).and_then(|it| it.bytes_per_s),
                })
            } else {
                None
            };
            others.extend([prompt, token]);
            let processed = self.take_back_counting(id, departure.as_ref());
            self.counts.in_flight -= 1;
            if departure.is_some_and(|it| self.depart(id, it)) {
                done.moved += 1;
                continue;
            }
            done.put_back += 1;
            done.lost_tokens += processed;
            self.begin_again(id);
        }
        self.counts.moved += done.moved;
        self.counts.lost_tokens += done.lost_tokens;
        self.parked.remove(&engine);
        match self.engines[engine.index()].engine.ends() {
            Some(ends) => self.events.run_ends(engine, ends),
            None => self.events.cancel_run(engine),
        }
        for other in others {
            if other != engine {
                self.room_was_made(other);
            }
        }
        self.tell_if_idle(engine);
        done
    }

    /// Whether an engine has a request whose prompt is done.
    fn is_generating(&self, id: RequestId, engine: EngineId) -> bool {
        let request = &self.requests[id];
        request.stage == Stage::Token && request.token_engine == engine
    }

    /// Takes a request back, and says how many tokens were processed for it.
    fn take_back_counting(&mut self, id: RequestId, departure: Option<&Departure>) -> u64 {
        let request = &self.requests[id];
        let work = self.requests.work(id);
        let (stage, split) = (request.stage, request.is_split());
        let here = match stage {
            Stage::Prompt => request.prompt_engine,
            _ => request.token_engine,
        };
        let pending = |it: &Self| it.engines[here.index()].engine.pending_tokens(it.now);
        let before = pending(self);
        self.take_back(id);
        let left = before.saturating_sub(pending(self));
        match (stage, departure) {
            (_, Some(it)) => u64::from(work.prompt_tokens) + u64::from(it.movable.outputs),
            (Stage::Prompt, None) => work.tokens().saturating_sub(left),
            (Stage::Token, None) if split => {
                work.prompt_held() + work.tokens().saturating_sub(left)
            }
            (Stage::Token, None) => {
                let all = work.prompt_held() + u64::from(work.decode_tokens());
                all.saturating_sub(left)
            }
            _ => 0,
        }
    }

    /// Sends a request that was taken back to another engine, if there is one for it.
    fn depart(&mut self, id: RequestId, departure: Departure) -> bool {
        let Departure {
            source,
            movable,
            bytes_per_s,
        } = departure;
        let before = self.requests.on_the_move(id).copied();
        self.requests.grow(id, movable.outputs);
        let work = Work {
            phases: Phases::Tokens,
            ..self.requests.work(id)
        };
        let taken = self.engines[source.index()].engine.take_kv(&work);
        let destination = taken.then(|| self.destination(id, source, &work)).flatten();
        let Some((to, has_room)) = destination else {
            if taken {
                self.engines[source.index()].engine.give_up_kv(&work);
            }
            return false;
        };
        if let Some(progress) = &movable.progress {
            self.requests.served(id, progress);
        }
        let first = self.requests[id].prompt_engine;
        self.requests.moves(
            id,
            OnTheMove {
                prompt_engine: before.map_or(first, |it| it.prompt_engine),
                last_token: movable.last_token.or(before.and_then(|it| it.last_token)),
                bytes_per_s,
            },
        );
        let request = &mut self.requests[id];
        request.prompt_engine = source;
        request.token_engine = to;
        request.stage = Stage::Blocked;
        self.counts.in_flight += 1;
        self.assign(source);
        self.assign(to);
        self.split.will_come(to, id, work.decode_tokens());
        self.split.will_go(source, id);
        self.engines[source.index()].outgoing += 1;
        let request = self.view(id);
        let from = source;
        self.router.on(&Event::Moved { request, from, to });
        if has_room {
            self.on_its_way(id);
        } else {
            self.try_transfer_later(id);
        }
        true
    }

    /// The engine for the tokens of a request from another, and whether it has taken the room for them.
    fn destination(
        &mut self,
        id: RequestId,
        source: EngineId,
        work: &Work,
    ) -> Option<(EngineId, bool)> {
        let view = self.view(id);
        let (_, engines) = self.router_and_engines();
        let seats = (0..).map(EngineId).zip(engines.engines);
        let able = seats.filter(|&(engine, seat)| {
            let serves = engine != source && seat.is_open() && seat.role != Role::Prompt;
            serves && engines.holds(engine, &view, Phases::Tokens)
        });
        let mut able: Vec<(u64, EngineId)> = able
            .map(|(engine, _)| (engines.pending_tokens(engine), engine))
            .collect();
        able.sort_unstable();
        let &(_, first) = able.first()?;
        let with_room = able
            .iter()
            .find(|(_, engine)| self.engines[engine.index()].engine.take_kv(work));
        Some(with_room.map_or((first, false), |&(_, engine)| (engine, true)))
    }
}
