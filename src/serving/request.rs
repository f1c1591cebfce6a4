use std::ops::{Index, IndexMut};

use crate::time::SimTime;
use crate::workload::Arrival;

use super::EngineId;
use super::task::{Phase, Slot};

/// A request that has not ended, by its place in [`Requests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId(u32);

impl RequestId {
    pub(super) const fn place(self) -> u32 {
        self.0
    }

    pub(super) const fn at(place: u32) -> Self {
        Self(place)
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has ended; its place is free.
    Ended,
    /// At the application, with no instance.
    Waiting,
    /// Evicted from this engine, until that has made progress.
    Parked(EngineId),
    /// Its prompt is queued or runs.
    Prompt,
    /// Its KV cache is to be sent but the destination has no room yet.
    Blocked,
    /// Its KV cache is on its way; both sides hold it.
    Transfer,
    /// Its tokens are queued, run or are preempted.
    Token,
}

/// A request that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) arrival: SimTime,
    /// Order of arrival at the endpoint, which breaks ties of `arrival`.
    pub(super) sequence: u64,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) stage: Stage,
    /// Where its phases are served; meaningless while it waits or is parked.
    pub(super) prompt_engine: EngineId,
    pub(super) token_engine: EngineId,
    /// Bytes of KV cache that it holds (during a transfer: on each side).
    pub(super) held: u64,
    /// Its place in the pool of its engine; meaningless where it is in none.
    pub(super) slot: Slot,
    /// The event that will move its transfer on.
    pub(super) transfer_event: u64,
    pub(super) restarts: u32,
    pub(super) prompt_start: Mark,
    pub(super) first_token: Mark,
    pub(super) token_start: Mark,
}

/// When something first happened, if it did: an instant, or not a number, in half the room of an
/// `Option`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(f64);

impl Default for Mark {
    fn default() -> Self {
        Self(f64::NAN)
    }
}

impl Mark {
    /// Sets it, unless it is set.
    pub(super) fn set(&mut self, now: SimTime) {
        if self.0.is_nan() {
            self.0 = now.seconds();
        }
    }

    pub(super) fn get(self) -> Option<SimTime> {
        (!self.0.is_nan()).then(|| SimTime::saturating(self.0))
    }
}

impl Request {
    /// Tokens that its token task generates; the first token comes from the prompt.
    pub(super) const fn decode_tokens(&self) -> u32 {
        self.output_tokens - 1
    }

    /// Tokens whose KV cache `phase` takes room for when it first runs: the prompt and the token
    /// that it yields; then the rest.
    pub(super) fn tokens_held(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Prompt => u64::from(self.prompt_tokens) + 1,
            Phase::Token => u64::from(self.decode_tokens()),
        }
    }

    /// Whether a token phase follows the prompt.
    pub(super) const fn has_token_phase(&self) -> bool {
        self.output_tokens > 1
    }

    /// Whether `phase` is the one to be served next or being served.
    pub(super) fn is_first(&self, phase: Phase) -> bool {
        match phase {
            Phase::Prompt => self.stage == Stage::Prompt,
            Phase::Token => self.stage == Stage::Token,
        }
    }
}

/// All requests that have not ended, in dense storage whose places are used again.
#[derive(Debug, Default)]
pub(super) struct Requests {
    slots: Vec<Request>,
    free: Vec<RequestId>,
    arrived: u64,
}

impl Requests {
    pub(super) fn fetch(&self, id: RequestId) {
        let request = &self[id];
        super::ahead::fetch(&request.id);
        super::ahead::fetch(&request.prompt_start);
        super::ahead::fetch(&request.restarts);
    }

    pub(super) fn insert(&mut self, arrival: &Arrival) -> RequestId {
        let request = Request {
            id: arrival.id,
            arrival: arrival.time,
            sequence: self.arrived,
            prompt_tokens: arrival.prompt_tokens,
            output_tokens: arrival.output_tokens,
            stage: Stage::Waiting,
            prompt_engine: EngineId(0),
            token_engine: EngineId(0),
            held: 0,
            slot: Slot::at(0),
            transfer_event: 0,
            restarts: 0,
            prompt_start: Mark::default(),
            first_token: Mark::default(),
            token_start: Mark::default(),
        };
        self.arrived += 1;
        if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = request;
            id
        } else {
            let id =
                RequestId(u32::try_from(self.slots.len()).expect("under 2^31 requests at once"));
            assert!(id.0 < 1 << 31, "under 2^31 requests at once");
            self.slots.push(request);
            id
        }
    }

    /// Frees the place of a request that has ended. What it was stays readable until it is used again.
    pub(super) fn remove(&mut self, id: RequestId) {
        debug_assert!(self[id].stage != Stage::Ended, "a request ends once");
        self.slots[id.0 as usize].stage = Stage::Ended;
        self.slots[id.0 as usize].transfer_event = 0;
        self.free.push(id);
    }

    /// Whether a transfer event still moves this request on.
    pub(super) fn transfer_stands(&self, id: RequestId, event: u64) -> bool {
        self.slots[id.0 as usize].transfer_event == event
    }

    /// Every request that has not ended, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        (0..)
            .map(RequestId)
            .zip(&self.slots)
            .filter(|(_, request)| request.stage != Stage::Ended)
    }
}

impl Index<RequestId> for Requests {
    type Output = Request;
    fn index(&self, id: RequestId) -> &Request {
        &self.slots[id.0 as usize]
    }
}

impl IndexMut<RequestId> for Requests {
    fn index_mut(&mut self, id: RequestId) -> &mut Request {
        &mut self.slots[id.0 as usize]
    }
}
