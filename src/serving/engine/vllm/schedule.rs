//! The scheduling of a step: first the running requests, then those that wait.

use crate::serving::{BatchShape, StepModel};
use crate::time::SimTime;

use super::SchedulingPolicy;
use super::engine::Vllm;
use super::news::News;
use super::request::{Request, Standing, Ticket};
use super::step::{Item, Step, StepRow};

/// What holds for all requests of a step.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u64,
    /// Tokens of one request, at most.
    cap: u32,
    /// Prompts wait for a later step.
    no_prefill: bool,
}

/// What a step has so far.
#[derive(Debug)]
struct Draft {
    turn: Turn,
    budget: u32,
    items: Vec<Item>,
    preempted: Vec<Ticket>,
    carries_prefill: bool,
}

impl Vllm {
    /// Schedules the next step. False if there is nothing to schedule and nobody to preempt.
    pub(super) fn schedule(&mut self, now: f64, model: &dyn StepModel, news: &mut News) -> bool {
        let number = self.scheduled + 1;
        if number > self.step_limit {
            return false;
        }
        self.lockstep
            .retire(number - 1, &self.requests, &self.config);
        if !self.stepwise {
            self.lock();
        }
        let turn = self.turn(number);
        if !self.lockstep.is_empty() && !self.lockstep_holds(turn) {
            self.unlock();
        }
        let mut draft = Draft {
            turn,
            budget: self.config.max_num_batched_tokens - self.lockstep.active,
            items: self.spare.pop().unwrap_or_default(),
            preempted: Vec::new(),
            carries_prefill: false,
        };
        let start = now.max(self.busy_until);
        self.visit_running(&mut draft);
        self.blocks.take(self.lockstep.lacking(number));
        if draft.preempted.is_empty() {
            self.admit(&mut draft, SimTime::saturating(start), news);
        } else {
            self.may_admit = true;
        }
        self.conclude(draft, start, model)
    }

    fn turn(&self, number: u64) -> Turn {
        let there = self.running + self.waiting.len() as u32;
        let mut cap = u32::MAX;
        if self.config.long_prefill_token_threshold > 0 && there > 1 {
            cap = self.config.long_prefill_token_threshold;
            if self.config.long_prefill_token_threshold_adaptive {
                cap = cap.max(self.config.max_num_batched_tokens / there);
            }
        }
        let interval = i64::from(self.config.prefill_schedule_interval);
        let no_prefill = interval > 1
            && !self.capacity_bound
            && self.steps_done as i64 + 1 - self.last_prefill_step < interval
            && (!self.lockstep.is_empty() || self.loose_requests().any(|request| !request.short));
        Turn {
            number,
            cap,
            no_prefill,
        }
    }

    fn loose_requests(&self) -> impl Iterator<Item = &Request> {
        let at = |ticket: &Ticket| &self.requests[ticket.index()];
        self.loose.iter().map(at)
    }

    /// Tokens that a running request wants in a step that has `budget` left; 0 if it is passed over.
    fn wanted(&self, request: &Request, turn: Turn, budget: u32) -> u32 {
        if turn.no_prefill && request.short {
            return 0;
        }
        let last = request
            .work
            .prompt_tokens
            .saturating_add(request.work.last_output());
        if request.coming > 0 && request.computed + 2 - request.coming >= last {
            // A step under way samples its last token.
            return 0;
        }
        let room = (self.config.max_model_len - 1).saturating_sub(request.computed);
        (request.tokens + request.coming - request.computed)
            .min(turn.cap)
            .min(budget)
            .min(room)
    }

    fn lacking(&self, request: &Request, tokens: u32) -> u32 {
        let blocks = self.config.blocks_of(request.computed + tokens);
        blocks.saturating_sub(request.blocks)
    }

    /// Whether each member of the lockstep gets its token in this step, and everybody the blocks.
    fn lockstep_holds(&self, turn: Turn) -> bool {
        let tokens = self.config.max_num_batched_tokens;
        let Some(mut budget) = tokens.checked_sub(self.lockstep.active) else {
            return false;
        };
        let mut lacking = self.lockstep.lacking(turn.number);
        for request in self.loose_requests() {
            let wanted = self.wanted(request, turn, u32::MAX);
            let granted = wanted.min(budget);
            if granted < wanted && request.admission < self.lockstep.latest {
                return false;
            }
            budget -= granted;
            lacking += self.lacking(request, granted);
        }
        lacking <= self.blocks.free()
    }

