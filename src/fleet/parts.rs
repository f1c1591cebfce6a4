//! What a fleet in a world is made of: one list, by which it is copied, saved and taken away.

use std::any::{TypeId, type_name};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bevy_ecs::archetype::{Archetype, ArchetypeEntity};
use bevy_ecs::component::{Component, Mutable};
use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::snapshot::{RestoreError, SaveError, StateReader, StateWriter};

pub use super::twins::Twins;

/// Every component, resource and system of a fleet, of its policies and of its recorders. Who adds some to a
/// world enters them here; a host may enter its own. Forks and snapshots have what is entered.
///
/// An entity is the fleet's that has a component of this list.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use fleetsim::fleet::Parts;
/// use serde::{Deserialize, Serialize};
///
/// /// What a host keeps of an application.
/// #[derive(Component, Clone, Serialize, Deserialize)]
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
    /// The purposes of wakes, by name.
    purposes: Vec<(TypeId, &'static str)>,
}

/// What is done to a world.
type Change = fn(&mut World);

/// What copies a part of a world into another.
type Copy = Arc<dyn Fn(&World, &mut World, &Twins) + Send + Sync>;

/// What writes a part of a world, with the numbers of entities.
type Save = Arc<dyn Fn(&World, &Twins, &mut StateWriter) -> Result<(), SaveError> + Send + Sync>;

/// What reads a part into a world.
type Restore =
    Arc<dyn Fn(&mut World, &Twins, &mut StateReader<'_>) -> Result<(), RestoreError> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Part {
    kind: TypeId,
    pub(super) name: &'static str,
    copy: Copy,
    pub(super) kept: Kept,
    /// What a snapshot has of it is laid over what is there.
    in_place: bool,
    /// Takes it away, of a resource.
    remove: Option<Change>,
}

impl Part {
    /// The entities that have it, of a component.
    fn owners(&self, world: &World) -> Vec<Entity> {
        match self.remove {
            Some(_) => Vec::new(),
            None => owners(world, self.kind),
        }
    }
}

/// What a snapshot has of a part.
#[derive(Clone)]
pub(super) enum Kept {
    /// All of it, or what it takes to make it anew.
    State(Save, Restore),
    /// Nothing: it follows from the scenario, or from the rest.
    Derived,
    /// Nothing, and none can be written of a world that has it.
    Never,
}

/// How the components of a type are written and read, each with the entity that has it.
pub(crate) struct Codec<C> {
    /// Writes one. The writer gets a copy that knows numbers for entities.
    pub(crate) save: fn(&World, Entity, &C, &mut StateWriter) -> Result<(), SaveError>,
    /// Reads one for an entity that may have one already.
    pub(crate) restore: fn(&mut World, Entity, &mut StateReader<'_>) -> Result<(), RestoreError>,
}

impl Parts {
    /// Enters a component that knows no entity.
    pub fn component<C: Component + Clone + Serialize + DeserializeOwned>(&mut self) -> &mut Self {
        self.component_with::<C>(|_, _| {})
    }

    /// Enters a component; `follow` lets a copy of it know the twins of the entities that it knows. A snapshot
    /// has it with numbers in their place: these are what `follow` gives it then, and gets from it later.
    pub fn component_with<C: Component + Clone + Serialize + DeserializeOwned>(
        &mut self,
        follow: impl Fn(&mut C, &Twins) + Clone + Send + Sync + 'static,
    ) -> &mut Self {
        let for_saving = follow.clone();
        let save = move |world: &World, numbers: &Twins, to: &mut StateWriter| {
            save_each::<C>(world, numbers, to, |_, value, to| {
                let mut value = value.clone();
                for_saving(&mut value, numbers);
                to.put(&value)
            })
        };
        let for_restoring = follow.clone();
        let restore = move |world: &mut World, twins: &Twins, from: &mut StateReader<'_>| {
            restore_each(world, twins, from, &|world, entity, from| {
                let mut value: C = from.take()?;
                for_restoring(&mut value, twins);
                world.entity_mut(entity).insert(value);
                Ok(())
            })
        };
        let kept = Kept::State(Arc::new(save), Arc::new(restore));
        self.enter_component::<C>(copy_each(follow), kept)
    }

