//! What servers, processors and instances are made of. Their numbers and statuses are immutable
//! components that only the lifecycle changes: what a host inserts, replaces or removes by hand is undone.
//! A host may despawn an entity, which is a crash, and may replace a [`StartUp`] or a [`DrainTimer`].

use std::sync::Arc;

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipSourceCollection;
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::serving::{EngineId, Role};
use crate::time::SimTime;

use super::members::Members;
use super::{due, free_processors, guard, removal};

/// A server, by its number: counted over the whole fleet from 0 in order of creation, never reused.
///
/// Despawning a server takes its processors and instances with it; unless the scaling API did it,
/// that is a crash.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = removal::server_removed
)]
pub struct Server {
    pub(super) number: u64,
}

impl Server {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// What a server is: one of the fleet's SKUs.
#[derive(Component, Clone, Debug)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub struct ServerSku {
    pub(super) position: usize,
    pub(super) sku: Arc<catalog::Sku>,
}

impl ServerSku {
    /// Its position among the fleet's SKUs, as in [`Stock::kinds`](super::Stock::kinds).
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// What the catalog says about it.
    #[must_use]
    pub fn sku(&self) -> &catalog::Sku {
        &self.sku
    }
}

/// Where a server is in its life.
#[derive(
    Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[component(
    immutable,
    on_insert = free_processors::server_status_changed,
    on_remove = free_processors::server_status_changed
)]
pub enum ServerStatus {
    /// Being provisioned.
    ScalingUp,
    /// There.
    Active,
    /// Being removed; gone within the same instant.
    ScalingDown,
}

impl ServerStatus {
    /// The name in `scaling.csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScalingUp => "scaling_up",
            Self::Active => "active",
            Self::ScalingDown => "scaling_down",
        }
    }
}

/// When a server that is being provisioned will be there.
///
/// Inserting it arms the timer; see [`Due`](super::Due).
#[derive(Component, Clone, Copy, Debug, Serialize, Deserialize)]
#[component(
    immutable,
    storage = "SparseSet",
    on_insert = due::provisioning_begins,
    on_remove = due::provisioning_ends
)]
pub struct Provisioning {
    pub(super) ready: SimTime,
}

impl Provisioning {
    /// The instant.
    #[must_use]
    pub const fn ready(&self) -> SimTime {
        self.ready
    }
}

/// A processor, by its position on its server, from 0. A server that loses one crashes.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = removal::processor_removed
)]
pub struct Processor {
    pub(super) index: u32,
}

impl Processor {
    /// Its position.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

/// The server of a processor.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(on_discard = guard::unlinked::<Self>)]
#[relationship(relationship_target = Processors)]
pub struct OnServer(pub(super) Entity);

impl OnServer {
    /// The server's entity.
    #[must_use]
    pub const fn server(&self) -> Entity {
        self.0
    }
}

/// The processors of a server, in order.
#[derive(Component, Debug)]
#[relationship_target(relationship = OnServer, linked_spawn)]
pub struct Processors(Vec<Entity>);

/// The instance that a processor is busy with; a free processor has none.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(
    storage = "SparseSet",
    on_insert = free_processors::use_begins,
    on_discard = free_processors::use_ends
)]
#[relationship(relationship_target = Uses)]
pub struct UsedBy(pub(super) Entity);

impl UsedBy {
    /// The instance's entity.
    #[must_use]
    pub const fn instance(&self) -> Entity {
        self.0
    }
}

/// The processors of an instance, in the order in which they were given.
#[derive(Component, Debug)]
#[relationship_target(relationship = UsedBy)]
pub struct Uses(Vec<Entity>);

/// An instance, by its number: counted over the whole fleet from 0 in order of creation, never
/// reused.
///
/// Despawning an instance frees its processors and puts its work back; unless the scaling API did
/// it, that is a crash.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = removal::instance_removed
)]
pub struct Instance {
    pub(super) number: u64,
}

impl Instance {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// Where an instance is in its life. `ScalingUp → Active → Draining → ScalingDown`; a start-up that
/// is given up goes straight to the end, and so does an instance whose application is removed; a crash ends it
/// anywhere, `pre_start` enters at `Active`.
#[derive(
    Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[component(
    immutable,
    on_insert = guard::instance_status_changed,
    on_remove = guard::instance_status_changed
)]
pub enum InstanceStatus {
    /// Starting up: takes no requests.
    ScalingUp,
    /// Takes requests.
    Active,
    /// Takes nothing new and finishes what it has.
    Draining,
    /// Being removed; gone within the same instant.
    ScalingDown,
}

impl InstanceStatus {
    /// The name in `scaling.csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScalingUp => "scaling_up",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::ScalingDown => "scaling_down",
        }
    }

    /// Whether the lifecycle may replace it by `next`.
    pub(super) const fn precedes(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::ScalingUp, Self::Active | Self::ScalingDown)
                | (Self::Active, Self::Draining | Self::ScalingDown)
                | (Self::Draining, Self::ScalingDown)
        )
    }
}

