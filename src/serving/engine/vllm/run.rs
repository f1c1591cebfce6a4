//! Runs of decode steps, and who is in lockstep in them.

use crate::serving::{BatchShape, StepModel};
use crate::time::SimTime;

use super::engine::Vllm;
use super::news::{News, TokenGaps};
use super::request::{Standing, Ticket};
use super::step::{Item, Run, Step, StepRow};

impl Vllm {
    /// Takes the running requests into the lockstep that sampled a token in the last step and
    /// have more to come.
    pub(super) fn lock(&mut self) {
        let Self {
            config,
            requests,
            lockstep,
            loose,
            scheduled,
            ..
        } = self;
        loose.retain(|&ticket| {
            let request = &mut requests[ticket.index()];
            let tokens = request.tokens + request.coming;
            let left = request.last_token(config).saturating_sub(tokens);
            if request.short || request.sampled_in != *scheduled || left == 0 {
                return true;
            }
            request.standing = Standing::Locked;
            let last = *scheduled + u64::from(left);
            lockstep.join(ticket, request, *scheduled, last, config);
            false
        });
    }

    /// Writes down the counts of a member of the lockstep.
    pub(super) fn settle(&mut self, ticket: Ticket) {
        let request = &mut self.requests[ticket.index()];
        let scheduled = self.scheduled.min(request.last_step);
        let processed = self.processed.min(request.last_step);
        let steps = (scheduled - request.joined) as u32;
        let sampled = processed.saturating_sub(request.joined) as u32;
        request.standing = Standing::Loose;
        request.computed += steps;
        request.under_way += steps - sampled;
        if self.config.async_scheduling {
            request.coming += steps - sampled;
        }
        request.tokens += sampled;
        request.progress.outputs += sampled;
        if sampled > 0 {
            request.progress.last_token = Some(SimTime::saturating(self.last_end));
            if let Some(gap) = self.gaps.longest_after(request.joined) {
                request.progress.gap(gap);
            }
        }
        request.sampled_in = scheduled;
        request.blocks = self.config.blocks_of(request.computed);
        let unknown = u32::from(self.config.async_scheduling && processed < scheduled);
        request.register(request.computed - unknown, &mut self.blocks, &self.config);
    }

    /// Makes single requests of all members of the lockstep.
    pub(super) fn unlock(&mut self) {
        self.register_lockstep(self.scheduled + 1, 0);
        for mut step in std::mem::take(&mut self.under_way) {
            let locked = self.locked_in(step.number);
            step.items
                .extend(locked.into_iter().map(|(admission, ticket, tokens)| Item {
                    ticket,
                    admission,
                    tokens,
                    samples: true,
                    prefill: false,
                }));
            step.items.sort_unstable_by_key(|item| item.admission);
            step.locked = 0;
            self.under_way.push_back(step);
        }
        for member in self.lockstep.members() {
            self.settle(member.ticket);
            self.loose.push(member.ticket);
        }
        self.lockstep.clear();
        let requests = &self.requests;
        self.loose
            .sort_unstable_by_key(|ticket| requests[ticket.index()].admission);
    }

    /// Plans as many steps in one event as are scheduled alike: the same members, enough blocks, nobody
    /// to admit.
    pub(super) fn plan_run(&mut self, model: &dyn StepModel) {
        self.run = None;
        let simple = self.loose.is_empty()
            && self.lockstep.ending.is_empty()
            && self.under_way.iter().all(|step| step.items.is_empty());
        let waits = !self.waiting.is_empty();
        if !simple || waits && (self.may_admit || self.config.prefill_schedule_interval > 1) {
            return;
        }
        let after = self.scheduled;
        let Some(end) = self.lockstep.first_end() else {
            return;
        };
        let mut most = end.saturating_sub(after);
        most = most.min(self.step_limit - after);
        most = most.min(self.lockstep.steps_with(self.blocks.free(), after));
        if waits && let Some(fill) = self.lockstep.first_fill() {
            // A block that the first of those who wait may find.
            most = most.min(fill.saturating_sub(after + 1));
        }
        if most == 0 {
            return;
        }
        let shape = BatchShape {
            decodes: u64::from(self.lockstep.active),
            decode_context: self.lockstep.context(after + 1),
            ..BatchShape::default()
        };
        let (count, steps) = model.decode_run(&shape, most);
        self.run = Some(Run {
            after,
            from: self.busy_until,
            steps,
            count: count.min(most),
            waiting: self.waiting.len() as u32,
        });
    }

