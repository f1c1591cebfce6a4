use bevy_ecs::entity::Entity;
use bevy_ecs::schedule::{ScheduleCleanupPolicy, SystemSet};
use bevy_ecs::world::World;

use super::free_processors::FreeProcessors;
use super::guard::Guard;
use super::{Instance, Parts, Tick};

/// Every system that the fleet, its policies and its recorders have in the `Tick` schedule.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FleetSystems;

/// Takes the fleet out of a world: its entities, its resources and its systems, with its policies, its recorders
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
    // Without resources no hook has books to close.
    parts.remove_resources(world);
    world.remove_resource::<FreeProcessors>();
    let (instances, others): (Vec<_>, Vec<_>) = owners
        .into_iter()
        .partition(|&it| world.get::<Instance>(it).is_some());
    for entity in instances
        .into_iter()
        .chain(others)
        .chain(observers.into_iter().flatten())
    {
        if world.get_entity(entity).is_ok() {
            world.despawn(entity);
        }
    }
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
