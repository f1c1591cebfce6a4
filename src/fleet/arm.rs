//! The timers that components set for themselves.

use bevy_ecs::entity::Entity;
use bevy_ecs::world::DeferredWorld;

use crate::time::SimTime;

use super::{Agenda, Clock};

/// Sets the timer of a component, for now at the earliest. A world without a fleet has no timers to set.
pub(super) fn arm<C: 'static>(world: &mut DeferredWorld<'_>, at: SimTime, entity: Entity) {
    let now = world
        .get_resource::<Clock>()
        .map_or(SimTime::ZERO, Clock::now);
    if let Some(mut agenda) = world.get_resource_mut::<Agenda>() {
        agenda.lifecycle.set::<C>(at.max(now), entity);
    }
}

/// Takes the timer of a component back.
pub(super) fn disarm<C: 'static>(world: &mut DeferredWorld<'_>, entity: Entity) {
    if let Some(mut agenda) = world.get_resource_mut::<Agenda>() {
        agenda.lifecycle.clear::<C>(entity);
    }
}
