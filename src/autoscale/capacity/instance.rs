//! What one instance can carry.

use super::Mix;
use crate::scenario::{Engine, KvMemory, Slo};
use crate::serving::{BatchShape, Performance, StepModel};
use crate::time::SimDuration;

/// What an instance can carry of requests of some mean lengths, within an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Requests whose part it serves, a second.
    pub requests_per_s: f64,
    /// Prompt tokens a second.
    pub prompt_tokens_per_s: f64,
    /// Output tokens a second; that of a prompt is its first.
    pub output_tokens_per_s: f64,
    /// Token tasks in a batch then.
    pub token_tasks: u64,
    /// Share of its time in iterations with a prompt then, 0 to 1.
    pub prompt_share: f64,
}

/// The part of a request that instances of a role serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Prompt,
    Token,
    Both,
}

/// An instance of a template on a SKU.
#[derive(Clone, Debug)]
pub(super) struct InstanceModel {
    pub(super) performance: Performance,
    /// The most tasks in a batch.
    pub(super) tasks: u64,
    /// The most tokens in an iteration.
    pub(super) tokens: u64,
    /// Tokens that the KV cache has room for.
    pub(super) kv_tokens: u64,
    /// Whether a step carries a part of a prompt beside token tasks.
    pub(super) chunks_prompts: bool,
    /// Tokens of a block of it; none where a request takes the memory for all its tokens at once.
    block_tokens: Option<u32>,
}

/// Iterations in which these prompts take part.
struct Prompts {
    /// Requests whose prompts one such iteration does.
    requests: f64,
    tasks: u64,
    tokens: u64,
}

impl InstanceModel {
    /// An engine that leaves nothing open, in memory with room for `kv_tokens`.
    pub(super) fn new(engine: Engine, kv_tokens: u64, performance: Performance) -> Self {
        let limits = engine.limits();
        let (kv_tokens, block_tokens) = match limits.memory {
            KvMemory::Unlimited => (u64::MAX, None),
            KvMemory::Reserved => (kv_tokens, None),
            KvMemory::Paged {
                blocks,
                block_tokens,
                ..
            } => {
                let in_blocks = |blocks: u64| blocks.saturating_mul(block_tokens.into());
                (blocks.map_or(kv_tokens, in_blocks), Some(block_tokens))
            }
        };
        Self {
            performance,
            tasks: limits.requests.map_or(u64::MAX, u64::from),
            tokens: limits.step_tokens.unwrap_or(u64::MAX),
            kv_tokens,
            chunks_prompts: limits.chunks_prompts,
            block_tokens,
        }
    }

    /// Seconds of an iteration with `prompts` prompts, of `tokens` tokens together, beside `tasks` token tasks.
    fn seconds(&self, prompts: u64, tokens: u64, tasks: u64, mix: Mix) -> f64 {
        if self.performance.counts_suffice() {
            return self.performance.iteration(tokens, tasks);
        }
        let context = mix.prompt_tokens + mix.output_tokens / 2.0;
        let mut prompt = BatchShape::default();
        if let Some(each) = tokens.checked_div(prompts) {
            prompt.add_chunk(0, each, self.performance.window());
        }
        self.performance.seconds(&BatchShape {
            prefill_tokens: tokens,
            chunks: prompts,
            prefill_pairs_twice: prompts * prompt.prefill_pairs_twice,
            windowed_pairs_twice: prompts * prompt.windowed_pairs_twice,
            decodes: tasks,
            // A cast of a float saturates.
            decode_context: (tasks as f64 * context) as u64,
            ..BatchShape::default()
        })
    }

    /// Within an objective; what not even one request alone would get is left out of account.
    pub(super) fn capacity(&self, part: Part, mix: Mix, slo: Slo) -> Capacity {
        self.within(part, mix, slo, false)
    }

    /// Within an objective: nothing where not even one request alone gets it.
    pub(super) fn strict_capacity(&self, part: Part, mix: Mix, slo: Slo) -> Capacity {
        self.within(part, mix, slo, true)
    }

    fn within(&self, part: Part, mix: Mix, slo: Slo, strict: bool) -> Capacity {
        match part {
            Part::Token => self.tokens_alone(mix, slo, strict),
            Part::Prompt | Part::Both => {
                let both = part == Part::Both && mix.output_tokens > 1.0;
                let of = |prompts| self.with_prompts(&prompts, both, mix, (slo, strict));
                let candidates = self.batches(mix, slo).map(of);
                candidates.fold(Capacity::NONE, |best, it| {
                    match it.requests_per_s > best.requests_per_s {
                        true => it,
                        false => best,
                    }
                })
            }
        }
    }

    /// Token tasks alone: `tasks` of them get a token each in an iteration.
    fn tokens_alone(&self, mix: Mix, slo: Slo, strict: bool) -> Capacity {
        let decode = decode_tokens(mix);
        let seconds = |tasks: u64| self.seconds(0, 0, tasks, mix);
        let most = self.most_tasks(mix, 0);
        let tasks = most_within(most, slo.tbt, seconds);
        if strict && exceeds(slo.tbt, seconds(tasks)) {
            return Capacity::NONE;
        }
        let requests_per_s = tasks as f64 / (seconds(tasks) * decode);
        Capacity {
            requests_per_s,
            prompt_tokens_per_s: 0.0,
            output_tokens_per_s: requests_per_s * decode,
            token_tasks: tasks,
            prompt_share: 0.0,
        }
    }

