//! Every verb that can be refused: with a typed error, a line in the log, and nothing changed.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::serving::Role;

use crate::support::*;

/// Checks that nothing but the log changed.
fn unchanged<T: std::fmt::Debug>(
    world: &mut World,
    line: &str,
    verb: impl FnOnce(&mut World) -> Result<T, ScalingError>,
) -> ScalingError {
    let state = |world: &World| {
        let ledger = world.fleet::<Ledger>();
        (
            world.entities().count_spawned(),
            world.status_summary(),
            ledger.instances().to_vec(),
            ledger.servers().to_vec(),
        )
    };
    let before = (state(world), world.log());
    let error = verb(world).unwrap_err();
    assert_eq!(state(world), before.0, "{error}");
    assert_eq!(world.log()[before.1.len()..], [line], "{error}");
    assert!(world.pending_server_removals().is_empty(), "{error}");
    check_invariants(world).unwrap();
    error
}

#[test]
fn an_unknown_sku_is_named_with_the_nearest() {
    let mut world = Setup::default().world();
    let error = unchanged(&mut world, "0 scale_up_failed server failed", |world| {
        world.scale_up_server(Some("smal"))
    });
    assert_eq!(
        error.to_string(),
        "the fleet has no SKU \"smal\" (did you mean \"small\"?): name one of its `fleet` entries"
    );
}

#[test]
fn a_limit_counts_every_server_there_is() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1, limit: 2, provision_delay: Constant(5))]"#,
        ..Setup::default()
    }
    .world();
    world.scale_up_server(None).unwrap();
    let up = world.up();
    let error = unchanged(&mut world, "0 scale_up_failed server failed", |world| {
        world.scale_up_full(&up)
    });
    let sku = "big".to_owned();
    assert_eq!(error, ScalingError::LimitReached { sku, limit: 2 });
    // A failed creation uses no number, and a removal makes room.
    world.scale_down_server(world.server(1).unwrap()).unwrap();
    let up = world.scale_up_full(&up).unwrap();
    assert_eq!((world.number(up.server), world.number(up.instance)), (2, 2));
}

#[test]
fn a_role_without_template_is_refused() {
    let mut world = Setup::default().world();
    let request = ScaleUpFull::new(world.app(), Role::Prompt);
    let error = unchanged(&mut world, "0 scale_up_failed server failed", |world| {
        world.scale_up_full(&request)
    });
    assert!(matches!(
        error,
        ScalingError::NoTemplate {
            role: Role::Prompt,
            ..
        }
    ));
}

#[test]
fn a_sku_that_is_too_small_is_refused() {
    let mut world = Setup::default().world();
    let request = ScaleUpFull {
        sku: Some("small".to_owned()),
        ..world.up()
    };
    let error = unchanged(&mut world, "0 scale_up_failed server failed", |world| {
        world.scale_up_full(&request)
    });
    assert!(matches!(
        error,
        ScalingError::SkuTooSmall {
            needed: 4,
            processors: 2,
            ..
        }
    ));
}

#[test]
fn processors_are_given_out_once() {
    let mut world = Setup::default().world();
    let server = world.scale_up_server(None).unwrap();
    let full = world.server(0).unwrap();
    let line = "0 scale_up_failed instance failed";
    let request = world.up_on(full);
    let error = unchanged(&mut world, line, |world| world.scale_up_instance(&request));
    assert!(matches!(
        error,
        ScalingError::TooFewProcessors {
            needed: 4,
            free: 0,
            ..
        }
    ));

    let refuse = |world: &mut World, processors: &[u32]| {
        let request = ScaleUpInstance {
            processors: Some(processors.to_vec()),
            ..world.up_on(server)
        };
        unchanged(world, line, |world| world.scale_up_instance(&request))
    };
    assert!(matches!(
        refuse(&mut world, &[0, 1]),
        ScalingError::WrongProcessorCount {
            needed: 4,
            given: 2
        }
    ));
    assert!(matches!(
        refuse(&mut world, &[0, 1, 2, 8]),
        ScalingError::NoProcessor {
            processor: 8,
            count: 8,
            ..
        }
    ));
    assert!(matches!(
        refuse(&mut world, &[0, 1, 1, 2]),
        ScalingError::ProcessorNamedTwice { processor: 1 }
    ));
    world.scale_up_instance(&world.up_on(server)).unwrap();
    assert!(matches!(
        refuse(&mut world, &[4, 5, 6, 3]),
        ScalingError::ProcessorBusy {
            server: 1,
            processor: 3,
            instance: 2
        }
    ));
}

