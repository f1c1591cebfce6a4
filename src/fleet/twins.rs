//! The entities of a copy, each by that of which it is the twin.

use bevy_ecs::entity::{Entity, EntityHashMap};

/// The entities of a fork, each by that of which it is the twin; of a snapshot, their numbers in it.
#[derive(Debug)]
pub struct Twins {
    /// The number of each entity of the original; none where these are numbers already.
    numbers: Option<EntityHashMap<u32>>,
    /// The twin of each number; none where the number itself stands for it.
    twins: Option<Vec<Entity>>,
}

impl Twins {
    /// Those of a fork: of equal places in both lists.
    pub(super) fn of_fork(originals: &[Entity], twins: Vec<Entity>) -> Self {
        Self {
            numbers: Some(numbered(originals)),
            twins: Some(twins),
        }
    }

    /// Those of a snapshot that is written: the places in the list.
    pub(super) fn numbers(originals: &[Entity]) -> Self {
        Self {
            numbers: Some(numbered(originals)),
            twins: None,
        }
    }

    /// Those of a snapshot that is read.
    pub(super) const fn of_numbers(twins: Vec<Entity>) -> Self {
        Self {
            numbers: None,
            twins: Some(twins),
        }
    }

    /// The twin of an entity; none of one that is not the fleet's.
    #[must_use]
    pub fn of(&self, entity: Entity) -> Option<Entity> {
        let number = match &self.numbers {
            Some(numbers) => *numbers.get(&entity)?,
            None => entity.index_u32(),
        };
        match &self.twins {
            Some(twins) => twins.get(number as usize).copied(),
            None => Entity::from_raw_u32(number),
        }
    }

    /// The twin of an entity that has one; [`Entity::PLACEHOLDER`] else.
    pub(crate) fn follow(&self, entity: &mut Entity) {
        *entity = self.of(*entity).unwrap_or(Entity::PLACEHOLDER);
    }
}

fn numbered(originals: &[Entity]) -> EntityHashMap<u32> {
    originals.iter().copied().zip(0..).collect()
}