    fn visit_running(&mut self, draft: &mut Draft) {
        let mut at = 0;
        while at < self.loose.len() && draft.budget > 0 {
            let ticket = self.loose[at];
            let request = &self.requests[ticket.index()];
            let tokens = self.wanted(request, draft.turn, draft.budget);
            if tokens == 0 {
                at += 1;
                continue;
            }
            let lacking = self.lacking(request, tokens);
            let mut gone = false;
            while lacking > self.blocks.free() && !gone {
                let place = self.victim();
                let victim = self.loose.remove(place);
                at -= usize::from(place < at);
                self.preempt(victim, draft);
                gone = victim == ticket;
            }
            if gone {
                match self.config.scheduling_policy {
                    SchedulingPolicy::Priority => continue,
                    SchedulingPolicy::Fcfs => break,
                }
            }
            self.blocks.take(lacking);
            let admission = self.requests[ticket.index()].admission;
            self.register_lockstep(draft.turn.number, admission);
            self.grant(ticket, tokens, lacking, draft);
            at += 1;
        }
    }

    /// Whom to preempt, by the place among the running requests. None of them is in the lockstep.
    fn victim(&self) -> usize {
        let last = self.loose.len() - 1;
        if self.config.scheduling_policy == SchedulingPolicy::Fcfs {
            return last;
        }
        let key = |place: usize| {
            let work = &self.requests[self.loose[place].index()].work;
            (work.priority, work.arrival)
        };
        (1..=last).fold(
            0,
            |most, place| {
                if key(place) > key(most) { place } else { most }
            },
        )
    }

    fn preempt(&mut self, victim: Ticket, draft: &mut Draft) {
        if let Some(place) = draft.items.iter().position(|item| item.ticket == victim) {
            draft.budget += draft.items.remove(place).tokens;
        }
        let request = &mut self.requests[victim.index()];
        self.tokens_left -= request.tokens_left();
        request.preempt(&mut self.blocks, &self.config);
        self.tokens_left += request.tokens_left();
        self.waiting.put_back(victim, &request.work);
        self.running -= 1;
        self.totals.preemptions += 1;
        draft.preempted.push(victim);
    }

    /// Gives a running request tokens, and the blocks taken for them.
    fn grant(&mut self, ticket: Ticket, tokens: u32, blocks: u32, draft: &mut Draft) {
        let request = &mut self.requests[ticket.index()];
        request.blocks += blocks;
        request.register(request.computed + tokens, &mut self.blocks, &self.config);
        draft.carries_prefill |= request.short;
        draft.budget -= tokens;
        draft.items.push(Item {
            ticket,
            admission: request.admission,
            tokens,
            samples: false,
            prefill: false,
        });
    }

    /// Registers what the lockstep filled before the request of `admission` has its turn in step `number`.
    pub(super) fn register_lockstep(&mut self, number: u64, admission: u64) {
        self.lockstep.register(
            number,
            admission,
            &mut self.requests,
            &mut self.blocks,
            &self.config,
        );
    }

    /// Admits waiting requests as long as the first of them can be.
    fn admit(&mut self, draft: &mut Draft, start: SimTime, news: &mut News) {
        self.may_admit = false;
        while draft.budget > 0 && self.running < self.config.most_running() {
            let Some(ticket) = self.waiting.first() else {
                break;
            };
            self.register_lockstep(draft.turn.number, u64::MAX);
            let found = self.look_up(ticket);
            if !self.admit_first(ticket, found, draft, start, news) {
                break;
            }
        }
        if !draft.turn.no_prefill {
            self.capacity_bound = !self.waiting.is_empty();
        }
    }

    /// Finds the leading blocks of a request in the cache, into `hits`: the tokens in them.
    fn look_up(&mut self, ticket: Ticket) -> u32 {
        self.hits.clear();
        let request = &mut self.requests[ticket.index()];
        if request.brought() > 0 || !request.is_findable(&self.config) {
            return 0;
        }
        let size = self.config.block_size;
        for block in 0..(request.tokens - 1) / size {
            let content = request.content(block, size);
            let Some(found) = self.blocks.find_after(self.hits.last().copied(), content) else {
                break;
            };
            self.hits.push(found);
        }
        self.hits.len() as u32 * size
    }

