//! What an engine does: its batch changes, runs, and ends its run.

use crate::time::SimTime;

use super::batching::{Batching, Selection};
use super::engine::Engine;
use super::request::{RequestId, Requests};
use super::task::{Phase, Task};

/// Contiguous iterations of one batch, which end in one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) ends: SimTime,
    /// Seconds of one iteration.
    pub(super) duration: f64,
    pub(super) iterations: u32,
    /// It was cut short; that happens once.
    pub(super) paused: bool,
    /// It began with a prompt in the batch.
    pub(super) prompts: bool,
}

impl Run {
    /// When it began: computed, so that a run cut short has the very same start as the reference's.
    pub(super) fn start(&self) -> f64 {
        self.ends.seconds() - self.duration * f64::from(self.iterations)
    }

    /// Iterations completed by `now`.
    pub(super) fn iterations_by(&self, now: SimTime) -> u64 {
        let elapsed = (now.seconds() - self.start()).max(0.0);
        ((elapsed / self.duration) as u64).min(u64::from(self.iterations))
    }
}

/// A phase that is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) request: RequestId,
    pub(super) task: Task,
}

impl Engine {
    /// Makes the selected batch the batch: preempts what fell out, lets in what was chosen, and takes
    /// the memory of what runs here for the first time.
    pub(super) fn rebatch(&mut self, requests: &mut Requests, selection: &Selection, now: SimTime) {
        self.pool.end_wait(&selection.joined);
        let sorts = self.kind.rule.sorts_pending();
        let pool = &mut self.pool;
        self.batch
            .keep(selection.kept, |task, left| pool.preempt(task, left, sorts));
        if !selection.joined.is_empty() {
            self.pool.take_selected(&selection.joined);
            for &task in &selection.joined {
                self.join(requests, task, now);
            }
        }
        self.batch.tokens = selection.tokens;
        self.pool.count_selection();
    }

    fn join(&mut self, requests: &mut Requests, task: Task, now: SimTime) {
        let member = self.pool.start(task);
        if !member.preempted {
            let request = &mut requests[member.request];
            let bytes = self.kv_bytes(member.tokens_to_hold(task.phase()));
            self.take(bytes);
            request.take();
            let start = match task.phase() {
                Phase::Prompt => &mut request.prompt_start,
                Phase::Token => &mut request.token_start,
            };
            start.get_or_insert(now);
        }
        let iterations = match task.phase() {
            Phase::Prompt => 1,
            Phase::Token => member.iterations(),
        };
        self.batch.join(task, iterations);
    }

    /// Tokens of the prompts in a batch that has not run yet.
    pub(super) fn joined_prompt_tokens(&self) -> u64 {
        if self.batch.prompts() == 0 {
            return 0;
        }
        let joined = self.batch.joined().filter(|task| task.is_prompt());
        joined
            .map(|task| u64::from(self.pool.member(task).prompt_tokens))
            .sum()
    }

    /// Starts the run of the batch: one iteration when a prompt is in it, else as many as pass until
    /// the first task is done.
    pub(super) fn start_run(&mut self, now: SimTime) -> SimTime {
        let prompts = self.batch.prompts() > 0;
        let tokens = self.batch.token_tasks() as u64;
        let duration = self
            .kind
            .performance
            .iteration(self.joined_prompt_tokens(), tokens);
        let iterations = self.batch.contiguous();
        let ends = SimTime::saturating(now.seconds() + duration * f64::from(iterations));
        self.run = Some(Run {
            ends,
            duration,
            iterations,
            paused: false,
            prompts,
        });
        ends
    }

    /// Ends the run: takes the finished tasks out of the batch and puts them into `finished` in batch
    /// order.
    pub(super) fn finish_run(&mut self, finished: &mut Vec<Finished>) {
        finished.clear();
        let Some(run) = self.run.take() else { return };
        let mut prompt_tokens = 0;
        let mut output_tokens = self.batch.token_tasks() as u64 * u64::from(run.iterations);
        self.batch.advance(run.iterations, |task| {
            let member = self.pool.member(task);
            if task.is_prompt() {
                prompt_tokens += u64::from(member.prompt_tokens);
                output_tokens += 1;
            }
            finished.push(Finished {
                request: member.request,
                task,
            });
        });
        let seconds = run.duration * f64::from(run.iterations);
        if run.prompts {
            self.totals.prompt_busy_s += seconds;
        } else {
            self.totals.token_busy_s += seconds;
        }
        self.totals.prompt_tokens += prompt_tokens;
        self.totals.output_tokens += output_tokens;
        self.totals.pending_tokens -= prompt_tokens + output_tokens;
    }

    /// Of the run under way by `now`: the tokens generated, the seconds run with a prompt, and those
    /// run without.
    pub(super) fn progress(&self, now: SimTime) -> (u64, f64, f64) {
        let Some(run) = &self.run else {
            return (0, 0.0, 0.0);
        };
        let elapsed = (now.seconds() - run.start()).max(0.0);
        if run.prompts {
            return (0, elapsed, 0.0);
        }
        let iterations = run.iterations_by(now);
        (iterations * self.batch.len() as u64, 0.0, elapsed)
    }

    /// Ends the run under way where it is; what it did counts. Returns the tokens that it generated.
    pub(super) fn break_off(&mut self, now: SimTime) -> u64 {
        let (tokens, prompt_s, token_s) = self.progress(now);
        self.totals.output_tokens += tokens;
        self.totals.prompt_busy_s += prompt_s;
        self.totals.token_busy_s += token_s;
        self.run = None;
        tokens
    }
}
