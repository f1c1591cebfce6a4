//! Which servers have free processors, without a walk over the fleet.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::relationship::RelationshipTarget;
use bevy_ecs::world::{DeferredWorld, World};

use super::fleet_part::part_mut;
use super::{
    Broken, Cordoned, OfFleet, OnServer, Processors, Reclaimed, Server, ServerSku, ServerStatus,
    Unnoticed, UsedBy, guard,
};

/// Servers by how many of their processors are free. Brought up to date when it is asked, in time
/// proportional to the servers that changed since.
#[derive(Component, Debug, Default)]
pub(crate) struct FreeProcessors {
    /// Servers that have changed since the last look.
    changed: BTreeSet<Entity>,
    /// The last of them: most changes in a row are of one server.
    last: Option<Entity>,
    /// Where each server is listed.
    places: BTreeMap<Entity, (Place, u64)>,
    /// The servers at each place by number.
    servers: BTreeMap<Place, BTreeMap<u64, Entity>>,
}

/// Servers that are alike: provisioned still or not, of a SKU, with a number of free processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    provisioned: bool,
    sku: usize,
    free: u32,
}

/// The order in which servers with free processors are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By number.
    Number,
    /// The fewest free processors first, then by number.
    Fullest,
    /// The most free processors first, then by number.
    Emptiest,
}

impl FreeProcessors {
    /// That of these servers, at which nobody has looked yet.
    pub(super) fn of(servers: impl IntoIterator<Item = Entity>) -> Self {
        Self {
            changed: servers.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The first servers of a SKU with that many processors free at least that are `usable`, and how many each has:
    /// at most `count`. Those that are there or those that are provisioned still.
    pub(crate) fn find(
        &self,
        (provisioned, sku, needed): (bool, usize, u32),
        order: Order,
        usable: impl Fn(Entity) -> bool,
        count: usize,
    ) -> Vec<(Entity, u32)> {
        let place = |free| Place {
            provisioned,
            sku,
            free,
        };
        let places = self.servers.range(place(needed.max(1))..=place(u32::MAX));
        let mut found: Vec<(u64, Entity, u32)> = places
            .flat_map(|(place, servers)| {
                let servers = servers.iter().filter(|(_, server)| usable(**server));
                let first = servers.take(count);
                first.map(|(&number, &server)| (number, server, place.free))
            })
            .collect();
        match order {
            Order::Number => found.sort_unstable_by_key(|&(number, ..)| number),
            Order::Fullest => {}
            Order::Emptiest => found.sort_by_key(|&(.., free)| Reverse(free)),
        }
        found.truncate(count);
        let found = found.into_iter();
        found.map(|(_, server, free)| (server, free)).collect()
    }

    /// The servers with free processors, in no particular order: each with its SKU and how many are free, those
    /// that are there.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Entity, usize, u32)> + '_ {
        let there = self.servers.iter().filter(|(place, _)| !place.provisioned);
        there.flat_map(|(place, servers)| servers.values().map(|&it| (it, place.sku, place.free)))
    }

    /// Whether a server has changed since the index was brought up to date.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn note(&mut self, server: Entity) {
        if self.last != Some(server) {
            self.last = Some(server);
            self.changed.insert(server);
        }
    }

    fn put(&mut self, server: Entity, place: Option<(Place, u64)>) {
        if let Some((before, number)) = self.places.remove(&server)
            && let Some(servers) = self.servers.get_mut(&before)
        {
            servers.remove(&number);
            if servers.is_empty() {
                self.servers.remove(&before);
            }
        }
        if let Some((place, number)) = place {
            self.places.insert(server, (place, number));
            self.servers
                .entry(place)
                .or_default()
                .insert(number, server);
        }
    }
}

/// Brings the index of a fleet up to date.
pub(crate) fn refresh(world: &mut World, fleet: Entity) {
    let mut index = part_mut::<FreeProcessors>(world, fleet);
    index.last = None;
    for server in std::mem::take(&mut index.changed) {
        let place = place(world, server);
        part_mut::<FreeProcessors>(world, fleet).put(server, place);
    }
}

/// Where a server belongs; nowhere where none of its processors is free.
fn place(world: &World, server: Entity) -> Option<(Place, u64)> {
    let entity = world.get_entity(server).ok()?;
    let closed = entity.contains::<Reclaimed>() || entity.contains::<Cordoned>();
    if closed || entity.contains::<Unnoticed>() {
        return None;
    }
    let place = Place {
        provisioned: *entity.get::<ServerStatus>()? != ServerStatus::Active,
        sku: entity.get::<ServerSku>()?.position(),
        free: free_processors(world, server),
    };
    (place.free > 0).then_some((place, entity.get::<Server>()?.number()))
}

/// How many processors of a server are free.
pub(crate) fn free_processors(world: &World, server: Entity) -> u32 {
    let processors = world.get::<Processors>(server);
    let all = processors.into_iter().flat_map(Processors::iter);
    let free = all.filter(|&it| is_free(world, it));
    u32::try_from(free.count()).unwrap_or(u32::MAX)
}

/// Whether an instance may take a processor.
pub(super) fn is_free(world: &World, processor: Entity) -> bool {
    world.get::<UsedBy>(processor).is_none() && world.get::<Broken>(processor).is_none()
}

/// The hook on a processor that breaks or is repaired.
pub(super) fn breaks(mut world: DeferredWorld<'_>, context: HookContext) {
    use_changed(&mut world, context);
}

/// The hook on a server that is cordoned or no longer is.
pub(super) fn cordoned(mut world: DeferredWorld<'_>, context: HookContext) {
    note(&mut world, context.entity);
}

/// A server takes instances no longer.
pub(super) fn changed(world: &mut DeferredWorld<'_>, server: Entity) {
    note(world, server);
}

/// The hook on the insertion and the removal of a [`ServerStatus`].
pub(super) fn server_status_changed(mut world: DeferredWorld<'_>, context: HookContext) {
    note(&mut world, context.entity);
    guard::server_status_changed(world, context);
}

/// The hook on the insertion of a [`UsedBy`].
pub(super) fn use_begins(mut world: DeferredWorld<'_>, context: HookContext) {
    use_changed(&mut world, context);
}

/// The hook on the removal or the replacement of a [`UsedBy`].
pub(super) fn use_ends(mut world: DeferredWorld<'_>, context: HookContext) {
    use_changed(&mut world, context);
    guard::unlinked::<UsedBy>(world, context);
}

fn use_changed(world: &mut DeferredWorld<'_>, context: HookContext) {
    if let Some(&OnServer(server)) = world.get(context.entity) {
        note(world, server);
    }
}

fn note(world: &mut DeferredWorld<'_>, server: Entity) {
    let fleet = world.get::<OfFleet>(server).map(OfFleet::fleet);
    if let Some(mut index) = fleet.and_then(|it| world.get_mut::<FreeProcessors>(it)) {
        index.note(server);
    }
}
