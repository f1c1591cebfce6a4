//! Requests that a host takes back.

use super::{Endpoint, Outcome, Rejection};
use crate::serving::engine::RequestId;
use crate::serving::requests::Stage;

/// What became of a request that a host took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not arrived: it never does, and has no record.
    BeforeArrival,
    /// It had arrived: it has ended now, with [`Rejection::Cancelled`].
    AfterArrival,
}

/// No request of this number is to come or has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no request {id} to cancel: none of this number is to come or under way")]
pub struct NoSuchRequest {
    /// The number.
    pub id: u64,
}

impl Endpoint {
    /// Takes a request back at the instant that has been served up to, wherever it is: at the application,
    /// on an engine, on its way between two. What an engine did for it counts as processed. Of several
    /// requests of one number, as a trace may have them, the first to arrive is taken; of those to come,
    /// only requests that were [handed over](Self::submit) can be.
    ///
    /// It costs a look at every request that is there.
    ///
    /// # Errors
    /// [`NoSuchRequest`] where it has ended, or never was.
    pub fn cancel(&mut self, id: u64) -> Result<Cancelled, NoSuchRequest> {
        let of_number = self.requests.iter().filter(|(_, it)| it.id == id);
        let first = of_number.min_by_key(|&(place, _)| self.requests.sequence(place));
        if let Some((place, _)) = first {
            self.end_early(place);
            return Ok(Cancelled::AfterArrival);
        }
        if self.arrivals.cancel(id) {
            self.requests.give_back(id);
            return Ok(Cancelled::BeforeArrival);
        }
        Err(NoSuchRequest { id })
    }

    fn end_early(&mut self, id: RequestId) {
        let request = &self.requests[id];
        let stage = request.stage;
        let engines = [request.prompt_engine, request.token_engine];
        let outcome = Outcome::Rejected(Rejection::Cancelled);
        let record = self.record(id, outcome, Some(self.now));
        match stage {
            Stage::Ended => return,
            Stage::Waiting => {
                self.waiting.retain(|&other| other != id);
                self.counts.waiting -= 1;
            }
            Stage::Parked => {
                for parked in self.parked.values_mut() {
                    parked.retain(|&other| other != id);
                }
                self.counts.in_flight -= 1;
            }
            Stage::Prompt | Stage::Token | Stage::Blocked | Stage::Transfer => {
                self.take_back(id);
                self.counts.in_flight -= 1;
            }
        }
        self.counts.rejected += 1;
        self.last_event = self.now;
        self.requests.remove(id);
        self.ended.push(record);
        self.arrivals.ended(self.now, false);
        match stage {
            Stage::Ended | Stage::Waiting => {}
            Stage::Parked => {
                let empty = self.parked.extract_if(.., |_, parked| parked.is_empty());
                let empty: Vec<_> = empty.map(|(engine, _)| engine).collect();
                empty
                    .into_iter()
                    .for_each(|engine| self.tell_if_idle(engine));
            }
            _ => engines.into_iter().for_each(|it| self.room_was_made(it)),
        }
    }
}