#[test]
fn only_active_instances_go_down_and_only_start_ups_are_cancelled() {
    let mut world = Setup {
        scaling: "(scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    let up = world.scale_up_full(&world.up()).unwrap();
    let line = "0 scale_down_invalid instance_2 scaling_up";
    for verb in [World::scale_down_full, World::scale_down_instance] {
        let error = unchanged(&mut world, line, |world| verb(world, up.instance));
        assert!(matches!(error, ScalingError::NotActive { instance: 2, .. }));
    }
    let active = world.instance(0).unwrap();
    let line = "0 scale_down_invalid instance_0 active";
    let error = unchanged(&mut world, line, |world| world.cancel_scale_up(active));
    assert!(matches!(
        error,
        ScalingError::NotScalingUp { instance: 0, .. }
    ));
}

#[test]
fn a_draining_instance_is_not_drained_again() {
    let mut world = Setup::default().world();
    world.submit(30);
    world.until(1.0);
    let busy = world.instance(0).unwrap();
    world.scale_down_instance(busy).unwrap();
    let line = "1 scale_down_invalid instance_0 draining";
    // A refused `scale_down_full` leaves no server to be removed behind.
    let error = unchanged(&mut world, line, |world| world.scale_down_full(busy));
    assert!(matches!(error, ScalingError::NotActive { .. }));
}

#[test]
fn a_server_with_instances_stays() {
    let mut world = Setup::default().world();
    let server = world.server(0).unwrap();
    let line = "0 scale_down_server_invalid server_0 active";
    let error = unchanged(&mut world, line, |world| world.scale_down_server(server));
    let expected = ScalingError::ServerHasInstances {
        server: 0,
        instances: 2,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_server_that_is_not_there_yet_pre_starts_nothing() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", provision_delay: Constant(5))]"#,
        ..Setup::default()
    }
    .world();
    let server = world.scale_up_server(None).unwrap();
    let request = world.up_on(server);
    let error = unchanged(&mut world, "0 scale_up_failed instance failed", |world| {
        world.start_spin_up_instance(&request, true)
    });
    assert!(matches!(
        error,
        ScalingError::ServerNotActive { server: 0, .. }
    ));
}

#[test]
fn what_is_gone_or_never_was_is_refused() {
    let mut world = Setup::default().world();
    let stranger = world.spawn_empty().id();
    let line = "0 scale_down_invalid instance gone";
    for verb in [
        World::scale_down_full,
        World::scale_down_instance,
        World::cancel_scale_up,
    ] {
        let error = unchanged(&mut world, line, |world| verb(world, stranger));
        assert_eq!(error, ScalingError::NotAnInstance(stranger));
    }
    let line = "0 scale_down_server_invalid server gone";
    let error = unchanged(&mut world, line, |world| world.scale_down_server(stranger));
    assert_eq!(error, ScalingError::NotAServer(stranger));
    let server = world.server(0).unwrap();
    let nobody = ScaleUpFull::new(stranger, Role::Mixed);
    let error = unchanged(&mut world, "0 scale_up_failed server failed", |world| {
        world.scale_up_full(&nobody)
    });
    assert_eq!(error, ScalingError::NotAnApplication(stranger));
    let nowhere = world.up_on(world.app());
    let error = unchanged(&mut world, "0 scale_up_failed instance failed", |world| {
        world.scale_up_instance(&nowhere)
    });
    assert_eq!(error, ScalingError::NotAServer(world.app()));
    assert!(world.get_entity(server).is_ok());
    assert!(matches!(
        world.application("ap").unwrap_err(),
        ScalingError::UnknownApplication { nearest: Some(name), .. } if name == "app"
    ));
}

#[test]
fn a_script_is_written_down_and_goes_on() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1), (sku: "small", limit: 0)]"#,
        actions: r#"[
            (at: 1, action: ScaleDownFull(instance: 99)),
            (at: 1, action: ScaleDownServer(server: 0)),
            (at: 1, action: ScaleDownServer(server: 7)),
            (at: 1, action: ScaleUpServer(sku: "small")),
            (at: 1, action: ScaleUpInstance(application: "app", role: Mixed, server: 5)),
            (at: 1, action: CancelScaleUp(instance: 1)),
            (at: 2, action: ScaleUpFull(application: "app", role: Mixed)),
        ]"#,
        ..Setup::default()
    }
    .world();
    assert!(!world.is_quiet());
    world.until(3.0);
    assert!(world.is_quiet());
    assert_eq!(
        world.log(),
        [
            "1 scale_down_invalid instance_99 gone",
            "1 scale_down_server_invalid server_0 active",
            "1 scale_down_server_invalid server_7 gone",
            "1 scale_up_failed server failed",
            "1 scale_up_failed instance failed",
            "1 scale_down_invalid instance_1 active",
            "2 scale_up_server server_1 scaling_up",
            "2 scale_up_start instance_2 scaling_up",
            "2 scale_up_complete instance_2 active",
        ]
    );
}

#[test]
fn the_number_of_instances_ever_has_a_limit() {
    assert_eq!(Roster::MOST_INSTANCES, 1 << 24);
    let mut world = Setup::default().world();
    world.fleet_mut::<Roster>().limit_instances(3);
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(1.0);
    world.scale_down_full(up.instance).unwrap();
    let error = world.scale_up_full(&world.up()).unwrap_err();
    assert_eq!(error, ScalingError::TooManyInstances { limit: 3 });
    let server = world.scale_up_server(None).unwrap();
    let error = world.scale_up_instance(&world.up_on(server)).unwrap_err();
    assert_eq!(error.reason(), "instances_ever");
    check_invariants(&mut world).unwrap();
}
