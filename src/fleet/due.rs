//! Components that are timers: inserting one arms it, removing or replacing one makes the old entry stale.

use std::marker::PhantomData;

use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::{Res, World};
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::DeferredWorld;

use crate::time::SimTime;

use super::arm::{arm, disarm};
use super::{
    Agenda, DrainTimer, InstanceStatus, OfApplication, Provisioning, ScalingRules, StartUp, drain,
    guard::{self, Kept},
};

/// The entities whose timer `C` runs out in this tick, in the order of (time, order of arming).
///
/// A timer is a component: [`Provisioning`], [`StartUp`] (until it is active) or [`DrainTimer`] (its
/// deadline). One that was removed or replaced since is not among them.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::{Due, LifecycleSet, StartUp, Tick};
///
/// fn announce(due: Due<StartUp>) {
///     for (at, instance) in due.iter() {
///         println!("{instance} becomes active at {at} s");
///     }
/// }
///
/// let mut schedules = Schedules::default();
/// schedules.add_systems(Tick, announce.before(LifecycleSet::InstancesActivate));
/// ```
#[derive(SystemParam)]
pub struct Due<'w, C: 'static> {
    agenda: Res<'w, Agenda>,
    timer: PhantomData<fn() -> C>,
}

impl<C: 'static> Due<'_, C> {
    /// Each, with its instant.
    pub fn iter(&self) -> impl Iterator<Item = (SimTime, Entity)> + '_ {
        self.agenda.lifecycle.out::<C>()
    }
}

/// The part of a [`StartUp`] until the instance joins its application.
pub(super) struct Joining;

/// The part of a [`DrainTimer`] until the instance is looked at again.
pub(super) struct DrainCheck;

/// The hook on the insertion of [`Provisioning`].
pub(super) fn provisioning_begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    if let Some(&Provisioning { ready }) = world.get(entity) {
        arm::<Provisioning>(&mut world, ready, entity);
        undo_if_idle::<Provisioning>(&mut world, entity);
    }
}

/// The hook on the removal of [`Provisioning`].
pub(super) fn provisioning_ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<Provisioning>(&mut world, context.entity);
    guard::removed::<Provisioning>(world, context);
}

/// The hook on the insertion of a [`StartUp`].
pub(super) fn start_up_begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    if let Some(&StartUp { joins, activates }) = world.get(entity) {
        arm::<Joining>(&mut world, joins, entity);
        arm::<StartUp>(&mut world, activates.max(joins), entity);
        undo_if_idle::<StartUp>(&mut world, entity);
    }
}

/// The hook on the removal of a [`StartUp`].
pub(super) fn start_up_ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<Joining>(&mut world, context.entity);
    disarm::<StartUp>(&mut world, context.entity);
    guard::removed::<StartUp>(world, context);
}

/// The hook on the insertion of a [`DrainTimer`]. On an instance that does not drain yet it asks for the
/// drain.
pub(super) fn drain_begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = world.entity(context.entity);
    let (Some(&timer), status) = (entity.get::<DrainTimer>(), entity.get::<InstanceStatus>())
    else {
        return;
    };
    if status != Some(&InstanceStatus::Draining) || timer.started == SimTime::MAX {
        let instance = context.entity;
        world
            .commands()
            .queue(move |world: &mut World| drain::take_timer(world, instance, timer));
        return;
    }
    let rules = entity
        .get::<OfApplication>()
        .and_then(|of| world.get::<ScalingRules>(of.application()));
    let check = rules.map_or(SimTime::MAX, |rules| timer.next_check(rules.drain));
    arm::<DrainCheck>(&mut world, check, context.entity);
    arm::<DrainTimer>(&mut world, timer.deadline, context.entity);
}

/// The hook on the removal of a [`DrainTimer`].
pub(super) fn drain_ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<DrainCheck>(&mut world, context.entity);
    disarm::<DrainTimer>(&mut world, context.entity);
    guard::removed::<DrainTimer>(world, context);
}

/// Takes a timer back that has nothing to wait for, such as the start-up of an instance that is up.
fn undo_if_idle<C: Kept>(world: &mut DeferredWorld<'_>, entity: Entity) {
    let timer = world.get::<C>(entity);
    if timer.is_some_and(|timer| timer.may_go(world, entity)) {
        let undo = move |world: &mut World| guard::undo_idle_timer::<C>(world, entity);
        world.commands().queue(undo);
    }
}
