//! A fleet written into a snapshot, and read from one into a world of the same kind.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;

use crate::snapshot::{self, Header, RestoreError, SaveError, StateReader, StateWriter};
use crate::time::SimTime;

use super::fleet_part::part;
use super::free_processors::FreeProcessors;
use super::guard;
use super::natures::{FleetNature, Natures};
use super::parts::{Kept, Part, Parts, Twins};
use super::{Application, Clock, Fleet, FleetsExt, Instance, Origin, Roster, Stock};

/// Writes a snapshot of a world's fleet: requests, engines, workloads with their place, random streams,
/// timers, policies, recorders, and all else that is in its [`Parts`]. [`restore`] goes on from it.
///
/// A snapshot has what a [fork](super::fork()) has, and leaves behind what that leaves behind. It may be written
/// between ticks.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use fleetsim::fleet;
/// # use fleetsim::prelude::*;
/// # let scenario = CheckedScenario::from_ron(r#"(
/// #     name: "one server", fleet: [(sku: "dgx-h100", count: 2)],
/// #     applications: [(
/// #         name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
/// #         workload: Synthetic(
/// #             arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(500),
/// #             output_tokens: Constant(100), requests: 200,
/// #         ),
/// #     )],
/// # )"#, ".".as_ref())?;
/// # let mut world = World::new();
/// # fleet::install(&mut world, &scenario)?;
/// world.run_until(SimTime::new(20.0)?)?;
/// let mut bytes = Vec::new();
/// fleet::save(&world, &mut bytes)?;
///
/// let mut later = World::new();
/// fleet::install(&mut later, &scenario)?;
/// fleet::restore(&mut later, &*bytes)?;
/// assert_eq!(later.now(), SimTime::new(20.0)?);
/// for world in [&mut world, &mut later] {
///     world.run_until(SimTime::new(100.0)?)?;
/// }
/// assert_eq!(world.last_served(), later.last_served());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SaveError`] when the world has no fleet, a part of it cannot be written (it is named), or `to` fails.
pub fn save(world: &World, to: impl Write) -> Result<(), SaveError> {
    let mut state = StateWriter::default();
    write(world, &mut state)?;
    snapshot::seal(&header(world)?, &state.into_bytes(), to)
}

/// Lets a world's fleet go on from a snapshot. The world was made as the one that was saved: the same
/// scenario installed, with the same policies, recorders and entries in [`Parts`], the same SKUs and applications
/// added; and its clock is at zero. Entities of the fleet are replaced by others; a host's observers are told of them
/// while the fleet has no books.
///
/// # Errors
/// [`RestoreError`] when the bytes are no snapshot, cut short or damaged, or of another version, build target or
/// scenario; and when the world is not at time zero or lacks something that the snapshot has. The world is then
/// as it was. Only where a part of a snapshot that is whole cannot be read, the fleet is of no use:
/// [uninstall](super::uninstall) it.
pub fn restore(world: &mut World, from: impl Read) -> Result<(), RestoreError> {
    let opened = snapshot::open(from)?;
    check_header(world, &opened.header)?;
    read(world, &mut opened.state())
}

/// What a snapshot of a world says of itself.
pub(crate) fn header(world: &World) -> Result<Header, SaveError> {
    let (Some((scenario, hash)), Some(clock)) = (origin(world), world.get_resource::<Clock>())
    else {
        return Err(SaveError::NoFleet);
    };
    Ok(Header::new(&scenario, &hash, clock.now()))
}

/// The names of the scenarios that the fleets are of, and their hashes.
fn origin(world: &World) -> Option<(String, String)> {
    world.fleets().first()?;
    let origins = || world.fleets().iter().map(|&it| part::<Origin>(world, it));
    let mut names: Vec<&str> = origins().map(|it| &*it.scenario).collect();
    let mut hashes: Vec<&str> = origins().map(|it| &*it.hash).collect();
    // Regions are of one.
    names.dedup();
    hashes.dedup();
    Some((names.join(", "), hashes.join(", ")))
}

/// Refuses a snapshot of another program or scenario, or for a world that has been run.
fn check_header(world: &World, header: &Header) -> Result<(), RestoreError> {
    header.check_program()?;
    let (Some((scenario, hash)), Some(clock)) = (origin(world), world.get_resource::<Clock>())
    else {
        return Err(RestoreError::NotFresh);
    };
    header.check(&scenario, &hash)?;
    match clock.now() {
        SimTime::ZERO => Ok(()),
        _ => Err(RestoreError::NotFresh),
    }
}

/// Writes the state of a world's fleet.
pub(crate) fn write(world: &World, to: &mut StateWriter) -> Result<(), SaveError> {
    let parts = world.get_resource::<Parts>().ok_or(SaveError::NoFleet)?;
    world.fleets().first().ok_or(SaveError::NoFleet)?;
    let (natures, originals) = Natures::of(world, parts);
    let numbers = Twins::numbers(&originals);
    to.put(&natures)?;
    let mut saved: Vec<&Part> = Vec::new();
    for part in parts.in_world(world) {
        match part.kept {
            Kept::State(..) => saved.push(part),
            Kept::Derived => {}
            Kept::Never => {
                let why = "it is entered in the `Parts` as one that is not saved";
                return Err(SaveError::not_saved(part.name, why));
            }
        }
    }
    to.put(&saved.len())?;
    for part in saved {
        if let Kept::State(save, _) = &part.kept {
            to.put(part.name)?;
            to.put_section(|to| save(world, &numbers, to))?;
        }
    }
    Ok(())
}

