use super::engine::BatchingEngine;
use super::pending::Bounds;
use super::rule::{Batching, Selection};
use super::task::Task;

/// Prompts first within a budget of tokens; token tasks that fall out are preempted and age until
/// they go first (Patel et al., "Splitwise", ISCA 2024, as the reference simulator does it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Splitwise {
    pub(crate) max_batch_size: usize,
    pub(crate) max_batch_tokens: u64,
    pub(crate) max_preemptions: u32,
}

/// What became of a task that was offered to the batch.
enum Offer {
    /// It joined, or its request already had.
    Passed,
    /// The batch is full.
    Full,
    /// Its memory does not fit.
    NoMemory,
}

/// A selection under way.
struct Builder<'a> {
    rule: Splitwise,
    engine: &'a mut BatchingEngine,
    selection: &'a mut Selection,
    used: u64,
}

impl Builder<'_> {
    fn is_full_for(&self, tokens: u64) -> bool {
        self.selection.len() >= self.rule.max_batch_size
            || !self.selection.is_empty()
                && self.selection.tokens + tokens > self.rule.max_batch_tokens
    }

    fn fits(&self, bytes: u64) -> bool {
        bytes <= self.engine.memory().saturating_sub(self.used)
    }

    fn tokens(&self, task: Task) -> u64 {
        let member = self.engine.pool.member(task);
        member.tokens_per_iteration(task.phase())
    }

    fn is_selected(&self, task: Task) -> bool {
        self.engine.pool.member(task).selected
    }

    /// Steps 1 to 3: a full batch ends the step, even at a request already taken.
    fn offer(&mut self, task: Task) -> Offer {
        if self.is_full_for(self.tokens(task)) {
            Offer::Full
        } else if self.is_selected(task) {
            Offer::Passed
        } else {
            self.join(task)
        }
    }

    fn join(&mut self, task: Task) -> Offer {
        let bytes = self.engine.bytes_to_run(task);
        if !self.fits(bytes) {
            return Offer::NoMemory;
        }
        self.engine.pool.member_mut(task).selected = true;
        self.used += bytes;
        self.selection.tokens += self.tokens(task);
        self.selection.joined.push(task);
        Offer::Passed
    }

    /// Step 1: tasks at the front of the list that were passed over too often.
    fn overdue(&mut self) {
        for part in 0..self.engine.pool.pending().parts() {
            let (_, bounds) = self.engine.pool.pending().part(part);
            if self.passes_over_all(bounds) {
                continue;
            }
            let Some(bounds) = self.overdue_of(part) else {
                return;
            };
            self.engine.pool.tighten(part, bounds);
        }
    }

    /// Whether step 1 would go over all of these tasks and take none: each is overdue, and lacks memory.
    fn passes_over_all(&self, bounds: Bounds) -> bool {
        let passed_over = |since| self.engine.pool.selections().wrapping_sub(since);
        let overdue = |since| passed_over(since) >= self.rule.max_preemptions;
        bounds.since.is_some_and(overdue)
            && !self.fits(self.engine.kv_bytes(bounds.held))
            && !self.is_full_for(bounds.step)
    }

    /// Step 1 over one part of the list; what holds for all of it, unless the step ends there.
    fn overdue_of(&mut self, part: usize) -> Option<Bounds> {
        let now = self.engine.pool.selections();
        let mut all: Option<Bounds> = None;
        for place in 0..self.engine.pool.pending().part(part).0.len() {
            let task = self.engine.pool.pending().part(part).0[place];
            if self.engine.pool.passed_over(task) < self.rule.max_preemptions {
                return None;
            }
            let bounds = self.engine.pool.bounds(task);
            all = Some(all.map_or(bounds, |all| all.and(bounds, now)));
            if self.engine.pool.is_next(task)
                && let Offer::Full = self.offer(task)
            {
                return None;
            }
        }
        Some(all.unwrap_or_default())
    }

    /// Step 2: prompts in the order of queueing.
    fn prompts(&mut self) {
        for place in 0..self.engine.pool.prompts().len() {
            let task = self.engine.pool.prompts()[place];
            if !matches!(self.offer(task), Offer::Passed) {
                return;
            }
        }
    }

    /// Step 3: preempted token tasks in the order of preemption.
    fn preempted(&mut self) {
        for place in 0..self.engine.pool.preempted().len() {
            let task = self.engine.pool.preempted()[place];
            if let Offer::Full = self.offer(task) {
                return;
            }
        }
    }

    /// Step 4: the old batch, all token tasks of one token each.
    fn old_batch(&mut self) {
        let places = self.rule.max_batch_size - self.selection.len();
        let tokens = self
            .rule
            .max_batch_tokens
            .saturating_sub(self.selection.tokens);
        let kept = self
            .engine
            .batch
            .len()
            .min(places)
            .min(usize::try_from(tokens).unwrap_or(usize::MAX));
        self.selection.kept = kept;
        self.selection.tokens += kept as u64;
    }

    /// Step 5: the rest of the pool in order of arrival.
    fn pool(&mut self) {
        for place in 0..self.engine.pool.waiting().len() {
            let task = self.engine.pool.waiting()[place];
            if self.selection.len() >= self.rule.max_batch_size {
                return;
            }
            if self.is_selected(task) {
                continue;
            }
            if self.is_full_for(self.tokens(task)) || !matches!(self.join(task), Offer::Passed) {
                return;
            }
        }
    }
}