/// The server that carries an instance.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(on_discard = guard::unlinked::<Self>)]
#[relationship(relationship_target = Hosts)]
pub struct HostedOn(pub(super) Entity);

impl HostedOn {
    /// The server's entity.
    #[must_use]
    pub const fn server(&self) -> Entity {
        self.0
    }
}

/// The instances that a server carries.
#[derive(Component, Debug)]
#[relationship_target(relationship = HostedOn, linked_spawn)]
pub struct Hosts(Vec<Entity>);

/// The application of an instance.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(on_discard = guard::unlinked::<Self>)]
#[relationship(relationship_target = Instances)]
pub struct OfApplication(pub(super) Entity);

impl OfApplication {
    /// The application's entity.
    #[must_use]
    pub const fn application(&self) -> Entity {
        self.0
    }
}

/// The instances of an application, in the order of creation. An application without any lacks it.
#[derive(Component, Debug)]
#[relationship_target(relationship = OfApplication)]
pub struct Instances(Members);

impl Instances {
    /// Each, in the order of creation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entity> + '_ {
        RelationshipSourceCollection::iter(&self.0)
    }

    /// Whether an instance is one of them.
    #[must_use]
    pub fn contains(&self, instance: Entity) -> bool {
        self.0.contains(instance)
    }
}

/// What an instance serves.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub struct InstanceRole(pub(super) Role);

impl InstanceRole {
    /// The role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.0
    }
}

/// The position of an instance's template in its application.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub(super) struct FromTemplate(pub(super) usize);

/// The label that an instance was created with, if any.
#[derive(Component, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(immutable)]
pub struct Tag(pub Arc<str>);

/// The batch engine of an instance that has joined its application.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub struct EngineHandle(pub(super) EngineId);

impl EngineHandle {
    /// The engine in the application's endpoint.
    #[must_use]
    pub const fn engine(&self) -> EngineId {
        self.0
    }
}

/// When an instance that starts up will have joined and be active.
///
/// Inserting it arms the timer, replacing it moves the instants; see [`Due`](super::Due).
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    storage = "SparseSet",
    on_insert = due::start_up_begins,
    on_remove = due::start_up_ends
)]
pub struct StartUp {
    /// When it has spun up and joins its application.
    pub joins: SimTime,
    /// When it becomes active.
    pub activates: SimTime,
}

/// How an instance drains.
///
/// Inserting it into an active instance begins a drain, and into one that drains replaces the deadline:
///
/// ```
/// # use bevy_ecs::prelude::*;
/// use fleetsim::fleet::DrainTimer;
/// use fleetsim::time::SimTime;
///
/// fn drain_by_noon(mut commands: Commands, instance: Entity) {
///     let noon = SimTime::saturating(43_200.0);
///     commands.entity(instance).insert(DrainTimer::until(noon));
/// }
/// ```
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[component(
    immutable,
    storage = "SparseSet",
    on_insert = due::drain_begins,
    on_remove = due::drain_ends
)]
pub struct DrainTimer {
    /// Since when; [`SimTime::MAX`] for the instant of the insertion.
    pub started: SimTime,
    /// How often it has been looked at since.
    pub checks: u64,
    /// When its work is put back, [`SimTime::MAX`] for never.
    pub deadline: SimTime,
}

impl DrainTimer {
    /// A drain from now on whose work is put back at `deadline` if there is some left.
    #[must_use]
    pub const fn until(deadline: SimTime) -> Self {
        Self {
            started: SimTime::MAX,
            checks: 0,
            deadline,
        }
    }
}

/// On an instance whose server goes with it if that is left empty: its removal has been granted.
#[derive(Component, Clone, Copy, Debug, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable)]
pub(super) struct TakesServerAlong;

/// On an instance that was made in one step with its server, so that both are given up in one.
#[derive(Component, Clone, Copy, Debug, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable)]
pub(super) struct MadeWithServer;

/// On a server that was made in one step with an instance.
#[derive(Component, Clone, Copy, Debug, Serialize, Deserialize)]
#[component(storage = "SparseSet", immutable)]
pub(crate) struct MadeWithInstance;
