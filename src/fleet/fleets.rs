//! The fleets of a world: an entity each, which has the books, the stock and all else that is one fleet's.

use std::sync::Arc;

use bevy_ecs::change_detection::Mut;
use bevy_ecs::component::{Component, Mutable};
use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use bevy_ecs::world::World;
use serde::{Deserialize, Serialize};

use super::error::nearest;
use super::fleet_part::{part, part_mut};
use super::parts::Twins;
use super::{ScalingError, guard, removal};

/// A fleet. Its entity has its [`Stock`](super::Stock), [`Ledger`](super::Ledger),
/// [`Roster`](super::Roster), [`ScalingLog`](super::ScalingLog), [`Refusals`](super::Refusals),
/// [`RunWarnings`](super::RunWarnings) and [`Origin`](super::Origin). The clock and the agenda are the world's.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>,
    on_despawn = removal::fleet_removed
)]
pub struct Fleet {
    pub(super) number: u32,
    pub(super) name: Arc<str>,
}

impl Fleet {
    /// Its number in its world: they count from 0 in the order of installation and are not reused.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Its name: that of its scenario, unless it was given another.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// Whose an application, a server or an instance is: an entity with a [`Fleet`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(
    immutable,
    on_insert = guard::inserted::<Self>,
    on_discard = guard::discarded::<Self>
)]
pub struct OfFleet(pub(super) Entity);

impl OfFleet {
    /// The fleet.
    #[must_use]
    pub const fn fleet(&self) -> Entity {
        self.0
    }
}

/// The fleets of a world, in the order of installation.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fleets {
    there: Vec<Entity>,
    /// Fleets that were installed so far.
    installed: u32,
}

impl Fleets {
    /// The fleets that are there.
    pub(crate) fn there(&self) -> &[Entity] {
        &self.there
    }

    /// The number that the next fleet gets.
    pub(super) const fn next_number(&self) -> u32 {
        self.installed
    }

    pub(super) fn add(&mut self, fleet: Entity) {
        self.there.push(fleet);
        self.installed += 1;
    }

    pub(super) fn remove(&mut self, fleet: Entity) {
        self.there.retain(|&it| it != fleet);
    }

    /// Becomes those of a fork.
    pub(super) fn follow(&mut self, twins: &Twins) {
        self.there.iter_mut().for_each(|it| twins.follow(it));
    }
}

/// The fleets of a world, and what each has.
///
/// ```
#[doc = include_str!("example.txt")]
/// let fleet = world.only_fleet()?;
/// assert_eq!(world.fleet_of(chat), Some(fleet));
/// assert_eq!(world.get::<Ledger>(fleet).ok_or("it has one")?.counts().active, 1);
/// // Of a world with one fleet, shorter:
/// assert_eq!(world.fleet::<Ledger>().counts().active, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FleetsExt {
    /// The fleets, in the order of installation.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert_eq!(world.fleets().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn fleets(&self) -> &[Entity];

    /// The fleet of a world that has one.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use fleetsim::fleet::{FleetsExt, ScalingError};
    ///
    /// assert_eq!(World::new().only_fleet(), Err(ScalingError::NoFleet));
    /// ```
    ///
    /// # Errors
    /// [`ScalingError::NoFleet`] and [`ScalingError::SeveralFleets`].
    fn only_fleet(&self) -> Result<Entity, ScalingError>;

    /// The fleet of this name.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert!(world.fleet_named("one server").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScalingError::UnknownFleet`], with the nearest name that there is.
    fn fleet_named(&self, name: &str) -> Result<Entity, ScalingError>;

    /// The fleet that an application, a server or an instance belongs to.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let server = world.server(0).ok_or("it is there")?;
    /// assert_eq!(world.fleet_of(server), Some(world.only_fleet()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn fleet_of(&self, entity: Entity) -> Option<Entity>;

    /// A part of the only fleet, such as its [`Ledger`](super::Ledger). With several, look at the component of
    /// the one that is meant.
    ///
    /// # Panics
    /// When there is none, there are several, or it has no such part.
    fn fleet<C: Component>(&self) -> &C;

    /// A part of the only fleet; none without a fleet, with several, or where it has no such part.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// assert!(world.get_fleet::<Ledger>().is_some());
    /// assert!(bevy_ecs::world::World::new().get_fleet::<Ledger>().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn get_fleet<C: Component>(&self) -> Option<&C>;

    /// A part of the only fleet, to change it.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// world.scale_up_server(None)?;
    /// assert_eq!(world.fleet_mut::<ScalingLog>().drain().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// As [`fleet`](Self::fleet).
    fn fleet_mut<C: Component<Mutability = Mutable>>(&mut self) -> Mut<'_, C>;
}

impl FleetsExt for World {
    fn fleets(&self) -> &[Entity] {
        self.get_resource::<Fleets>().map_or(&[], Fleets::there)
    }

    fn only_fleet(&self) -> Result<Entity, ScalingError> {
        match self.fleets() {
            [] => Err(ScalingError::NoFleet),
            &[fleet] => Ok(fleet),
            several => Err(ScalingError::SeveralFleets {
                names: several
                    .iter()
                    .filter_map(|&it| Some(self.get::<Fleet>(it)?.name.to_string()))
                    .collect(),
            }),
        }
    }

    fn fleet_named(&self, name: &str) -> Result<Entity, ScalingError> {
        let known = || {
            let fleets = self.fleets().iter();
            fleets.filter_map(|&it| Some((it, &*self.get::<Fleet>(it)?.name)))
        };
        let found = known().find(|&(_, known)| known == name);
        found
            .map(|(fleet, _)| fleet)
            .ok_or_else(|| ScalingError::UnknownFleet {
                name: name.to_owned(),
                nearest: nearest(name, known().map(|(_, known)| known)),
            })
    }

    fn fleet_of(&self, entity: Entity) -> Option<Entity> {
        self.get::<OfFleet>(entity).map(OfFleet::fleet)
    }

    fn fleet<C: Component>(&self) -> &C {
        part(self, only(self))
    }

    fn get_fleet<C: Component>(&self) -> Option<&C> {
        self.get(self.only_fleet().ok()?)
    }

    fn fleet_mut<C: Component<Mutability = Mutable>>(&mut self) -> Mut<'_, C> {
        let fleet = only(self);
        part_mut(self, fleet)
    }
}

/// The only fleet.
fn only(world: &World) -> Entity {
    let only = world.only_fleet();
    only.unwrap_or_else(|error| panic!("{error}"))
}
