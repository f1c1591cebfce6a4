use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::VllmConfig;
use super::blocks::{BlockId, Blocks};
use super::content::Contents;
use super::content::Prefix;

/// The part of a request that an engine serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// The prompt and the first token; the blocks are then kept until they have been sent.
    Prompt,
    /// The tokens after the first, with the KV of the prompt in blocks that were reserved.
    Tokens {
        /// When the first token was sampled.
        first_token: SimTime,
    },
}

/// A request as it comes to an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// A number of its owner's choice, by which the engine speaks of it.
    pub owner: u32,
    /// The part that is served here.
    pub part: Part,
    /// Its number.
    pub id: u64,
    /// Its id as text where that is not the number: what breaks ties under
    /// [`Priority`](super::SchedulingPolicy::Priority).
    pub name: Option<Box<str>>,
    /// When it arrived at the application.
    pub arrival: SimTime,
    /// The smaller the more urgent.
    pub priority: i64,
    /// Tokens of its prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens that it asks for, at least 1.
    pub output_tokens: u32,
    /// What its tokens are.
    pub prefix: Prefix,
}

impl Work {
    /// Its id as text.
    pub(super) fn label(&self) -> Box<str> {
        match &self.name {
            Some(name) => name.clone(),
            None => itoa::Buffer::new().format(self.id).into(),
        }
    }

    /// Tokens that it has when the engine is done with it, unless a context ends first.
    pub(super) const fn last_output(&self) -> u32 {
        match self.part {
            Part::Prompt => 1,
            Part::Whole | Part::Tokens { .. } => self.output_tokens,
        }
    }
}

/// The place of a request in an engine, from when it comes until it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub(super) u32);

impl Ticket {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Its place is vacant.
    #[default]
    Gone,
    Waiting,
    /// It runs, and each step says how many tokens it has.
    Loose,
    /// It decodes one token in every step; its counts are those of when it joined.
    Locked,
    /// It has its first token, and its blocks are kept to be sent.
    Kept,
}

/// What a request had from this engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Tokens that it has.
    pub outputs: u32,
    /// The start of the first step that it had tokens in.
    pub first_scheduled: Option<SimTime>,
    /// The end of the step that gave its first token.
    pub first_token: Option<SimTime>,
    /// The end of the step that gave its last token so far.
    pub last_token: Option<SimTime>,
    /// Seconds of the longest gap between two of its tokens.
    pub max_gap: Option<f64>,
    /// How often it was preempted.
    pub preemptions: u32,
    /// Tokens found in the cache at its first admission.
    pub cached_tokens: u32,
    /// Tokens found at later admissions, added up.
    pub resumed_cached_tokens: u64,
}

impl Progress {
    /// Notes a token, and says how long after the one before it came.
    pub(super) fn sampled(&mut self, now: SimTime) -> Option<f64> {
        self.outputs += 1;
        self.first_token.get_or_insert(now);
        let last = self.last_token.replace(now)?;
        let gap = now.seconds() - last.seconds();
        self.gap(gap);
        Some(gap)
    }

    #[inline]
    pub(super) fn gap(&mut self, gap: f64) {
        self.max_gap = Some(self.max_gap.map_or(gap, |longest| longest.max(gap)));
    }
}

/// A request in the engine. The counts are vLLM's; those of a locked one are of when it joined.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) standing: Standing,
    /// The how many-th request of the engine it is; its own content is known by this.
    pub(super) serial: u64,
    /// The how many-th admission of the engine let it in.
    pub(super) admission: u64,
    /// Tokens it has: prompt and outputs.
    pub(super) tokens: u32,
    /// Of these, those with KV, as of the last step scheduled.
    pub(super) computed: u32,
    /// Tokens that steps under way sample, with asynchronous scheduling.
    pub(super) coming: u32,
    /// Tokens scheduled in steps under way.
    pub(super) under_way: u32,
    /// Of the latter, those it had when it was preempted.
    pub(super) stale: u32,
    /// It has tokens to compute after it was last scheduled.
    pub(super) short: bool,
    /// The last step that samples for it.
    pub(super) sampled_in: u64,
    /// Blocks it holds.
    pub(super) blocks: u32,
    /// The first of its blocks that others, or itself after a preemption, can find.
    pub(super) found: Vec<BlockId>,
    /// Blocks whose content is known to the cache.
    pub(super) registered: u32,
    pub(super) contents: Contents,
    /// The step after which it was locked, and the last that it is in.
    pub(super) joined: u64,
    pub(super) last_step: u64,
    pub(super) progress: Progress,
}

