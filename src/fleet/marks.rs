//! Marks on what cannot be used: a host may look for them.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::{free_processors, reclaim};

/// On a processor that cannot be used.
#[derive(Component, Clone, Copy, Debug, Serialize, Deserialize)]
#[component(
    storage = "SparseSet",
    immutable,
    on_insert = free_processors::breaks,
    on_remove = free_processors::breaks
)]
pub struct Broken;

/// On a server that takes no new instance from the actuator, as `kubectl cordon` says it. A verb that names the
/// server works all the same.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    storage = "SparseSet",
    immutable,
    on_insert = free_processors::cordoned,
    on_remove = free_processors::cordoned
)]
pub struct Cordoned;

/// On a server that is taken back: nothing new comes to it.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable, on_insert = reclaim::begins, on_remove = reclaim::ends)]
pub struct Reclaimed {
    pub(super) at: SimTime,
}

impl Reclaimed {
    /// When it is gone.
    #[must_use]
    pub const fn at(&self) -> SimTime {
        self.at
    }
}