    fn admit_first(
        &mut self,
        ticket: Ticket,
        found: u32,
        draft: &mut Draft,
        start: SimTime,
        news: &mut News,
    ) -> bool {
        let config = &self.config;
        let request = &self.requests[ticket.index()];
        let hit = found + request.brought();
        debug_assert_eq!(
            request.stale, 0,
            "its step ended before it is admitted again"
        );
        if draft.turn.no_prefill && hit < request.tokens - 1 {
            self.may_admit = true;
            return false;
        }
        let wanted = (request.tokens - hit).min(draft.turn.cap);
        if !config.enable_chunked_prefill && wanted > draft.budget {
            return false;
        }
        let tokens = wanted.min(draft.budget);
        let unused = self.hits.iter().filter(|&&hit| self.blocks.is_unused(hit));
        let held = self.hits.len() as u32 + request.blocks;
        let mut besides = unused.count() as i64 - i64::from(held);
        if self.running > 0 {
            besides += i64::from(config.watermark_blocks());
        }
        let free = i64::from(self.blocks.free());
        let fits = |tokens: u32| i64::from(config.blocks_of(tokens)) + besides <= free;
        if config.scheduler_reserve_full_isl && !fits(request.tokens) || !fits(hit + tokens) {
            return false;
        }
        for &block in &self.hits {
            self.blocks.share(block);
        }
        let blocks = config.blocks_of(hit + tokens).saturating_sub(held);
        self.blocks.take(blocks);
        self.waiting.take_first();
        self.running += 1;
        self.admissions += 1;
        let request = &mut self.requests[ticket.index()];
        if config.enable_prefix_caching {
            self.totals.queried_tokens += u64::from(request.tokens);
        }
        self.totals.hit_tokens += u64::from(found);
        self.tokens_left -= request.tokens_left();
        request.standing = Standing::Loose;
        request.admission = self.admissions;
        request.found.extend_from_slice(&self.hits);
        request.registered = self.hits.len() as u32;
        request.blocks = held;
        request.computed = hit;
        self.tokens_left += request.tokens_left();
        request.short = hit < request.tokens - 1;
        if request.progress.first_scheduled.is_none() {
            request.progress.first_scheduled = Some(start);
            request.progress.cached_tokens = found;
            news.started.push((request.work.owner, start));
        } else {
            request.progress.resumed_cached_tokens += u64::from(found);
        }
        self.loose.push(ticket);
        self.grant(ticket, tokens, blocks, draft);
        true
    }

    /// Makes the step of what is scheduled.
    fn conclude(&mut self, mut draft: Draft, start: f64, model: &dyn StepModel) -> bool {
        let number = draft.turn.number;
        let locked = self.lockstep.active;
        let has_tokens = locked > 0 || !draft.items.is_empty();
        self.steps_done += u64::from(has_tokens);
        if draft.carries_prefill {
            self.last_prefill_step = self.steps_done as i64;
        }
        if !has_tokens && draft.preempted.is_empty() {
            self.spare.push(draft.items);
            return false;
        }
        self.scheduled = number;
        let mut shape = BatchShape {
            decodes: u64::from(locked),
            decode_context: self.lockstep.context(number),
            ..BatchShape::default()
        };
        for item in &mut draft.items {
            let request = &mut self.requests[item.ticket.index()];
            let before = request.computed;
            self.tokens_left -= request.tokens_left();
            let sampled = request.progress.outputs + request.coming;
            request.computed += item.tokens;
            self.tokens_left += request.tokens_left();
            request.under_way += item.tokens;
            request.short = request.computed < request.tokens + request.coming;
            item.samples = !request.short;
            if item.samples {
                request.coming += u32::from(self.config.async_scheduling);
                request.sampled_in = number;
            }
            if item.tokens == 1 && item.samples && sampled > 0 {
                shape.add_decode(u64::from(request.computed));
            } else {
                item.prefill = true;
                shape.add_chunk(u64::from(before), u64::from(item.tokens), model.window());
            }
        }
        if !draft.preempted.is_empty() {
            self.look_for_circle();
        }
        let duration = if has_tokens {
            model.seconds(&shape)
        } else {
            0.0
        };
        self.busy_until = start + duration;
        self.totals.prefill_tokens += shape.prefill_tokens;
        if shape.prefill_tokens > 0 {
            self.totals.prefill_s += duration;
        } else {
            self.totals.decode_s += duration;
        }
        if self.rows.is_some() {
            self.record(&draft, &shape, start, duration);
        }
        self.under_way.push_back(Step {
            number,
            start,
            end: self.busy_until,
            items: draft.items,
            locked,
            prefills: shape.prefill_tokens > 0,
        });
        true
    }

    fn record(&mut self, draft: &Draft, shape: &BatchShape, start: f64, duration: f64) {
        let number = draft.turn.number;
        let label = |ticket: Ticket| self.requests[ticket.index()].work.label();
        let mut scheduled = self.locked_in(number);
        let items = draft.items.iter();
        scheduled.extend(items.map(|item| (item.admission, item.ticket, item.tokens)));
        scheduled.sort_unstable();
        let row = StepRow {
            step: number - 1,
            start_s: start,
            duration_s: duration,
            running: self.running,
            waiting: self.waiting.len() as u32,
            prefill_tokens: shape.prefill_tokens,
            decode_seqs: shape.decodes,
            context_tokens: shape.context(),
            used_blocks: self.blocks.used(),
            preempted: draft.preempted.iter().copied().map(label).collect(),
            finished: Vec::new(),
            scheduled: scheduled
                .into_iter()
                .map(|(_, ticket, tokens)| (label(ticket), tokens))
                .collect(),
        };
        self.rows.get_or_insert_default().push(row);
    }

    /// The members of the lockstep in step `number`, with their admissions and tokens.
    pub(super) fn locked_in(&self, number: u64) -> Vec<(u64, Ticket, u32)> {
        let members = self.lockstep.members().into_iter();
        members
            .filter(|member| {
                let request = &self.requests[member.ticket.index()];
                (request.joined + 1..=request.last_step).contains(&number)
            })
            .map(|member| (member.admission, member.ticket, 1))
            .collect()
    }
}