/// Reads the state into a fleet at time zero.
pub(crate) fn read(world: &mut World, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
    let parts = world.get_resource::<Parts>().cloned();
    let parts = parts.ok_or(RestoreError::NotFresh)?;
    let natures: Natures = from.take()?;
    check_fleets(world, &natures)?;
    for (&fleet, nature) in world.fleets().iter().zip(natures.fleets()) {
        check_applications(world, fleet, nature)?;
        check_skus(world, fleet, nature)?;
    }
    let count: usize = from.take()?;
    let mut sections = Vec::new();
    for _ in 0..count {
        let name: String = from.take()?;
        let section = from.take_section()?;
        let part = parts.named(&name).map(|part| &part.kept);
        let Some(Kept::State(_, restore)) = part else {
            return Err(RestoreError::Unknown(name));
        };
        sections.push((name, restore, section));
    }

    let saved: BTreeSet<String> = sections.iter().map(|(name, ..)| name.clone()).collect();
    let fleets = world.fleets().iter();
    let fleets = fleets.map(|&it| (it, part::<Roster>(world, it).applications().to_vec()));
    let fleets: Vec<(Entity, Vec<Entity>)> = fleets.collect();
    // Nobody takes it for a change by hand.
    guard::work(world, |world| {
        clear(world, &parts, &natures, &fleets, &saved);
        let stocks = fleets.iter().map(|&(it, _)| part::<Stock>(world, it));
        let stocks: Vec<Stock> = stocks.cloned().collect();
        let spawned = natures.spawn(world, &stocks, Some(&fleets));
        let twins = Twins::of_numbers(spawned);
        for (_, restore, mut section) in sections {
            restore(world, &twins, &mut section)?;
        }
        for (fleet, _) in fleets {
            let index = FreeProcessors::of(part::<Roster>(world, fleet).servers());
            world.entity_mut(fleet).insert(index);
        }
        world.flush();
        Ok(())
    })
}

/// Refuses a world with other fleets than the snapshot has.
fn check_fleets(world: &World, natures: &Natures) -> Result<(), RestoreError> {
    let names = |names: Vec<&str>| names.join(", ");
    let here = world.fleets().iter().map(|&it| part::<Fleet>(world, it));
    let here = names(here.map(|it| &**it.name()).collect());
    let saved = names(natures.fleets().iter().map(|it| &*it.name).collect());
    if here == saved {
        return Ok(());
    }
    Err(RestoreError::Differs {
        what: "fleets",
        saved,
        here,
        advice: "install those of the run that was saved, in their order",
    })
}

/// Refuses a fleet with other applications than the snapshot has.
fn check_applications(
    world: &World,
    fleet: Entity,
    nature: &FleetNature,
) -> Result<(), RestoreError> {
    let here = part::<Roster>(world, fleet).applications().iter();
    let here = here.map(|&it| world.get::<Application>(it).map(|it| it.name().to_string()));
    let here: Vec<Option<String>> = here.collect();
    let saved = &nature.applications;
    for (position, name) in saved.iter().enumerate() {
        let own = here.get(position);
        if let Some(name) = name
            && own.is_none_or(|own| own.as_ref() != Some(name))
        {
            return Err(RestoreError::Unknown(format!("the application \"{name}\"")));
        }
    }
    if here.len() != saved.len() {
        return Err(RestoreError::Differs {
            what: "number of applications",
            saved: saved.len().to_string(),
            here: here.len().to_string(),
            advice: "give the world those of the run that was saved",
        });
    }
    Ok(())
}

/// Refuses a fleet that lacks a SKU of the snapshot, or has them in another order.
fn check_skus(world: &World, fleet: Entity, nature: &FleetNature) -> Result<(), RestoreError> {
    let mut here = part::<Stock>(world, fleet).kinds().iter();
    for name in &nature.skus {
        if here.next().is_none_or(|kind| kind.sku().name != *name) {
            return Err(RestoreError::Unknown(format!("the SKU \"{name}\"")));
        }
    }
    Ok(())
}

/// Takes away what the snapshot replaces: servers, instances, and all state.
fn clear(
    world: &mut World,
    parts: &Parts,
    natures: &Natures,
    fleets: &[(Entity, Vec<Entity>)],
    saved: &BTreeSet<String>,
) {
    let mut owners: Vec<Entity> = parts.owners(world).collect();
    owners.sort_unstable();
    owners.dedup();
    let (mut stay, mut kept): (Vec<Entity>, BTreeSet<Entity>) = Default::default();
    for ((fleet, applications), nature) in fleets.iter().zip(natures.fleets()) {
        stay.push(*fleet);
        stay.extend(applications);
        kept.insert(*fleet);
        let named = applications.iter().zip(&nature.applications);
        kept.extend(named.filter_map(|(&it, name)| name.as_ref().map(|_| it)));
        world.entity_mut(*fleet).remove::<FreeProcessors>();
    }
    // A fleet without books has none to close.
    parts.strip(world, &stay, saved);
    let gone = owners.into_iter().filter(|it| !kept.contains(it));
    let (instances, others): (Vec<_>, Vec<_>) =
        gone.partition(|&it| world.get::<Instance>(it).is_some());
    for entity in instances.into_iter().chain(others) {
        if world.get_entity(entity).is_ok() {
            world.despawn(entity);
        }
    }
}
