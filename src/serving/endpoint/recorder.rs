//! Runs of iterations, written down for those who want to see them.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::{Endpoint, EngineId};
use crate::serving::engine::StepRow;

/// Contiguous iterations of one batch on one instance: from its start to its end, or to where it was
/// cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRun {
    /// The instance's number in the fleet.
    pub instance: u64,
    /// When the first iteration began.
    pub start: SimTime,
    /// When the last iteration ended, or the run was broken off.
    pub end: SimTime,
    /// Iterations completed; none of one that was broken off.
    pub iterations: u64,
    /// Requests in the batch whose prompt it processed.
    pub prompts: u32,
    /// Tokens of those prompts.
    pub prompt_tokens: u64,
    /// Requests in the batch that generated a token each iteration.
    pub token_tasks: u32,
}

impl BatchRun {
    /// Tokens that went through one iteration: those of the prompts, and one for each other request.
    #[must_use]
    pub const fn batch_tokens(&self) -> u64 {
        self.prompt_tokens + self.token_tasks as u64
    }
}

/// The runs of an endpoint's engines, where they are recorded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recorder {
    /// By engine: the run under way, which ends where it starts for now.
    open: Vec<Option<BatchRun>>,
    done: Vec<BatchRun>,
}

impl Recorder {
    /// The engine's run is over, if it has one, after `iterations`.
    fn end(&mut self, id: EngineId, iterations: u64, now: SimTime) {
        let open = self.open.get_mut(id.index());
        if let Some(run) = open.and_then(Option::take) {
            self.done.push(BatchRun {
                end: now,
                iterations,
                ..run
            });
        }
    }
}

/// The engines whose steps are recorded, and their completed steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StepRecorder {
    /// The numbers of the instances. None: all.
    instances: Option<Vec<u64>>,
    done: Vec<(u64, StepRow)>,
}

impl StepRecorder {
    fn wants(&self, instance: u64) -> bool {
        let instances = self.instances.as_ref();
        instances.is_none_or(|instances| instances.contains(&instance))
    }
}

impl Endpoint {
    /// Records every step from now on of the engines that can tell, of these instances or of all.
    pub fn record_steps(&mut self, instances: Option<Vec<u64>>) {
        self.steps = Some(Box::new(StepRecorder {
            instances,
            done: Vec::new(),
        }));
        for index in 0..self.engines.len() {
            self.record_steps_of(EngineId(index as u32));
        }
    }

    /// Lets an engine record its steps, where they are asked for.
    pub(crate) fn record_steps_of(&mut self, id: EngineId) {
        let instance = self.instances[id.index()];
        if self.steps.as_ref().is_some_and(|it| it.wants(instance)) {
            self.engines[id.index()].engine.record_steps();
        }
    }

    /// Keeps the steps of an engine that goes.
    pub(crate) fn keep_steps_of(&mut self, id: EngineId) {
        let instance = self.instances[id.index()];
        if let Some(steps) = &mut self.steps {
            let rows = self.engines[id.index()].engine.take_steps().into_iter();
            steps.done.extend(rows.map(|row| (instance, row)));
        }
    }

    /// Whether steps are recorded.
    #[must_use]
    pub const fn records_steps(&self) -> bool {
        self.steps.is_some()
    }

    /// Takes the steps that ended since the last call, with the numbers of their instances; those of an
    /// instance in order.
    pub fn take_steps(&mut self) -> Vec<(u64, StepRow)> {
        if self.steps.is_some() {
            for index in 0..self.engines.len() {
                self.keep_steps_of(EngineId(index as u32));
            }
        }
        let steps = self.steps.as_mut();
        steps.map_or_else(Vec::new, |it| std::mem::take(&mut it.done))
    }

    /// Records that the run of an engine starts, where runs are recorded.
    pub(crate) fn record_start(&mut self, id: EngineId) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        let Some(run) = self.engines[id.index()].engine.under_way(self.now) else {
            return;
        };
        if recorder.open.len() <= id.index() {
            recorder.open.resize(id.index() + 1, None);
        }
        recorder.open[id.index()] = Some(BatchRun {
            instance: self.instances[id.index()],
            start: self.now,
            end: self.now,
            iterations: 0,
            prompts: run.prompts,
            prompt_tokens: run.prompt_tokens,
            token_tasks: run.token_tasks,
        });
    }

    /// Records that the run of an engine is at its end.
    pub(crate) fn record_end(&mut self, id: EngineId) {
        if let Some(recorder) = &mut self.recorder
            && let Some(run) = self.engines[id.index()].engine.under_way(self.now)
        {
            recorder.end(id, run.steps, self.now);
        }
    }

    /// Records that the run of an engine ends where it is.
    pub(crate) fn record_break(&mut self, id: EngineId) {
        if let Some(recorder) = &mut self.recorder
            && let Some(run) = self.engines[id.index()].engine.under_way(self.now)
        {
            recorder.end(id, run.done, self.now);
        }
    }

    /// Records every run that starts from now on, or no more of them. Off unless asked for.
    pub fn record_runs(&mut self, record: bool) {
        self.recorder = record.then(Box::default);
    }

    /// Whether any run ended since the last [`Self::take_runs`].
    #[must_use]
    pub fn has_runs(&self) -> bool {
        self.recorder.as_ref().is_some_and(|it| !it.done.is_empty())
    }

    /// Takes the runs that ended since the last call, in the order of ending.
    pub fn take_runs(&mut self) -> impl Iterator<Item = BatchRun> + '_ {
        self.recorder.iter_mut().flat_map(|it| it.done.drain(..))
    }

    /// The runs under way at `at`, as if they were broken off there, in the order of the engines.
    pub fn runs_under_way(&self, at: SimTime) -> impl Iterator<Item = BatchRun> + '_ {
        let open = self.recorder.iter().flat_map(|it| &it.open);
        open.zip(&self.engines).filter_map(move |(run, engine)| {
            let (run, under_way) = (run.as_ref()?, engine.engine.under_way(at)?);
            Some(BatchRun {
                end: at.max(run.start),
                iterations: under_way.done,
                ..*run
            })
        })
    }
}
