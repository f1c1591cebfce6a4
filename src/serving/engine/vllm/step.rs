use serde::{Deserialize, Serialize};

use crate::serving::Steps;

use super::request::Ticket;

/// A step that is scheduled and not yet processed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) start: f64,
    pub(super) end: f64,
    /// Who has tokens in it, besides the members of the lockstep.
    pub(super) items: Vec<Item>,
    /// Members of the lockstep in it.
    pub(super) locked: u32,
    /// It computes prompt tokens.
    pub(super) prefills: bool,
}

/// The tokens of a request in a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) ticket: Ticket,
    /// Its admission when the step was scheduled.
    pub(super) admission: u64,
    pub(super) tokens: u32,
    /// It samples a token at the end.
    pub(super) samples: bool,
    /// They count as tokens of a prompt.
    pub(super) prefill: bool,
}

/// Decode steps in which nothing else happens, scheduled and processed in one event.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// The last step before it.
    pub(super) after: u64,
    /// When that ends.
    pub(super) from: f64,
    pub(super) steps: Steps,
    /// Steps of it.
    pub(super) count: u64,
    /// Requests that waited when it began.
    pub(super) waiting: u32,
}

/// What a step did: a row of `steps.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Its number, from 0.
    pub step: u64,
    /// When it begins, in seconds.
    pub start_s: f64,
    /// How long it takes, in seconds.
    pub duration_s: f64,
    /// Requests that run, after scheduling.
    pub running: u32,
    /// Requests that wait, after scheduling.
    pub waiting: u32,
    /// Tokens of prompts, those computed again included.
    pub prefill_tokens: u64,
    /// Requests that decode one token.
    pub decode_seqs: u64,
    /// Tokens with KV after the step, of the requests that it schedules.
    pub context_tokens: u64,
    /// Blocks with a user after scheduling.
    pub used_blocks: u32,
    /// The requests preempted, in this order.
    pub preempted: Vec<Box<str>>,
    /// The requests that end with it, in this order.
    pub finished: Vec<Box<str>>,
    /// The requests scheduled, in this order, with their tokens.
    pub scheduled: Vec<(Box<str>, u32)>,
}
