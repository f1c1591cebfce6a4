//! Servers of a SKU that are kept for later: ready and empty, or stopped with their disks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::scenario::StoppedServers;
use crate::time::SimDuration;

use super::ServerCache;

/// The servers of a SKU that are kept for later.
#[derive(Clone, Debug)]
pub(super) struct Standby {
    /// How many are kept ready.
    pub(super) warm: u32,
    rules: Option<StoppedServers>,
    state: StandbyState,
}

/// What changes of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StandbyState {
    stream: Stream,
    /// The numbers of the servers that are kept ready, or are on their way to be.
    ready: BTreeSet<u64>,
    /// Those that are stopped, in the order of stopping.
    stopped: Vec<Stopped>,
}

/// A server that is stopped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stopped {
    /// The position of its zone in the fleet.
    zone: Option<usize>,
    /// What is on its disk.
    pub(super) cache: Option<ServerCache>,
}

impl Standby {
    /// That of a SKU, with nothing in it.
    pub(super) fn new(warm: u32, rules: Option<StoppedServers>, seed: u64, sku: &str) -> Self {
        Self {
            warm,
            rules,
            state: StandbyState {
                stream: Stream::new(seed, &format!("resume/{sku}")),
                ready: BTreeSet::new(),
                stopped: Vec::new(),
            },
        }
    }

    /// What a snapshot has of it.
    pub(super) const fn state(&self) -> &StandbyState {
        &self.state
    }

    /// Becomes that of a snapshot.
    pub(super) fn restore(&mut self, state: StandbyState) {
        self.state = state;
    }

    /// The numbers of the servers that are kept ready, or are on their way to be.
    pub(super) const fn ready(&self) -> &BTreeSet<u64> {
        &self.state.ready
    }

    /// How many servers it lacks.
    pub(super) fn lacks(&self) -> u32 {
        let ready = u32::try_from(self.state.ready.len()).unwrap_or(u32::MAX);
        self.warm.saturating_sub(ready)
    }

    /// Keeps a server ready.
    pub(super) fn keep(&mut self, server: u64) {
        self.state.ready.insert(server);
    }

    /// A server is no longer kept. False where it was not.
    pub(super) fn let_go(&mut self, server: u64) -> bool {
        self.state.ready.remove(&server)
    }

    /// How many are stopped.
    pub(super) fn stopped(&self) -> usize {
        self.state.stopped.len()
    }

    /// Stops a server that goes, in the place of the one that was stopped first where there is no room. False where
    /// none is kept so.
    pub(super) fn stop(&mut self, zone: Option<usize>, cache: Option<ServerCache>) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        self.state.stopped.push(Stopped { zone, cache });
        let beyond = self.state.stopped.len().saturating_sub(rules.most as usize);
        self.state.stopped.drain(..beyond);
        true
    }

    /// Takes the server of a zone that was stopped last, with how long it takes to be there.
    pub(super) fn resume(&mut self, zone: Option<usize>) -> Option<(Stopped, SimDuration)> {
        let resume = self.rules.as_ref()?.resume;
        let place = self.state.stopped.iter().rposition(|it| it.zone == zone)?;
        let stopped = self.state.stopped.remove(place);
        Some((stopped, resume.draw(&mut self.state.stream)))
    }
}
