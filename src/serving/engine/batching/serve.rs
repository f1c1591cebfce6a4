use super::batch::Batch;
use super::engine::BatchingEngine;
use super::pool::{Memory, Pool};
use super::rule::Batching;
use super::task::{Phase, Slot, Task};
use crate::serving::engine::{
    Effects, Engine, EngineLimits, EngineLoad, Interrupted, Phases, Place, Recount, RequestId,
    Start, UnderWay, Urge, Work, Works,
};
use crate::time::SimTime;

/// Room for this many requests is made at once when the first comes, so that the lists of an engine stand
/// side by side in memory unless it gets many more.
const USUAL: usize = 32;

impl BatchingEngine {
    /// Puts a task into the pending list, and says what comes of it.
    #[inline(always)]
    fn queue(&mut self, task: Task, held: u64) -> Urge {
        let rule = self.kind.rule;
        self.pool.enqueue(task, rule.sorts_pending());
        if self.run.is_none() {
            if let Some(shaped) = &mut self.shaped {
                shaped.runs_on = false;
            }
            if self.fits(self.kv_bytes(held)) {
                Urge::Start
            } else {
                Urge::Nothing
            }
        } else if rule.interrupts(self, task) {
            Urge::Interrupt
        } else {
            Urge::Nothing
        }
    }

    /// Tokens still to be processed for a request in the pool.
    fn tokens_left(&self, task: Task) -> u64 {
        let member = self.pool.member(task);
        let iterations = match task.phase() {
            Phase::Token => self.iterations_left(task),
            Phase::Prompt => member.iterations(),
        };
        member.tokens_left(iterations)
    }

    /// The next task of every request: those that wait, then those in the batch.
    fn tasks(&self) -> impl Iterator<Item = Task> + '_ {
        let waiting = self.pool.waiting().iter().copied();
        waiting.chain(self.batch.tasks().map(|(task, _)| task))
    }
}

impl Engine for BatchingEngine {
    #[inline(always)]
    fn enqueue(&mut self, work: &Work, _: SimTime) -> (Place, Urge) {
        if self.pool.has_no_room() {
            self.pool.reserve(USUAL);
            self.batch.reserve(USUAL);
        }
        let (phase, held) = match work.phases {
            Phases::Tokens => (Phase::Token, work.decode_tokens().into()),
            Phases::Both | Phases::Prompt => (Phase::Prompt, work.prompt_held()),
        };
        let slot = self.pool.enter(work, phase);
        self.totals.pending_tokens += work.tokens();
        let urge = self.queue(Task::new(slot, phase), held);
        (Place(slot.index() as u32), urge)
    }

    #[inline(always)]
    fn enqueue_tokens(&mut self, work: &Work, place: Place, _: SimTime) -> Urge {
        let slot = Slot::at(place.0 as usize);
        self.queue(Task::token(slot), work.decode_tokens().into())
    }

    #[inline(always)]
    fn start(&mut self, effects: &mut Effects<'_>) -> Start {
        let Effects {
            now,
            requests,
            told,
        } = effects;
        if self.shaped.as_ref().is_none_or(|it| !it.runs_on) {
            let selection = &mut told.selection;
            selection.clear();
            let rule = self.kind.rule;
            rule.select(self, selection);
            self.rebatch(requests, selection, *now);
            if self.batch.is_empty() {
                return match self.has_waiting() {
                    true => Start::Stuck,
                    false => Start::Idle,
                };
            }
        }
        Start::Until(self.start_run(*now))
    }

    #[inline(always)]
    fn finish(&mut self, effects: &mut Effects<'_>) {
        self.finish_run(effects);
    }

    #[inline(always)]
    fn interrupt(&mut self, now: SimTime) -> Interrupted {
        let prompts = self.batch.prompts();
        match &mut self.run {
            Some(run) if !run.paused && prompts == 0 => {
                let later = match &self.shaped {
                    Some(shaped) => shaped.cut_short(run, now),
                    None => run.cut_short(now),
                };
                if later {
                    Interrupted::Until(run.ends)
                } else {
                    Interrupted::Now
                }
            }
            _ => Interrupted::No,
        }
    }

    fn set_pace(&mut self, factor: f64, now: SimTime) -> Interrupted {
        self.change_pace(factor);
        self.interrupt(now)
    }

    fn break_off(&mut self, effects: &mut Effects<'_>) {
        let (tokens, prompt_s, token_s) = self.progress(effects.now());
        self.totals.output_tokens += tokens;
        self.totals.prompt_busy_s += prompt_s;
        self.totals.token_busy_s += token_s;
        self.run = None;
        effects.processed(0, tokens);
    }

    fn withdraw(&mut self, work: &Work, place: Place, _now: SimTime) -> u64 {
        let slot = Slot::at(place.0 as usize);
        let member = *self.pool.member(Task::prompt(slot));
        let task = Task::new(slot, member.next);
        self.totals.pending_tokens -= self.tokens_left(task);
        let iterations = self.iterations_left(task);
        if !self.batch.remove(task) {
            self.pool.drop_waiting(task);
        } else if let Some(shaped) = &mut self.shaped
            && !task.is_prompt()
        {
            let tokens = u64::from(work.prompt_tokens) + u64::from(work.decode_tokens());
            shaped.drops(tokens - u64::from(iterations));
        }
        if let Some(shaped) = &mut self.shaped {
            shaped.runs_on &= !self.batch.is_empty();
        }
        if task.is_prompt() {
            self.pool.drop_behind_prompt(slot);
        }
        self.pool.leave(slot);
        let released = self.kv_bytes(member.tokens_held(work.output_tokens));
        self.used -= released;
        released
    }