    /// When a step ends that is scheduled or in the run under way.
    #[inline]
    pub(super) fn end_of(&self, number: u64) -> f64 {
        match &self.run {
            Some(run) if number > run.after => run.from + run.steps.total(number - run.after),
            _ => {
                let place = number.saturating_sub(self.processed + 1);
                let step = self.under_way.get(place as usize);
                step.map_or(self.last_end, |step| step.end)
            }
        }
    }

    /// Of the events that the run under way makes one, how many are before `now`.
    #[inline]
    pub(super) fn events_before(&self, now: SimTime) -> u64 {
        let Some(run) = &self.run else { return 0 };
        let now = now.seconds();
        let first = self.processed + 1;
        let over = run.steps.completed((now - run.from).max(0.0), run.count);
        let mut events = (run.after + over).saturating_sub(first).min(run.count);
        while events < run.count && self.end_of(first + events) < now {
            events += 1;
        }
        while events > 0 && self.end_of(first + events - 1) >= now {
            events -= 1;
        }
        events
    }

    /// Schedules and processes the steps of the run under way.
    pub(super) fn advance(&mut self, news: &mut News) {
        if let Some(run) = self.run
            && run.count > 0
        {
            self.record_run(run);
            self.tell_run_gaps(run, news);
            self.note_run_gap(run);
            let (scheduled, processed) = (run.after + run.count, self.processed + run.count);
            let locked = self.lockstep.active;
            let busy_until = self.end_of(scheduled);
            let last_end = self.end_of(processed);
            let ends = [self.end_of(processed + 1), self.end_of(processed + 2)];
            let mut start = last_end;
            self.under_way.clear();
            for (number, end) in (processed + 1..=scheduled).zip(ends) {
                self.under_way.push_back(Step {
                    number,
                    start,
                    end,
                    locked,
                    ..Step::default()
                });
                start = end;
            }
            self.blocks
                .take(self.lockstep.blocks_in(run.after, run.count) as u32);
            let sampled = u64::from(locked) * run.count;
            self.totals.output_tokens += sampled;
            self.tokens_left -= sampled;
            self.totals.decode_s += busy_until - run.from;
            self.steps_done += run.count;
            self.scheduled = scheduled;
            self.processed = processed;
            self.last_end = last_end;
            self.busy_until = busy_until;
        }
        self.run = None;
    }

    /// Tells the gaps between the steps that a run processes: those scheduled before it, and its own.
    fn tell_run_gaps(&self, run: Run, news: &mut News) {
        let requests = u64::from(self.lockstep.active);
        let (first, last) = (self.processed + 1, self.processed + run.count);
        let mut before = self.last_end;
        for number in first..=last.min(run.after) {
            let end = self.end_of(number);
            news.gap(end - before, requests);
            before = end;
        }
        let steps = last.saturating_sub(run.after);
        if steps > 0 && requests > 0 {
            news.gaps.push(TokenGaps {
                first: run.steps.length(0),
                growth: run.steps.growth(),
                steps,
                requests,
            });
        }
    }

    /// Notes the longest gap between the steps that a run processes. Their lengths grow evenly, or shrink,
    /// so that it is one of the first ones or the last.
    fn note_run_gap(&mut self, run: Run) {
        let (first, last) = (self.processed + 1, self.processed + run.count);
        let gap = |number: u64| {
            let before = if number == first {
                self.last_end
            } else {
                self.end_of(number - 1)
            };
            self.end_of(number) - before
        };
        let longest = [first, first + 1, run.after + 1, last]
            .into_iter()
            .filter(|number| (first..=last).contains(number))
            .map(gap)
            .fold(0.0, f64::max);
        self.note_gap(last, self.last_end + longest);
    }

    fn record_run(&mut self, run: Run) {
        if self.rows.is_none() {
            return;
        }
        let members = self.lockstep.members().into_iter();
        let scheduled: Vec<_> = members
            .map(|member| (self.requests[member.ticket.index()].work.label(), 1))
            .collect();
        let rows: Vec<_> = (1..=run.count)
            .map(|step| {
                let number = run.after + step;
                let taken = self.lockstep.blocks_in(run.after, step) as u32;
                StepRow {
                    step: number - 1,
                    start_s: self.end_of(number - 1),
                    duration_s: run.steps.length(step - 1),
                    running: self.running,
                    waiting: run.waiting,
                    prefill_tokens: 0,
                    decode_seqs: u64::from(self.lockstep.active),
                    context_tokens: self.lockstep.context(number),
                    used_blocks: self.blocks.used() + taken,
                    preempted: Vec::new(),
                    finished: Vec::new(),
                    scheduled: scheduled.clone(),
                }
            })
            .collect();
        self.rows.get_or_insert_default().extend(rows);
    }
}
