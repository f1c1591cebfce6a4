//! What is lost and not noticed yet.

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::world::{DeferredWorld, World};
use serde::{Deserialize, Serialize};

use crate::time::SimTime;

use super::arm::{arm, disarm};
use super::lost::Lost;
use super::parts::Twins;
use super::{Server, Stock, free_processors, guard};

/// On an instance or a server that is lost, and of which nobody knows yet.
///
/// The instance counts as active, and the router sends it requests: they are stuck, with those that it had, until the
/// next health check of its application. A server counts as there until the last of its instances is missed.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
#[component(immutable, storage = "SparseSet", on_insert = begins, on_remove = ends)]
pub struct Unnoticed {
    pub(super) at: SimTime,
    pub(super) after: After,
}

/// What is done once a loss is noticed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum After {
    /// Nothing: its server is noticed, too.
    Nothing,
    /// The instance starts up again on its server, if it does.
    Restart(Option<Lost>),
    /// It starts up again, now or when its processor is repaired.
    Processor {
        processor: Entity,
        repaired: Option<SimTime>,
        lost: Option<Lost>,
    },
    /// The server, lost since then, comes back when it is repaired, if it is, with these.
    Server {
        since: SimTime,
        repaired: Option<SimTime>,
        lost: Vec<Lost>,
    },
}

impl Unnoticed {
    /// When it is noticed.
    #[must_use]
    pub const fn until(&self) -> SimTime {
        self.at
    }

    /// Becomes that of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        if let After::Processor { processor, .. } = &mut self.after {
            twins.follow(processor);
        }
    }
}

fn begins(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(at) = world.get::<Unnoticed>(context.entity).map(|it| it.at) else {
        return;
    };
    if world.get::<Server>(context.entity).is_some() {
        free_processors::changed(&mut world, context.entity);
    }
    arm::<Unnoticed>(&mut world, at, context.entity);
}

fn ends(mut world: DeferredWorld<'_>, context: HookContext) {
    disarm::<Unnoticed>(&mut world, context.entity);
    guard::removed::<Unnoticed>(world, context);
}

/// An instance or a server goes. Returns whether it was lost, and nobody knew.
pub(super) fn forget(world: &mut DeferredWorld<'_>, fleet: Entity, gone: Entity) -> bool {
    let unnoticed = world.get::<Unnoticed>(gone).is_some();
    if unnoticed && let Some(mut stock) = world.get_mut::<Stock>(fleet) {
        stock.unnoticed = stock.unnoticed.saturating_sub(1);
    }
    unnoticed
}

/// Whether something is lost though nobody knows.
pub(super) fn is_lost(world: &World, entity: Entity) -> bool {
    world.get::<Unnoticed>(entity).is_some()
}