    fn each_request(&self, each: &mut dyn FnMut(RequestId)) {
        self.tasks()
            .for_each(|task| each(self.pool.member(task).request));
    }

    fn ends(&self) -> Option<SimTime> {
        self.run.as_ref().map(|run| run.ends)
    }

    fn is_empty(&self) -> bool {
        !self.has_waiting() && self.batch.is_empty()
    }

    fn load(&self, at: SimTime) -> EngineLoad {
        let (tokens, prompt_s, token_s) = self.progress(at);
        let totals = &self.totals;
        EngineLoad {
            queued: self.pool.waiting().len() as u64,
            running: self.batch.len() as u64,
            pending_tokens: totals.pending_tokens.saturating_sub(tokens),
            memory_used: self.used(),
            memory: self.memory(),
            prompt_tokens: totals.prompt_tokens,
            output_tokens: totals.output_tokens + tokens,
            prompt_busy_s: totals.prompt_busy_s + prompt_s,
            token_busy_s: totals.token_busy_s + token_s,
            ..EngineLoad::default()
        }
    }

    fn limits(&self) -> EngineLimits {
        self.kind.limits
    }

    fn recount(&self, works: Works<'_>) -> Result<Recount, String> {
        let mut counted = Recount::default();
        let mut held = 0;
        for task in self.tasks() {
            let member = self.pool.member(task);
            let work = works.get(member.request);
            counted.requests += 1;
            counted.pending_tokens += self.tokens_left(task);
            held += self.kv_bytes(member.tokens_held(work.output_tokens));
            let waits_with_memory = member.memory == Memory::Taken && !self.batch.has(task);
            if member.selected || waits_with_memory {
                return Err(format!("{member:?} is neither in the batch nor waits"));
            }
        }
        if let Some(shaped) = &self.shaped {
            shaped.recount(self, works)?;
        }
        if counted.pending_tokens != self.totals.pending_tokens {
            let kept = self.totals.pending_tokens;
            let tokens = counted.pending_tokens;
            return Err(format!("{kept} tokens are pending, but {tokens} are left"));
        }
        if self.used > self.memory() {
            return Err("more memory is in use than there is".to_owned());
        }
        match self.used.checked_sub(self.kind.weights + held) {
            Some(sent_bytes) => Ok(Recount {
                sent_bytes,
                ..counted
            }),
            None => Err(format!("{} bytes are in use, {held} are held", self.used)),
        }
    }

    /// Looks at the head of the pending list alone.
    fn urge(&self, works: Works<'_>) -> Urge {
        let Some(head) = self.pool.pending().get(0) else {
            return Urge::Nothing;
        };
        if self.run.is_some() {
            return match self.kind.rule.has_room(self) {
                true => Urge::Interrupt,
                false => Urge::Nothing,
            };
        }
        let work = works.get(self.pool.member(head).request);
        let held = match head.phase() {
            Phase::Prompt => work.prompt_held(),
            Phase::Token => work.decode_tokens().into(),
        };
        match self.fits(self.kv_bytes(held)) {
            true => Urge::Start,
            false => Urge::Nothing,
        }
    }

    fn take_kv(&mut self, work: &Work) -> bool {
        let bytes = self.kv_bytes(work.prompt_held());
        let fits = self.fits(bytes);
        if fits {
            self.take(bytes);
        }
        fits
    }

    fn give_up_kv(&mut self, work: &Work) -> u64 {
        let bytes = self.kv_bytes(work.prompt_held());
        self.used -= bytes;
        bytes
    }

    fn is_stuck(&mut self, effects: &mut Effects<'_>) -> bool {
        if !self.has_waiting() {
            return false;
        }
        let selection = &mut effects.told.selection;
        selection.clear();
        let rule = self.kind.rule;
        rule.select(self, selection);
        for &task in &selection.joined {
            self.pool.member_mut(task).selected = false;
        }
        selection.is_empty()
    }

    /// The last to arrive that holds memory and waits for more.
    fn victim(&self) -> Option<RequestId> {
        let waiting = self.pool.tokens_waiting();
        let latest = waiting.iter().rev().find(|task| !task.is_prompt());
        latest.map(|&task| self.pool.member(task).request)
    }

    fn has_queue(&self) -> bool {
        !self.pool.pending().is_empty()
    }

    fn under_way(&self, at: SimTime) -> Option<UnderWay> {
        let run = self.run.as_ref()?;
        Some(UnderWay {
            prompts: self.batch.prompts() as u32,
            prompt_tokens: self.joined_prompt_tokens(),
            token_tasks: self.batch.token_tasks() as u32,
            steps: run.iterations.into(),
            done: self.iterations_by(run, at),
        })
    }

    fn clear(&mut self) {
        self.pool = Pool::default();
        self.batch = Batch::default();
        self.run = None;
        self.shaped = None;
        self.used = self.kind.weights;
        self.totals.pending_tokens = 0;
    }
}
