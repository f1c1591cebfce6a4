//! What it takes to start an instance again.

use std::sync::Arc;

use bevy_ecs::entity::Entity;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::{Application, FromTemplate, InstanceStatus, OfApplication, Tag, Uses};

/// An instance that a fault took, to be started again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lost {
    /// The position of its application.
    pub(super) application: usize,
    pub(super) template: usize,
    pub(super) processors: usize,
    pub(super) tag: Option<Arc<str>>,
}

impl Lost {
    /// What it takes to start an instance again; nothing of one that drains.
    pub(super) fn of(world: &World, instance: Entity) -> Option<Self> {
        let lives = matches!(
            world.get(instance)?,
            InstanceStatus::ScalingUp | InstanceStatus::Active
        );
        let &OfApplication(application) = world.get(instance)?;
        lives.then_some(())?;
        Some(Self {
            application: world.get::<Application>(application)?.index(),
            template: world.get::<FromTemplate>(instance)?.0,
            processors: world.get::<Uses>(instance).map_or(0, Uses::len),
            tag: world.get::<Tag>(instance).map(|tag| Arc::clone(&tag.0)),
        })
    }
}
