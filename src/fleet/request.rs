//! The scaling verbs as values: what is asked for, and what comes of it.

use std::sync::Arc;

use bevy_ecs::entity::Entity;

use crate::serving::Role;

/// A new server with one new instance on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleUpFull {
    /// Whose instance.
    pub application: Entity,
    /// Which template: the application's first of this role that fits the SKU; one that starts on another
    /// SKU by name comes last.
    pub role: Role,
    /// The SKU's name; the first SKU of the fleet for none.
    pub sku: Option<String>,
    /// A label kept on the instance and in its account.
    pub tag: Option<Arc<str>>,
}

impl ScaleUpFull {
    /// On the first SKU of the fleet, without a label.
    #[must_use]
    pub const fn new(application: Entity, role: Role) -> Self {
        Self {
            application,
            role,
            sku: None,
            tag: None,
        }
    }
}

/// A new instance on a server that exists, be it still provisioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleUpInstance {
    /// Whose instance.
    pub application: Entity,
    /// Which template: the application's first of this role that fits the SKU; one that starts on another
    /// SKU by name comes last.
    pub role: Role,
    /// The server.
    pub server: Entity,
    /// Positions of the processors on the server; the first free ones for none.
    pub processors: Option<Vec<u32>>,
    /// A label kept on the instance and in its account.
    pub tag: Option<Arc<str>>,
}

impl ScaleUpInstance {
    /// On the server's first free processors, without a label.
    #[must_use]
    pub const fn new(application: Entity, role: Role, server: Entity) -> Self {
        Self {
            application,
            role,
            server,
            processors: None,
            tag: None,
        }
    }
}

/// What [`ScalingExt::scale_up_full`](super::ScalingExt::scale_up_full) created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaledUp {
    /// The server.
    pub server: Entity,
    /// The instance on it.
    pub instance: Entity,
}

/// A scaling verb with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScalingRequest {
    /// [`ScalingExt::scale_up_full`](super::ScalingExt::scale_up_full).
    ScaleUpFull(ScaleUpFull),
    /// [`ScalingExt::scale_down_full`](super::ScalingExt::scale_down_full).
    ScaleDownFull(Entity),
    /// [`ScalingExt::scale_up_server`](super::ScalingExt::scale_up_server).
    ScaleUpServer {
        /// The SKU's name; the first SKU of the fleet for none.
        sku: Option<String>,
    },
    /// [`ScalingExt::scale_up_server_in`](super::ScalingExt::scale_up_server_in).
    ScaleUpServerIn {
        /// The fleet.
        fleet: Entity,
        /// The SKU's name; the first SKU of the fleet for none.
        sku: Option<String>,
    },
    /// [`ScalingExt::scale_down_server`](super::ScalingExt::scale_down_server).
    ScaleDownServer(Entity),
    /// [`ScalingExt::scale_up_instance`](super::ScalingExt::scale_up_instance).
    ScaleUpInstance(ScaleUpInstance),
    /// [`ScalingExt::start_spin_up_instance`](super::ScalingExt::start_spin_up_instance).
    StartSpinUpInstance {
        /// What to create.
        instance: ScaleUpInstance,
        /// Whether it is active at once.
        pre_start: bool,
    },
    /// [`ScalingExt::scale_down_instance`](super::ScalingExt::scale_down_instance).
    ScaleDownInstance(Entity),
    /// [`ScalingExt::cancel_scale_up`](super::ScalingExt::cancel_scale_up).
    CancelScaleUp(Entity),
}

/// What a verb created, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// A server with an instance on it.
    Both(ScaledUp),
    /// A server.
    Server(Entity),
    /// An instance.
    Instance(Entity),
    /// Nothing: something was taken away.
    Nothing,
}