    /// Enters a component that forks have, and that no snapshot can be written of: saving a world in which an
    /// entity has one is refused, and names it.
    pub fn unsaved_component<C: Component + Clone>(&mut self) -> &mut Self {
        self.enter_component::<C>(copy_each::<C>(|_, _| {}), Kept::Never)
    }

    /// Enters a component that a restored world has anyway, since it follows from the scenario.
    pub(crate) fn derived_component<C: Component + Clone>(&mut self) -> &mut Self {
        self.enter_component::<C>(copy_each::<C>(|_, _| {}), Kept::Derived)
    }

    /// Enters a component that knows no entity, and of which a snapshot has what this says.
    pub(crate) fn component_by<C: Component + Clone>(&mut self, codec: Codec<C>) -> &mut Self {
        let Codec { save, restore } = codec;
        let save = move |world: &World, numbers: &Twins, to: &mut StateWriter| {
            save_each::<C>(world, numbers, to, |entity, value, to| {
                save(world, entity, value, to)
            })
        };
        let restore = move |world: &mut World, twins: &Twins, from: &mut StateReader<'_>| {
            restore_each(world, twins, from, &restore)
        };
        let kept = Kept::State(Arc::new(save), Arc::new(restore));
        self.enter_component::<C>(copy_each::<C>(|_, _| {}), kept)
            .laid_over()
    }

    /// Enters a component that twins are spawned with.
    pub(super) fn nature<C: Component>(&mut self) -> &mut Self {
        self.enter_component::<C>(Arc::new(|_, _, _| {}), Kept::Derived)
    }

    /// Enters a resource that knows no entity.
    pub fn resource<
        R: Resource + Component<Mutability = Mutable> + Clone + Serialize + DeserializeOwned,
    >(
        &mut self,
    ) -> &mut Self {
        self.resource_with::<R>(|_, _| {})
    }

    /// Enters a resource; `follow` lets a copy of it know the twins of the entities that it knows, or their
    /// numbers, as for a [component](Self::component_with).
    pub fn resource_with<
        R: Resource + Component<Mutability = Mutable> + Clone + Serialize + DeserializeOwned,
    >(
        &mut self,
        follow: impl Fn(&mut R, &Twins) + Clone + Send + Sync + 'static,
    ) -> &mut Self {
        let for_saving = follow.clone();
        let save = move |world: &World, numbers: &Twins, to: &mut StateWriter| {
            let mut value = world.resource::<R>().clone();
            for_saving(&mut value, numbers);
            to.put(&value)
        };
        let for_restoring = follow.clone();
        let restore = move |world: &mut World, twins: &Twins, from: &mut StateReader<'_>| {
            let mut value: R = from.take()?;
            for_restoring(&mut value, twins);
            world.insert_resource(value);
            Ok(())
        };
        let kept = Kept::State(Arc::new(save), Arc::new(restore));
        self.enter_resource::<R>(copy_resource(follow), kept)
    }

    /// Enters a resource that forks have, and that no snapshot can be written of: saving a world that has it is
    /// refused, and names it.
    pub fn unsaved_resource<R: Resource + Component<Mutability = Mutable> + Clone>(
        &mut self,
    ) -> &mut Self {
        self.enter_resource::<R>(copy_resource::<R>(|_, _| {}), Kept::Never)
    }

    /// Enters a resource that a restored world has anyway, since it follows from the scenario.
    pub(crate) fn derived_resource<R: Resource + Component<Mutability = Mutable> + Clone>(
        &mut self,
    ) -> &mut Self {
        self.enter_resource::<R>(copy_resource::<R>(|_, _| {}), Kept::Derived)
    }

    /// Enters a resource that is written and read in its own way; `follow` as for [`Self::resource_with`].
    pub(super) fn resource_by<R: Resource + Component<Mutability = Mutable> + Clone>(
        &mut self,
        follow: fn(&mut R, &Twins),
        save: fn(&World, R, &mut StateWriter) -> Result<(), SaveError>,
        restore: fn(&mut World, &Twins, &mut StateReader<'_>) -> Result<(), RestoreError>,
    ) -> &mut Self {
        let save = move |world: &World, numbers: &Twins, to: &mut StateWriter| {
            let mut value = world.resource::<R>().clone();
            follow(&mut value, numbers);
            save(world, value, to)
        };
        let kept = Kept::State(Arc::new(save), Arc::new(restore));
        self.enter_resource::<R>(copy_resource(follow), kept)
            .laid_over()
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
        self.enter_resource::<R>(Arc::new(copy), Kept::Derived)
    }

    /// Enters what adds systems to the `Tick` schedule; `Key` names it, so that it is entered once.
    pub fn systems<Key: 'static>(&mut self, add: fn(&mut World)) -> &mut Self {
        if !self.has_systems::<Key>() {
            self.systems.push((TypeId::of::<Key>(), add));
        }
        self
    }

    /// Whether the systems of this name are entered.
    pub(super) fn has_systems<Key: 'static>(&self) -> bool {
        let key = TypeId::of::<Key>();
        self.systems.iter().any(|(other, _)| *other == key)
    }

    /// Enters a purpose for which entities of the fleet are [woken](super::Agenda::wake_for), so that their wakes
    /// are in snapshots.
    pub fn purpose<P: 'static>(&mut self) -> &mut Self {
        let purpose = (TypeId::of::<P>(), type_name::<P>());
        if !self.purposes.contains(&purpose) {
            self.purposes.push(purpose);
        }
        self
    }

    /// The purposes of wakes, by name.
    pub(super) fn purposes(&self) -> &[(TypeId, &'static str)] {
        &self.purposes
    }

    fn enter_component<C: Component>(&mut self, copy: Copy, kept: Kept) -> &mut Self {
        self.enter(Part {
            kind: TypeId::of::<C>(),
            name: type_name::<C>(),
            copy,
            kept,
            in_place: false,
            remove: None,
        })
    }

    fn enter_resource<R: Resource>(&mut self, copy: Copy, kept: Kept) -> &mut Self {
        self.enter(Part {
            kind: TypeId::of::<R>(),
            name: type_name::<R>(),
            copy,
            kept,
            in_place: false,
            remove: Some(|world| {
                world.remove_resource::<R>();
            }),
        })
    }

    /// Says of the part that was entered last that it is restored in its place.
    pub(super) fn laid_over(&mut self) -> &mut Self {
        if let Some(part) = self.parts.last_mut() {
            part.in_place = true;
        }
        self
    }

    fn enter(&mut self, part: Part) -> &mut Self {
        self.parts.retain(|it| it.kind != part.kind);
        self.parts.push(part);
        self
    }

    /// The entities that have a component of the list, those of the first component first.
    pub(super) fn owners<'a>(&'a self, world: &'a World) -> impl Iterator<Item = Entity> + 'a {
        self.parts.iter().flat_map(|part| part.owners(world))
    }

    /// Copies everything into another world, whose entities are the twins.
    pub(super) fn copy(&self, world: &World, fork: &mut World, twins: &Twins) {
        for part in &self.parts {
            (part.copy)(world, fork, twins);
        }
    }

    /// The parts that are in a world, in the order of the list.
    pub(super) fn in_world<'a>(&'a self, world: &'a World) -> impl Iterator<Item = &'a Part> {
        let parts = self.parts.iter();
        parts.filter(|part| having(world, part.kind).any(|it| !it.is_empty()))
    }

    /// The part of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// Takes away the state that a snapshot with these parts replaces, or has none of: resources, and
    /// components of these entities.
    pub(super) fn strip(&self, world: &mut World, entities: &[Entity], saved: &BTreeSet<String>) {
        for part in &self.parts {
            let stays = match part.kept {
                Kept::State(..) => part.in_place && saved.contains(part.name),
                Kept::Derived => true,
                Kept::Never => false,
            };
            if !stays {
                match part.remove {
                    Some(remove) => remove(world),
                    None => strip(world, part.kind, entities),
                }
            }
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
        for remove in self.parts.iter().filter_map(|it| it.remove) {
            remove(world);
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

/// The archetypes that have a component.
fn having(world: &World, kind: TypeId) -> impl Iterator<Item = &Archetype> {
    let id = world.components().get_id(kind);
    let all = world.archetypes().iter();
    all.filter(move |it| id.is_some_and(|id| it.contains(id)))
}

/// The entities that have a component.
fn owners(world: &World, kind: TypeId) -> Vec<Entity> {
    let rows = having(world, kind).flat_map(Archetype::entities);
    let mut owners: Vec<Entity> = rows.map(ArchetypeEntity::id).collect();
    owners.sort_unstable();
    owners
}

/// Takes a component off these entities.
fn strip(world: &mut World, kind: TypeId, entities: &[Entity]) {
    let Some(id) = world.components().get_id(kind) else {
        return;
    };
    for &entity in entities {
        if let Ok(mut entity) = world.get_entity_mut(entity) {
            entity.remove_by_id(id);
        }
    }
}

fn copy_each<C: Component + Clone>(
    follow: impl Fn(&mut C, &Twins) + Send + Sync + 'static,
) -> Copy {
    Arc::new(move |world: &World, fork: &mut World, twins: &Twins| {
        for (original, twin) in with_twins(world, TypeId::of::<C>(), twins) {
            if let Some(mut value) = world.get::<C>(original).cloned() {
                follow(&mut value, twins);
                fork.entity_mut(twin).insert(value);
            }
        }
    })
}

/// The entities that have a component and a twin, with it.
fn with_twins(world: &World, kind: TypeId, twins: &Twins) -> Vec<(Entity, Entity)> {
    let owners = owners(world, kind).into_iter();
    owners.filter_map(|it| Some((it, twins.of(it)?))).collect()
}

fn copy_resource<R: Resource + Component<Mutability = Mutable> + Clone>(
    follow: impl Fn(&mut R, &Twins) + Send + Sync + 'static,
) -> Copy {
    Arc::new(move |world: &World, fork: &mut World, twins: &Twins| {
        if let Some(mut value) = world.get_resource::<R>().cloned() {
            follow(&mut value, twins);
            fork.insert_resource(value);
        }
    })
}

/// Writes the components of a type, each with the number of the entity that has it, in the order of these.
fn save_each<C: Component>(
    world: &World,
    numbers: &Twins,
    to: &mut StateWriter,
    save: impl Fn(Entity, &C, &mut StateWriter) -> Result<(), SaveError>,
) -> Result<(), SaveError> {
    let mut found = with_twins(world, TypeId::of::<C>(), numbers);
    found.sort_unstable_by_key(|&(_, number)| number.index_u32());
    to.put(&found.len())?;
    for (entity, number) in found {
        to.put(&number.index_u32())?;
        if let Some(value) = world.get(entity) {
            save(entity, value, to)?;
        }
    }
    Ok(())
}

/// Reads the components of a type.
fn restore_each(
    world: &mut World,
    twins: &Twins,
    from: &mut StateReader<'_>,
    restore: &dyn Fn(&mut World, Entity, &mut StateReader<'_>) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let count: usize = from.take()?;
    for _ in 0..count {
        let number: u32 = from.take()?;
        let entity = Entity::from_raw_u32(number).and_then(|number| twins.of(number));
        let entity = entity.ok_or_else(|| {
            RestoreError::unreadable("an entity", format!("there is no {number}"))
        })?;
        restore(world, entity, from)?;
    }
    Ok(())
}
