//! One pool of servers for several applications: who waits for a place, who makes room, who adds and removes servers.

mod add;
mod budget;
mod cluster_autoscaler;
mod karpenter;
mod look;
mod moves;
mod pending;
mod place;
mod preempt;

use bevy_ecs::change_detection::Mut;
use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use self::cluster_autoscaler::ClusterAutoscaler;
use self::karpenter::Karpenter;
use crate::fleet::{
    Agenda, Application, Clock, FleetsExt, Ledger, Parts, StatusCounts, Stock, Templates,
};
use crate::scenario::{self, ServerScaling};
use crate::serving::Role;

pub(super) use budget::share_out;
pub use budget::{BudgetClaim, divide};
use look::Looking;
pub(super) use look::share;
pub use pending::{PendingInstance, PendingInstances};

/// How the applications of a fleet share its servers. On a fleet's entity, where the scenario has a `pool`.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    settings: scenario::Pool,
}

impl Pool {
    /// What the scenario says.
    #[must_use]
    pub const fn settings(&self) -> &scenario::Pool {
        &self.settings
    }
}

/// Which applications of a pool get servers first: those with a higher one. On an application's entity.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority(pub i32);

/// The priority of an application.
fn priority_of(world: &World, application: Entity) -> i32 {
    world.get::<Priority>(application).map_or(0, |it| it.0)
}

/// Makes a fleet a pool of these applications, each with its priority.
pub(super) fn install(
    world: &mut World,
    fleet: Entity,
    settings: scenario::Pool,
    applications: impl IntoIterator<Item = (Entity, i32)>,
) {
    for (application, priority) in applications {
        world.entity_mut(application).insert(Priority(priority));
    }
    world
        .entity_mut(fleet)
        .insert((Pool { settings }, PendingInstances::default()));
    let now = world.resource::<Clock>().now();
    let first = look::next_look(&settings, now);
    if let ServerScaling::Karpenter { .. } = settings.servers {
        world.entity_mut(fleet).insert(Karpenter::from(first));
    }
    world
        .resource_mut::<Agenda>()
        .wake_for::<Looking>(first, fleet);
}

/// Enters what a pool is made of.
pub(super) fn enter(parts: &mut Parts) {
    parts
        .component::<Pool>()
        .component::<Priority>()
        .component::<budget::Wanted>()
        .component_with::<ClusterAutoscaler>(ClusterAutoscaler::follow)
        .component_with::<Karpenter>(Karpenter::follow)
        .component_with::<PendingInstances>(PendingInstances::follow)
        .purpose::<Looking>();
}

/// How many instances of a role an application has; those that wait for a place start up.
pub(super) fn counts_of(world: &World, application: Entity, role: Role) -> StatusCounts {
    let of = world.get::<Application>(application);
    let fleet = world.fleet_of(application);
    let ledger = fleet.and_then(|it| world.get::<Ledger>(it));
    let mut counts = of.zip(ledger).map_or_else(StatusCounts::default, |it| {
        it.1.counts_of(it.0.index(), role)
    });
    counts.scaling_up += queue(world, application).map_or(0, |it| it.count(application, role));
    counts
}

/// How many processors an instance of a role takes, on the first SKU that carries it.
fn processors(world: &World, fleet: Entity, application: Entity, role: Role) -> u32 {
    let kinds = world.get::<Stock>(fleet).map_or(0, |it| it.kinds().len());
    let templates = world.get::<Templates>(application);
    let on = |sku| templates.and_then(|it| it.processors(role, sku));
    (0..kinds).find_map(on).unwrap_or(0)
}

/// The instances that wait in the fleet of an application, if that is a pool.
fn queue(world: &World, application: Entity) -> Option<&PendingInstances> {
    world.get(world.fleet_of(application)?)
}

fn queue_mut(world: &mut World, application: Entity) -> Option<Mut<'_, PendingInstances>> {
    world.get_mut(world.fleet_of(application)?)
}

/// How many instances of a role of an application wait for a server of this SKU alone.
pub(super) fn pending_on(world: &World, application: Entity, role: Role, sku: usize) -> u32 {
    queue(world, application).map_or(0, |it| it.count_on(application, role, sku))
}

/// Lets instances wait for a place, where their fleet is a pool. Says whether it is.
pub(super) fn ask(
    world: &mut World,
    application: Entity,
    (role, sku): (Role, Option<usize>),
    count: u32,
) -> bool {
    let now = world.resource::<Clock>().now();
    let priority = priority_of(world, application);
    let Some(mut queue) = queue_mut(world, application) else {
        return false;
    };
    queue.ask((application, role, sku), priority, count, now);
    true
}

/// Gives up instances that wait, the newest first. Returns how many.
pub(super) fn give_up(
    world: &mut World,
    application: Entity,
    (role, sku): (Role, Option<usize>),
    most: u32,
) -> u32 {
    queue_mut(world, application).map_or(0, |mut it| it.give_up(application, role, sku, most))
}

/// Whether servers that instances leave empty stay: somebody else removes them.
pub(super) fn keeps_empty_servers(world: &World, application: Entity) -> bool {
    let fleet = world.fleet_of(application);
    let pool = fleet.and_then(|it| world.get::<Pool>(it));
    pool.is_some_and(|it| !matches!(it.settings.servers, ServerScaling::WithInstances { .. }))
}
