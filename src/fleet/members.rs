use std::collections::{BTreeMap, btree_map};
use std::iter::Copied;

use bevy_ecs::entity::{Entity, EntityHashMap, EntityMapper, MapEntities};
use bevy_ecs::relationship::RelationshipSourceCollection;

/// Entities in the order in which they first came. One that is taken out and put back stands where it
/// stood, so that a change that is undone leaves no trace.
#[derive(Clone, Debug, Default)]
pub struct Members {
    in_order: BTreeMap<u64, Entity>,
    /// The places of those that are here or were here.
    places: EntityHashMap<u64>,
}

impl Members {
    pub(super) fn contains(&self, member: Entity) -> bool {
        let place = self.places.get(&member);
        place.is_some_and(|place| self.in_order.contains_key(place))
    }
}

impl MapEntities for Members {
    fn map_entities<M: EntityMapper>(&mut self, mapper: &mut M) {
        for member in self.in_order.values_mut() {
            *member = mapper.get_mapped(*member);
        }
        let places = std::mem::take(&mut self.places);
        let mapped = places.into_iter();
        self.places = mapped.map(|(it, at)| (mapper.get_mapped(it), at)).collect();
    }
}

impl RelationshipSourceCollection for Members {
    type SourceIter<'a> = Copied<btree_map::Values<'a, u64, Entity>>;

    fn new() -> Self {
        Self::default()
    }

    fn with_capacity(_: usize) -> Self {
        Self::default()
    }

    fn reserve(&mut self, _: usize) {}

    fn add(&mut self, member: Entity) -> bool {
        let next = self.places.len() as u64;
        let place = *self.places.entry(member).or_insert(next);
        self.in_order.insert(place, member).is_none()
    }

    fn remove(&mut self, member: Entity) -> bool {
        let place = self.places.get(&member);
        place.is_some_and(|place| self.in_order.remove(place).is_some())
    }

    fn iter(&self) -> Self::SourceIter<'_> {
        self.in_order.values().copied()
    }

    fn len(&self) -> usize {
        self.in_order.len()
    }

    fn clear(&mut self) {
        self.in_order.clear();
    }

    fn shrink_to_fit(&mut self) {}

    fn extend_from_iter(&mut self, members: impl IntoIterator<Item = Entity>) {
        for member in members {
            self.add(member);
        }
    }
}
