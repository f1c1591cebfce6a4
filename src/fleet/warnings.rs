use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::warning::{Warning, Warnings};

/// The warnings of a run of a fleet: what went unnoticed otherwise. Any system may add to it.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::{Clock, RunWarnings};
/// use fleetsim::warning::Warning;
///
/// fn notice(clock: Res<'_, Clock>, mut fleets: Query<'_, '_, &mut RunWarnings>) {
///     for mut warnings in &mut fleets {
///         let warning = Warning::new("cold_start", "a server starts without an image cache");
///         warnings.push(warning.at_time(clock.now()));
///     }
/// }
/// ```
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunWarnings(Warnings);

impl RunWarnings {
    /// Adds a warning. Of each kind the first few are kept, and a count.
    pub fn push(&mut self, warning: Warning) {
        self.0.push(warning);
    }

    /// What came up so far.
    #[must_use]
    pub const fn all(&self) -> &Warnings {
        &self.0
    }
}
