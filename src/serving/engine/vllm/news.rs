use crate::time::SimTime;

use super::request::{Progress, Ticket};

/// What happened to requests since the news was last emptied. Storage that is used again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Those that have tokens for the first time, by their owner's number, and when that step begins.
    pub started: Vec<(u32, SimTime)>,
    /// Those that have their first token.
    pub first_tokens: Vec<u32>,
    /// Those that have all their tokens.
    pub ended: Vec<Ended>,
}

impl News {
    /// Empties it.
    pub fn clear(&mut self) {
        self.started.clear();
        self.first_tokens.clear();
        self.ended.clear();
    }
}

/// A request that has all its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// Its place in the engine. It is vacant, unless its blocks are kept to be sent.
    pub ticket: Ticket,
    /// Its owner's number for it.
    pub owner: u32,
    /// When and how it was served.
    pub progress: Progress,
}
