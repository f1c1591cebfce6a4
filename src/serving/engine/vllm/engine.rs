use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::serving::StepModel;
use crate::time::SimTime;

use super::blocks::{BlockId, Blocks};
use super::config::{SchedulingPolicy, VllmConfig};
use super::gaps::Gaps;
use super::lockstep::Lockstep;
use super::request::{Progress, Request, Standing, Ticket, Work};
use super::step::{Item, Run, Step, StepRow};
use super::waiting::Waiting;

/// One engine that schedules as vLLM does.
///
/// Its owner hands it work, asks when its next event is, and then ends what ends there and starts what
/// comes next. What arrives at the instant of an event is handed over first.
///
/// ```
/// use fleetsim::serving::Linear;
/// use fleetsim::serving::vllm::{Vllm, VllmConfig, Work};
/// use fleetsim::time::SimTime;
///
/// let model = Linear { base: 0.01, prefill_token: 0.0, decode_request: 0.0, context_token: 0.0 };
/// let mut engine = Vllm::new(VllmConfig::of_server("H100", 80 << 30, 4_096, 1_000));
/// engine.enqueue(Work { prompt_tokens: 100, output_tokens: 20, ..Work::default() }, SimTime::ZERO);
/// engine.start(SimTime::ZERO, &model);
/// let mut ended = Vec::new();
/// while let Some(now) = engine.next_event() {
///     engine.finish(&mut ended);
///     engine.start(now, &model);
/// }
/// let last = ended[0].progress.last_token.expect("it has tokens");
/// assert!((last.seconds() - 0.2).abs() < 1e-9);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vllm {
    pub(super) config: VllmConfig,
    /// Each step is scheduled request by request.
    pub(super) stepwise: bool,
    /// No step after this one is scheduled.
    pub(super) step_limit: u64,
    pub(super) requests: Vec<Request>,
    vacant: Vec<Ticket>,
    pub(super) waiting: Waiting,
    /// Requests admitted and not finished.
    pub(super) running: u32,
    pub(super) admissions: u64,
    /// Of these, those that are not in the lockstep, by admission.
    pub(super) loose: Vec<Ticket>,
    pub(super) lockstep: Lockstep,
    pub(super) blocks: Blocks,
    /// The last step scheduled, and the last processed.
    pub(super) scheduled: u64,
    pub(super) processed: u64,
    /// The steps between, at most two.
    pub(super) under_way: VecDeque<Step>,
    pub(super) run: Option<Run>,
    /// When all that is scheduled has run.
    pub(super) busy_until: f64,
    /// When the last step processed ended.
    pub(super) last_end: f64,
    pub(super) gaps: Gaps,
    /// For `prefill_schedule_interval`: steps with tokens, the last of them with prompts, and whether
    /// the last admissions left somebody waiting.
    pub(super) steps_done: u64,
    pub(super) last_prefill_step: i64,
    pub(super) capacity_bound: bool,
    /// The next step may admit whom the last did not, though nothing else changes.
    pub(super) may_admit: bool,
    pub(super) totals: Totals,
    pub(super) rows: Option<Vec<StepRow>>,
    #[serde(skip)]
    pub(super) spare: Vec<Vec<Item>>,
    #[serde(skip)]
    pub(super) hits: Vec<BlockId>,
}

/// What an engine did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Prompt tokens computed, those computed again included.
    pub prefill_tokens: u64,
    /// Tokens sampled.
    pub output_tokens: u64,
    /// Seconds of steps with prompt tokens.
    pub prefill_s: f64,
    /// Seconds of steps without.
    pub decode_s: f64,
    /// Preemptions.
    pub preemptions: u64,
    /// Tokens of requests when they were admitted.
    pub queried_tokens: u64,
    /// Of these, those found in the cache.
    pub hit_tokens: u64,
}

/// A request that has all its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its former place in the engine.
    pub ticket: Ticket,
    /// Its number.
    pub id: u64,
    /// When and how it was served.
    pub progress: Progress,
}

