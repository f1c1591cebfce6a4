//! One application's share of the data plane: its queue, its books, who is open, and the event loop.

mod arrivals;
mod cancel;
mod config;
mod counts;
mod deadlock;
mod ended;
mod error;
mod evacuation;
mod events;
mod freeze;
mod membership;
mod pace;
mod phase;
mod prefetch;
mod questions;
mod record;
mod recorder;
mod recount;
mod run_ends;
mod seat;
mod serve;
mod split;
mod state;
mod transfer;
mod withdrawal;

use std::collections::{BTreeMap, VecDeque};

use crate::catalog::GIB;
use crate::time::SimTime;
use crate::workload::{Arrival, ArrivalStream, Users, WorkloadError};

pub(crate) use arrivals::Arrivals;
use ended::Ended;
use events::{Event, Events};
use recorder::{Recorder, StepRecorder};
use seat::Stay;
use serde::{Deserialize, Serialize};

use super::engine::{RequestId, Told};
use super::requests::Requests;
use super::routing::{AnyRouter, Engines, RequestView, Route, Router};
use super::{EngineId, EngineLoad, Role};

pub use arrivals::InvalidRate;
pub use cancel::{Cancelled, NoSuchRequest};
pub use config::{EndpointConfig, EngineSpec, PossibleEngine};
pub use counts::Counts;
pub use ended::Follower;
pub use error::{EngineBusy, SubmitError};
pub use evacuation::Evacuated;
pub use phase::Phase;
pub(crate) use seat::Seat;
pub(crate) use split::Split;
pub(crate) use state::Made;

pub use record::{Outcome, Rejection, RequestRecord};
pub use recorder::BatchRun;
pub use withdrawal::LostWork;

/// The data plane of one application: its requests, engines, router and events, in dense
/// arrays.
///
/// ```
/// use fleetsim::random::Stream;
/// use fleetsim::scenario::{Engine, Scheduler};
/// use fleetsim::serving::{
///     ConstantTime, Endpoint, EndpointConfig, EngineSpec, Performance, PossibleEngine, Role,
/// };
/// use fleetsim::time::{SimDuration, SimTime};
/// use fleetsim::workload::Arrival;
///
/// let mut endpoint = Endpoint::new(
///     EndpointConfig {
///         weights_bytes: 0,
///         kv_bytes_per_token: 1,
///         scheduler: Scheduler::Jsq,
///         random: Stream::new(0, "scheduler"),
///         possible: vec![PossibleEngine::new(Role::Mixed, Engine::Fcfs, 1_000)],
///     },
///     Box::new(std::iter::empty()),
/// );
/// let seconds = |s| SimDuration::saturating(s);
/// let engine = endpoint.add_engine(EngineSpec {
///     instance: 0,
///     role: Role::Mixed,
///     batching: Engine::Fcfs,
///     memory_bytes: 1_000,
///     performance: Performance::Constant(ConstantTime::new(seconds(1.0), seconds(0.5))),
/// });
/// endpoint.open(engine);
/// endpoint.submit(Arrival { id: 0, time: SimTime::ZERO, prompt_tokens: 10, output_tokens: 5, details: None })?;
/// endpoint.serve_until(SimTime::MAX);
/// let record = endpoint.take_ended().next().unwrap();
/// assert_eq!(record.ttft(), Some(seconds(1.0)));
/// assert_eq!(record.e2e(), Some(seconds(1.0 + 4.0 * 0.5)));
/// # Ok::<(), fleetsim::serving::SubmitError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    pub(crate) requests: Requests,
    pub(crate) engines: Vec<Seat>,
    /// By engine: the number of its instance, which every record of a request asks for.
    pub(crate) instances: Vec<u64>,
    /// By engine.
    pub(crate) stays: Vec<Stay>,
    pub(crate) router: AnyRouter,
    pub(crate) transfer_bytes_per_s: f64,
    pub(crate) events: Events,
    pub(crate) arrivals: Arrivals,
    /// Requests at the application that no engine takes, in order of arrival.
    pub(crate) waiting: VecDeque<RequestId>,
    /// By engine: what was evicted from there, to begin again when a task completes.
    pub(crate) parked: BTreeMap<EngineId, Vec<RequestId>>,
    pub(crate) ended: Ended,
    pub(crate) counts: Counts,
    pub(crate) now: SimTime,
    pub(crate) last_event: SimTime,
    /// What engines tell of, to be written down.
    pub(crate) told: Told,
    pub(crate) split: Split,
    /// By role: what the engines taken out did.
    pub(crate) departed: [EngineLoad; 3],
    /// Only where runs are recorded.
    pub(crate) recorder: Option<Box<Recorder>>,
    /// Only where steps are recorded.
    pub(crate) steps: Option<Box<StepRecorder>>,
    /// Watched engines that have become idle.
    pub(crate) idle: Vec<EngineId>,
    /// The choice that memory was asked for last.
    pub(crate) likely: Option<(EngineId, EngineId)>,
    /// The largest memory that an engine for the prompt, and for the tokens, could ever have.
    largest: (Largest, Largest),
    /// Bytes of memory, weights included, that every engine so far has for any request that fits into them.
    least_memory: u64,
    /// How often a request begins again after a fault, unless that is without end.
    pub(crate) crash_retries: Option<u32>,
    /// By how much the steps of slow engines are longer.
    pub(crate) paces: BTreeMap<EngineId, f64>,
    /// Engines that are lost, though nobody knows; each with tokens that it had done of those pending.
    pub(crate) frozen: BTreeMap<EngineId, u64>,
}

