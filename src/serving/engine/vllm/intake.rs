//! Requests that come to an engine, and that go before their end.

use crate::serving::engine::Description;
use crate::time::SimTime;

use super::SchedulingPolicy;
use super::content::Prefix;
use super::engine::Vllm;
use super::news::News;
use super::request::{Part, Progress, Request, Standing, Ticket, Work};

impl Vllm {
    /// Takes work in. A run under way ends with the step under way, if the work could change the next.
    ///
    /// An engine without an event then waits for [`start`](Self::start), once all that comes at this
    /// instant has been handed over.
    pub fn enqueue(&mut self, work: Work, now: SimTime) -> Ticket {
        self.circle.broken();
        self.enqueued += 1;
        let mut request = Request::new(work, self.enqueued, &self.config);
        self.tokens_left += request.tokens_left();
        self.reserved -= request.blocks;
        let ticket = match self.vacant.pop() {
            Some(ticket) => {
                let place = &mut self.requests[ticket.index()];
                request.found = std::mem::take(&mut place.found);
                request.contents = std::mem::take(&mut place.contents);
                *place = request;
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
        if let (Part::Tokens { .. }, Some(last)) = (request.work.part, more.last_token) {
            request.progress.last_token = Some(last);
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
        self.circle.broken();
        self.blocks.take(blocks);
        self.reserved += blocks;
        true
    }

    /// Gives back what was reserved for a prompt that does not come.
    pub fn unreserve(&mut self, prompt_tokens: u32) {
        self.circle.broken();
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

    /// Takes a request out at any stage, and says how far it came by `now`.
    ///
    /// Its tokens in steps under way are lost; the steps take as long as before. This is also how a request
    /// goes whose blocks were kept to be sent. A run under way ends with the step under way.
    pub fn withdraw(
        &mut self,
        ticket: Ticket,
        now: SimTime,
        news: &mut News,
    ) -> Option<(Work, Progress)> {
        if self.requests.get(ticket.index())?.standing == Standing::Gone {
            return None;
        }
        self.settle_until(now, news);
        if self.requests[ticket.index()].standing == Standing::Locked {
            self.unlock();
        }
        for step in &mut self.under_way {
            step.items.retain(|item| item.ticket != ticket);
        }
        self.circle.broken();
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

    /// How far a request is that can go on elsewhere: it has its first token, and the KV of all its tokens but the last is
    /// here. None of any other. What happened before now is written down.
    pub(super) fn progress_to_move(&mut self, ticket: Ticket) -> Option<Progress> {
        if self.requests.get(ticket.index())?.standing == Standing::Locked {
            self.unlock();
        }
        let request = &self.requests[ticket.index()];
        let here = matches!(request.standing, Standing::Waiting | Standing::Loose);
        let computed = request.computed - request.under_way.saturating_sub(request.stale);
        let goes_on = request.progress.outputs > 0 && computed + 1 >= request.tokens;
        (here && goes_on).then_some(request.progress)
    }

    /// Lets the blocks of a request go that were kept to be sent.
    pub fn give_up(&mut self, ticket: Ticket) {
        let request = &mut self.requests[ticket.index()];
        if request.standing == Standing::Kept {
            request.release(&mut self.blocks);
            self.circle.broken();
            self.vacate(ticket);
        }
    }

    /// Whether the blocks of a request are kept to be sent.
    #[must_use]
    pub fn is_kept(&self, ticket: Ticket) -> bool {
        let request = self.requests.get(ticket.index());
        request.is_some_and(|request| request.standing == Standing::Kept)
    }

    /// Gives the place of a request free.
    pub(super) fn vacate(&mut self, ticket: Ticket) -> (Work, Progress) {
        let request = &mut self.requests[ticket.index()];
        request.standing = Standing::Gone;
        request.found.clear();
        request.contents.clear();
        self.vacant.push(ticket);
        (std::mem::take(&mut request.work), request.progress)
    }
}
