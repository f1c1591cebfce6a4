//! What every fleet has: components of its entity.

use bevy_ecs::change_detection::Mut;
use bevy_ecs::component::{Component, Mutable};
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

/// A part that every fleet has.
pub(crate) fn part<C: Component>(world: &World, fleet: Entity) -> &C {
    let part = world.get::<C>(fleet);
    part.unwrap_or_else(|| panic!("the fleet has no {}", std::any::type_name::<C>()))
}

/// A part that every fleet has, to change it.
pub(crate) fn part_mut<C: Component<Mutability = Mutable>>(
    world: &mut World,
    fleet: Entity,
) -> Mut<'_, C> {
    let part = world.get_mut::<C>(fleet);
    part.unwrap_or_else(|| panic!("the fleet has no {}", std::any::type_name::<C>()))
}