impl Endpoint {
    /// An endpoint without engines whose requests come from `arrivals`.
    #[must_use]
    pub fn new(config: EndpointConfig, arrivals: ArrivalStream) -> Self {
        let weights = config.weights_bytes;
        let router = AnyRouter::new(config.scheduler, config.random.clone(), weights);
        let transfer = config
            .scheduler
            .transfer_gib_per_s()
            .unwrap_or(f64::INFINITY);
        Self::build(config, router, transfer, arrivals)
    }

    /// An endpoint with a router of your own, and the bandwidth in GiB/s at which KV caches
    /// are sent between engines that it chooses as a pair. `config.scheduler` only says how to read
    /// the roles in `config.possible`.
    #[must_use]
    pub fn with_router(
        config: EndpointConfig,
        router: Box<dyn Router>,
        transfer_gib_per_s: f64,
        arrivals: ArrivalStream,
    ) -> Self {
        Self::build(
            config,
            AnyRouter::Boxed(router),
            transfer_gib_per_s,
            arrivals,
        )
    }

    fn build(
        config: EndpointConfig,
        router: AnyRouter,
        transfer_gib_per_s: f64,
        arrivals: ArrivalStream,
    ) -> Self {
        Self {
            largest: largest(&config),
            config,
            requests: Requests::default(),
            engines: Vec::new(),
            instances: Vec::new(),
            stays: Vec::new(),
            router,
            transfer_bytes_per_s: transfer_gib_per_s * GIB,
            events: Events::default(),
            arrivals: Arrivals::new(arrivals),
            waiting: VecDeque::new(),
            parked: BTreeMap::new(),
            ended: Ended::default(),
            counts: Counts::default(),
            now: SimTime::ZERO,
            last_event: SimTime::ZERO,
            told: Told::default(),
            split: Split::default(),
            departed: [EngineLoad::default(); 3],
            recorder: None,
            steps: None,
            idle: Vec::new(),
            likely: None,
            least_memory: u64::MAX,
            crash_retries: None,
            paces: BTreeMap::new(),
            frozen: BTreeMap::new(),
        }
    }

