//! Instances and servers through their whole lives, against timelines worked out by hand.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::serving::Role;

use crate::support::*;

/// How many there are of every kind, and of all entities, to see that nothing is left behind.
fn census(world: &mut World) -> [usize; 5] {
    [
        world.count::<Server>(),
        world.count::<Instance>(),
        world.count::<Processor>(),
        world.count::<UsedBy>(),
        world.entities().count_spawned() as usize,
    ]
}

#[test]
fn a_full_scale_up_waits_for_server_spin_up_and_delay() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 0, provision_delay: Constant(5))]"#,
        scaling: "(spin_up: Constant(7), scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    world.until(100.0);
    let ScaledUp { server, instance } = world.scale_up_full(&world.up()).unwrap();
    // Ready at 105, joined at 112, active at max(112, 115).
    let timers = StartUp {
        joins: at(112.0),
        activates: at(115.0),
    };
    assert_eq!(world.get(instance), Some(&timers));
    assert_eq!(world.get(server), Some(&ServerStatus::ScalingUp));

    world.until(104.0);
    assert_eq!(world.get(server), Some(&ServerStatus::ScalingUp));
    world.until(105.0);
    assert_eq!(world.get(server), Some(&ServerStatus::Active));
    world.until(111.0);
    assert!(world.get::<EngineHandle>(instance).is_none());
    world.until(112.0);
    assert!(world.get::<EngineHandle>(instance).is_some());
    assert!(!world.can_schedule(instance));
    world.until(114.0);
    assert_eq!(world.status(instance), Some(InstanceStatus::ScalingUp));
    world.until(115.0);
    assert!(world.can_schedule(instance));
    assert_eq!(
        world.log(),
        [
            "100 scale_up_server server_0 scaling_up",
            "100 scale_up_start instance_0 scaling_up",
            "115 scale_up_complete instance_0 active",
        ]
    );
}

#[test]
fn a_long_spin_up_outlasts_the_delay() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", provision_delay: Constant(5))]"#,
        scaling: "(spin_up: Constant(20), scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(24.0);
    assert_eq!(world.status(up.instance), Some(InstanceStatus::ScalingUp));
    world.until(25.0);
    assert_eq!(world.status(up.instance), Some(InstanceStatus::Active));
}

#[test]
fn without_delays_an_instance_is_active_at_the_same_instant() {
    let mut world = Setup::default().world();
    let up = world.scale_up_full(&world.up()).unwrap();
    assert_eq!(world.status(up.instance), Some(InstanceStatus::ScalingUp));
    world.until(0.0);
    assert_eq!(world.status(up.instance), Some(InstanceStatus::Active));
    assert_eq!(world.now(), at(0.0));
}

#[test]
fn an_idle_instance_retires_at_once_and_takes_its_server_along() {
    let mut world = Setup::default().world();
    world.until(1.0);
    let before = census(&mut world);
    let ScaledUp { server, instance } = world.scale_up_full(&world.up()).unwrap();
    world.until(2.0);
    world.scale_down_full(instance).unwrap();
    assert!(world.get_entity(instance).is_err() && world.get_entity(server).is_err());
    assert!(world.pending_server_removals().is_empty());
    assert_eq!(census(&mut world), before);
    assert_eq!(
        world.log()[3..],
        [
            "2 scale_down_start instance_2 draining",
            "2 scale_down_complete instance_2 scaling_down",
            "2 scale_down_server server_1 scaling_down",
        ]
    );
}

