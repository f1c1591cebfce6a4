//! Servers that are kept for later, against timelines worked out by hand.

use bevy_ecs::prelude::*;
use fleetsim::fleet::{self, *};
use fleetsim::scenario::{Fault, FaultKind};
use fleetsim::time::{SimDuration, SimTime};

use crate::support::*;

/// An image takes 10 s.
const PULL: &str = "PullImage(bytes: 10737418240, bandwidth_gib_per_s: 1.0)";

/// Servers take 30 s to be there.
fn pool(entry: &str, scaling: &str) -> World {
    let fleet = format!(
        r#"[(sku: "big", provision_delay: Constant(30), {entry}), (sku: "small", limit: 9)]"#
    );
    Setup {
        fleet: &fleet,
        start: "None",
        scaling,
        ..Setup::default()
    }
    .world()
}

fn up(world: &mut World, seconds: f64) -> ScaledUp {
    world.until(seconds);
    world.scale_up_full(&world.up()).unwrap()
}

fn kept(world: &World) -> Vec<u64> {
    world.fleet::<Stock>().kinds()[0].warm().collect()
}

#[test]
fn a_server_that_is_kept_ready_is_used_and_replaced() {
    let mut world = pool("limit: 9, warm: 1", "(scale_up_delay: 2)");
    assert_eq!((world.count::<Server>(), kept(&world)), (1, vec![0]));
    let first = up(&mut world, 10.0);
    assert_eq!((world.number(first.server), kept(&world)), (0, vec![1]));
    // The next one is on its way: it is there at 40.
    up(&mut world, 20.0);
    world.until(100.0);
    // An instance that is placed on one has it, too.
    let third = world.server(2).unwrap();
    world.scale_up_instance(&world.up_on(third)).unwrap();
    world.until(200.0);
    assert_eq!(
        world.log(),
        [
            "10 scale_up_start instance_0 scaling_up",
            "10 scale_up_server server_1 scaling_up",
            "12 scale_up_complete instance_0 active",
            "20 scale_up_start instance_1 scaling_up",
            "20 scale_up_server server_2 scaling_up",
            "42 scale_up_complete instance_1 active",
            "100 scale_up_start instance_2 scaling_up",
            "100 scale_up_server server_3 scaling_up",
            "102 scale_up_complete instance_2 active",
        ]
    );
    // All of them are paid for.
    let time = world
        .fleet::<Ledger>()
        .server_time(&(at(0.0)..at(200.0)), Some(0), None);
    assert_eq!(time.seconds(), 200.0 + 190.0 + 180.0 + 100.0);
    assert!(world.is_quiet());
}

#[test]
fn what_cannot_be_had_is_ordered_when_it_can() {
    // The limit: a server that goes makes room.
    let mut world = pool("limit: 2, warm: 1", "(scale_up_delay: 2)");
    let first = up(&mut world, 10.0);
    up(&mut world, 50.0);
    assert!(kept(&world).is_empty());
    world.until(55.0);
    world.scale_down_full(first.instance).unwrap();
    assert_eq!(kept(&world), [2]);
    assert!(
        world
            .log()
            .contains(&"55 scale_up_server server_2 scaling_up".to_owned())
    );
    // What is for sale: tries at 70 and, when there is one, at 130.
    let mut world = pool(
        "available: [(0, 1), (100, 3)], warm: 1",
        "(scale_up_delay: 2)",
    );
    up(&mut world, 10.0);
    world.until(200.0);
    assert_eq!(
        world.log().last().unwrap(),
        "130 scale_up_server server_1 scaling_up"
    );
    // One that is lost is replaced; a slow one is not.
    let mut world = pool("limit: 9, warm: 2", "(scale_up_delay: 2)");
    world.until(5.0);
    let lost = world.server(1).unwrap();
    world.despawn(lost);
    world.until(60.0);
    assert_eq!(kept(&world), [0, 2]);
}

#[test]
fn a_server_that_was_stopped_comes_back_with_its_disk() {
    let scaling = format!("(scale_up_delay: 0, stages: [{PULL}])");
    let mut world = pool("stopped: (most: 1, resume: Constant(5))", &scaling);
    let first = up(&mut world, 0.0);
    world.until(50.0);
    world.scale_down_full(first.instance).unwrap();
    assert_eq!(world.fleet::<Stock>().kinds()[0].stopped(), 1);
    up(&mut world, 60.0);
    up(&mut world, 60.0);
    assert_eq!(world.fleet::<Stock>().kinds()[0].stopped(), 0);
    world.until(200.0);
    assert_eq!(
        world.log(),
        [
            "0 scale_up_server server_0 scaling_up",
            "0 scale_up_start instance_0 scaling_up",
            "30 start_up_stage instance_0 pull_image",
            "40 scale_up_complete instance_0 active",
            "50 scale_down_start instance_0 draining",
            "50 scale_down_complete instance_0 scaling_down",
            "50 scale_down_server server_0 scaling_down",
            "50 server_stopped server_0 scaling_down",
            "60 scale_up_server server_1 scaling_up",
            "60 server_resumed server_1 scaling_up",
            "60 scale_up_start instance_1 scaling_up",
            "60 scale_up_server server_2 scaling_up",
            "60 scale_up_start instance_2 scaling_up",
            "65 scale_up_complete instance_1 active",
            "90 start_up_stage instance_2 pull_image",
            "100 scale_up_complete instance_2 active",
        ]
    );
    // Nothing is paid for while it is stopped.
    let time = world
        .fleet::<Ledger>()
        .server_time(&(at(0.0)..at(60.0)), Some(0), None);
    assert_eq!(time.seconds(), 50.0);
    assert!(world.is_quiet());
    assert_eq!(world.resource::<Agenda>().next_due(), SimTime::MAX);
}

