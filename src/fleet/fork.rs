//! The fleets of a world copied into another, with all that is to come of it.

use bevy_ecs::world::World;

use super::fleet_part::part;
use super::free_processors::FreeProcessors;
use super::guard::{self, Guard};
use super::natures::Natures;
use super::parts::{Parts, Twins};
use super::{FleetsExt, Roster, Stock};

/// A world of its own with a copy of the fleet (of several: of all), which goes on as the fleet would: requests, engines,
/// workloads with their place, random streams, timers, policies, recorders, and all else that is in its
/// [`Parts`]. None for a world without a fleet.
///
/// Servers and instances are found by their numbers, applications by their names; entities are others.
/// Messages and the outcomes of [tickets](super::Ticket) stay behind, and so do the host's entities, its
/// systems, and its wakes for entities of its own. A fork may be made between ticks.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet;
/// # use fleetsim::prelude::*;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server",
/// #     fleet: [(sku: "dgx-h100", count: 2)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b",
/// #         instances: [(role: Mixed, start: AllServers)],
/// #         workload: Synthetic(
/// #             arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(500),
/// #             output_tokens: Constant(100), requests: 200,
/// #         ),
/// #     )],
/// # )"#, ".".as_ref())?;
/// # let mut world = World::new();
/// # fleet::install(&mut world, &scenario)?;
/// world.run_until(SimTime::new(20.0)?)?;
/// let mut other = fleet::fork(&world).ok_or("there is a fleet")?;
///
/// // What if an instance crashed now?
/// let instance = other.instance(0).ok_or("it is there")?;
/// other.despawn(instance);
/// for world in [&mut world, &mut other] {
///     world.run_until(SimTime::new(100.0)?)?;
/// }
/// assert!(other.last_served() > world.last_served());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn fork(world: &World) -> Option<World> {
    let parts = world.get_resource::<Parts>()?;
    world.fleets().first()?;
    let mut fork = World::new();
    let (natures, originals) = Natures::of(world, parts);
    let stocks = world.fleets().iter().map(|&it| part::<Stock>(world, it));
    let stocks: Vec<Stock> = stocks.cloned().collect();
    let spawned = natures.spawn(&mut fork, &stocks, None);
    let twins = Twins::of_fork(&originals, spawned);
    parts.copy(world, &mut fork, &twins);
    fork.insert_resource(parts.clone());
    for &fleet in world.fleets() {
        let servers = part::<Roster>(world, fleet).servers();
        let index = FreeProcessors::of(servers.filter_map(|it| twins.of(it)));
        if let Some(mut twin) = twins.of(fleet).and_then(|it| fork.get_entity_mut(it).ok()) {
            twin.insert(index);
        }
    }
    fork.insert_resource(Guard::default());
    guard::add_observers(&mut fork);
    parts.add_systems(&mut fork);
    Some(fork)
}