    fn with_prompts(
        &self,
        prompts: &Prompts,
        both: bool,
        mix: Mix,
        (slo, strict): (Slo, bool),
    ) -> Capacity {
        let decode = if both { decode_tokens(mix) } else { 0.0 };
        // Token tasks that get a token in an iteration with prompts: what the prompts leave room for.
        let places = self.tokens.saturating_sub(prompts.tokens);
        let places = places.min(self.tasks.saturating_sub(prompts.tasks));
        let beside = |tasks: u64| tasks.min(places);
        let first = |tasks: u64| self.seconds(prompts.tasks, prompts.tokens, beside(tasks), mix);
        // Seconds of the instance that a request takes.
        let service = |tasks: u64| {
            let alone = (decode - beside(tasks) as f64 / prompts.requests).max(0.0);
            let token = match alone > 0.0 {
                true => alone * self.seconds(0, 0, tasks, mix) / tasks as f64,
                false => 0.0,
            };
            first(tasks) / prompts.requests + token
        };
        let tasks = if both {
            let tbt = |tasks: u64| tasks as f64 * service(tasks) / decode;
            let within = most_within(self.most_tasks(mix, prompts.tasks), slo.tbt, tbt);
            if strict {
                let within = most_within(within, slo.ttft, first);
                if exceeds(slo.tbt, tbt(within)) {
                    return Capacity::NONE;
                }
                within
            } else {
                within
            }
        } else {
            0
        };
        let each = first(tasks) / prompts.requests;
        let busiest = slo.ttft.map_or(1.0, |ttft| {
            let slack = ttft.seconds() - first(tasks);
            match slack > 0.0 {
                true => 2.0 * slack / (each + 2.0 * slack),
                false if strict => 0.0,
                false => 1.0,
            }
        });
        let requests_per_s = (1.0 / service(tasks)).min(busiest / each);
        Capacity {
            requests_per_s,
            prompt_tokens_per_s: requests_per_s * mix.prompt_tokens,
            output_tokens_per_s: requests_per_s * (decode + 1.0),
            token_tasks: tasks,
            prompt_share: requests_per_s * each,
        }
    }

    /// One, two, four… prompts an iteration, as many as it takes and the first token may wait for.
    fn batches(&self, mix: Mix, slo: Slo) -> impl Iterator<Item = Prompts> + '_ {
        let length = mix.weighted_prompt_tokens;
        let most = (self.tokens as f64 / length).min(self.tasks as f64);
        let most = most.min(self.kv_tokens as f64 / (length + 1.0)) as u64;
        let most = most.max(1);
        let doubling = std::iter::successors(Some(1_u64), |tasks| tasks.checked_mul(2));
        let tasks = doubling.take_while(move |&tasks| tasks < most);
        let tasks = tasks.chain([most]);
        let batches = tasks.map(move |tasks| Prompts {
            requests: tasks as f64 * length / mix.prompt_tokens,
            tasks,
            tokens: whole(tasks as f64 * length),
        });
        batches.take_while(move |it| {
            let seconds = self.seconds(it.tasks, it.tokens, 0, mix);
            it.tasks == 1 || slo.ttft.is_none_or(|limit| seconds <= limit.seconds())
        })
    }

    /// The most token tasks that batch and memory hold beside `prompts`.
    fn most_tasks(&self, mix: Mix, prompts: u64) -> u64 {
        let free = self.kv_tokens as f64 - prompts as f64 * (mix.weighted_prompt_tokens + 1.0);
        let held = match self.block_tokens {
            None => mix.prompt_tokens + mix.output_tokens,
            // Blocks come as tokens do, and half of the last is empty, on average.
            Some(size) => mix.prompt_tokens + (mix.output_tokens + f64::from(size)) / 2.0,
        };
        let fit = (free / held).min(self.tasks as f64).min(self.tokens as f64);
        (fit as u64).max(1)
    }
}

impl Capacity {
    /// Nothing at all.
    pub(super) const NONE: Self = Self {
        requests_per_s: 0.0,
        prompt_tokens_per_s: 0.0,
        output_tokens_per_s: 0.0,
        token_tasks: 0,
        prompt_share: 0.0,
    };
}

/// Output tokens that token tasks generate: all but the first.
fn decode_tokens(mix: Mix) -> f64 {
    (mix.output_tokens - 1.0).max(1e-9)
}

fn exceeds(limit: Option<SimDuration>, seconds: f64) -> bool {
    limit.is_some_and(|limit| seconds > limit.seconds())
}

fn whole(tokens: f64) -> u64 {
    (tokens.round() as u64).max(1)
}

/// The most tasks, up to `most`, whose time between tokens is within a limit; `most` without a limit,
/// or where one task alone is above it.
fn most_within(most: u64, limit: Option<SimDuration>, seconds: impl Fn(u64) -> f64) -> u64 {
    let Some(limit) = limit.filter(|limit| seconds(1) <= limit.seconds()) else {
        return most;
    };
    let (mut within, mut beyond) = (1, most + 1);
    while within + 1 < beyond {
        let middle = u64::midpoint(within, beyond);
        if seconds(middle) <= limit.seconds() {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    within
}