impl Batching for Splitwise {
    fn select(&self, engine: &mut BatchingEngine, selection: &mut Selection) {
        let used = engine.used();
        let anyone_waits = engine.has_waiting();
        let mut builder = Builder {
            rule: *self,
            engine,
            selection,
            used,
        };
        if anyone_waits {
            builder.overdue();
            builder.prompts();
            builder.preempted();
            builder.old_batch();
            builder.pool();
        } else {
            builder.old_batch();
        }
    }

    fn interrupts(&self, engine: &BatchingEngine, task: Task) -> bool {
        let counted = engine.batch.tokens;
        let tokens = engine.pool.member(task).tokens_per_iteration(task.phase());
        let joins =
            engine.batch.len() < self.max_batch_size && counted + tokens <= self.max_batch_tokens;
        let replaces_tokens = || {
            let token_tasks = engine.batch.token_tasks() as u64;
            task.is_prompt()
                && token_tasks > 0
                && counted.saturating_sub(token_tasks) + tokens <= self.max_batch_tokens
        };
        joins || replaces_tokens()
    }

    fn has_room(&self, engine: &BatchingEngine) -> bool {
        engine.batch.len() < self.max_batch_size && engine.batch.tokens < self.max_batch_tokens
    }

    fn sorts_pending(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::kind::Kind;
    use super::super::rule::Rule;
    use super::*;
    use crate::serving::engine::{Engine, Phases, Place, RequestId, Work};
    use crate::serving::{ConstantTime, Performance};
    use crate::time::{SimDuration, SimTime};

    /// Room for 4000 tokens in all, 40 in a step.
    fn engine() -> BatchingEngine {
        let rule = Splitwise {
            max_batch_size: 6,
            max_batch_tokens: 40,
            max_preemptions: 3,
        };
        let step = SimDuration::saturating(1.0);
        BatchingEngine::new(Arc::new(Kind {
            rule: Rule::Splitwise(rule),
            performance: Performance::Constant(ConstantTime::new(step, step)),
            memory: 4000,
            kv_bytes_per_token: 1,
            weights: 0,
            limits: crate::serving::EngineLimits::NONE,
        }))
    }

    /// A selection, put back: what stays, and what joins.
    fn selected(engine: &mut BatchingEngine) -> (usize, Vec<Task>) {
        let mut selection = Selection::default();
        let rule = engine.kind.rule;
        rule.select(engine, &mut selection);
        for &task in &selection.joined {
            engine.pool.member_mut(task).selected = false;
        }
        (selection.kept, selection.joined)
    }

    proptest! {
        /// Parts are left out only where nothing in them would join.
        #[test]
        fn bounds_change_no_selection(
            steps in prop::collection::vec((0u8..6, 1u32..60, any::<u16>()), 1..120),
        ) {
            let mut engine = engine();
            let mut here: Vec<(Place, Work)> = Vec::new();
            let mut taken = 0;
            for (number, (what, size, draw)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => for more in 0..12 {
                        // Few have tokens behind their prompts: those are never overdue.
                        let phases = match draw {
                            0..2000 => Phases::Both,
                            _ if (draw / 2 + more).is_multiple_of(2) => Phases::Prompt,
                            _ => Phases::Tokens,
                        };
                        let work = Work {
                            request: RequestId(number as u32 * 12 + u32::from(more)),
                            arrival: SimTime::saturating(f64::from(draw % 50)),
                            prompt_tokens: size + u32::from(more),
                            output_tokens: 2 + size / 2 + u32::from(more),
                            phases,
                        };
                        // The KV cache of the prompt comes with the tokens.
                        if phases == Phases::Tokens && !engine.take_kv(&work) {
                            continue;
                        }
                        let (place, _) = engine.enqueue(&work, SimTime::ZERO);
                        if phases == Phases::Both {
                            engine.enqueue_tokens(&work, place, SimTime::ZERO);
                        }
                        here.push((place, work));
                    },
                    2 => for _ in 0..4 {
                        engine.pool.count_selection();
                        selected(&mut engine);
                    },
                    3 => {
                        let free = engine.memory() - engine.used();
                        let most = free.saturating_sub(size.into());
                        engine.take(most);
                        taken += most;
                    }
                    4 => {
                        engine.used -= taken;
                        taken = 0;
                    }
                    _ if !here.is_empty() => {
                        let (place, work) = here.swap_remove(usize::from(draw) % here.len());
                        engine.withdraw(&work, place, SimTime::ZERO);
                    }
                    _ => {}
                }
                let mut plain = engine.clone();
                plain.pool.forget_bounds();
                prop_assert_eq!(selected(&mut engine), selected(&mut plain));
            }
        }
    }
}
