//! How the clock moves.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::time::{SimDuration, SimTime};

use crate::support::*;

/// The interval at which something has itself woken, and how often it was.
#[derive(Resource, Default)]
struct Every(SimDuration, u32);

#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn rewake(mut agenda: ResMut<'_, Agenda>, clock: Res<'_, Clock>, mut every: ResMut<'_, Every>) {
    if let &[entity] = agenda.awake(TickSet::Sense) {
        every.1 += 1;
        agenda.wake(TickSet::Sense, clock.now() + every.0, entity);
    }
}

fn waking(interval: f64) -> World {
    let mut world = Setup::default().world();
    world.insert_resource(Every(SimDuration::new(interval).unwrap(), 0));
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(Tick, rewake.in_set(TickSet::Sense));
    let app = world.app();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake(TickSet::Sense, at(0.0), app);
    world
}

#[test]
fn ticks_end_where_something_is_due() {
    let mut world = waking(2.5);
    let mut times = Vec::new();
    for _ in 0..4 {
        world.tick().unwrap();
        times.push(world.now().seconds());
    }
    assert_eq!(times, [0.0, 2.5, 5.0, 7.5]);
    // Wakes keep no run alive.
    assert!(world.is_quiet());
}

#[test]
fn ticks_are_no_longer_than_the_host_wants() {
    let mut world = waking(2.5);
    world.resource_mut::<TickLimits>().max_tick = Some(SimDuration::saturating(1.0));
    let mut times = Vec::new();
    for _ in 0..6 {
        world.tick().unwrap();
        times.push(world.now().seconds());
    }
    assert_eq!(times, [0.0, 1.0, 2.0, 2.5, 3.5, 4.5]);
    world.resource_mut::<TickLimits>().horizon = at(4.75);
    world.tick().unwrap();
    world.tick().unwrap();
    assert_eq!(world.now(), at(4.75));
}

#[test]
fn running_until_an_instant_does_what_is_due_there() {
    let mut world = waking(2.5);
    world.run_until(at(5.0)).unwrap();
    assert_eq!(world.resource::<Every>().1, 3);
    assert_eq!(world.resource::<TickLimits>().horizon, SimTime::MAX);
    world.run_until(at(5.0)).unwrap();
    assert_eq!(world.resource::<Every>().1, 3);
    let error = world.run_until(at(4.0)).unwrap_err();
    assert_eq!(error.to_string(), "cannot run until 4 s: it is 5 s already");
}

#[test]
fn an_instant_that_never_ends_is_an_error() {
    let mut world = waking(0.0);
    world.resource_mut::<TickLimits>().max_standing = 1_000;
    let error = world.run_until(at(1.0)).unwrap_err();
    assert!(
        matches!(error, TickError::Standing { ticks: 1_001, .. }),
        "{error}"
    );
}

#[test]
fn with_nothing_due_a_tick_serves_to_the_end() {
    let mut world = Setup::default().world();
    world.submit(7);
    world.tick().unwrap();
    assert_eq!(world.now(), at(7.0));
    // A host that goes on ticking a quiet world is told nothing worse than the time.
    world.resource_mut::<TickLimits>().max_standing = 10;
    for _ in 0..100 {
        world.tick().unwrap();
    }
    assert_eq!(world.now(), at(7.0));
}

#[test]
fn a_world_holds_one_fleet() {
    let scenario = Setup::default().scenario();
    let mut world = World::new();
    assert_eq!(world.tick(), Err(TickError::NotInstalled));
    install(&mut world, &scenario).unwrap();
    assert_eq!(install(&mut world, &scenario), Err(InstallError::Installed));
}