impl Request {
    pub(super) fn new(work: Work, serial: u64, config: &VllmConfig) -> Self {
        let mut request = Self {
            tokens: work.prompt_tokens,
            standing: Standing::Waiting,
            serial,
            work,
            ..Self::default()
        };
        if let Part::Tokens { first_token } = request.work.part {
            request.computed = request.tokens;
            request.tokens += 1;
            request.blocks = config.blocks_of(request.tokens);
            request.progress.outputs = 1;
            request.progress.last_token = Some(first_token);
        }
        request
    }

    /// Tokens with KV that came with it.
    pub(super) const fn brought(&self) -> u32 {
        match self.standing {
            Standing::Waiting => self.computed,
            _ => 0,
        }
    }

    /// Tokens still to be computed or sampled, preemptions to come aside.
    pub(super) fn tokens_left(&self) -> u64 {
        let prompt = self.work.prompt_tokens;
        let outputs = self.work.last_output() - self.progress.outputs;
        u64::from(prompt - prompt.min(self.computed)) + u64::from(outputs)
    }

    /// Tokens at which it ends.
    #[inline]
    pub(super) fn last_token(&self, config: &VllmConfig) -> u32 {
        let asked = self
            .work
            .prompt_tokens
            .saturating_add(self.work.last_output());
        asked.min(config.max_model_len)
    }

    /// Leading blocks that other requests can find.
    pub(super) fn shareable(&self, config: &VllmConfig) -> u32 {
        if config.enable_prefix_caching && !self.work.prefix.ids.is_empty() {
            self.work.prefix.blocks(config.block_size)
        } else {
            0
        }
    }

    /// Whether a lookup may find any of its blocks.
    pub(super) fn is_findable(&self, config: &VllmConfig) -> bool {
        config.enable_prefix_caching
            && (self.progress.preemptions > 0 || !self.work.prefix.ids.is_empty())
    }

    #[inline]
    pub(super) fn content(&mut self, block: u32, size: u32) -> u128 {
        self.contents
            .get(block, size, &self.work.prefix, self.serial)
    }

    /// Registers the full blocks among the first `computed` tokens.
    pub(super) fn register(&mut self, computed: u32, blocks: &mut Blocks, config: &VllmConfig) {
        if !config.enable_prefix_caching {
            return;
        }
        let full = computed.min(self.tokens) / config.block_size;
        if full <= self.registered {
            return;
        }
        let shareable = self.shareable(config).min(full);
        for block in self.registered..shareable {
            let content = self.content(block, config.block_size);
            self.found.push(blocks.register(content));
        }
        self.registered = full;
    }

    /// Gives up its blocks for good.
    pub(super) fn release(&mut self, blocks: &mut Blocks) {
        let found = self.found.len() as u32;
        let plain = self.blocks - self.registered;
        blocks.release(plain, self.registered - found, &self.found);
        self.found.clear();
        self.blocks = 0;
        self.registered = 0;
    }

    /// Gives up its blocks, to look for them when it is admitted again.
    pub(super) fn preempt(&mut self, blocks: &mut Blocks, config: &VllmConfig) {
        for block in self.found.len() as u32..self.registered {
            let content = self.content(block, config.block_size);
            self.found.push(blocks.register(content));
        }
        self.release(blocks);
        self.computed = 0;
        self.coming = 0;
        self.stale = self.under_way;
        self.progress.preemptions += 1;
        self.standing = Standing::Waiting;
    }
}
