//! The attempt at a start-up that an instance is in.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::scenario::StartUpFailure;
use crate::time::SimTime;

use super::arm::{arm, disarm};
use super::guard;

/// The attempt at a start-up that an instance is in, or waits after. To end them by hand, replace the
/// [`StartUp`](super::StartUp). Only applications with `start_up_failure` have it.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[component(immutable, storage = "SparseSet", on_insert = begins, on_remove = ends)]
pub struct StartUpAttempt {
    pub(super) number: u32,
    pub(super) since: SimTime,
    /// When `next` happens.
    pub(super) due: SimTime,
    pub(super) next: Next,
    pub(super) rules: StartUpFailure,
}

/// What happens to an attempt unless it is up before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Next {
    /// It fails.
    Fails,
    /// It is given up.
    TimesOut,
    /// It was given up, and the next begins.
    BeginsAgain,
}

impl StartUpAttempt {
    /// Its number, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// When it began, or will begin; while it is [waited for](Self::waits) when the one before was given up.
    #[must_use]
    pub const fn since(&self) -> SimTime {
        self.since
    }

    /// Whether it was given up, and the instance waits for the next.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.next == Next::BeginsAgain
    }

    /// It fails at an instant.
    pub(super) fn fail(world: &mut World, instance: Entity, at: SimTime) {
        let attempt = world.get::<Self>(instance).copied();
        if let (Some(attempt), Ok(mut instance)) = (attempt, world.get_entity_mut(instance)) {
            instance.insert(Self {
                due: at,
                next: Next::Fails,
                ..attempt
            });
        }
    }
}

/// The hook on the insertion.
fn begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let due = world.get::<StartUpAttempt>(context.entity).map(|it| it.due);
    if let Some(due) = due {
        arm::<StartUpAttempt>(&mut world, due, context.entity);
    }
}

/// The hook on the removal.
fn ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<StartUpAttempt>(&mut world, context.entity);
    guard::removed::<StartUpAttempt>(world, context);
}
