//! The requests of an endpoint that have not ended, in dense storage.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::{SimDuration, SimTime};
use crate::workload::{Arrival, Details};

use super::EngineId;
use super::Served;
use super::engine::vllm::Progress;
use super::engine::{Description, Phases, Place, RequestId, Work};
use super::queue::fetch;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It has ended; its place is free.
    Ended,
    /// At the application, with no instance.
    Waiting,
    /// Evicted from the engine of its prompt, until that has made progress.
    Parked,
    /// The engine of its prompt has it.
    Prompt,
    /// Its KV cache is to be sent but the destination has no room yet.
    Blocked,
    /// Its KV cache is on its way; both sides hold it.
    Transfer,
    /// The engine of its tokens has it, and its prompt is done.
    Token,
}

/// A request that has not ended. Nearly every event needs one, so it is kept to one line of the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(align(64))]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) arrival: SimTime,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
    pub(crate) stage: Stage,
    /// Where the engine that has it keeps it.
    pub(crate) place: Place,
    /// Where its phases are served; meaningless while it waits.
    pub(crate) prompt_engine: EngineId,
    pub(crate) token_engine: EngineId,
    pub(crate) prompt_start: Option<SimTime>,
    pub(crate) first_token: Option<SimTime>,
    pub(crate) token_start: Option<SimTime>,
}

const _: () = assert!(size_of::<Request>() == 64, "one line of the cache");

impl Request {
    /// Tokens after the first, which comes from the prompt.
    pub(crate) const fn decode_tokens(&self) -> u32 {
        self.output_tokens - 1
    }

    /// Whether a token phase follows the prompt.
    pub(crate) const fn has_token_phase(&self) -> bool {
        self.output_tokens > 1
    }

    /// Whether two engines serve it.
    pub(crate) fn is_split(&self) -> bool {
        self.prompt_engine != self.token_engine
    }

    /// The part of it that is served next on the engine that has it or that it comes to.
    pub(crate) fn phases(&self) -> Phases {
        match self.stage {
            Stage::Token | Stage::Transfer | Stage::Blocked => Phases::Tokens,
            _ if self.is_split() => Phases::Prompt,
            _ => Phases::Both,
        }
    }

    /// Whether its KV cache is to be sent or on its way.
    pub(crate) const fn is_moving(&self) -> bool {
        matches!(self.stage, Stage::Blocked | Stage::Transfer)
    }
}

/// What the requests of an endpoint ask for.
#[derive(Clone, Copy, Debug)]
pub struct Works<'a>(pub(crate) &'a Requests);

impl Works<'_> {
    /// What a request asks for.
    #[must_use]
    pub fn get(&self, request: RequestId) -> Work {
        self.0.work(request)
    }
}

/// Only asked for members, never gone over, so that the order in it does not matter.
type Numbers = HashSet<u64, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers that mostly follow one another over all bits.
#[derive(Clone, Copy, Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&it| self.write_u64(it.into()));
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// What some requests have. Only asked for by request, too.
type ByRequest<T> = HashMap<RequestId, T, BuildHasherDefault<NumberHasher>>;

/// What there is to say of a request that was moved with its KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OnTheMove {
    /// Where its prompt was served first.
    pub(crate) prompt_engine: EngineId,
    /// When it had its last token before it was moved, where that is known.
    pub(crate) last_token: Option<SimTime>,
    /// Bytes a second of the way; those of the router's transfers for none.
    pub(crate) bytes_per_s: Option<f64>,
}

/// All requests that have not ended, in dense storage whose places are used again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    slots: Vec<Request>,
    /// By place: the order of arrival at the endpoint, which breaks ties of `Request::arrival`.
    sequences: Vec<u64>,
    /// What only few workloads say of a request.
    details: ByRequest<Arc<Details>>,
    /// How often those few began again that did.
    restarts: BTreeMap<RequestId, u32>,
    /// Those that were moved with their KV cache, and tokens of outputs that count as prompt for it.
    moved: BTreeMap<RequestId, (u32, Option<OnTheMove>)>,
    /// How engines of vLLM served those that have come to an end there.
    served: ByRequest<Served>,
    free: Vec<RequestId>,
    arrived: u64,
    /// The numbers of those that are to come or have not ended, once a host hands over one that is not the
    /// largest so far.
    numbers: Option<Numbers>,
    /// The largest number so far.
    largest: Option<u64>,
}

impl Requests {
    pub(crate) fn fetch(&self, id: RequestId) {
        fetch(&self[id]);
    }

    /// Takes a number for a request to come. False when a request has it that is to come or has not ended.
    /// A number above all before is free without a look; `to_come` gives those of requests to come.
    pub(crate) fn claim(&mut self, number: u64, to_come: impl Iterator<Item = u64>) -> bool {
        if self.numbers.is_none() {
            if self.largest.is_none_or(|largest| number > largest) {
                self.largest = Some(number);
                return true;
            }
            let here = self.iter().map(|(_, request)| request.id);
            self.numbers = Some(here.chain(to_come).collect());
        }
        self.largest = self.largest.max(Some(number));
        self.numbers.as_mut().is_some_and(|it| it.insert(number))
    }

    /// Gives back the number of a request that does not come after all.
    pub(crate) fn give_back(&mut self, number: u64) {
        if let Some(numbers) = &mut self.numbers {
            numbers.remove(&number);
        }
    }

    /// What the engine that has a request, or that it comes to, is to serve of it.
    pub(crate) fn work(&self, id: RequestId) -> Work {
        let request = &self[id];
        Work {
            request: id,
            arrival: request.arrival,
            prompt_tokens: request.prompt_tokens,
            output_tokens: request.output_tokens,
            phases: request.phases(),
        }
    }

