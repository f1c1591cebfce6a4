use serde::{Deserialize, Serialize};

use crate::serving::Role;
use crate::serving::engine::AnyEngine;
use crate::serving::queue::fetch;
use crate::time::{SimDuration, SimTime};

/// An engine at an endpoint, with what the endpoint keeps of it. An event needs most of it, so it is kept
/// short: five lines of the cache, with what stands in which settled by the order of the fields.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Seat {
    pub(crate) engine: AnyEngine,
    /// Requests assigned here that are not finished here.
    pub(crate) assigned: u32,
    /// KV caches that are to be sent or on their way from here.
    pub(crate) outgoing: u32,
    /// KV caches that are on their way to here.
    pub(crate) incoming: u32,
    pub(crate) admission: Admission,
    /// Somebody wants to know when it is idle.
    pub(crate) watched: bool,
    pub(crate) role: Role,
}

const _: () = assert!(size_of::<Seat>() <= 5 * 64, "five lines of the cache");

/// Whether the router may choose an engine. It goes one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Admission {
    /// Not yet.
    Joined,
    /// Yes.
    Open,
    /// Never again.
    Closed,
    /// It was taken out.
    Removed,
}

impl Seat {
    pub(crate) const fn new(engine: AnyEngine, role: Role) -> Self {
        Self {
            engine,
            assigned: 0,
            outgoing: 0,
            incoming: 0,
            admission: Admission::Joined,
            watched: false,
            role,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.admission == Admission::Open
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.admission == Admission::Removed
    }

    /// Lets go of all storage once the engine is taken out.
    pub(crate) fn retire(&mut self) {
        self.engine.clear();
        self.assigned = 0;
        self.outgoing = 0;
        self.incoming = 0;
        self.admission = Admission::Removed;
    }

    /// Asks for the lines of the cache that this takes. Lists are elsewhere.
    pub(crate) fn fetch(&self) {
        if let Some(engine) = self.engine.ahead() {
            engine.fetch();
        }
        fetch(&self.assigned);
    }

    /// Asks for the lines that say how much it holds and has to do.
    pub(crate) fn fetch_state(&self) {
        if let Some(engine) = self.engine.ahead() {
            engine.fetch_memory();
        }
        fetch(&self.assigned);
    }

    /// Asks for the first lines of the lists.
    pub(crate) fn fetch_lists(&self) {
        if let Some(engine) = self.engine.ahead() {
            engine.fetch_lists();
        }
    }

    /// Asks for what takes in the next request that comes.
    pub(crate) fn fetch_for_newcomer(&self) {
        if let Some(engine) = self.engine.ahead() {
            engine.fetch_for_newcomer();
        }
    }
}

/// When an engine came and went. It is seldom asked for, so it stands beside the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stay {
    joined: SimTime,
    removed: Option<SimTime>,
    pub(crate) idle_since: SimTime,
}

impl Stay {
    pub(crate) const fn new(now: SimTime) -> Self {
        Self {
            joined: now,
            removed: None,
            idle_since: now,
        }
    }

    pub(crate) fn end(&mut self, now: SimTime) {
        self.removed.get_or_insert(now);
    }

    /// How long the engine has been there, or was.
    pub(crate) fn length(&self, now: SimTime) -> SimDuration {
        self.removed.unwrap_or(now) - self.joined
    }
}
