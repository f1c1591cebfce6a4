use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::request::{Progress, Ticket};

/// What happened to requests since the news was last emptied. Storage that is used again and again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// Those that have tokens for the first time, by their owner's number, and when that step begins.
    pub started: Vec<(u32, SimTime)>,
    /// Those that have their first token.
    pub first_tokens: Vec<u32>,
    /// Those that have all their tokens.
    pub ended: Vec<Ended>,
    /// The times between the tokens that were sampled.
    pub gaps: Vec<TokenGaps>,
}

impl News {
    /// Empties it.
    pub fn clear(&mut self) {
        self.started.clear();
        self.first_tokens.clear();
        self.ended.clear();
        self.gaps.clear();
    }

    /// Notes a time since its last token for each of these requests.
    #[inline]
    pub(super) fn gap(&mut self, seconds: f64, requests: u64) {
        match self.gaps.last_mut() {
            _ if requests == 0 => {}
            Some(last) if last.steps == 1 && last.first == seconds => last.requests += requests,
            _ => self.gaps.push(TokenGaps {
                first: seconds,
                growth: 0.0,
                steps: 1,
                requests,
            }),
        }
    }
}

/// Times between two tokens of a request: those of some requests in some successive steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenGaps {
    /// Seconds in the first step.
    pub first: f64,
    /// Seconds by which each is longer than the one before.
    pub growth: f64,
    /// How many steps.
    pub steps: u64,
    /// How many requests.
    pub requests: u64,
}

/// A request that has all its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Its place in the engine. It is vacant, unless its blocks are kept to be sent.
    pub ticket: Ticket,
    /// Its owner's number for it.
    pub owner: u32,
    /// When and how it was served.
    pub progress: Progress,
}
