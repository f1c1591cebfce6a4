use std::cmp::Ordering;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::serving::StepModel;
use crate::time::SimTime;

use super::VllmConfig;
use super::blocks::{BlockId, Blocks};
use super::circle::Circle;
use super::gaps::Gaps;
use super::lockstep::Lockstep;
use super::news::News;
use super::request::{Request, Ticket};
use super::step::{Item, Run, Step, StepRow};
use super::waiting::Waiting;

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
    pub(super) vacant: Vec<Ticket>,
    /// Requests taken in so far.
    pub(super) enqueued: u64,
    /// Blocks reserved for KV that is on its way.
    pub(super) reserved: u32,
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
    pub(super) circle: Circle,
    /// It goes on in a circle as vLLM does, save where blocks are held that a running request does not have.
    pub(super) spins: bool,
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
            circle: Circle::default(),
            spins: true,
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

    /// The same engine, which rests where requests preempt one another in a circle without end, until something
    /// comes or goes.
    ///
    /// Without this it goes on as vLLM does, unless blocks are held by requests that do not run.
    #[must_use]
    pub fn resting(mut self) -> Self {
        self.spins = false;
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

    /// Schedules what can be scheduled now, or nothing where that would go on without end. To be called at
    /// each event after [`finish`](Self::finish), and when work comes to an engine that has no event.
    pub fn start(&mut self, now: SimTime, model: &dyn StepModel, news: &mut News) {
        let most = 1 + usize::from(self.config.async_scheduling);
        while self.under_way.len() < most
            && !self.rests()
            && self.schedule(now.seconds(), model, news)
        {}
        if !self.stepwise && self.under_way.len() == most {
            self.plan_run(model);
        }
    }

    /// When the next step or run of steps ends; nothing, if nothing is under way.
    #[must_use]
    #[inline]
    pub fn next_event(&self) -> Option<SimTime> {
        self.under_way.front()?;
        let count = self.run.map_or(0, |run| run.count);
        Some(SimTime::saturating(self.end_of(self.processed + 1 + count)))
    }

    /// Ends the step or run that ends at the next event.
    pub fn finish(&mut self, news: &mut News) {
        self.advance(news);
        self.process(news);
    }

    /// Lets a run under way end with the step that is under way at `now`.
    pub fn interrupt(&mut self, now: SimTime) {
        let reached = self.events_before(now);
        if let Some(run) = &mut self.run {
            run.count = run.count.min(reached);
        }
    }

    /// Lets the step under way end at `end`, and what is scheduled after it as much later or earlier.
    ///
    /// For ranks that step together: each waits for the slowest. A run of steps ends with the step under way.
    pub fn hold_until(&mut self, end: SimTime) {
        self.run = None;
        let Some(front) = self.under_way.front() else {
            return;
        };
        let later = end.seconds() - front.end;
        for (place, step) in self.under_way.iter_mut().enumerate() {
            step.start += if place > 0 { later } else { 0.0 };
            step.end += later;
        }
        if let Some(front) = self.under_way.front_mut() {
            front.end = end.seconds();
            let seconds = match front.prefills {
                true => &mut self.totals.prefill_s,
                false => &mut self.totals.decode_s,
            };
            *seconds += later;
        }
        self.busy_until += later;
        for row in self.rows.iter_mut().flatten() {
            match row.step.cmp(&self.processed) {
                Ordering::Less => {}
                Ordering::Equal => row.duration_s += later,
                Ordering::Greater => row.start_s += later,
            }
        }
    }

    /// Whether it goes in a circle, and need not.
    fn rests(&self) -> bool {
        self.circle.is_closed() && (!self.spins || self.holds_for_others())
    }

    /// Lets all storage of an engine go that has no request any more. What it did stays.
    pub fn clear(&mut self) {
        *self = Self {
            totals: self.totals,
            stepwise: self.stepwise,
            step_limit: self.step_limit,
            spins: self.spins,
            ..Self::new(self.config)
        };
    }

    /// Writes down what happened before `now`; a run under way ends with the step under way.
    pub fn settle_until(&mut self, now: SimTime, news: &mut News) {
        self.interrupt(now);
        self.advance(news);
    }
}
