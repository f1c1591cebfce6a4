//! What an endpoint tells of its requests and engines.

use super::seat::Admission;
use super::{Endpoint, EngineId, EngineLoad, Outcome, RequestRecord};
use crate::serving::Served;
use crate::serving::engine::RequestId;
use crate::serving::requests::Stage;
use crate::statistics::Distribution;
use crate::time::{SimDuration, SimTime};

impl Endpoint {
    pub(crate) fn record(
        &self,
        id: RequestId,
        outcome: Outcome,
        end: Option<SimTime>,
    ) -> RequestRecord {
        let request = &self.requests[id];
        let (prompt_tokens, output_tokens) = self.requests.as_sent(id);
        let prompt_engine = self.requests.on_the_move(id).map(|it| it.prompt_engine);
        let details = self.requests.details(id);
        let instance = |engine: EngineId| Some(self.instances[engine.index()]);
        let (prompt_instance, token_instance) = match request.stage {
            Stage::Ended | Stage::Waiting | Stage::Parked => (None, None),
            _ => (
                instance(prompt_engine.unwrap_or(request.prompt_engine)),
                instance(request.token_engine),
            ),
        };
        RequestRecord {
            served: self.requests.how_served(id),
            id: request.id,
            arrival: details
                .and_then(|it| it.journey)
                .map_or(request.arrival, |it| it.sent),
            prompt_tokens,
            output_tokens,
            prompt_start: request.prompt_start,
            first_token: request.first_token,
            token_start: request.token_start,
            end,
            frontend: self.frontend_delay(id, end),
            prompt_instance,
            token_instance,
            restarts: self.requests.restarts(id),
            outcome,
            details: details.cloned(),
        }
    }

    /// Requests that wait here, that engines have, and that are on their way.
    pub(crate) fn expected_requests(&self) -> u64 {
        let on_their_way = self.arrivals.count_handed_over() as u64;
        self.counts.waiting + self.counts.in_flight + on_their_way
    }

    /// The engines that take requests.
    pub(crate) fn open_engines(&self) -> usize {
        let seats = self.engines.iter();
        seats.filter(|it| it.admission == Admission::Open).count()
    }

    /// The records of requests on their way from a user, by the time at which they were sent.
    pub(crate) fn on_their_way(&self) -> Vec<RequestRecord> {
        let mut records: Vec<RequestRecord> = self
            .arrivals
            .handed_over()
            .filter_map(|arrival| {
                let journey = arrival.details.as_ref()?.journey?;
                Some(RequestRecord {
                    id: arrival.id,
                    arrival: journey.sent,
                    prompt_tokens: arrival.prompt_tokens,
                    output_tokens: arrival.output_tokens,
                    prompt_start: None,
                    first_token: None,
                    token_start: None,
                    end: None,
                    frontend: SimDuration::ZERO,
                    prompt_instance: None,
                    token_instance: None,
                    restarts: 0,
                    outcome: Outcome::InFlight,
                    served: Served::default(),
                    details: arrival.details.clone(),
                })
            })
            .collect();
        records.sort_by_key(|it| (it.arrival, it.id));
        records
    }

    /// How much later than the engine the user of a request has its tokens, of which the last came at `end`.
    fn frontend_delay(&self, id: RequestId, end: Option<SimTime>) -> SimDuration {
        let request = &self.requests[id];
        let engine = match request.stage {
            Stage::Ended | Stage::Waiting | Stage::Parked => return SimDuration::ZERO,
            _ => &self.engines[request.token_engine.index()].engine,
        };
        let (first, outputs) = (request.first_token, self.requests.as_sent(id).1);
        engine.frontend().delay(first, end, outputs)
    }

    /// The records of everything that has not ended, by arrival.
    #[must_use]
    pub fn outstanding(&self) -> Vec<RequestRecord> {
        let mut live: Vec<(u64, RequestRecord)> = self
            .requests
            .iter()
            .map(|(id, request)| {
                let outcome = match request.stage {
                    Stage::Waiting => Outcome::Waiting,
                    _ => Outcome::InFlight,
                };
                let record = self.record(id, outcome, None);
                (self.requests.sequence(id), record)
            })
            .collect();
        live.sort_unstable_by_key(|&(sequence, _)| sequence);
        live.into_iter().map(|(_, record)| record).collect()
    }

    /// Seconds between two tokens of a request (ITL), one value for each gap, as far as engines tell them: a
    /// `Vllm` does. Gaps of requests that did not end count, those over a restart do not.
    #[must_use]
    pub const fn token_gaps(&self) -> &Distribution {
        &self.told.gaps
    }

    /// What an engine holds and did by `at`, an instant not before the last event served and not after
    /// the next.
    #[must_use]
    pub fn load(&self, engine: EngineId, at: SimTime) -> EngineLoad {
        let seat = &self.engines[engine.index()];
        let load = seat.engine.load(at);
        EngineLoad {
            assigned: seat.assigned.into(),
            pending_tokens: load.pending_tokens + self.split.tokens_to_come(engine),
            up_s: self.stays[engine.index()].length(at).seconds(),
            ..load
        }
    }
}
