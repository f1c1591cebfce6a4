//! Steps whose time depends on what is in the KV cache: kept up to date in O(1), and only where a step
//! model asks for it.

use serde::{Deserialize, Serialize};

use super::engine::BatchingEngine;
use super::pool::Member;
use super::run::Run;
use crate::serving::requests::{Requests, Works};
use crate::serving::step::{BatchShape, StepModel, Steps};
use crate::time::SimTime;

/// What the batch of an engine has in the KV cache, and the lengths of the steps of its run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Shaped {
    /// Tokens in the KV cache of the token tasks of the batch, at the last boundary of steps known.
    context: u64,
    /// When the run under way began.
    start: f64,
    /// The lengths of its steps.
    steps: Steps,
    /// The run ended before any task did, and nobody cut it short: the batch runs on as it is.
    pub(crate) runs_on: bool,
}

impl Default for Shaped {
    fn default() -> Self {
        Self {
            context: 0,
            start: 0.0,
            steps: Steps::constant(0.0),
            runs_on: false,
        }
    }
}

/// Tokens that a token task has in the KV cache while it needs `left` more.
fn context(member: &Member, requests: &Requests, left: u32) -> u64 {
    let request = &requests[member.request];
    u64::from(request.prompt_tokens) + u64::from(request.decode_tokens() - left)
}

impl Shaped {
    /// A token task joins the batch or leaves it, with its tokens to go.
    pub(crate) fn joins(&mut self, member: &Member, requests: &Requests, left: u32) {
        self.context += context(member, requests, left);
    }

    pub(crate) fn leaves(&mut self, member: &Member, requests: &Requests, left: u32) {
        self.context -= context(member, requests, left);
    }

    /// A token task with `context` tokens in the KV cache leaves the batch.
    pub(crate) fn drops(&mut self, context: u64) {
        self.context -= context;
    }

    /// Steps of the token tasks are over.
    pub(crate) fn advances(&mut self, steps: u32, token_tasks: u64) {
        self.context += u64::from(steps) * token_tasks;
    }

    /// Whether the batch has as many tokens in the KV cache as its requests say.
    pub(crate) fn recount(&self, engine: &BatchingEngine, works: Works<'_>) -> Result<(), String> {
        let tokens = engine.batch.tasks().filter(|(task, _)| !task.is_prompt());
        let counted: u64 = tokens
            .map(|(task, left)| context(engine.pool.member(task), works.0, left))
            .sum();
        let kept = self.context;
        (kept == counted)
            .then_some(())
            .ok_or_else(|| format!("{kept} tokens are kept for the batch, it has {counted}"))
    }

    /// When the run under way began.
    pub(crate) const fn start(&self) -> f64 {
        self.start
    }

    /// Seconds of the first `steps` steps.
    pub(crate) fn seconds(&self, steps: u32) -> f64 {
        self.steps.total(steps.into())
    }

    /// Steps of a run that are over after `elapsed` seconds.
    pub(crate) fn completed(&self, elapsed: f64, most: u32) -> u64 {
        self.steps.completed(elapsed, most.into())
    }

    /// Ends a run at the next boundary of a step. False when that is now.
    pub(crate) fn cut_short(&self, run: &mut Run, now: SimTime) -> bool {
        run.paused = true;
        let elapsed = now.seconds() - self.start;
        let steps = self.completed(elapsed, run.iterations) as u32 + 1;
        run.iterations = steps.min(run.iterations);
        let ends = SimTime::saturating(self.start + self.seconds(run.iterations));
        let later = ends > now;
        if later {
            run.ends = ends;
        }
        later
    }
}

impl BatchingEngine {
    /// The shape of the first step of a batch that has not run yet.
    fn shape(&self, context: u64) -> BatchShape {
        let decodes = self.batch.token_tasks() as u64;
        let mut shape = BatchShape {
            decodes,
            decode_context: context + decodes,
            ..BatchShape::default()
        };
        if self.batch.prompts() > 0 {
            let window = self.kind.performance.window();
            let joined = self.batch.joined().filter(|task| task.is_prompt());
            for task in joined {
                let tokens = self.pool.member(task).prompt_tokens;
                shape.add_chunk(0, tokens.into(), window);
            }
        }
        shape
    }

    /// Starts a run of the batch whose steps need not be alike.
    pub(crate) fn start_shaped_run(&mut self, now: SimTime) -> Option<SimTime> {
        let context = self.shaped.as_ref()?.context;
        let shape = self.shape(context);
        let performance = &self.kind.performance;
        let most = self.batch.contiguous();
        let (iterations, steps) = if shape.prefill_tokens > 0 {
            (1, Steps::constant(performance.seconds(&shape)))
        } else {
            let (count, steps) = performance.decode_run(&shape, most.into());
            (count.clamp(1, most.into()) as u32, steps)
        };
        let shaped = self.shaped.as_mut()?;
        shaped.start = now.seconds();
        shaped.steps = steps;
        let ends = SimTime::saturating(shaped.start + shaped.seconds(iterations));
        self.run = Some(Run {
            ends,
            duration: steps.length(0),
            iterations,
            paused: false,
            prompts: shape.prefill_tokens > 0,
        });
        Some(ends)
    }
}
