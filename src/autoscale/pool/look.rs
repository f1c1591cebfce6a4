//! When instances that wait, and servers, are looked at.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use super::place::place_all;
use super::{PendingInstance, PendingInstances, Pool, cluster_autoscaler, karpenter};
use crate::autoscale::grid::next_on_grid;
use crate::autoscale::placement::{best_sku, choice};
use crate::fleet::free_processors::FreeProcessors;
use crate::fleet::{Agenda, Clock, FleetsExt, ScaleUpFull, ScalingExt};
use crate::scenario::{self, ServerScaling};
use crate::time::{SimDuration, SimTime};

/// The purpose for which a fleet is woken when servers may be added or removed.
pub(crate) struct Looking;

/// The system of a pool, after the actuator: instances that wait get places where there are some.
pub(in crate::autoscale) fn share(world: &mut World) {
    for fleet in world.fleets().to_vec() {
        if let Some(&Pool { settings }) = world.get(fleet) {
            share_in(world, fleet, &settings);
        }
    }
}

/// When servers are looked at next without being asked.
pub(super) fn next_look(settings: &scenario::Pool, now: SimTime) -> SimTime {
    let interval = match settings.servers {
        ServerScaling::WithInstances { .. } | ServerScaling::Fixed => return SimTime::MAX,
        ServerScaling::ClusterAutoscaler { scan_interval, .. } => scan_interval,
        ServerScaling::Karpenter { poll_interval, .. } => poll_interval,
    };
    next_on_grid(interval, SimDuration::ZERO, now).unwrap_or(SimTime::MAX)
}

fn share_in(world: &mut World, fleet: Entity, settings: &scenario::Pool) {
    let Some(pending) = world.get::<PendingInstances>(fleet) else {
        return;
    };
    let agenda = world.resource::<Agenda>();
    let due = agenda.awake_for::<Looking>().any(|it| it == fleet);
    let changed = world
        .get::<FreeProcessors>(fleet)
        .is_some_and(FreeProcessors::has_changed);
    let news = pending.has_news();
    let waits = !pending.is_empty();
    if !due && !(waits && (news || changed)) {
        return;
    }
    let now = world.resource::<Clock>().now();
    let next = match settings.servers {
        ServerScaling::WithInstances { retry } => {
            let adds = news || due;
            place_all(world, fleet, settings, |world, it| {
                adds && with_server(world, it)
            });
            let waits = world.get::<PendingInstances>(fleet);
            let again = next_on_grid(retry, SimDuration::ZERO, now);
            again.filter(|_| waits.is_some_and(|it| !it.is_empty()))
        }
        ServerScaling::Fixed => {
            place_all(world, fleet, settings, |_, _| false);
            None
        }
        ServerScaling::ClusterAutoscaler { .. } if due => {
            cluster_autoscaler::look(world, fleet, settings);
            Some(next_look(settings, now))
        }
        ServerScaling::ClusterAutoscaler { .. } => {
            place_all(world, fleet, settings, |_, _| false);
            return;
        }
        ServerScaling::Karpenter { .. } => Some(karpenter::look(world, fleet, settings)),
    };
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Looking>(next.unwrap_or(SimTime::MAX), fleet);
}

/// Starts an instance on a server that comes with it.
fn with_server(world: &mut World, it: &PendingInstance) -> bool {
    let choice = choice(world, it.application, it.sku);
    let request = ScaleUpFull {
        sku: best_sku(world, it.application, it.role, &choice).sku,
        ..ScaleUpFull::new(it.application, it.role)
    };
    world.scale_up_full(&request).is_ok()
}