    /// The endpoint with users that send a request each, and the next when it has ended. A host
    /// hands over requests with numbers that they do not use: theirs count from 0.
    #[must_use]
    pub fn with_users(mut self, users: Users) -> Self {
        self.arrivals.add_users(users);
        self
    }

    /// Takes its workload out: it is sent to it from elsewhere.
    pub(crate) fn take_arrivals(&mut self) -> Arrivals {
        let nothing = Arrivals::new(Box::new(std::iter::empty()));
        std::mem::replace(&mut self.arrivals, nothing)
    }

    /// A request is on its way.
    pub(crate) fn expect(&mut self, arrival: Arrival) {
        self.arrivals.submit(arrival);
    }

    /// Hands over a request, from a host that makes its own. The order of handing over is free.
    ///
    /// # Errors
    /// [`SubmitError`] when it has no prompt, asks for no token, would arrive before an instant that has
    /// been served already, or has the number of a request that is to come or has not ended.
    pub fn submit(&mut self, arrival: Arrival) -> Result<(), SubmitError> {
        let id = arrival.id;
        if arrival.prompt_tokens == 0 {
            return Err(SubmitError::NoPromptTokens { id });
        }
        if arrival.output_tokens == 0 {
            return Err(SubmitError::NoOutputTokens { id });
        }
        if arrival.time < self.now {
            return Err(SubmitError::Late {
                id,
                arrival: arrival.time,
                served: self.now,
            });
        }
        if !self.requests.claim(id, self.arrivals.numbers()) {
            return Err(SubmitError::IdInUse { id });
        }
        self.arrivals.submit(arrival);
        Ok(())
    }

    /// Lets the requests of its workload come this many times as fast from now on as they do by themselves.
    /// Requests that were handed over, and those of users, come when they come.
    ///
    /// # Errors
    /// [`InvalidRate`] unless it is a number above 0.
    pub fn set_rate(&mut self, rate: f64) -> Result<(), InvalidRate> {
        self.arrivals.set_rate(self.now, rate)
    }

    /// Replaces what is to come of its workload; the time zero of these requests is now. Requests that were
    /// handed over, and those of users, still come.
    pub fn set_arrivals(&mut self, arrivals: ArrivalStream) {
        self.arrivals.replace(self.now, arrivals);
    }

    /// Replaces what an instance of the application could ever be.
    pub(crate) fn set_possible(&mut self, possible: Vec<PossibleEngine>) {
        self.config.possible = possible;
        self.largest = largest(&self.config);
    }

    /// Lets an endpoint that has served nothing begin at an instant: the time zero of its workload and of its
    /// users is then.
    pub(crate) fn begin_at(&mut self, now: SimTime) {
        self.now = now;
        self.last_event = now;
        self.arrivals.begin_at(now);
    }

    /// Serves exactly, event by event, up to and including `until`. At equal times arrivals come
    /// first, then events in the order of scheduling.
    pub fn serve_until(&mut self, until: SimTime) {
        let mut at_once = 0;
        loop {
            let arrival = self.arrivals.next_time();
            let (time, event) = match (arrival, self.events.first()) {
                (Some(arrival), Some((event, _))) if arrival <= event => (arrival, None),
                (Some(arrival), None) => (arrival, None),
                (_, Some((time, event))) => (time, Some(event)),
                (None, None) if self.wake_stalled() => continue,
                (None, None) => break,
            };
            if time > until {
                break;
            }
            at_once = if time > self.now { 0 } else { at_once + 1 };
            debug_assert!(
                at_once <= self.most_at_once(),
                "events follow one another without end at {time}"
            );
            self.now = self.now.max(time);
            self.last_event = self.now;
            self.counts.events += 1;
            match event {
                None => self.admit(),
                Some(Event::Run(engine)) => self.complete(engine),
                Some(Event::Transfer(id)) => {
                    self.events.take_transfer();
                    self.move_transfer(id);
                }
            }
            self.fetch_for_next_arrival();
        }
        if until < SimTime::MAX {
            self.now = self.now.max(until);
        }
    }