/// What an engine holds at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests admitted.
    pub running: u32,
    /// Requests that wait to be admitted.
    pub waiting: u32,
    /// KV blocks with a user.
    pub used_blocks: u32,
    /// KV blocks that can be used.
    pub usable_blocks: u32,
}

impl Vllm {
    /// An idle engine.
    #[must_use]
    pub fn new(config: VllmConfig) -> Self {
        Self {
            config,
            stepwise: false,
            step_limit: u64::MAX,
            requests: Vec::new(),
            vacant: Vec::new(),
            waiting: Waiting::new(config.scheduling_policy),
            running: 0,
            admissions: 0,
            loose: Vec::new(),
            lockstep: Lockstep::default(),
            blocks: Blocks::new(config.num_gpu_blocks),
            scheduled: 0,
            processed: 0,
            under_way: VecDeque::new(),
            run: None,
            busy_until: 0.0,
            last_end: 0.0,
            gaps: Gaps::default(),
            steps_done: 0,
            last_prefill_step: -i64::from(config.prefill_schedule_interval),
            capacity_bound: false,
            may_admit: false,
            totals: Totals::default(),
            rows: None,
            spare: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// The same engine, but every step is an event and is scheduled request by request.
    ///
    /// All times are then equal to vLLM's to the last bit. Otherwise those in a run of decode steps come
    /// from a closed form and may differ in their last digits.
    #[must_use]
    pub fn stepwise(mut self) -> Self {
        self.stepwise = true;
        self
    }

    /// The same engine, which schedules at most `steps` steps.
    #[must_use]
    pub fn limited_to(mut self, steps: u64) -> Self {
        self.step_limit = steps;
        self
    }

    /// Keeps what each step did, from now on, for [`take_rows`](Self::take_rows).
    pub fn record_steps(&mut self) {
        self.rows.get_or_insert_default();
    }

    /// The steps recorded since the last call; those still under way stay.
    pub fn take_rows(&mut self) -> Vec<StepRow> {
        let processed = self.processed;
        let Some(rows) = &mut self.rows else {
            return Vec::new();
        };
        let over = rows.partition_point(|row| row.step < processed);
        rows.drain(..over).collect()
    }

    /// Its options.
    #[must_use]
    pub const fn config(&self) -> &VllmConfig {
        &self.config
    }

    /// Takes work in. A run under way ends with the step under way, if the work could change the next.
    ///
    /// An engine without an event then waits for [`start`](Self::start), once all that comes at this
    /// instant has been handed over.
    pub fn enqueue(&mut self, work: Work, now: SimTime) -> Ticket {
        let request = Request::new(work);
        let ticket = match self.vacant.pop() {
            Some(ticket) => {
                self.requests[ticket.index()] = request;
                ticket
            }
            None => {
                self.requests.push(request);
                Ticket((self.requests.len() - 1) as u32)
            }
        };
        if self.run.is_some() && self.notices_arrival() {
            self.interrupt(now);
        }
        self.waiting
            .add(ticket, &self.requests[ticket.index()].work);
        ticket
    }

    /// Whether a new request could be admitted in a run under way.
    fn notices_arrival(&self) -> bool {
        let seats = self.running < self.config.most_running();
        let tokens = self.lockstep.active < self.config.max_num_batched_tokens;
        let first = self.config.scheduling_policy == SchedulingPolicy::Priority
            || self.waiting.is_empty()
            || self.may_admit;
        self.rows.is_some() || (seats && tokens && first)
    }

    /// Schedules what can be scheduled now. To be called at each event after [`finish`](Self::finish),
    /// and when work comes to an engine that has no event.
    pub fn start(&mut self, now: SimTime, model: &dyn StepModel) {
        let most = 1 + usize::from(self.config.async_scheduling);
        while self.under_way.len() < most && self.schedule(now.seconds(), model) {}
        if !self.stepwise && self.under_way.len() == most {
            self.plan_run(model);
        }
    }

    /// When the next step or run of steps ends; nothing, if nothing is under way.
    #[must_use]
    pub fn next_event(&self) -> Option<SimTime> {
        self.under_way.front()?;
        let count = self.run.map_or(0, |run| run.count);
        Some(SimTime::saturating(self.end_of(self.processed + 1 + count)))
    }

    /// Ends the step or run that ends at the next event; requests that have all their tokens go
    /// to `ended`.
    pub fn finish(&mut self, ended: &mut Vec<Ended>) {
        self.advance();
        self.process(ended);
    }

    /// Lets a run under way end with the step that is under way at `now`.
    pub fn interrupt(&mut self, now: SimTime) {
        let reached = self.events_before(now);
        if let Some(run) = &mut self.run {
            run.count = run.count.min(reached);
        }
    }

    /// Takes a request out, whatever it does, and says how far it came by `now`. Its tokens in steps under
    /// way are lost; the steps take as long as before.
    pub fn withdraw(&mut self, ticket: Ticket, now: SimTime) -> Option<(Work, Progress)> {
        if self.requests.get(ticket.index())?.standing == Standing::Gone {
            return None;
        }
        self.interrupt(now);
        self.advance();
        if self.requests[ticket.index()].standing == Standing::Locked {
            self.unlock();
        }
        for step in &mut self.under_way {
            step.items.retain(|item| item.ticket != ticket);
        }
        let request = &mut self.requests[ticket.index()];
        request.release(&mut self.blocks);
        match request.standing {
            Standing::Waiting => self.waiting.remove(ticket, &request.work),
            _ => {
                self.running -= 1;
                self.loose.retain(|&other| other != ticket);
            }
        }
        Some(self.vacate(ticket))
    }

    /// Gives the place of a request free.
    pub(super) fn vacate(&mut self, ticket: Ticket) -> (Work, Progress) {
        let request = std::mem::take(&mut self.requests[ticket.index()]);
        self.vacant.push(ticket);
        (request.work, request.progress)
    }

    /// Those that are in the engine.
    pub fn tickets(&self) -> impl Iterator<Item = Ticket> + '_ {
        let all = self.requests.iter().zip(0..);
        all.filter(|(request, _)| request.standing != Standing::Gone)
            .map(|(_, place)| Ticket(place))
    }

    /// A request that is in the engine.
    #[must_use]
    pub fn work(&self, ticket: Ticket) -> Option<&Work> {
        let request = self.requests.get(ticket.index())?;
        (request.standing != Standing::Gone).then_some(&request.work)
    }

    /// Whether nothing is in the engine and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// What it holds at `now`, an instant not before the last event.
    #[must_use]
    pub fn load(&self, now: SimTime) -> Load {
        let reached = self.events_before(now);
        let taken = self.lockstep.blocks_in(self.scheduled, reached) as u32;
        Load {
            running: self.running,
            waiting: self.waiting.len() as u32,
            used_blocks: self.blocks.used() + taken,
            usable_blocks: self.blocks.usable(),
        }
    }

    /// What it did until the last event.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Derives every count from the requests, and compares.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn recount(&self) -> Result<(), String> {
        let found = self.blocks.recount()?;
        let mut held = found;
        let (mut running, mut waiting) = (0, 0);
        for request in &self.requests {
            match request.standing {
                Standing::Gone => continue,
                Standing::Waiting => waiting += 1,
                Standing::Loose | Standing::Locked => running += 1,
            }
            let blocks = if request.standing == Standing::Locked {
                let steps = self.scheduled.min(request.last_step) - request.joined;
                self.config.blocks_of(request.computed + steps as u32)
            } else {
                request.blocks
            };
            if (request.found.len() as u32) > blocks {
                return Err(format!("request {} holds too few blocks", request.work.id));
            }
            held += blocks - request.found.len() as u32;
        }
        if held != self.blocks.used() {
            return Err(format!("{held} blocks held, {} in use", self.blocks.used()));
        }
        if running != self.running || waiting != self.waiting.len() {
            return Err(format!("{running} run and {waiting} wait"));
        }
        let members = self.lockstep.members().len();
        if members + self.loose.len() != self.running as usize {
            return Err(format!("{members} in lockstep of {running}"));
        }
        if !self.lockstep.recount(&self.requests, &self.config) {
            return Err("the sums of the lockstep are wrong".into());
        }
        Ok(())
    }
}
