//! Scripted faults.

use fleetsim::fleet::*;

use crate::support::*;

#[test]
fn no_server_is_created_while_a_fault_lasts() {
    let mut world = Setup {
        fleet: r#"[(sku: "big"), (sku: "small")]"#,
        start: "None",
        faults: r#"[(at: 10, fault: NoNewServers(sku: "big", duration: 5))]"#,
        actions: r#"[
            (at: 9, action: ScaleUpServer()),
            (at: 10, action: ScaleUpFull(application: "app", role: Mixed)),
            (at: 10, action: ScaleUpServer(sku: "small")),
            (at: 14.999, action: ScaleUpServer()),
            (at: 15, action: ScaleUpServer()),
        ]"#,
        ..Setup::default()
    }
    .world();
    world.until(20.0);
    assert_eq!(
        world.log(),
        [
            "9 scale_up_server server_0 scaling_up",
            "10 scale_up_failed server failed",
            "10 scale_up_server server_1 scaling_up",
            "14.999 scale_up_failed server failed",
            "15 scale_up_server server_2 scaling_up",
        ]
    );
    assert_eq!(world.count::<Instance>(), 0);
}

#[test]
fn a_fault_of_any_sku_says_when_to_try_again() {
    let mut world = Setup {
        faults: "[(at: 1, fault: NoNewServers(duration: 5))]",
        ..Setup::default()
    }
    .world();
    world.until(2.0);
    let error = world.scale_up_server(Some("small")).unwrap_err();
    assert!(error.to_string().contains("before 6 s"), "{error}");
}

#[test]
fn crashes_take_instances_and_servers_and_ignore_what_is_gone() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 2)]"#,
        faults: r#"[
            (at: 3, fault: InstanceCrash(instance: 1)),
            (at: 4, fault: InstanceCrash(instance: 1)),
            (at: 5, fault: ServerCrash(server: 1)),
            (at: 6, fault: ServerCrash(server: 1)),
        ]"#,
        ..Setup::default()
    }
    .world();
    // A second a token on four instances: 0 has two requests, the others one.
    for _ in 0..5 {
        world.submit(10);
    }
    world.until(100.0);
    assert_eq!(
        world.log(),
        [
            "3 crash instance_1 scaling_down",
            "5 crash server_1 scaling_down",
            "5 crash instance_2 scaling_down",
            "5 crash instance_3 scaling_down",
        ]
    );
    let counts = world.get::<Service>(world.app()).unwrap().0.counts();
    assert_eq!(counts.completed, 5);
    // Those of server 1 are put back together, so none is put back twice: 1's request, 2's, 3's,
    // and what 2 had taken over from 1.
    assert_eq!(counts.restarted, 4);
    assert!(world.is_quiet());
}
