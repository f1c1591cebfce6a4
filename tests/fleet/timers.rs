//! Components that are timers, and observers of statuses.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::time::SimTime;

use crate::support::*;

fn starting() -> (World, Entity) {
    let mut world = Setup {
        scaling: "(spin_up: Constant(3), scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    let up = world.scale_up_full(&world.up()).unwrap();
    (world, up.instance)
}

/// An instance with work for 30 s.
fn busy(scaling: &str) -> (World, Entity) {
    let mut world = Setup {
        scaling,
        ..Setup::default()
    }
    .world();
    world.submit(30);
    world.until(5.0);
    let instance = world.instance(0).unwrap();
    (world, instance)
}

#[test]
fn a_drain_timer_begins_a_drain() {
    for scaling in ["(drain: Poll(1))", "(drain: OnIdle)", "(drain_timeout: 3)"] {
        let (mut world, instance) = busy(scaling);
        world
            .entity_mut(instance)
            .insert(DrainTimer::until(at(20.0)));
        world.flush();
        check_invariants(&mut world).unwrap();
        assert_eq!(world.status(instance), Some(InstanceStatus::Draining));
        world.until(100.0);
        let lines = [
            "5 scale_down_start instance_0 draining",
            "20 drain_timeout instance_0 draining",
            "20 scale_down_complete instance_0 scaling_down",
        ];
        assert_eq!(world.log(), lines, "{scaling}");
        // Its server stays, and its work is done by another.
        assert_eq!(world.count::<Server>(), 1);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        assert_eq!((counts.completed, counts.restarted), (1, 1));
    }
}

#[test]
fn a_drain_timer_without_an_end_waits_for_the_work() {
    let (mut world, instance) = busy("(drain: Poll(4))");
    world
        .entity_mut(instance)
        .insert(DrainTimer::until(SimTime::MAX));
    world.until(100.0);
    // Looked at every 4 s from 5 s on; the work is done at 30 s.
    assert_eq!(
        world.log()[1],
        "33 scale_down_complete instance_0 scaling_down"
    );
}

#[test]
fn a_new_drain_timer_replaces_the_deadline() {
    let (mut world, instance) = busy("(drain_timeout: 10)");
    world.scale_down_instance(instance).unwrap();
    world.until(7.0);
    world
        .entity_mut(instance)
        .insert(DrainTimer::until(at(22.5)));
    world.until(100.0);
    assert_eq!(world.log()[1], "22.5 drain_timeout instance_0 draining");
    // A deadline that is over is due now.
    let (mut world, instance) = busy("()");
    world.scale_down_instance(instance).unwrap();
    world.until(7.0);
    world
        .entity_mut(instance)
        .insert(DrainTimer::until(at(1.0)));
    world.until(100.0);
    assert_eq!(world.log()[1], "7 drain_timeout instance_0 draining");
}

#[test]
fn a_drain_timer_has_no_effect_where_nothing_can_drain() {
    let (mut world, instance) = starting();
    world
        .entity_mut(instance)
        .insert(DrainTimer::until(at(5.0)));
    world.flush();
    check_invariants(&mut world).unwrap();
    assert!(world.get::<DrainTimer>(instance).is_none());
    world.until(10.0);
    assert!(world.can_schedule(instance));
}

#[test]
fn a_start_up_that_is_replaced_takes_as_long_as_the_new_one_says() {
    for (joins, activates) in [(1.0, 2.0), (1.0, 30.0), (20.0, 20.0)] {
        let (mut world, instance) = starting();
        let start_up = StartUp {
            joins: at(joins),
            activates: at(activates),
        };
        world.entity_mut(instance).insert(start_up);
        world.until(100.0);
        let active = world.fleet::<Ledger>().instances()[2].active;
        assert_eq!(active, Some(at(activates)));
    }
}

#[derive(Resource, Default)]
struct Seen {
    statuses: Vec<(f64, InstanceStatus)>,
    due: Vec<(f64, Entity)>,
}

#[test]
fn observers_see_each_transition_once() {
    let (mut world, _) = starting();
    world.until(20.0);
    world.init_resource::<Seen>();
    world.add_observer(
        |on: On<'_, '_, Insert<InstanceStatus>>,
         statuses: Query<'_, '_, &InstanceStatus>,
         clock: Res<'_, Clock>,
         mut seen: ResMut<'_, Seen>| {
            let status = *statuses.get(on.entity).unwrap();
            seen.statuses.push((clock.now().seconds(), status));
        },
    );
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(40.0);
    // One for each of the four instances.
    (0..4).for_each(|_| world.submit(5));
    world.until(41.0);
    world.scale_down_full(up.instance).unwrap();
    world.until(60.0);
    let expected = [
        (20.0, InstanceStatus::ScalingUp),
        (30.0, InstanceStatus::Active),
        (41.0, InstanceStatus::Draining),
        (45.0, InstanceStatus::ScalingDown),
    ];
    assert_eq!(world.resource::<Seen>().statuses, expected);
}

#[test]
fn an_observer_may_take_away_what_it_is_told_of() {
    for status in [
        InstanceStatus::ScalingUp,
        InstanceStatus::Active,
        InstanceStatus::Draining,
        InstanceStatus::ScalingDown,
    ] {
        let mut world = Setup::default().world();
        world.add_observer(
            move |on: On<'_, '_, Insert<InstanceStatus>>,
                  statuses: Query<'_, '_, &InstanceStatus>,
                  mut commands: Commands<'_, '_>| {
                if statuses.get(on.entity) == Ok(&status) {
                    commands.entity(on.entity).try_despawn();
                }
            },
        );
        (0..3).for_each(|_| world.submit(5));
        world.until(1.0);
        let up = world.scale_up_full(&world.up());
        check_invariants(&mut world).unwrap();
        world.until(2.0);
        if let Some(first) = world.instance(0) {
            world.scale_down_full(first).unwrap();
        }
        check_invariants(&mut world).unwrap();
        if let Ok(up) = up {
            let _ = world.cancel_scale_up(up.instance);
        }
        let last = world.scale_up_full(&world.up()).map(|up| up.instance);
        let _ = last.map(|it| world.cancel_scale_up(it));
        check_invariants(&mut world).unwrap();
        world.until(50.0);
    }
}

fn announce(due: Due<'_, StartUp>, mut seen: ResMut<'_, Seen>) {
    let all = due.iter().map(|(at, entity)| (at.seconds(), entity));
    seen.due.extend(all);
}

#[test]
fn a_host_hears_of_what_is_due_before_it_is_done() {
    let (mut world, instance) = starting();
    world.init_resource::<Seen>();
    world.resource_mut::<Schedules>().add_systems(
        Tick,
        announce
            .in_set(TickSet::Lifecycle)
            .before(LifecycleSet::InstancesActivate),
    );
    world.until(50.0);
    assert_eq!(world.resource::<Seen>().due, [(10.0, instance)]);
}
