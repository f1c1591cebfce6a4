//! The end of a step: samples are known, requests end, blocks come back.

use crate::time::SimTime;

use super::engine::Vllm;
use super::news::{Ended, News};
use super::request::{Part, Standing, Ticket};
use super::step::Item;

/// Gaps that are kept before those that no member needs are looked for.
const MANY_GAPS: usize = 1_024;

impl Vllm {
    /// Processes the oldest step under way.
    pub(super) fn process(&mut self, news: &mut News) {
        let Some(mut step) = self.under_way.pop_front() else {
            return;
        };
        let number = step.number;
        self.processed = number;
        let now = SimTime::saturating(step.end);
        news.gap(step.end - self.last_end, step.locked.into());
        self.note_gap(number, step.end);
        if step.locked > 0 {
            self.circle.broken();
        }
        self.totals.output_tokens += u64::from(step.locked);
        self.tokens_left -= u64::from(step.locked);
        self.lockstep.retire(number, &self.requests, &self.config);
        let before = news.ended.len();
        for item in &step.items {
            self.end_locked(number, item.admission, news);
            self.end_item(*item, now, news);
        }
        self.end_locked(number, u64::MAX, news);
        if news.ended.len() > before {
            let requests = &self.requests;
            self.loose
                .retain(|ticket| requests[ticket.index()].standing == Standing::Loose);
        }
        if self.running == 0 {
            self.gaps.clear();
        }
        step.items.clear();
        self.spare.push(step.items);
    }

    /// Notes how long after the step before it a step ended.
    pub(super) fn note_gap(&mut self, number: u64, end: f64) {
        self.gaps.push(number, end - self.last_end);
        self.last_end = end;
        if self.gaps.len() > MANY_GAPS {
            let members = self.lockstep.members().into_iter();
            let joined = members.map(|member| self.requests[member.ticket.index()].joined);
            let needed = joined.min().unwrap_or(number);
            self.gaps.forget_until(needed);
        }
    }

    fn row(&mut self, number: u64) -> Option<&mut super::StepRow> {
        let rows = self.rows.as_mut()?;
        let place = rows.binary_search_by_key(&(number - 1), |row| row.step);
        rows.get_mut(place.ok()?)
    }

    /// Ends the members of the lockstep that have their last token in step `number` and were admitted
    /// before `admission`.
    fn end_locked(&mut self, number: u64, admission: u64, news: &mut News) {
        while let Some(member) = self.lockstep.ending.front().copied() {
            if member.step > number || member.admission >= admission {
                return;
            }
            self.lockstep.ending.pop_front();
            self.register_lockstep(self.scheduled + 1, 0);
            self.settle(member.ticket);
            let request = &mut self.requests[member.ticket.index()];
            request.register(request.computed, &mut self.blocks, &self.config);
            self.end(member.ticket, news);
        }
    }

    fn end_item(&mut self, item: Item, now: SimTime, news: &mut News) {
        let request = &mut self.requests[item.ticket.index()];
        request.under_way -= item.tokens;
        let stale = request.stale > 0;
        if stale {
            request.stale -= item.tokens;
        }
        if !item.samples {
            return;
        }
        if request.progress.outputs == 0 {
            news.first_tokens.push(request.work.owner);
        }
        self.circle.broken();
        self.tokens_left -= request.tokens_left();
        if let Some(gap) = request.progress.sampled(now) {
            news.gap(gap, 1);
        }
        request.tokens += 1;
        self.tokens_left += request.tokens_left();
        self.totals.output_tokens += 1;
        if request.coming > 0 && !stale {
            request.coming -= 1;
            if request.blocks > 0 {
                let computed = request.computed - request.under_way;
                request.register(computed, &mut self.blocks, &self.config);
            }
        }
        if request.tokens >= request.last_token(&self.config) {
            self.end(item.ticket, news);
        }
    }

    /// A request has all its tokens.
    fn end(&mut self, ticket: Ticket, news: &mut News) {
        if self.rows.is_some() {
            let label = self.requests[ticket.index()].work.label();
            if let Some(row) = self.row(self.processed) {
                row.finished.push(label);
            }
        }
        self.circle.broken();
        let request = &mut self.requests[ticket.index()];
        self.tokens_left -= request.tokens_left();
        if request.standing == Standing::Waiting {
            self.waiting.remove(ticket, &request.work);
        } else {
            self.running -= 1;
        }
        let (owner, progress) = (request.work.owner, request.progress);
        if request.work.part == Part::Prompt {
            request.standing = Standing::Kept;
        } else {
            request.release(&mut self.blocks);
            self.vacate(ticket);
        }
        news.ended.push(Ended {
            ticket,
            owner,
            progress,
        });
    }
}