    /// More events than can be at one instant: of each request and each engine a few.
    fn most_at_once(&self) -> u64 {
        1_000 + 100 * (self.counts.arrived + self.engines.len() as u64)
    }

    /// Says that nothing was served after `instant`, where nothing happened since.
    pub(crate) fn return_to(&mut self, instant: SimTime) {
        if self.last_event <= instant {
            self.now = self.now.min(instant);
        }
    }

    /// Lets the next arrival in: rejected, dispatched, or left waiting.
    fn admit(&mut self) {
        let Some(arrival) = self.arrivals.take() else {
            return;
        };
        self.counts.arrived += 1;
        self.counts.arrived_prompt_tokens += u64::from(arrival.prompt_tokens);
        let id = self.requests.insert(&arrival);
        let view = self.view(id);
        if let Some(reason) = self.misfit(&view) {
            self.counts.rejected += 1;
            let outcome = Outcome::Rejected(reason);
            let record = self.record(id, outcome, None);
            self.ended.push(record);
            self.requests.remove(id);
            self.arrivals.ended(self.now, true);
        } else if !self.dispatch_as(id, &view) {
            self.counts.waiting += 1;
            self.waiting.push_back(id);
        }
    }

    /// Why no instance could ever serve a request, if none could.
    fn misfit(&self, request: &RequestView) -> Option<Rejection> {
        let possible = &self.config.possible;
        if possible.iter().any(PossibleEngine::is_paged) {
            return self.misfit_of_blocks(request);
        }
        let weights = self.config.weights_bytes;
        let (prompt, token) = &self.largest;
        let holds = weights.saturating_add(request.prompt_bytes) <= prompt.bytes
            && request.tokens() <= prompt.tokens
            && (request.output_tokens == 1
                || weights.saturating_add(request.bytes()) <= token.bytes
                    && request.tokens() <= token.tokens);
        (!holds).then_some(Rejection::TooLarge)
    }

    /// The same where engines have KV blocks.
    fn misfit_of_blocks(&self, request: &RequestView) -> Option<Rejection> {
        let pairs = self.config.scheduler.pairs_prompt_and_token();
        let prompt = u64::from(request.prompt_tokens);
        let served = |output: u32, role: Role| {
            let tokens = prompt + u64::from(output);
            let mut reason = Some(Rejection::PromptTooLong);
            for engine in &self.config.possible {
                if pairs && engine.role != role || !engine.takes_prompt(prompt) {
                    continue;
                }
                if engine.could_hold(tokens, &self.config) {
                    return None;
                }
                reason = Some(Rejection::TooLarge);
            }
            reason
        };
        if pairs && request.output_tokens > 1 {
            served(1, Role::Prompt).or_else(|| served(request.output_tokens, Role::Token))
        } else {
            served(request.output_tokens, Role::Prompt)
        }
    }

    pub(crate) fn view(&self, id: RequestId) -> RequestView {
        let request = &self.requests[id];
        let bytes = |tokens: u64| self.config.kv_bytes_per_token.saturating_mul(tokens);
        let prompt_bytes = bytes(u64::from(request.prompt_tokens) + 1);
        let token_bytes = bytes(request.decode_tokens().into());
        let all = prompt_bytes.saturating_add(token_bytes);
        RequestView {
            id: request.id,
            prompt_tokens: request.prompt_tokens,
            details: self.requests.details(id).cloned(),
            output_tokens: request.output_tokens,
            prompt_bytes,
            token_bytes,
            fits_all: self.config.weights_bytes.saturating_add(all) <= self.least_memory,
        }
    }

    /// The router, and what it may ask of the engines.
    pub(crate) fn router_and_engines(&mut self) -> (&mut AnyRouter, Engines<'_>) {
        let engines = Engines {
            engines: &self.engines,
            split: &self.split,
            weights_bytes: self.config.weights_bytes,
            now: self.now,
        };
        (&mut self.router, engines)
    }

