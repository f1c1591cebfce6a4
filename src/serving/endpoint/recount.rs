//! The invariants of the data plane, recounted from the requests.

use std::collections::BTreeMap;

use super::{Endpoint, EngineId};
use crate::serving::engine::RequestId;
use crate::serving::requests::{Stage, Works};

/// What an engine should hold according to the requests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    assigned: u64,
    outgoing: u32,
    incoming: u32,
    /// Requests that the engine has.
    requests: u64,
    /// Bytes of KV caches that are sent from here or to here.
    sent_bytes: u64,
    tokens_to_come: u64,
}

impl Endpoint {
    /// Recounts everything that is kept as a running total. For tests: it looks at every request.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn recount(&self) -> Result<(), String> {
        let mut engines: BTreeMap<usize, Expected> = BTreeMap::new();
        let mut expected = |engine: EngineId, act: &dyn Fn(&mut Expected)| {
            act(engines.entry(engine.index()).or_default());
        };
        let (mut waiting, mut in_flight) = (0, 0);
        for (_, request) in self.requests.iter() {
            let (prompt, token) = (request.prompt_engine, request.token_engine);
            let cache = u64::from(request.prompt_tokens) + 1;
            let cache = self.config.kv_bytes_per_token * cache;
            let decode_left = u64::from(request.decode_tokens());
            match request.stage {
                Stage::Waiting => waiting += 1,
                _ => in_flight += 1,
            }
            match request.stage {
                Stage::Ended | Stage::Waiting | Stage::Parked => {}
                Stage::Prompt => {
                    expected(prompt, &|e| {
                        e.assigned += 1;
                        e.requests += 1;
                    });
                    if prompt != token {
                        expected(token, &|e| {
                            e.assigned += 1;
                            e.tokens_to_come += decode_left;
                        });
                    }
                }
                Stage::Blocked | Stage::Transfer => {
                    let moving = request.stage == Stage::Transfer;
                    expected(prompt, &|e| {
                        e.assigned += 1;
                        e.sent_bytes += cache;
                        e.outgoing += 1;
                    });
                    expected(token, &|e| {
                        e.assigned += 1;
                        e.sent_bytes += if moving { cache } else { 0 };
                        e.incoming += u32::from(moving);
                        e.tokens_to_come += decode_left;
                    });
                }
                Stage::Token => expected(token, &|e| {
                    e.assigned += 1;
                    e.requests += 1;
                }),
            }
        }
        for (index, seat) in self.engines.iter().enumerate() {
            let id = EngineId(index as u32);
            let want = engines.remove(&index).unwrap_or_default();
            let counted = seat.engine.recount(Works(&self.requests));
            let counted = counted.map_err(|wrong| format!("engine {index}: {wrong}"))?;
            let got = Expected {
                assigned: seat.assigned.into(),
                outgoing: seat.outgoing,
                incoming: seat.incoming,
                requests: counted.requests,
                sent_bytes: counted.sent_bytes,
                tokens_to_come: self.split.tokens_to_come(id),
            };
            if got != want {
                return Err(format!("engine {index} keeps {got:?} but has {want:?}"));
            }
            if seat.is_removed() && got != Expected::default() {
                return Err(format!("engine {index} is gone but not empty"));
            }
            if !self.lists_agree(id) {
                return Err(format!("engine {index} does not list its requests"));
            }
        }
        let mut scheduled: Vec<RequestId> = self.events.transfers().collect();
        scheduled.sort_unstable();
        let moving = self.requests.iter().filter(|(_, it)| it.is_moving());
        if !moving.map(|(id, _)| id).eq(scheduled) {
            return Err("not every transfer has its one next step".to_owned());
        }
        let counts = &self.counts;
        let accounted = counts.ended() + counts.waiting + counts.in_flight;
        if (counts.waiting, counts.in_flight) != (waiting, in_flight)
            || counts.arrived != accounted
            || self.waiting.len() as u64 != waiting
        {
            return Err(format!(
                "{counts:?} but {waiting} wait and {in_flight} are in flight"
            ));
        }
        Ok(())
    }

    /// Whether an engine lists the requests that it has, each once, and only its own are coming and going.
    fn lists_agree(&self, engine: EngineId) -> bool {
        let seat = &self.engines[engine.index()];
        let (mut has, mut all) = (Vec::new(), true);
        seat.engine.each_request(&mut |id| {
            let request = &self.requests[id];
            all &= match request.stage {
                Stage::Prompt => request.prompt_engine == engine,
                Stage::Token => request.token_engine == engine,
                _ => false,
            };
            has.push(id);
        });
        let listed = has.len();
        has.sort_unstable();
        has.dedup();
        let going = self.split.going(engine).map(|id| &self.requests[id]);
        let coming = self.split.coming(engine).map(|id| &self.requests[id]);
        all && listed == has.len()
            && going.filter(|it| it.is_moving()).count() == seat.outgoing as usize
            && coming.map(|it| u64::from(it.decode_tokens())).sum::<u64>()
                == self.split.tokens_to_come(engine)
    }
}