#[test]
fn ten_go_up_and_ten_go_down_at_once() {
    let mut world = Setup {
        fleet: r#"[(sku: "big")]"#,
        scaling: "(scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    let before = census(&mut world);
    world.until(1.0);
    let up: Vec<ScaledUp> = (0..10)
        .map(|_| world.scale_up_full(&world.up()).unwrap())
        .collect();
    world.until(10.0);
    assert!(world.active_instances(world.app(), Role::Mixed).is_empty());
    world.until(11.0);
    let active = world.active_instances(world.app(), Role::Mixed);
    let numbers: Vec<u64> = active.iter().map(|&it| world.number(it)).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    for ScaledUp { instance, .. } in &up {
        world.scale_down_full(*instance).unwrap();
    }
    world.until(12.0);
    assert_eq!(census(&mut world), before);
    let count = |action: &str| {
        let log = world.log();
        log.iter().filter(|line| line.contains(action)).count()
    };
    for action in [
        "scale_up_server",
        "scale_up_start",
        "scale_up_complete",
        "scale_down_start",
        "scale_down_complete",
        "scale_down_server",
    ] {
        assert_eq!(count(action), 10, "{action}");
    }
}

#[test]
fn a_start_up_can_be_cancelled_at_every_stage() {
    for (when, stage) in [
        (0.0, "provisioning"),
        (6.0, "spinning up"),
        (13.0, "joined"),
    ] {
        let mut world = Setup {
            fleet: r#"[(sku: "big", provision_delay: Constant(5))]"#,
            scaling: "(spin_up: Constant(7), scale_up_delay: 10)",
            ..Setup::default()
        }
        .world();
        let before = census(&mut world);
        let up = world.scale_up_full(&world.up()).unwrap();
        world.until(when);
        world.cancel_scale_up(up.instance).unwrap();
        assert_eq!(census(&mut world), before, "{stage}");
        assert!(world.is_quiet(), "{stage}");
        world.until(30.0);
        assert_eq!(
            world.log()[2..],
            [
                format!("{when} scale_up_cancelled instance_0 scaling_down"),
                format!("{when} scale_down_server server_0 scaling_down"),
            ],
            "{stage}"
        );
    }
}

#[test]
fn instances_share_a_server_by_the_stepwise_verbs() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", provision_delay: Constant(5))]"#,
        scaling: "(scale_up_delay: 1)",
        ..Setup::default()
    }
    .world();
    let server = world.scale_up_server(None).unwrap();
    let named = ScaleUpInstance {
        processors: Some(vec![6, 1, 4, 3]),
        tag: Some("odd".into()),
        ..world.up_on(server)
    };
    let first = world.scale_up_instance(&named).unwrap();
    let second = world.scale_up_instance(&world.up_on(server)).unwrap();
    let positions = |world: &World, instance| -> Vec<u32> {
        let uses = world.get::<Uses>(instance).unwrap();
        let index = |it| world.get::<Processor>(it).unwrap().index();
        uses.iter().map(index).collect()
    };
    assert_eq!(positions(&world, first), [6, 1, 4, 3]);
    assert_eq!(positions(&world, second), [0, 2, 5, 7]);
    assert_eq!(world.get::<Tag>(first), Some(&Tag("odd".into())));
    world.until(6.0);
    assert!(world.can_schedule(first) && world.can_schedule(second));

    // The server stays while it carries another instance, and after `scale_down_instance`.
    world.scale_down_full(first).unwrap();
    assert_eq!(world.get(server), Some(&ServerStatus::Active));
    assert!(world.pending_server_removals().is_empty());
    world.scale_down_instance(second).unwrap();
    assert_eq!(world.get(server), Some(&ServerStatus::Active));
    world.scale_down_server(server).unwrap();
    assert_eq!(world.count::<Processor>(), 0);
}

#[test]
fn a_pre_started_instance_is_active_at_once() {
    let mut world = Setup {
        scaling: "(spin_up: Constant(7), scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    world.until(1.0);
    let server = world.scale_up_server(Some("big")).unwrap();
    let instance = world
        .start_spin_up_instance(&world.up_on(server), true)
        .unwrap();
    assert!(world.can_schedule(instance));
    assert_eq!(
        world.log().last().unwrap(),
        "1 scale_up_complete instance_2 active"
    );
    world.until(1.0);
}

#[test]
fn numbers_are_never_reused() {
    let mut world = Setup::default().world();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let up = world.scale_up_full(&world.up()).unwrap();
        seen.push((world.number(up.server), world.number(up.instance)));
        world.cancel_scale_up(up.instance).unwrap();
    }
    assert_eq!(seen, [(1, 2), (2, 3), (3, 4)]);
    assert_eq!((world.server(2), world.instance(3)), (None, None));
}

#[test]
fn the_start_state_is_there_from_the_start() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 2), (sku: "small", count: 1)]"#,
        start: r#"Sku("big")"#,
        ..Setup::default()
    }
    .world();
    assert_eq!(world.count::<Processor>(), 18);
    let active = world.active_instances(world.app(), Role::Mixed);
    let servers: Vec<u64> = active
        .iter()
        .map(|&it| world.number(world.get::<HostedOn>(it).unwrap().server()))
        .collect();
    // Two instances of four processors on each `big`.
    assert_eq!(servers, [0, 0, 1, 1]);
    assert!(world.log().is_empty() && world.is_quiet());
    let summary = world.status_summary();
    assert_eq!(summary.instances[0].2.active, 4);
    assert_eq!(summary.servers[1].1.active, 1);
}
