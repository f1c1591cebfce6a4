//! What a host despawns, and what faults take away.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;

use crate::support::*;

#[test]
fn a_despawned_instance_frees_its_processors_and_puts_its_work_back() {
    let mut world = Setup::default().world();
    // One request on each instance.
    world.submit(10);
    world.submit(10);
    world.until(4.0);
    let victim = world.instance(0).unwrap();
    world.despawn(victim);
    check_invariants(&mut world).unwrap();
    assert_eq!(world.count::<UsedBy>(), 4);
    assert_eq!(world.log(), ["4 crash instance_0 scaling_down"]);
    let counts = |world: &World| world.get::<Service>(world.app()).unwrap().counts();
    assert_eq!((counts(&world).waiting, counts(&world).restarted), (1, 1));
    // Its request goes to the other instance, behind what that has: done at 10 + 10.
    world.until(4.0);
    assert_eq!(counts(&world).waiting, 0);
    world.until(20.0);
    assert_eq!(counts(&world).completed, 2);
    let account = &world.fleet::<Ledger>().instances()[0];
    assert_eq!(account.gone, Some(at(4.0)));
    // Its processors can be used again.
    let server = world.server(0).unwrap();
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(20.0);
}

#[test]
fn a_despawned_server_takes_everything_on_it_along() {
    let mut world = Setup::default().world();
    world.submit(10);
    world.submit(10);
    world.until(4.0);
    let server = world.server(0).unwrap();
    world.despawn(server);
    check_invariants(&mut world).unwrap();
    assert_eq!(world.count::<Instance>() + world.count::<Processor>(), 0);
    assert_eq!(
        world.log(),
        [
            "4 crash server_0 scaling_down",
            "4 crash instance_0 scaling_down",
            "4 crash instance_1 scaling_down",
        ]
    );
    // Nothing is left to serve the two requests; they wait, each put back once.
    world.until(5.0);
    let service = world.get::<Service>(world.app()).unwrap();
    let counts = service.counts();
    assert_eq!((counts.waiting, counts.restarted), (2, 2));
    assert!(!world.is_quiet() && world.is_stalled());
    world.scale_up_full(&world.up()).unwrap();
    assert!(!world.is_stalled());
    world.tick().unwrap();
    world.tick().unwrap();
    assert!(world.is_quiet());
    assert_eq!(world.now(), at(5.0 + 20.0));
}

#[test]
fn an_instance_is_despawned_at_any_stage() {
    for (when, stage) in [(0.0, "starting"), (10.0, "active"), (12.0, "draining")] {
        let mut world = Setup {
            fleet: r#"[(sku: "big")]"#,
            scaling: "(scale_up_delay: 10, drain: OnIdle, drain_timeout: 50)",
            ..Setup::default()
        }
        .world();
        let up = world.scale_up_full(&world.up()).unwrap();
        world.submit(30);
        world.until(when);
        if stage == "draining" {
            world.scale_down_full(up.instance).unwrap();
        }
        world.despawn(up.instance);
        check_invariants(&mut world).unwrap();
        assert!(world.pending_server_removals().is_empty(), "{stage}");
        world.until(100.0);
        // A scale-down under way takes the server along; otherwise it is the host's to remove.
        let along = stage == "draining";
        assert_eq!(world.count::<Server>(), usize::from(!along), "{stage}");
        assert_eq!(world.scale_down_server(up.server).is_err(), along);
    }
}

#[test]
fn a_despawned_application_takes_its_instances_along() {
    let mut world = Setup::default().world();
    let app = world.app();
    world.despawn(app);
    check_invariants(&mut world).unwrap();
    assert_eq!((world.count::<Instance>(), world.count::<Server>()), (0, 1));
    world.until(1.0);
    assert!(world.is_quiet());
}
