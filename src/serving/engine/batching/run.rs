//! What an engine runs: its batch changes, runs, and ends its run.

use serde::{Deserialize, Serialize};

use super::engine::BatchingEngine;
use super::rule::{Batching, Selection};
use super::task::{Phase, Task};
use crate::serving::engine::Effects;
use crate::serving::requests::Requests;
use crate::time::SimTime;

/// Contiguous iterations of one batch, which end in one event.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) ends: SimTime,
    /// Seconds of one iteration.
    pub(crate) duration: f64,
    pub(crate) iterations: u32,
    /// It was cut short; that happens once.
    pub(crate) paused: bool,
    /// It began with a prompt in the batch.
    pub(crate) prompts: bool,
}

impl Run {
    /// When it began: computed, so that a run cut short has the very same start as the reference's.
    pub(crate) fn start(&self) -> f64 {
        self.ends.seconds() - self.duration * f64::from(self.iterations)
    }

    /// Cuts it short at the next boundary of an iteration after `now`. False when that is now.
    #[inline]
    pub(crate) fn cut_short(&mut self, now: SimTime) -> bool {
        self.paused = true;
        let elapsed = now.seconds() - self.start();
        let iterations =
            (floor_divide(elapsed, self.duration) + 1.0).clamp(0.0, f64::from(self.iterations));
        let left = self.duration * iterations - elapsed;
        self.iterations = iterations as u32;
        if left > 0.0 {
            self.ends = SimTime::saturating(now.seconds() + left);
        }
        left > 0.0
    }
}

impl BatchingEngine {
    /// Seconds since the run under way began.
    fn elapsed(&self, run: &Run, now: SimTime) -> f64 {
        let start = match &self.shaped {
            Some(shaped) => shaped.start(),
            None => run.start(),
        };
        (now.seconds() - start).max(0.0)
    }

    /// Seconds of the first iterations of the run under way.
    fn seconds(&self, run: &Run, iterations: u32) -> f64 {
        match &self.shaped {
            Some(shaped) => shaped.seconds(iterations),
            None => run.duration * f64::from(iterations),
        }
    }

    /// Iterations of the run under way that are completed by `now`.
    pub(crate) fn iterations_by(&self, run: &Run, now: SimTime) -> u64 {
        let elapsed = self.elapsed(run, now);
        match &self.shaped {
            Some(shaped) => shaped.completed(elapsed, run.iterations),
            None => ((elapsed / run.duration) as u64).min(u64::from(run.iterations)),
        }
    }

    /// Makes the selected batch the batch: preempts what fell out, lets in what was chosen, and takes
    /// the memory of what runs here for the first time.
    #[inline(always)]
    pub(crate) fn rebatch(&mut self, requests: &mut Requests, selection: &Selection, now: SimTime) {
        self.pool.end_wait(&selection.joined);
        let sorts = self.kind.rule.sorts_pending();
        let pool = &mut self.pool;
        let shaped = &mut self.shaped;
        self.batch.keep(selection.kept, |task, left| {
            if let Some(shaped) = shaped {
                shaped.leaves(pool.member(task), requests, left);
            }
            pool.preempt(task, left, sorts);
        });
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
        if !member.is_preempted() {
            let bytes = self.kv_bytes(member.tokens_to_hold(task.phase()));
            self.take(bytes);
            let request = &mut requests[member.request];
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
        if let Some(shaped) = &mut self.shaped
            && !task.is_prompt()
        {
            shaped.joins(&member, requests, iterations);
        }
        self.batch.join(task, iterations);
    }

    /// Tokens of the prompts in a batch that has not run yet.
    pub(crate) fn joined_prompt_tokens(&self) -> u64 {
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
    #[inline(always)]
    pub(crate) fn start_run(&mut self, now: SimTime) -> SimTime {
        if self.shaped.is_some()
            && let Some(ends) = self.start_shaped_run(now)
        {
            return ends;
        }
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

    /// Ends the run: takes the finished tasks out of the batch and tells of them in batch order.
    #[inline(always)]
    pub(crate) fn finish_run(&mut self, effects: &mut Effects<'_>) {
        let Some(run) = self.run.take() else { return };
        let mut prompt_tokens = 0;
        let mut output_tokens = self.batch.token_tasks() as u64 * u64::from(run.iterations);
        let seconds = self.seconds(&run, run.iterations);
        if let Some(shaped) = &mut self.shaped {
            shaped.advances(run.iterations, self.batch.token_tasks() as u64);
            let finishes = self.batch.prompts() > 0 || run.iterations == self.batch.contiguous();
            shaped.runs_on = !run.paused && !finishes;
        }
        let shaped = &mut self.shaped;
        let kv_bytes_per_token = self.kind.kv_bytes_per_token;
        let (pool, used) = (&mut self.pool, &mut self.used);
        self.batch.advance(run.iterations, |task| {
            let member = *pool.member(task);
            let request = member.request;
            if task.is_prompt() {
                prompt_tokens += u64::from(member.prompt_tokens);
                output_tokens += 1;
                effects.first_token(request);
                if effects.requests[request].has_token_phase() {
                    if member.leaves {
                        pool.leave(task.slot());
                        effects.kv_ready(request);
                    } else {
                        pool.follow_up(task.slot());
                    }
                    return;
                }
            } else if let Some(shaped) = shaped {
                shaped.leaves(&member, effects.requests, 0);
            }
            let held = member.tokens_held(effects.requests[request].output_tokens);
            let released = kv_bytes_per_token * held;
            *used -= released;
            pool.leave(task.slot());
            effects.completed(request, released);
        });
        if let Some(shaped) = &mut self.shaped {
            shaped.runs_on &= !self.batch.is_empty();
        }
        if run.prompts {
            self.totals.prompt_busy_s += seconds;
        } else {
            self.totals.token_busy_s += seconds;
        }
        self.totals.prompt_tokens += prompt_tokens;
        self.totals.output_tokens += output_tokens;
        self.totals.pending_tokens -= prompt_tokens + output_tokens;
        effects.processed(prompt_tokens, output_tokens);
    }

    /// Of the run under way by `now`: the tokens generated, the seconds run with a prompt, and those
    /// run without.
    pub(crate) fn progress(&self, now: SimTime) -> (u64, f64, f64) {
        let Some(run) = &self.run else {
            return (0, 0.0, 0.0);
        };
        let elapsed = self.elapsed(run, now);
        if run.prompts {
            return (0, elapsed, 0.0);
        }
        let iterations = self.iterations_by(run, now);
        (iterations * self.batch.len() as u64, 0.0, elapsed)
    }
}

/// `floor(a / b)` for a positive `b` by way of the exact remainder, as in IEEE 754 `fmod`. Rounding
/// `a / b` first would now and then give one more.
fn floor_divide(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    let (quotient, remainder) = ((a - remainder) / b, remainder);
    let quotient = if remainder < 0.0 {
        quotient - 1.0
    } else {
        quotient
    };
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::floor_divide;

    #[test]
    fn division_is_floored_by_the_exact_remainder() {
        assert_eq!(floor_divide(0.6, 0.2), 2.0);
        assert_eq!((0.6_f64 / 0.2).floor(), 2.0);
        assert_eq!(floor_divide(1.0, 0.1), 9.0);
        assert_eq!((1.0_f64 / 0.1).floor(), 10.0);
        assert_eq!(floor_divide(7.0, 2.0), 3.0);
        assert_eq!(floor_divide(-1e-18, 0.5), -1.0);
        assert_eq!(floor_divide(0.0, 0.5), 0.0);
    }
}
