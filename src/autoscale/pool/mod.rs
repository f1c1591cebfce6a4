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

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use self::cluster_autoscaler::ClusterAutoscaler;
use self::karpenter::Karpenter;
use super::Actuator;
use crate::fleet::{Agenda, Application, Clock, FleetsExt, Ledger, Parts, Stock, Templates};
use crate::scenario::{self, ServerScaling, SkuChoice};
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
    match settings.servers {
        ServerScaling::WithInstances { .. } | ServerScaling::Fixed => {}
        ServerScaling::ClusterAutoscaler { .. } => {
            world.entity_mut(fleet).insert(ClusterAutoscaler::default());
        }
        ServerScaling::Karpenter { .. } => {
            world.entity_mut(fleet).insert(Karpenter::from(first));
        }
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

/// How many instances of a role an application has: those that wait for a place, that start up or are active.
fn current(world: &World, application: Entity, role: Role) -> u32 {
    let of = world.get::<Application>(application);
    let ledger = world
        .fleet_of(application)
        .and_then(|it| world.get::<Ledger>(it));
    let there = of.zip(ledger).map_or(0, |(of, ledger)| {
        let counts = ledger.counts_of(of.index(), role);
        counts.scaling_up + counts.active
    });
    there + pending(world, application, role)
}

/// How many processors an instance of a role takes, on the first SKU that carries it.
fn processors(world: &World, fleet: Entity, application: Entity, role: Role) -> u32 {
    let kinds = world.get::<Stock>(fleet).map_or(0, |it| it.kinds().len());
    let templates = world.get::<Templates>(application);
    let on = |sku| templates.and_then(|it| it.processors(role, sku));
    (0..kinds).find_map(on).unwrap_or(0)
}

/// Which SKU an instance of an application may have: one alone, or what the actuator chooses.
fn choice(world: &World, application: Entity, only: Option<usize>) -> SkuChoice {
    let fleet = world.fleet_of(application);
    let stock = fleet.and_then(|fleet| world.get::<Stock>(fleet));
    let named = only.and_then(|sku| stock?.kinds().get(sku));
    let actuator = world.get::<Actuator>(application);
    named.map_or_else(
        || actuator.map_or_else(SkuChoice::default, |it| it.settings.sku.clone()),
        |kind| SkuChoice::Named(kind.sku().name.clone()),
    )
}

/// How many instances of a role of an application wait for a place.
pub(super) fn pending(world: &World, application: Entity, role: Role) -> u32 {
    let fleet = world.fleet_of(application);
    let queue = fleet.and_then(|it| world.get::<PendingInstances>(it));
    queue.map_or(0, |it| it.count(application, role))
}

/// How many of them wait for a server of this SKU alone.
pub(super) fn pending_on(world: &World, application: Entity, role: Role, sku: usize) -> u32 {
    let fleet = world.fleet_of(application);
    let queue = fleet.and_then(|it| world.get::<PendingInstances>(it));
    queue.map_or(0, |it| it.count_on(application, role, sku))
}

/// Lets instances wait for a place, where their fleet is a pool. Says whether it is.
pub(super) fn ask(
    world: &mut World,
    application: Entity,
    (role, sku): (Role, Option<usize>),
    count: u32,
) -> bool {
    let now = world.resource::<Clock>().now();
    let priority = world.get::<Priority>(application).map_or(0, |it| it.0);
    let fleet = world.fleet_of(application);
    let queue = fleet.and_then(|it| world.get_mut::<PendingInstances>(it));
    let Some(mut queue) = queue else {
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
    let fleet = world.fleet_of(application);
    let queue = fleet.and_then(|it| world.get_mut::<PendingInstances>(it));
    queue.map_or(0, |mut it| it.give_up(application, role, sku, most))
}

/// Whether servers that instances leave empty stay: somebody else removes them.
pub(super) fn keeps_empty_servers(world: &World, application: Entity) -> bool {
    let fleet = world.fleet_of(application);
    let pool = fleet.and_then(|it| world.get::<Pool>(it));
    pool.is_some_and(|it| !matches!(it.settings.servers, ServerScaling::WithInstances { .. }))
}
