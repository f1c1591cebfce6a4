use serde::{Deserialize, Serialize};

use crate::serving::queue::Id;
use crate::time::SimTime;
use crate::workload::Details;

/// A request that has not ended, by its place in the endpoint's table. The place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub(crate) u32);

impl RequestId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Id for RequestId {
    fn index(self) -> usize {
        self.index()
    }
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }
}

/// What an engine is asked to serve of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Which request.
    pub request: RequestId,
    /// When it arrived at the application.
    pub arrival: SimTime,
    /// Tokens of its prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens that it asks for, at least 1; the prompt yields the first.
    pub output_tokens: u32,
    /// The part that this engine serves.
    pub phases: Phases,
}

/// What more there is to say of a request that an engine takes in.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// Its number in the workload.
    pub number: u64,
    /// What the workload says of it, if anything.
    pub details: Option<&'a Details>,
    /// When it had its first token, if it had.
    pub first_token: Option<SimTime>,
    /// When it had its last token so far, as far as that is known.
    pub last_token: Option<SimTime>,
}

impl Work {
    /// Tokens after the first.
    #[must_use]
    pub const fn decode_tokens(&self) -> u32 {
        self.output_tokens - 1
    }

    /// Whether any token follows the first.
    #[must_use]
    pub const fn has_token_phase(&self) -> bool {
        self.output_tokens > 1
    }

    /// Tokens in the KV cache when the prompt is done: the prompt and the token that it yields.
    #[must_use]
    pub const fn prompt_held(&self) -> u64 {
        self.prompt_tokens as u64 + 1
    }

    /// Tokens that this engine is to process: those of the prompt, and those that it generates.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        match self.phases {
            Phases::Both => self.prompt_held() + self.decode_tokens() as u64,
            Phases::Prompt => self.prompt_held(),
            Phases::Tokens => self.decode_tokens() as u64,
        }
    }
}

/// The phases of a request that one engine serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// The whole request.
    Both,
    /// The prompt; the KV cache is then sent to another engine.
    Prompt,
    /// The tokens after the first; the KV cache is here already.
    Tokens,
}

/// Where an engine keeps a request: a number of its own choice, by which it is told of it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(pub u32);

/// What an engine wants to do, now that it was told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urge {
    /// Nothing, or nothing new.
    Nothing,
    /// It is idle and can start: [`Engine::start`](super::Engine::start) follows.
    Start,
    /// It would rather run another batch: [`Engine::interrupt`](super::Engine::interrupt) follows.
    Interrupt,
}

/// What became of an attempt to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// A step, or a run of steps, is under way and ends then.
    Until(SimTime),
    /// There is nothing to serve.
    Idle,
    /// There is something to serve, but nothing of it can run.
    Stuck,
}

/// What became of an attempt to cut a run short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interrupted {
    /// It ends when it was to end.
    No,
    /// It ends then, at the boundary of a step.
    Until(SimTime),
    /// It is at its end: [`Engine::finish`](super::Engine::finish) follows.
    Now,
}

/// A run of steps under way, for those who record runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Requests in the batch whose prompts are processed.
    pub prompts: u32,
    /// Tokens of those prompts.
    pub prompt_tokens: u64,
    /// Requests in the batch that get a token each step.
    pub token_tasks: u32,
    /// Steps of the run.
    pub steps: u64,
    /// Steps that are over.
    pub done: u64,
}

/// What an engine holds, counted request by request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Requests queued, preempted and running.
    pub requests: u64,
    /// Tokens still to be processed for them, the run under way not credited.
    pub pending_tokens: u64,
    /// Bytes in use for the KV caches of requests that it does not have: those being sent.
    pub sent_bytes: u64,
}
