//! How long a run waits for policies that may yet do something.

use super::Simulation;
use crate::fleet::FleetWorldExt;
use crate::time::{SimDuration, SimTime};

/// Seconds for which a run goes on while requests wait, nothing starts up and a policy may yet add something.
///
/// It is longer than any usual cool-down. The same holds for a run whose requests have all ended while a
/// policy still scales.
const PATIENCE: SimDuration = SimDuration::saturating(3600.0);

/// Seconds that a policy may scale while requests wait and none of them is served.
///
/// It is longer than any server takes to start.
const LONG_PATIENCE: SimDuration = SimDuration::saturating(86_400.0);

impl Simulation {
    /// When policies are waited for no more, if from now on nothing comes of anything.
    pub(super) fn patience_ends(&self) -> SimTime {
        if self.end.is_some() || !self.has_policies {
            return SimTime::MAX;
        }
        let world = &self.world;
        let quiet = if world.is_stalled() {
            world.last_activity() + PATIENCE
        } else {
            self.now() + PATIENCE
        };
        match self.script_ended {
            Some(script) if world.next_served().is_none() => {
                let patience = if world.is_served() {
                    PATIENCE
                } else {
                    LONG_PATIENCE
                };
                quiet.min(world.last_served().max(script) + patience)
            }
            _ => quiet,
        }
    }

    /// Whether nothing that waits will ever be served: no policy is there, or none did anything about it
    /// for long.
    pub(super) fn is_in_vain(&self) -> bool {
        if self.has_policies {
            self.now() >= self.patience_ends()
        } else {
            self.world.is_stalled()
        }
    }
}