    pub(crate) fn insert(&mut self, arrival: &Arrival) -> RequestId {
        self.largest = self.largest.max(Some(arrival.id));
        if let Some(numbers) = &mut self.numbers {
            numbers.insert(arrival.id);
        }
        let request = Request {
            id: arrival.id,
            arrival: arrival.time,
            prompt_tokens: arrival.prompt_tokens,
            output_tokens: arrival.output_tokens,
            stage: Stage::Waiting,
            place: Place::default(),
            prompt_engine: EngineId(0),
            token_engine: EngineId(0),
            prompt_start: None,
            first_token: None,
            token_start: None,
        };
        let sequence = self.arrived;
        self.arrived += 1;
        let id = self.place(request, sequence);
        if let Some(details) = &arrival.details {
            self.details.insert(id, Arc::clone(details));
        }
        id
    }

    /// Gives a request a place in the storage.
    fn place(&mut self, request: Request, sequence: u64) -> RequestId {
        if let Some(id) = self.free.pop() {
            self.slots[id.index()] = request;
            self.sequences[id.index()] = sequence;
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

    /// What more there is to say of a request.
    pub(crate) fn describe(&self, id: RequestId) -> Description<'_> {
        let request = &self[id];
        Description {
            number: request.id,
            details: self.details.get(&id).map(|details| &**details),
            first_token: request.first_token,
            last_token: self
                .on_the_move(id)
                .and_then(|it| it.last_token)
                .or(request.first_token),
        }
    }

    /// An engine of vLLM has served a request, or a part of it.
    pub(crate) fn served(&mut self, id: RequestId, progress: &Progress) {
        let served = self.served.entry(id).or_default();
        served.preemptions += progress.preemptions;
        served.cached_tokens.get_or_insert(progress.cached_tokens);
        let longest = progress.max_gap.map(SimDuration::saturating);
        served.max_tbt = served.max_tbt.max(longest);
    }

    /// How engines of vLLM served a request.
    pub(crate) fn how_served(&self, id: RequestId) -> Served {
        if self.served.is_empty() {
            return Served::default();
        }
        self.served.get(&id).copied().unwrap_or_default()
    }

    /// Frees the place of a request that has ended. What it was stays readable until it is used again.
    pub(crate) fn remove(&mut self, id: RequestId) {
        debug_assert!(self[id].stage != Stage::Ended, "a request ends once");
        self[id].stage = Stage::Ended;
        if !self.restarts.is_empty() {
            self.restarts.remove(&id);
        }
        if !self.moved.is_empty() {
            self.moved.remove(&id);
        }
        if !self.details.is_empty() {
            self.details.remove(&id);
        }
        if !self.served.is_empty() {
            self.served.remove(&id);
        }
        if let Some(numbers) = &mut self.numbers {
            numbers.remove(&self.slots[id.index()].id);
        }
        fetch(&self.sequences[id.index()]);
        self.free.push(id);
    }

    /// What its workload says of it beside its lengths.
    pub(crate) fn details(&self, id: RequestId) -> Option<&Arc<Details>> {
        if self.details.is_empty() {
            return None;
        }
        self.details.get(&id)
    }

    /// Its place in the order of arrival at the endpoint.
    pub(crate) fn sequence(&self, id: RequestId) -> u64 {
        self.sequences[id.index()]
    }

    /// How often it began again.
    pub(crate) fn restarts(&self, id: RequestId) -> u32 {
        self.restarts.get(&id).copied().unwrap_or(0)
    }

    /// It will begin again.
    pub(crate) fn restart(&mut self, id: RequestId) {
        *self.restarts.entry(id).or_default() += 1;
        if let Some((outputs, _)) = self.moved.remove(&id) {
            let request = &mut self.slots[id.index()];
            request.prompt_tokens -= outputs;
            request.output_tokens += outputs;
        }
    }

    /// A request that is moved has this many tokens beside its prompt: for the engines to come, all but the last of them
    /// are prompt, and the last one is the first.
    pub(crate) fn grow(&mut self, id: RequestId, outputs: u32) {
        let more = outputs.saturating_sub(1);
        let request = &mut self.slots[id.index()];
        request.prompt_tokens += more;
        request.output_tokens -= more;
        self.moved.entry(id).or_default().0 += more;
    }

    /// A request is moved.
    pub(crate) fn moves(&mut self, id: RequestId, how: OnTheMove) {
        self.moved.entry(id).or_default().1 = Some(how);
    }

    /// How a request was moved last, if it was.
    #[inline]
    pub(crate) fn on_the_move(&self, id: RequestId) -> Option<&OnTheMove> {
        if self.moved.is_empty() {
            return None;
        }
        self.moved.get(&id)?.1.as_ref()
    }

    /// Tokens of its prompt, and those that it asks for, as it was sent.
    pub(crate) fn as_sent(&self, id: RequestId) -> (u32, u32) {
        let request = &self[id];
        let moved = match self.moved.is_empty() {
            true => None,
            false => self.moved.get(&id),
        };
        let outputs = moved.map_or(0, |it| it.0);
        (
            request.prompt_tokens - outputs,
            request.output_tokens + outputs,
        )
    }

    /// Every request that has not ended, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        (0..)
            .map(RequestId)
            .zip(&self.slots)
            .filter(|(_, request)| request.stage != Stage::Ended)
    }
}

impl Index<RequestId> for Requests {
    type Output = Request;
    fn index(&self, id: RequestId) -> &Request {
        &self.slots[id.index()]
    }
}

impl IndexMut<RequestId> for Requests {
    fn index_mut(&mut self, id: RequestId) -> &mut Request {
        &mut self.slots[id.index()]
    }
}
