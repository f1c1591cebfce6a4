use std::collections::BTreeSet;

use bevy_ecs::entity::Entity;
use bevy_ecs::schedule::{ScheduleCleanupPolicy, SystemSet};
use bevy_ecs::world::World;

use super::fleets::Fleets;
use super::free_processors::FreeProcessors;
use super::guard::{self, Guard};
use super::hazards::Hazards;
use super::loads::Loads;
use super::requests::Announced;
use super::{
    Agenda, FleetsExt, Instance, Ledger, OfFleet, Parts, Roster, ScalingError, ScalingLog, Tick,
    hazards, repair,
};

/// Every system that the fleet, its policies and its recorders have in the `Tick` schedule.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FleetSystems;

/// Takes the fleet, or all there are, out of a world: its entities, its resources and its systems, with its policies, its recorders
/// and all that is entered in its [`Parts`]. Nothing of it is written down. What else is in the world stays,
/// also the host's systems in the [`Tick`] schedule. Another fleet may then be installed.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet;
/// # use fleetsim::prelude::*;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server", fleet: [(sku: "dgx-h100", count: 2)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
/// #         workload: Host,
/// #     )],
/// # )"#, ".".as_ref())?;
/// let mut world = World::new();
/// fleet::install(&mut world, &scenario)?;
/// world.run_until(SimTime::new(20.0)?)?;
/// fleet::uninstall(&mut world);
/// fleet::install(&mut world, &scenario)?;
/// assert_eq!(world.now(), SimTime::ZERO);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn uninstall(world: &mut World) {
    let Some(parts) = world.remove_resource::<Parts>() else {
        return;
    };
    let mut owners: Vec<Entity> = parts.owners(world).collect();
    owners.sort_unstable();
    owners.dedup();
    let observers = world.remove_resource::<Guard>().map(Guard::observers);
    for fleet in world.fleets().to_vec() {
        close_books(world, fleet);
    }
    world.remove_resource::<Fleets>();
    despawn(world, owners);
    despawn(world, observers.into_iter().flatten().collect());
    parts.remove_resources(world);
    let removed = world.try_schedule_scope(Tick, |world, schedule| {
        let policy = ScheduleCleanupPolicy::RemoveSystemsOnly;
        schedule
            .remove_systems_in_set(FleetSystems, world, policy)
            .is_ok()
    });
    if !removed.unwrap_or(false) {
        tracing::warn!(target: "fleetsim::tick", "the systems of the fleet are still in the `Tick` schedule");
    }
}

/// Takes one of several fleets out of a world, with its entities and all that is to come of it; the last one
/// as [`uninstall`] does. The others go on as if it had never been there.
///
/// ```
#[doc = include_str!("example.txt")]
/// let first = world.only_fleet()?;
/// let registry = ServingRegistry::default();
/// fleet::install_named(&mut world, "another", &scenario, &registry)?;
/// fleet::uninstall_fleet(&mut world, first)?;
/// assert_eq!(world.get::<Fleet>(world.only_fleet()?).map(|it| &**it.name()), Some("another"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ScalingError::NoFleet`] when the entity is no fleet of the world.
pub fn uninstall_fleet(world: &mut World, fleet: Entity) -> Result<(), ScalingError> {
    if !world.fleets().contains(&fleet) {
        return Err(ScalingError::NoFleet);
    }
    if world.fleets().len() == 1 {
        uninstall(world);
        return Ok(());
    }
    let mut query = world.query::<(Entity, &OfFleet)>();
    let members = query.iter(world).filter(|(_, of)| of.fleet() == fleet);
    let mut gone: BTreeSet<Entity> = members.map(|(entity, _)| entity).collect();
    gone.extend(hazards::of_fleet(world, fleet));
    gone.extend(repair::of_fleet(world, fleet));
    close_books(world, fleet);
    gone.insert(fleet);
    world.resource_mut::<Fleets>().remove(fleet);
    let is_gone = |it: Entity| gone.contains(&it);
    world.resource_mut::<Agenda>().forget(is_gone);
    if let Some(mut announced) = world.get_resource_mut::<Announced>() {
        announced.forget(is_gone);
    }
    guard::work(world, |world| despawn(world, gone.into_iter().collect()));
    Ok(())
}

/// A fleet without books has none to close when its instances and servers go.
fn close_books(world: &mut World, fleet: Entity) {
    if let Ok(mut fleet) = world.get_entity_mut(fleet) {
        fleet.remove::<(Roster, Ledger, Loads, ScalingLog, FreeProcessors, Hazards)>();
    }
}

/// Despawns what is there of these, instances first.
fn despawn(world: &mut World, entities: Vec<Entity>) {
    let (instances, others): (Vec<_>, Vec<_>) = entities
        .into_iter()
        .partition(|&it| world.get::<Instance>(it).is_some());
    for entity in instances.into_iter().chain(others) {
        if world.get_entity(entity).is_ok() {
            world.despawn(entity);
        }
    }
}