    /// Asks the router where a request goes, and hands it over. False when it must wait.
    pub(crate) fn dispatch(&mut self, id: RequestId) -> bool {
        let view = self.view(id);
        self.dispatch_as(id, &view)
    }

    fn dispatch_as(&mut self, id: RequestId, view: &RequestView) -> bool {
        let (router, engines) = self.router_and_engines();
        let (prompt, token) = match router.route(view, &engines) {
            Route::Wait => return false,
            Route::Engine(engine) => (engine, engine),
            Route::Pair { prompt, token } => (prompt, token),
        };
        if !(self.is_open(prompt) && self.is_open(token)) {
            debug_assert!(false, "the router chose an engine that is not open");
            return false;
        }
        self.counts.in_flight += 1;
        let request = &mut self.requests[id];
        let token = if request.has_token_phase() {
            token
        } else {
            prompt
        };
        request.prompt_engine = prompt;
        request.token_engine = token;
        let decode_tokens = request.decode_tokens();
        self.assign(prompt);
        if prompt != token {
            self.assign(token);
            self.split.will_come(token, id, decode_tokens);
        }
        self.arrive(prompt, id);
        true
    }

    /// Schedules the waiting requests, in order of arrival, as far as engines are open.
    pub fn flush(&mut self, now: SimTime) {
        self.now = self.now.max(now);
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else {
                break;
            };
            if self.dispatch(id) {
                self.counts.waiting -= 1;
                self.last_event = self.now;
            } else {
                self.waiting.push_back(id);
            }
        }
    }

    /// The instant of the next event, arrivals included.
    #[must_use]
    pub fn next_event(&self) -> Option<SimTime> {
        let event = self.events.first().map(|(time, _)| time);
        match (self.arrivals.next_time(), event) {
            (Some(arrival), Some(event)) => Some(arrival.min(event)),
            (arrival, event) => arrival.or(event),
        }
    }

    /// The instant of the last event served.
    #[must_use]
    pub const fn last_event(&self) -> SimTime {
        self.last_event
    }

    /// The instant that has been served up to, or the last event when there was no bound.
    #[must_use]
    pub const fn served(&self) -> SimTime {
        self.now
    }

    /// Whether every request that will ever come has come and ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.counts.waiting == 0
            && self.counts.in_flight == 0
            && self.arrivals.next_time().is_none()
    }

    /// Why the workload ended early, if it did.
    #[must_use]
    pub fn workload_error(&self) -> Option<&WorkloadError> {
        self.arrivals.error.as_ref()
    }

    /// Bytes of the model's weights on each engine.
    #[must_use]
    pub const fn weights_bytes(&self) -> u64 {
        self.config.weights_bytes
    }

    /// How many requests stand where.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

/// What the largest of some engines could hold.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Largest {
    /// Bytes of memory, weights included.
    bytes: u64,
    /// Tokens of one request.
    tokens: u64,
}

/// What the engines for the prompt and for the tokens could hold that the router could ever use.
fn largest(config: &EndpointConfig) -> (Largest, Largest) {
    let of = |accept: &dyn Fn(Role) -> bool| {
        let mut largest = Largest::default();
        for it in config.possible.iter().filter(|it| accept(it.role)) {
            let bytes = it.limits.usable_bytes(
                it.memory_bytes,
                config.weights_bytes,
                config.kv_bytes_per_token,
            );
            largest.bytes = largest.bytes.max(bytes);
            let tokens = it.limits.request_tokens.unwrap_or(u64::MAX);
            largest.tokens = largest.tokens.max(tokens);
        }
        largest
    };
    if config.scheduler.pairs_prompt_and_token() {
        (
            of(&|role| role == Role::Prompt),
            of(&|role| role == Role::Token),
        )
    } else {
        (of(&|_| true), of(&|_| true))
    }
}
