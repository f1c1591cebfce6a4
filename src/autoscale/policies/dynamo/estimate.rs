//! Latencies of the next request, from what instances report and how long their engine's steps take.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::report::{RoleReports, StepReport};
use crate::autoscale::EngineModel;
use crate::serving::Role;

/// Reports of which the means are taken.
const REPORTS: usize = 64;

/// The mean of the last reports; zeros before the first other value do not count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    values: VecDeque<f64>,
}

impl Mean {
    fn add(&mut self, value: f64) {
        if value > 0.0 || !self.values.is_empty() {
            self.values.push_back(value);
            let old = self.values.len().saturating_sub(REPORTS);
            self.values.drain(..old);
        }
    }

    fn get(&self) -> f64 {
        match self.values.len() {
            0 => 0.0,
            count => self.values.iter().sum::<f64>() / count as f64,
        }
    }
}

/// Means over the reports of a role's instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct OfRole {
    /// Prompt tokens of a prompt in a step.
    prompt: Mean,
    /// KV tokens of a request that decodes.
    context: Mean,
    /// Prompt tokens of a step.
    beside: Mean,
}

/// What was reported so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Means(BTreeMap<Role, OfRole>);

impl Means {
    pub(super) fn observe(&mut self, of: &RoleReports) {
        let means = self.0.entry(of.role).or_default();
        for it in &of.reports {
            means.prompt.add(match it.prompts {
                0 => 0.0,
                prompts => it.prompt_tokens as f64 / prompts as f64,
            });
            if it.decodes > 0 {
                means.context.add(it.kv_tokens as f64 / it.decodes as f64);
            }
            means.beside.add(it.prompt_tokens as f64);
        }
    }

    /// The estimates for a role with this engine, where a share of each prompt is found in the prefix cache.
    pub(super) fn estimates<'a>(
        &'a self,
        role: Role,
        engine: &'a EngineModel,
        hit_rate: Option<f64>,
    ) -> Option<Estimates<'a>> {
        Some(Estimates {
            means: self.0.get(&role)?,
            engine,
            mixed: role == Role::Mixed,
            missed: missed(hit_rate),
        })
    }
}

/// The share of the prompt tokens that has to be computed.
pub(super) fn missed(hit_rate: Option<f64>) -> f64 {
    1.0 - hit_rate
        .filter(|it| !it.is_nan())
        .unwrap_or(0.0)
        .clamp(0.0, 0.95)
}

/// Estimates of the latencies of a role's instances.
pub(super) struct Estimates<'a> {
    means: &'a OfRole,
    engine: &'a EngineModel,
    mixed: bool,
    missed: f64,
}

/// How an instance's load changes in a thought.
#[derive(Clone, Copy)]
pub(super) struct Thought {
    /// What the queue of prompts is multiplied by.
    pub(super) queue: f64,
    /// What the requests that decode are multiplied by.
    pub(super) decodes: f64,
    /// Whether those that wait on the other side count as well.
    pub(super) both_queues: bool,
}

impl Thought {
    /// As it is.
    pub(super) const AS_IT_IS: Self = Self {
        queue: 1.0,
        decodes: 1.0,
        both_queues: false,
    };
}

fn whole(number: f64) -> u64 {
    number.max(0.0).ceil() as u64
}

impl Estimates<'_> {
    /// Seconds to the first token of the next request.
    pub(super) fn ttft(&self, it: &StepReport, thought: Thought) -> f64 {
        let queue = it.queued_prompt_tokens as f64 * thought.queue;
        let tokens = whole((queue + self.means.prompt.get()) * self.missed);
        if !self.mixed {
            return self.engine.chunked(tokens, 0, 0);
        }
        let (mut kv, mut decodes) = (it.kv_tokens, it.decodes);
        if thought.both_queues {
            kv += it.queued_kv_tokens;
            decodes += it.queued_decodes;
        }
        let times = |number: u64| whole(number as f64 * thought.decodes);
        self.engine.chunked(tokens, times(decodes), times(kv))
    }

    /// Seconds between the tokens of a request, with the next one.
    pub(super) fn tbt(&self, it: &StepReport, thought: Thought) -> f64 {
        let mut kv = it.kv_tokens + it.queued_kv_tokens;
        let mut decodes = it.decodes + it.queued_decodes;
        if thought.both_queues {
            kv += it.queued_prompt_tokens;
            decodes += it.queued_prompts;
        }
        let context = self.means.context.get();
        let next = if context > 0.0 { 1.0 } else { 0.0 };
        let kv = whole(kv as f64 * thought.decodes + context);
        let decodes = whole(decodes as f64 * thought.decodes + next);
        let prompt_tokens = match self.mixed {
            true => whole(self.means.beside.get()),
            false => it.prompt_tokens,
        };
        self.engine.step(0, prompt_tokens, decodes, kv)
    }
}