#[test]
fn of_those_that_were_stopped_the_last_comes_first_and_the_first_goes() {
    let scaling = format!("(scale_up_delay: 0, stages: [{PULL}])");
    let entry = r#"zones: ["a", "b"], stopped: (most: 2, resume: Constant(5))"#;
    let mut world = pool(entry, &scaling);
    let all = [0.0; 3].map(|_| up(&mut world, 0.0));
    // In the zones a, b and a. The third is given back before its image is there.
    world.until(35.0);
    world.cancel_scale_up(all[2].instance).unwrap();
    world.until(60.0);
    for one in &all[..2] {
        world.scale_down_full(one.instance).unwrap();
    }
    // The third is dropped for the second, which is in b. The next are in a, b and a.
    assert_eq!(world.fleet::<Stock>().kinds()[0].stopped(), 2);
    let again = [0.0; 3].map(|_| up(&mut world, 100.0));
    world.until(300.0);
    let active = again.map(|it| {
        let number = usize::try_from(world.number(it.instance)).unwrap();
        world.fleet::<Ledger>().instances()[number].active
    });
    assert_eq!(active, [Some(at(105.0)), Some(at(105.0)), Some(at(140.0))]);
    let zones = again.map(|it| world.get::<InZone>(it.server).unwrap().name().to_owned());
    assert_eq!(zones, ["a", "b", "a"]);
    // A crash stops nothing, nor is a server stopped that is taken back and drains in time.
    world.despawn(again[0].server);
    world.flush();
    let fault = FaultKind::SpotReclaim {
        server: world.number(again[1].server),
        notice: SimDuration::saturating(10.0),
    };
    let script = [Fault {
        at: at(310.0),
        fault,
    }];
    world.set_script(&[], &script).unwrap();
    world.until(400.0);
    assert_eq!(
        world.log().last().unwrap(),
        "310 scale_down_server server_4 scaling_down"
    );
    assert_eq!(world.fleet::<Stock>().kinds()[0].stopped(), 0);
}

#[test]
fn a_fork_and_a_snapshot_have_the_pools() {
    let scaling = format!("(scale_up_delay: 1, stages: [{PULL}])");
    let entry = "limit: 5, warm: 2, stopped: (most: 2, resume: Exponential(mean: 9))";
    let fleet = format!(
        r#"[(sku: "big", provision_delay: Exponential(mean: 30), {entry}), (sku: "small", limit: 9)]"#
    );
    let setup = Setup {
        fleet: &fleet,
        start: "None",
        scaling: &scaling,
        ..Setup::default()
    };
    let go_on = |world: &mut World| {
        for _ in 0..3 {
            let next = world.now().seconds() + 20.0;
            world.until(next);
            _ = world.scale_up_full(&world.up());
            let first = world.fleet::<Roster>().instances().next();
            if let Some(first) = first {
                _ = world.scale_down_full(first);
            }
        }
        world.until(world.now().seconds() + 200.0);
        world.log()
    };
    for time in [15.0, 45.0, 90.0] {
        let mut world = setup.world();
        let one = up(&mut world, 5.0);
        up(&mut world, 10.0);
        world.until(time);
        if world.status(one.instance) == Some(InstanceStatus::Active) {
            world.scale_down_full(one.instance).unwrap();
        }
        let copies = setup.copies_of(&world);
        let whole = go_on(&mut world);
        for mut copy in copies {
            assert_eq!(go_on(&mut copy), whole);
        }
    }
    let mut world = setup.world();
    up(&mut world, 5.0);
    fleet::uninstall(&mut world);
    assert_eq!(world.count::<Server>(), 0);
}

#[test]
fn what_is_wrong_with_pools_is_said() {
    let said = |entry: &str, rest: &str| {
        said_of(&format!(
            r#"(
                name: "said", fleet: [(sku: "dgx-h100", count: 2, {entry})],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)], {rest}
                )],
            )"#
        ))
    };
    let host = "workload: Host,";
    let closed = "workload: Synthetic(arrivals: Poisson(rate: 1), requests: 9,
        prompt_tokens: Constant(9), output_tokens: Constant(9)),";
    for (entry, rest, expected) in [
        ("warm: 2", host, ""),
        ("warm: 2, limit: 4", host, ""),
        ("warm: 2, limit: 3", host, "more than the limit of 3"),
        (
            "warm: 2, purchase: [(option: OnDemand, most: 3)]",
            host,
            "4 servers with those at time zero are more than the 3 that can be bought",
        ),
        ("warm: 4000000000", host, "more than fleetsim can hold"),
        ("warm: 2", closed, "ever comes or goes"),
        ("stopped: (most: 0, resume: Constant(1))", host, "most"),
        (
            "stopped: (most: 1, resume: Uniform(min: 2, max: 1))",
            host,
            "shorter than the shortest",
        ),
        (
            "stopped: (most: 1, resume: Constant(1))",
            closed,
            "ever comes or goes",
        ),
        ("stopped: (most: 1, resume: Constant(1))", host, ""),
    ] {
        let said = said(entry, rest);
        assert!(said.contains(expected), "{entry}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{entry}: {said}");
    }
}
