use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasherDefault;
use std::ops::{Index, IndexMut};

use crate::time::SimTime;
use crate::workload::Arrival;

use super::EngineId;
use super::task::{Phase, Slot, Task};

/// A request that has not ended, by its place in [`Requests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestId(u32);

/// How far a request has come. Where it is in the pool of an engine: its place there, and whether the
/// phase has taken the memory that it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has ended; its place is free.
    Ended,
    /// At the application, with no instance.
    Waiting,
    /// Evicted from this engine, until that has made progress.
    Parked(EngineId),
    /// Its prompt is queued or runs.
    Prompt { slot: Slot, taken: bool },
    /// Its KV cache is to be sent but the destination has no room yet.
    Blocked,
    /// Its KV cache is on its way; both sides hold it.
    Transfer,
    /// Its tokens are queued, run or are preempted.
    Token { slot: Slot, taken: bool },
}

impl Stage {
    /// A phase that comes to an engine.
    pub(super) const fn new(phase: Phase, slot: Slot) -> Self {
        let taken = false;
        match phase {
            Phase::Prompt => Self::Prompt { slot, taken },
            Phase::Token => Self::Token { slot, taken },
        }
    }
}

/// A request that has not ended. Nearly every event needs one, so it is kept to one line of the cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) arrival: SimTime,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) stage: Stage,
    /// Where its phases are served; meaningless while it waits or is parked.
    pub(super) prompt_engine: EngineId,
    pub(super) token_engine: EngineId,
    pub(super) prompt_start: Option<SimTime>,
    pub(super) first_token: Option<SimTime>,
    pub(super) token_start: Option<SimTime>,
}

const _: () = assert!(size_of::<Request>() == 64, "one line of the cache");

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

    /// Tokens whose KV cache it holds (during a transfer: on each side).
    pub(super) fn tokens_in_memory(&self) -> u64 {
        match self.stage {
            Stage::Ended
            | Stage::Waiting
            | Stage::Parked(_)
            | Stage::Prompt { taken: false, .. } => 0,
            Stage::Prompt { taken: true, .. }
            | Stage::Blocked
            | Stage::Transfer
            | Stage::Token { taken: false, .. } => self.tokens_held(Phase::Prompt),
            Stage::Token { taken: true, .. } => {
                self.tokens_held(Phase::Prompt) + self.tokens_held(Phase::Token)
            }
        }
    }

    /// The memory of the phase that is served next was taken.
    pub(super) const fn take(&mut self) {
        if let Stage::Prompt { taken, .. } | Stage::Token { taken, .. } = &mut self.stage {
            *taken = true;
        }
    }

    /// Its task that is served next, where it is in the pool of an engine.
    pub(super) const fn task(&self) -> Option<Task> {
        match self.stage {
            Stage::Prompt { slot, .. } => Some(Task::prompt(slot)),
            Stage::Token { slot, .. } => Some(Task::token(slot)),
            Stage::Ended | Stage::Waiting | Stage::Parked(_) | Stage::Blocked | Stage::Transfer => {
                None
            }
        }
    }

    /// Whether its KV cache is to be sent or on its way.
    pub(super) const fn is_moving(&self) -> bool {
        matches!(self.stage, Stage::Blocked | Stage::Transfer)
    }
}

/// Only asked for members, never gone over, so that the order in it does not matter.
type Numbers = HashSet<u64, BuildHasherDefault<DefaultHasher>>;

/// All requests that have not ended, in dense storage whose places are used again.
#[derive(Debug, Default)]
pub(super) struct Requests {
    slots: Vec<Request>,
    /// By place: the order of arrival at the endpoint, which breaks ties of `Request::arrival`.
    sequences: Vec<u64>,
    /// How often those few began again that did.
    restarts: BTreeMap<RequestId, u32>,
    free: Vec<RequestId>,
    arrived: u64,
    /// The numbers of those that are to come or have not ended, once a host hands one over.
    numbers: Option<Numbers>,
}

impl Requests {
    pub(super) fn fetch(&self, id: RequestId) {
        super::ahead::fetch(&self[id]);
    }

    /// Takes a number for a request to come. False when a request has it that is to come or has not ended.
    pub(super) fn claim(&mut self, number: u64) -> bool {
        let mut numbers = self
            .numbers
            .take()
            .unwrap_or_else(|| self.iter().map(|(_, request)| request.id).collect());
        let is_free = numbers.insert(number);
        self.numbers = Some(numbers);
        is_free
    }

    pub(super) fn insert(&mut self, arrival: &Arrival) -> RequestId {
        if let Some(numbers) = &mut self.numbers {
            numbers.insert(arrival.id);
        }
        let request = Request {
            id: arrival.id,
            arrival: arrival.time,
            prompt_tokens: arrival.prompt_tokens,
            output_tokens: arrival.output_tokens,
            stage: Stage::Waiting,
            prompt_engine: EngineId(0),
            token_engine: EngineId(0),
            prompt_start: None,
            first_token: None,
            token_start: None,
        };
        let sequence = self.arrived;
        self.arrived += 1;
        if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = request;
            self.sequences[id.0 as usize] = sequence;
            id
        } else {
            let id =
                RequestId(u32::try_from(self.slots.len()).expect("under 2^31 requests at once"));
            assert!(id.0 < 1 << 31, "under 2^31 requests at once");
            self.slots.push(request);
            self.sequences.push(sequence);
            id
        }
    }

    /// Frees the place of a request that has ended. What it was stays readable until it is used again.
    pub(super) fn remove(&mut self, id: RequestId) {
        debug_assert!(self[id].stage != Stage::Ended, "a request ends once");
        self[id].stage = Stage::Ended;
        self.restarts.remove(&id);
        if let Some(numbers) = &mut self.numbers {
            numbers.remove(&self.slots[id.0 as usize].id);
        }
        super::ahead::fetch(&self.sequences[id.0 as usize]);
        self.free.push(id);
    }

    /// Its place in the order of arrival at the endpoint.
    pub(super) fn sequence(&self, id: RequestId) -> u64 {
        self.sequences[id.0 as usize]
    }

    /// How often it began again.
    pub(super) fn restarts(&self, id: RequestId) -> u32 {
        self.restarts.get(&id).copied().unwrap_or(0)
    }

    /// It will begin again.
    pub(super) fn restart(&mut self, id: RequestId) {
        *self.restarts.entry(id).or_default() += 1;
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
