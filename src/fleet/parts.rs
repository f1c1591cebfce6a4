//! What a fleet in a world is made of: one list, by which it is copied and taken away.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use bevy_ecs::component::{Component, Mutable};
use bevy_ecs::entity::{Entity, EntityHashMap};
use bevy_ecs::query::With;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;

/// Every component, resource and system of a fleet, of its policies and of its recorders. Who adds some to a
/// world enters them here; a host may enter its own.
///
/// An entity is the fleet's that has a component of this list.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::Parts;
///
/// /// What a host keeps of an application.
/// #[derive(Component, Clone)]
/// struct Budget(f64);
///
/// # let mut world = World::new();
/// world.get_resource_or_init::<Parts>().component::<Budget>();
/// ```
#[derive(Resource, Clone, Default)]
pub struct Parts {
    parts: Vec<Part>,
    /// Add the systems to the `Tick` schedule.
    systems: Vec<(TypeId, Change)>,
}

/// What is done to a world.
type Change = fn(&mut World);

/// What copies a part of a world into another.
type Copy = Arc<dyn Fn(&World, &mut World, &Twins) + Send + Sync>;

/// The entities of a fork, each by that of which it is the twin.
#[derive(Debug, Default)]
pub struct Twins(pub(super) EntityHashMap<Entity>);

impl Twins {
    /// The twin of an entity; none of one that is not the fleet's.
    #[must_use]
    pub fn of(&self, entity: Entity) -> Option<Entity> {
        self.0.get(&entity).copied()
    }

    /// The twin of an entity that has one; [`Entity::PLACEHOLDER`] else.
    pub(super) fn follow(&self, entity: &mut Entity) {
        *entity = self.of(*entity).unwrap_or(Entity::PLACEHOLDER);
    }
}

#[derive(Clone)]
struct Part {
    kind: TypeId,
    /// The entities that have it, of a component.
    owners: fn(&World) -> Vec<Entity>,
    copy: Copy,
    remove: Change,
}

impl Parts {
    /// Enters a component that knows no entity.
    pub fn component<C: Component + Clone>(&mut self) -> &mut Self {
        self.component_with::<C>(|_, _| {})
    }

    /// Enters a component; `follow` lets a copy of it know the twins of the entities that it knows.
    pub fn component_with<C: Component + Clone>(
        &mut self,
        follow: impl Fn(&mut C, &Twins) + Send + Sync + 'static,
    ) -> &mut Self {
        let copy = move |world: &World, fork: &mut World, twins: &Twins| {
            for (original, mut value) in owned::<C>(world) {
                if let Some(twin) = twins.of(original) {
                    follow(&mut value, twins);
                    fork.entity_mut(twin).insert(value);
                }
            }
        };
        self.enter(TypeId::of::<C>(), owners::<C>, Arc::new(copy), |_| {})
    }

    /// Enters a component that twins are spawned with.
    pub(super) fn nature<C: Component>(&mut self) -> &mut Self {
        self.enter(
            TypeId::of::<C>(),
            owners::<C>,
            Arc::new(|_, _, _| {}),
            |_| {},
        )
    }

    /// Enters a resource that knows no entity.
    pub fn resource<R: Resource + Component<Mutability = Mutable> + Clone>(&mut self) -> &mut Self {
        self.resource_with::<R>(|_, _| {})
    }

    /// Enters a resource; `follow` lets a copy of it know the twins of the entities that it knows.
    pub fn resource_with<R: Resource + Component<Mutability = Mutable> + Clone>(
        &mut self,
        follow: impl Fn(&mut R, &Twins) + Send + Sync + 'static,
    ) -> &mut Self {
        let copy = move |world: &World, fork: &mut World, twins: &Twins| {
            if let Some(mut value) = world.get_resource::<R>().cloned() {
                follow(&mut value, twins);
                fork.insert_resource(value);
            }
        };
        self.enter_resource::<R>(Arc::new(copy))
    }

    /// Enters a resource of which a fork gets a fresh one: what is said there is said to others.
    pub fn fresh_resource<R: Resource + Component<Mutability = Mutable> + Default>(
        &mut self,
    ) -> &mut Self {
        let copy = |world: &World, fork: &mut World, _: &Twins| {
            if world.contains_resource::<R>() {
                fork.insert_resource(R::default());
            }
        };
        self.enter_resource::<R>(Arc::new(copy))
    }

    /// Enters what adds systems to the `Tick` schedule; `Key` names it, so that it is entered once.
    pub fn systems<Key: 'static>(&mut self, add: fn(&mut World)) -> &mut Self {
        let key = TypeId::of::<Key>();
        if self.systems.iter().all(|(other, _)| *other != key) {
            self.systems.push((key, add));
        }
        self
    }

    fn enter_resource<R: Resource>(&mut self, copy: Copy) -> &mut Self {
        let remove = |world: &mut World| {
            world.remove_resource::<R>();
        };
        self.enter(TypeId::of::<R>(), |_| Vec::new(), copy, remove)
    }

    fn enter(
        &mut self,
        kind: TypeId,
        owners: fn(&World) -> Vec<Entity>,
        copy: Copy,
        remove: Change,
    ) -> &mut Self {
        self.parts.retain(|it| it.kind != kind);
        self.parts.push(Part {
            kind,
            owners,
            copy,
            remove,
        });
        self
    }

    /// The entities that have a component of the list, those of the first component first.
    pub(super) fn owners<'a>(&'a self, world: &'a World) -> impl Iterator<Item = Entity> + 'a {
        self.parts.iter().flat_map(|part| (part.owners)(world))
    }

    /// Copies everything into another world, whose entities are the twins.
    pub(super) fn copy(&self, world: &World, fork: &mut World, twins: &Twins) {
        for part in &self.parts {
            (part.copy)(world, fork, twins);
        }
    }

    /// Adds the systems to another world.
    pub(super) fn add_systems(&self, world: &mut World) {
        for (_, add) in &self.systems {
            add(world);
        }
    }

    /// Takes the resources away.
    pub(super) fn remove_resources(&self, world: &mut World) {
        for part in &self.parts {
            (part.remove)(world);
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("parts", &self.parts.len())
            .field("systems", &self.systems.len())
            .finish()
    }
}

/// The entities that have a component.
fn owners<C: Component>(world: &World) -> Vec<Entity> {
    let query = world.try_query_filtered::<Entity, With<C>>();
    let mut owners: Vec<Entity> = query.map_or_else(Vec::new, |mut it| it.iter(world).collect());
    owners.sort_unstable();
    owners
}

/// Copies of a component, each with the entity that has it.
fn owned<C: Component + Clone>(world: &World) -> impl Iterator<Item = (Entity, C)> + '_ {
    let query = world.try_query::<(Entity, &C)>();
    let mut found = Vec::new();
    if let Some(mut query) = query {
        let all = query.iter(world);
        found.extend(all.map(|(entity, value)| (entity, value.clone())));
    }
    found.into_iter()
}
