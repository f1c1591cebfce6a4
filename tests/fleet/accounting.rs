//! Instance time, by hand.

use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::serving::Role;
use fleetsim::time::SimTime;

use crate::support::*;

#[test]
fn every_instance_second_is_counted_once_in_any_window() {
    let mut world = Setup {
        scaling: "(scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    // Instances 0 and 1 are active from zero. Instance 2: scaling up 5–15, active 15–20, draining
    // 20–25, when its request is done.
    world.until(5.0);
    let up = ScaleUpFull {
        tag: Some("late".into()),
        ..world.up()
    };
    let up = world.scale_up_full(&up).unwrap();
    world.until(15.0);
    for _ in 0..3 {
        world.submit(10);
    }
    world.until(20.0);
    world.scale_down_full(up.instance).unwrap();
    world.until(40.0);
    assert_eq!(
        world.log().last().unwrap(),
        "25 scale_down_server server_1 scaling_down"
    );

    let time =
        |from, to, filter: &InstanceFilter| world.instance_time(at(from)..at(to), filter).seconds();
    let all = InstanceFilter::default();
    let of = |status| InstanceFilter {
        status: Some(status),
        ..InstanceFilter::default()
    };
    assert_eq!(time(0.0, 40.0, &all), 40.0 * 2.0 + 20.0);
    assert_eq!(time(0.0, 40.0, &of(InstanceStatus::ScalingUp)), 10.0);
    assert_eq!(time(0.0, 40.0, &of(InstanceStatus::Active)), 80.0 + 5.0);
    assert_eq!(time(0.0, 40.0, &of(InstanceStatus::Draining)), 5.0);
    assert_eq!(time(12.0, 22.0, &of(InstanceStatus::ScalingUp)), 3.0);
    assert_eq!(time(12.0, 22.0, &of(InstanceStatus::Active)), 20.0 + 5.0);
    assert_eq!(time(12.0, 22.0, &of(InstanceStatus::Draining)), 2.0);
    // A window that reaches beyond the present ends there; an empty one holds nothing.
    assert_eq!(time(30.0, 1e9, &all), 20.0);
    assert_eq!(time(7.0, 7.0, &all), 0.0);
    assert_eq!(time(50.0, 60.0, &all), 0.0);

    let late = InstanceFilter {
        tag: Some("late".into()),
        ..InstanceFilter::default()
    };
    assert_eq!(time(0.0, 40.0, &late), 20.0);
    let mixed = InstanceFilter {
        application: Some(0),
        role: Some(Role::Mixed),
        sku: Some(0),
        ..InstanceFilter::default()
    };
    assert_eq!(time(0.0, 40.0, &mixed), 100.0);
    let token = InstanceFilter {
        role: Some(Role::Token),
        ..InstanceFilter::default()
    };
    assert_eq!(time(0.0, 40.0, &token), 0.0);

    let ledger = world.fleet::<Ledger>();
    let everything = SimTime::ZERO..at(40.0);
    assert_eq!(ledger.peak_instances(&everything, &all), 3);
    assert_eq!(ledger.peak_servers(&everything, Some(0)), 2);
    assert_eq!(ledger.peak_servers(&everything, Some(1)), 0);
    let servers = ledger.server_time(&everything, Some(0), None);
    assert_eq!(servers.seconds(), 40.0 + 20.0);
}

#[test]
fn a_server_on_its_way_is_on_the_books() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", provision_delay: Constant(5))]"#,
        ..Setup::default()
    }
    .world();
    world.until(10.0);
    let server = world.scale_up_server(None).unwrap();
    assert!(!world.is_quiet());
    world.until(20.0);
    world.scale_down_server(server).unwrap();
    let ledger = world.fleet::<Ledger>();
    let time = |status| {
        let window = at(0.0)..at(30.0);
        ledger.server_time(&window, None, Some(status)).seconds()
    };
    assert_eq!(time(ServerStatus::ScalingUp), 5.0);
    assert_eq!(time(ServerStatus::Active), 5.0);
}
