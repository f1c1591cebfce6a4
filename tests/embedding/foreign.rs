//! A world that is full of other things.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::observe::Rows;

use crate::host::*;

/// A thing of the host's that moves.
#[derive(Component)]
struct Place(f64, f64);

#[derive(Resource, Default)]
struct Moves(u64);

fn walk(mut places: Query<'_, '_, &mut Place>, mut moves: ResMut<'_, Moves>) {
    for mut place in &mut places {
        place.0 += place.1;
        moves.0 += 1;
    }
}

/// Comes and goes, so that entities are used again.
fn churn(world: &mut World) {
    let first = world
        .query_filtered::<Entity, With<Place>>()
        .iter(world)
        .next();
    if let Some(first) = first {
        world.despawn(first);
    }
    world.spawn(Place(0.0, 0.5));
}

const BUSY: &str = r#"
    autoscaler: DynamoSla(interval: 20),
    workload: Synthetic(
        arrivals: Poisson(rate: 12.0), shape: Piecewise([(0.0, 1.0), (60.0, 3.0), (150.0, 0.5)]),
        prompt_tokens: LogNormal(median: 900.0, sigma: 0.8, max: 6000), output_tokens: Geometric(mean: 150.0),
        window: (0.0, 240.0),
    ),
"#;

fn results(world: &World) -> String {
    let rows = world.fleet::<Rows>();
    let log = world.fleet::<ScalingLog>().events();
    format!("{:?}\n{:?}\n{log:?}", rows.requests, rows.samples)
}

#[test]
fn a_hundred_thousand_foreign_things_change_nothing() {
    let checked = scenario(1, BUSY);
    let mut alone = embed_all(&checked);
    alone.until(300.0);

    let mut world = World::new();
    world.init_resource::<Moves>();
    world.spawn_batch((0..100_000).map(|it| Place(f64::from(it), 1.0)));
    let mut schedules = Schedules::default();
    schedules.add_systems(
        Tick,
        churn
            .in_set(TickSet::Sense)
            .before(fleetsim::autoscale::Sensed),
    );
    schedules.add_systems(Tick, walk.in_set(TickSet::Observe));
    world.insert_resource(schedules);
    install(&mut world, &checked).unwrap();
    let registry = fleetsim::autoscale::PolicyRegistry::built_in();
    registry.install(&mut world, &checked).unwrap();
    fleetsim::observe::install(&mut world, &[], checked.scenario().sample_interval);
    let mut ticks = 0;
    while world.now() < at(300.0) {
        world.resource_mut::<TickLimits>().horizon = at(300.0);
        world.tick().unwrap();
        ticks += 1;
    }
    world.until(300.0);
    assert!(results(&world) == results(&alone));
    // And nothing happens to them but what their host does.
    assert!(world.resource::<Moves>().0 >= ticks * 100_000);
    let mut places = world.query::<&Place>();
    assert_eq!(places.iter(&world).count(), 100_000);

    uninstall(&mut world);
    assert_eq!(places.iter(&world).count(), 100_000);
    assert_eq!(world.query::<&Server>().iter(&world).count(), 0);
    assert_eq!(world.query::<&Application>().iter(&world).count(), 0);
    install(&mut world, &checked).unwrap();
    world.until(20.0);
}

/// Bytes that the process has in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The memory of a world in which nothing happens does not grow, however often it is stepped. Ten million
/// ticks take some ten seconds in a release build: `FLEETSIM_TICKS=10000000`.
#[test]
#[cfg(target_os = "linux")]
fn ticks_leave_nothing_behind() {
    let ticks = std::env::var("FLEETSIM_TICKS")
        .ok()
        .and_then(|it| it.parse().ok());
    let ticks: u64 = ticks.unwrap_or(200_000);
    let mut world = embed(&hosted(2, ""));
    world.announce_requests();
    world.insert_resource(Retention::OneTick);
    world.resource_mut::<TickLimits>().max_tick =
        Some(fleetsim::time::SimDuration::saturating(0.5));
    let mut before = 0;
    for tick in 0..ticks {
        if tick == ticks / 10 {
            before = resident();
        }
        if tick % 1_000 == 0 {
            let now = world.now().seconds();
            world.service_mut().submit(request(tick, now)).unwrap();
        }
        world.tick().unwrap();
        world.clear_trackers();
    }
    let grown = resident().saturating_sub(before);
    // Other tests run beside this one.
    assert!(grown < 64 << 20, "{grown} bytes more after {ticks} ticks");
    assert_eq!(world.service().counts().completed, ticks.div_ceil(1_000));
}
