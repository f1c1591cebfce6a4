use bevy_ecs::prelude::{Query, Res, ResMut, Resource};
use serde::{Deserialize, Serialize};

use super::{OutcomeLog, ScalingLog, Service};

/// How long records are kept that nobody takes: of requests that ended, of runs of batches, lines of the
/// [`ScalingLog`], decisions and samples.
///
/// A host that takes none of them chooses [`Self::OneTick`], or they fill the memory in time:
///
/// ```
/// # use bevy_ecs::prelude::*;
/// use fleetsim::fleet::Retention;
/// # let mut world = World::new();
/// world.insert_resource(Retention::OneTick);
/// ```
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    /// Until somebody takes them. The default: nothing is lost.
    #[default]
    UntilTaken,
    /// Until the next tick begins: systems of the `Tick` schedule see them, and so does a host that looks
    /// after each tick.
    OneTick,
}

/// Drops the records of the tick before, where they are kept no longer.
pub(super) fn forget(
    retention: Res<'_, Retention>,
    mut services: Query<'_, '_, &mut Service>,
    mut logs: Query<'_, '_, &mut ScalingLog>,
    mut outcomes: ResMut<'_, OutcomeLog>,
) {
    if *retention == Retention::UntilTaken {
        return;
    }
    for mut service in &mut services {
        if service.0.has_ended() {
            service.0.take_ended();
        }
        if service.0.has_runs() {
            drop(service.0.take_runs());
        }
    }
    for mut log in &mut logs {
        log.drain();
    }
    outcomes.clear();
}
