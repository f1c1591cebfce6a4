use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::serving::StepModel;
use crate::serving::engine::{Description, UnderWay};
use crate::time::SimTime;

use super::blocks::{BlockId, Blocks};
use super::content::Prefix;
use super::gaps::Gaps;
use super::lockstep::Lockstep;
use super::news::News;
use super::request::{Part, Progress, Request, Standing, Ticket, Work};
use super::step::{Item, Run, Step, StepRow};
use super::waiting::Waiting;
use super::{SchedulingPolicy, VllmConfig};

/// One engine that schedules as vLLM does.
///
/// Its owner hands it work, asks when its next event is, and then ends what ends there and starts what
/// comes next. What arrives at the instant of an event is handed over first.
///
/// ```
/// use fleetsim::serving::Linear;
/// use fleetsim::serving::vllm::{News, Vllm, VllmConfig, Work};
/// use fleetsim::time::SimTime;
///
/// let model = Linear { base: 0.01, prefill_token: 0.0, decode_request: 0.0, context_token: 0.0 };
/// let mut engine = Vllm::new(VllmConfig::of_server("H100", 80 << 30, 4_096, 1_000));
/// engine.enqueue(Work { prompt_tokens: 100, output_tokens: 20, ..Work::default() }, SimTime::ZERO);
/// let mut news = News::default();
/// engine.start(SimTime::ZERO, &model, &mut news);
/// while let Some(now) = engine.next_event() {
///     engine.finish(&mut news);
///     engine.start(now, &model, &mut news);
/// }
/// let last = news.ended[0].progress.last_token.expect("it has tokens");
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
    /// Requests taken in so far.
    enqueued: u64,
    /// Blocks reserved for KV that is on its way.
    reserved: u32,
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
    /// Tokens still to be computed or sampled for the requests here.
    pub(super) tokens_left: u64,
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
    /// Tokens still to be computed or sampled for these requests.
    pub tokens_left: u64,
    /// Tokens sampled since the last event.
    pub sampled: u64,
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
            enqueued: 0,
            reserved: 0,
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
            tokens_left: 0,
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
        self.enqueued += 1;
        let request = Request::new(work, self.enqueued, &self.config);
        self.tokens_left += request.tokens_left();
        self.reserved -= request.blocks;
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

    /// Says more of a request that has just been taken in.
    pub(super) fn describe(&mut self, ticket: Ticket, more: &Description<'_>) {
        let work = &mut self.requests[ticket.index()].work;
        let sorted = self.config.scheduling_policy == SchedulingPolicy::Priority;
        if sorted {
            self.waiting.remove(ticket, work);
        }
        work.id = more.number;
        if let Some(details) = more.details {
            work.name.clone_from(&details.name);
            work.priority = details.priority;
            work.prefix = Prefix {
                ids: details.prefix_blocks.clone(),
                tokens: details.block_tokens.max(1),
            };
        }
        if sorted {
            self.waiting.add(ticket, work);
        }
        let request = &mut self.requests[ticket.index()];
        if let (Part::Tokens { .. }, Some(first)) = (request.work.part, more.first_token) {
            request.progress.last_token = Some(first);
        }
    }

    /// Reserves blocks for the KV of a prompt, and of its first token, that is sent here. False if they are
    /// not free, or a run under way will take them.
    pub fn reserve(&mut self, prompt_tokens: u32) -> bool {
        let blocks = self.config.blocks_of(prompt_tokens + 1);
        let count = self.run.map_or(0, |run| run.count);
        let planned = self.lockstep.blocks_in(self.scheduled, count);
        if u64::from(blocks) + planned > u64::from(self.blocks.free()) {
            return false;
        }
        self.blocks.take(blocks);
        self.reserved += blocks;
        true
    }

    /// Gives back what was reserved for a prompt that does not come.
    pub fn unreserve(&mut self, prompt_tokens: u32) {
        let blocks = self.config.blocks_of(prompt_tokens + 1);
        self.reserved -= blocks;
        self.blocks.release(blocks, 0, &[]);
    }

    /// Whether a new request could be admitted in a run under way.
    fn notices_arrival(&self) -> bool {
        let seats = self.running < self.config.most_running();
        let tokens = self.lockstep.active < self.config.max_num_batched_tokens;
        // With an adaptive limit the tokens of the first who waits depend on how many do.
        let first = self.config.scheduling_policy == SchedulingPolicy::Priority
            || self.config.long_prefill_token_threshold_adaptive
            || self.waiting.is_empty()
            || self.may_admit;
        self.rows.is_some() || (seats && tokens && first)
    }

    /// Schedules what can be scheduled now. To be called at each event after [`finish`](Self::finish),
    /// and when work comes to an engine that has no event.
    pub fn start(&mut self, now: SimTime, model: &dyn StepModel, news: &mut News) {
        let most = 1 + usize::from(self.config.async_scheduling);
        while self.under_way.len() < most && self.schedule(now.seconds(), model, news) {}
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

    /// Ends the step or run that ends at the next event.
    pub fn finish(&mut self, news: &mut News) {
        self.advance();
        self.process(news);
    }

    /// Lets a run under way end with the step that is under way at `now`.
    pub fn interrupt(&mut self, now: SimTime) {
        let reached = self.events_before(now);
        if let Some(run) = &mut self.run {
            run.count = run.count.min(reached);
        }
    }

    /// Takes a request out, whatever it does, and says how far it came by `now`.
    ///
    /// Its tokens in steps under way are lost; the steps take as long as before. This is also how a request
    /// goes whose blocks were kept to be sent. A run under way ends with the step under way.
    pub fn withdraw(&mut self, ticket: Ticket, now: SimTime) -> Option<(Work, Progress)> {
        if self.requests.get(ticket.index())?.standing == Standing::Gone {
            return None;
        }
        self.settle_until(now);
        if self.requests[ticket.index()].standing == Standing::Locked {
            self.unlock();
        }
        for step in &mut self.under_way {
            step.items.retain(|item| item.ticket != ticket);
        }
        let request = &mut self.requests[ticket.index()];
        if request.standing != Standing::Kept {
            self.tokens_left -= request.tokens_left();
        }
        request.release(&mut self.blocks);
        match request.standing {
            Standing::Kept => {}
            Standing::Waiting => self.waiting.remove(ticket, &request.work),
            _ => {
                self.running -= 1;
                self.loose.retain(|&other| other != ticket);
            }
        }
        Some(self.vacate(ticket))
    }

    /// Lets the blocks of a request go that were kept to be sent.
    pub fn give_up(&mut self, ticket: Ticket) {
        let request = &mut self.requests[ticket.index()];
        if request.standing == Standing::Kept {
            request.release(&mut self.blocks);
            self.vacate(ticket);
        }
    }

    /// Whether the blocks of a request are kept to be sent.
    #[must_use]
    pub fn is_kept(&self, ticket: Ticket) -> bool {
        let request = self.requests.get(ticket.index());
        request.is_some_and(|request| request.standing == Standing::Kept)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Requests that wait, and requests that run.
    #[must_use]
    pub fn queued_and_running(&self) -> (usize, usize) {
        (self.waiting.len(), self.running as usize)
    }

    /// Lets all storage of an engine go that has no request any more. What it did stays.
    pub fn clear(&mut self) {
        let (totals, stepwise, step_limit) = (self.totals, self.stepwise, self.step_limit);
        *self = Self::new(self.config);
        self.totals = totals;
        self.stepwise = stepwise;
        self.step_limit = step_limit;
    }

    /// Seconds of steps with prompt tokens, and without, until `at`.
    #[must_use]
    pub fn busy_until(&self, at: SimTime) -> (f64, f64) {
        let at = at.seconds();
        let (mut prefill_s, mut decode_s) = (self.totals.prefill_s, self.totals.decode_s);
        for step in &self.under_way {
            let to_come = step.end - step.start.max(at).min(step.end);
            if step.prefills {
                prefill_s -= to_come;
            } else {
                decode_s -= to_come;
            }
        }
        if let Some(run) = &self.run {
            let end = self.end_of(run.after + run.count);
            decode_s += (at.min(end) - run.from).max(0.0);
        }
        (prefill_s.max(0.0), decode_s.max(0.0))
    }

    /// What is under way at `at`, for those who record runs.
    #[must_use]
    pub fn under_way(&self, at: SimTime) -> Option<UnderWay> {
        let step = self.under_way.front()?;
        let prompts = step.items.iter().filter(|item| item.prefill);
        let count = self.run.map_or(0, |run| run.count);
        let done = self.events_before(at) + u64::from(self.end_of(step.number) <= at.seconds());
        Some(UnderWay {
            prompts: prompts.clone().count() as u32,
            prompt_tokens: prompts.clone().map(|item| u64::from(item.tokens)).sum(),
            token_tasks: step.locked + (step.items.len() - prompts.count()) as u32,
            steps: 1 + count,
            done: done.min(1 + count),
        })
    }

    /// Writes down what happened before `now`; a run under way ends with the step under way.
    pub fn settle_until(&mut self, now: SimTime) {
        self.interrupt(now);
        self.advance();
    }

    /// Gives the place of a request free.
    pub(super) fn vacate(&mut self, ticket: Ticket) -> (Work, Progress) {
        let request = std::mem::take(&mut self.requests[ticket.index()]);
        self.vacant.push(ticket);
        (request.work, request.progress)
    }

    /// The requests that wait or run.
    pub fn works(&self) -> impl Iterator<Item = &Work> + '_ {
        let away = [Standing::Gone, Standing::Kept];
        let here = self.requests.iter();
        here.filter(move |request| !away.contains(&request.standing))
            .map(|request| &request.work)
    }

    /// A request that is in the engine.
    #[must_use]
    pub fn work(&self, ticket: Ticket) -> Option<&Work> {
        let request = self.requests.get(ticket.index())?;
        (request.standing != Standing::Gone).then_some(&request.work)
    }

    /// The last of those who wait with blocks that they brought.
    #[must_use]
    pub fn last_that_holds(&self) -> Option<&Work> {
        let waiting = self.waiting.backwards();
        let mut waiting = waiting.map(|ticket| &self.requests[ticket.index()]);
        Some(&waiting.find(|request| request.blocks > 0)?.work)
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
            tokens_left: self.tokens_left - u64::from(self.lockstep.active) * reached,
            sampled: u64::from(self.lockstep.active) * reached,
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
        let mut held = found + self.reserved;
        let (mut running, mut waiting, mut tokens_left) = (0, 0, 0);
        for request in &self.requests {
            match request.standing {
                Standing::Gone => continue,
                Standing::Kept => {}
                Standing::Waiting => waiting += 1,
                Standing::Loose | Standing::Locked => running += 1,
            }
            if request.standing != Standing::Kept {
                tokens_left += request.tokens_left();
            }
            let blocks = if request.standing == Standing::Locked {
                let steps = self.scheduled.min(request.last_step) - request.joined;
                let processed = self.processed.min(request.last_step);
                tokens_left -= processed.saturating_sub(request.joined);
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
        if tokens_left != self.tokens_left {
            let kept = self.tokens_left;
            return Err(format!(
                "{kept} tokens are left by count, {tokens_left} by request"
            ));
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
