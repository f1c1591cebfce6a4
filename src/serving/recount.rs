//! The invariants of the data plane, recounted from the requests.

use std::collections::BTreeMap;

use super::request::{RequestId, Stage};
use super::task::Task;
use super::{Endpoint, EngineId};

/// What an engine should hold according to the requests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    assigned: u64,
    used: u64,
    outgoing: u32,
    incoming: u32,
    pool: u64,
    pending_tokens: u64,
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
            let prompt_left = u64::from(request.prompt_tokens) + 1;
            let held = self.config.kv_bytes_per_token * request.tokens_in_memory();
            let decode_left = u64::from(request.decode_tokens());
            match request.stage {
                Stage::Waiting => waiting += 1,
                _ => in_flight += 1,
            }
            match request.stage {
                Stage::Ended | Stage::Waiting | Stage::Parked(_) => {}
                Stage::Prompt { .. } => {
                    expected(prompt, &|e| {
                        e.assigned += 1;
                        e.used += held;
                        e.pool += 1;
                        e.pending_tokens += prompt_left;
                    });
                    expected(token, &|e| {
                        e.assigned += u64::from(prompt != token);
                        e.pending_tokens += decode_left;
                    });
                }
                Stage::Blocked | Stage::Transfer => {
                    let moving = request.stage == Stage::Transfer;
                    expected(prompt, &|e| {
                        e.assigned += 1;
                        e.used += held;
                        e.outgoing += 1;
                    });
                    expected(token, &|e| {
                        e.assigned += 1;
                        e.used += if moving { held } else { 0 };
                        e.incoming += u32::from(moving);
                        e.pending_tokens += decode_left;
                    });
                }
                Stage::Token { slot, .. } => {
                    let state = &self.engines[token.index()];
                    let left = state.iterations_left(Task::token(slot));
                    expected(token, &|e| {
                        e.assigned += 1;
                        e.used += held;
                        e.pool += 1;
                        e.pending_tokens += left;
                    });
                }
            }
        }
        for (index, engine) in self.engines.iter().enumerate() {
            let want = engines.remove(&index).unwrap_or_default();
            let got = Expected {
                assigned: engine.assigned.into(),
                used: engine.used() - self.config.weights_bytes,
                outgoing: engine.outgoing,
                incoming: engine.incoming,
                pool: (engine.pool.waiting().len() + engine.batch.len()) as u64,
                pending_tokens: engine.totals.pending_tokens,
            };
            if got != want {
                return Err(format!("engine {index} keeps {got:?} but has {want:?}"));
            }
            if engine.used() > engine.memory() {
                return Err(format!("engine {index} uses more memory than it has"));
            }
            if engine.is_removed() && got != Expected::default() {
                return Err(format!("engine {index} is gone but not empty"));
            }
        }
        let mut scheduled: Vec<RequestId> = self.events.transfers().collect();
        scheduled.sort_unstable();
        let moving = self.requests.iter().filter(|(_, it)| it.is_moving());
        if !moving.map(|(id, _)| id).eq(scheduled) {
            return Err("not every transfer has its one next step".to_owned());
        }
        let counts = &self.counts;
        let accounted = counts.completed + counts.rejected + counts.waiting + counts.in_flight;
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
}
