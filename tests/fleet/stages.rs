//! Start-ups in stages, against timelines worked out by hand.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::scenario::StageKind;
use fleetsim::time::SimTime;

use crate::support::*;

/// No servers at first; each takes 2 s to be there. An image takes 10 s, and so do the 1,000 bytes of weights.
const FLEET: &str =
    r#"[(sku: "big", limit: 60, provision_delay: Constant(2)), (sku: "small", limit: 9)]"#;
const PULL: &str = "PullImage(bytes: 10737418240, bandwidth_gib_per_s: 1.0)";
const FETCH: &str = "LoadWeights(source: Remote, bandwidth_gib_per_s: 9.313225746154785e-8)";
const PEER: &str = "LoadWeights(source: Peer, bandwidth_gib_per_s: 9.313225746154785e-8)";

fn staged(stages: &str) -> World {
    with_fleet(FLEET, "None", stages)
}

fn with_fleet(fleet: &str, start: &str, stages: &str) -> World {
    let scaling = format!("(spin_up: Constant(1), scale_up_delay: 0, stages: [{stages}])");
    Setup {
        fleet,
        start,
        scaling: &scaling,
        ..Setup::default()
    }
    .world()
}

/// What is said of an instance, `time what`.
fn life(world: &World, number: u64) -> Vec<String> {
    let target = Target::Instance(number);
    let log = world.fleet::<ScalingLog>().events().iter();
    let own = log.filter(|it| it.target == target);
    own.map(|it| format!("{} {}", it.time, it.status)).collect()
}

/// When instances became active, by number; none of those that did not.
fn active(world: &World) -> Vec<Option<f64>> {
    let accounts = world.fleet::<Ledger>().instances().iter();
    accounts.map(|it| it.active.map(SimTime::seconds)).collect()
}

fn nothing_is_left(world: &World) {
    assert!(world.is_quiet());
    assert_eq!(world.resource::<Agenda>().next_due(), SimTime::MAX);
}

#[test]
fn a_cold_start_takes_every_stage_and_the_next_one_there_what_is_left() {
    let all = format!(
        "Provision(Constant(5)), Boot(Constant(3)), {PULL}, {FETCH},
         LoadWeights(source: Disk, bandwidth_gib_per_s: 9.313225746154785e-7),
         StartEngine(time: Constant(6), cached: Constant(2)),
         Compile(time: Constant(4), cached: Constant(1)), CaptureGraphs(time: Constant(2)),
         WarmUp(Constant(1))"
    );
    let mut world = staged(&all);
    let up = world.scale_up_full(&world.up()).unwrap();
    let stage = *world.get::<StartUpStage>(up.instance).unwrap();
    assert_eq!((stage.kind(), stage.ends()), (StageKind::Allocate, at(3.0)));
    world.until(15.0);
    let stage = *world.get::<StartUpStage>(up.instance).unwrap();
    assert_eq!(stage.kind(), StageKind::PullImage);
    assert_eq!((stage.since(), stage.ends()), (at(11.0), SimTime::MAX));
    world.until(60.0);
    world.scale_up_instance(&world.up_on(up.server)).unwrap();
    world.until(100.0);
    assert_eq!(
        life(&world, 0),
        [
            "0 scaling_up",
            "3 provision",
            "8 boot",
            "11 pull_image",
            "21 fetch_weights",
            "31 load_weights",
            "32 start_engine",
            "38 compile",
            "42 capture_graphs",
            "44 warm_up",
            "45 active",
        ]
    );
    assert_eq!(
        life(&world, 1),
        [
            "60 scaling_up",
            "61 load_weights",
            "62 start_engine",
            "64 compile",
            "65 capture_graphs",
            "67 warm_up",
            "68 active",
        ]
    );
    let times = world.get::<StageTimes>(world.app()).unwrap();
    let of = |kind| times.iter().find(|it| it.0 == kind).unwrap().1.clone();
    assert_eq!(of(StageKind::Allocate).seconds, [3.0, 1.0]);
    assert_eq!(of(StageKind::PullImage).seconds, [10.0, 0.0]);
    assert_eq!(of(StageKind::PullImage).cached, 1);
    assert_eq!(of(StageKind::Compile).seconds, [4.0, 1.0]);
    assert_eq!(of(StageKind::CaptureGraphs).cached, 1);
    nothing_is_left(&world);
}

#[test]
fn fifty_servers_that_pull_at_once_take_fifty_times_as_long() {
    let mut world = staged(PULL);
    for _ in 0..50 {
        world.scale_up_full(&world.up()).unwrap();
    }
    world.until(1000.0);
    assert_eq!(active(&world), [Some(503.0); 50]);
    // Each has its own limit: 0.05 GiB/s are 200 s, and twenty of them take the registry up.
    let mut world = staged(&PULL.replace("1.0)", "1.0, each_gib_per_s: 0.05)"));
    for _ in 0..10 {
        world.scale_up_full(&world.up()).unwrap();
    }
    world.until(1000.0);
    let near = |it: &Option<f64>| (it.unwrap() - 203.0).abs() < 1e-6;
    assert!(active(&world).iter().all(near));
}

#[test]
fn one_that_comes_or_goes_moves_the_others_exactly() {
    let mut world = staged(PULL);
    world.scale_up_full(&world.up()).unwrap();
    world.until(4.0);
    let second = world.scale_up_full(&world.up()).unwrap();
    world.until(11.0);
    // From 3 the first has the registry for itself, from 7 half of it: at 11 it lacks 4 GiB, the second 8.
    world.cancel_scale_up(second.instance).unwrap();
    world.until(13.0);
    // The third begins at 16, when the first is over at 15.
    world.scale_up_full(&world.up()).unwrap();
    world.until(100.0);
    assert_eq!(active(&world), [Some(15.0), None, Some(26.0)]);
    nothing_is_left(&world);
}

#[test]
fn a_start_up_can_be_given_up_in_any_stage() {
    let all = format!(
        "Provision(Constant(5)), {PULL}, {FETCH},
         LoadWeights(source: Disk, bandwidth_gib_per_s: 9.313225746154785e-8),
         StartEngine(time: Constant(4)), WarmUp(Constant(4))"
    );
    for (time, stage) in [
        (1.0, StageKind::Allocate),
        (4.0, StageKind::Provision),
        (10.0, StageKind::PullImage),
        (20.0, StageKind::FetchWeights),
        (30.0, StageKind::LoadWeights),
        (40.0, StageKind::StartEngine),
        (45.0, StageKind::WarmUp),
    ] {
        for crash in [false, true] {
            let mut world = staged(&all);
            let up = world.scale_up_full(&world.up()).unwrap();
            world.until(time);
            assert_eq!(
                world.get::<StartUpStage>(up.instance).unwrap().kind(),
                stage
            );
            if crash {
                world.despawn(up.server);
            } else {
                world.cancel_scale_up(up.instance).unwrap();
            }
            world.until(time + 1.0);
            assert_eq!(world.count::<Instance>() + world.count::<Server>(), 0);
            nothing_is_left(&world);
            let times = world.get::<StageTimes>(world.app()).unwrap();
            let given_up: Vec<_> = times.iter().filter(|it| it.1.abandoned > 0).collect();
            assert_eq!(given_up.len(), 1);
            assert_eq!(given_up[0].0, stage);
        }
    }
}

#[test]
fn instances_of_a_server_wait_for_one_boot_and_one_image() {
    let mut world = staged(&format!("Boot(Constant(4)), {PULL}"));
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(5.0);
    world.scale_up_instance(&world.up_on(up.server)).unwrap();
    world.until(9.0);
    assert_eq!(life(&world, 1), ["5 scaling_up", "6 boot", "7 pull_image"]);
    // The one that asked first gives up; what it asked for comes for the other.
    world.cancel_scale_up(up.instance).unwrap();
    world.until(100.0);
    assert_eq!(active(&world), [None, Some(17.0)]);
}

#[test]
fn servers_of_time_zero_have_what_their_instances_needed() {
    let stages = format!("Provision(Constant(50)), Boot(Constant(50)), {PULL}, {FETCH}");
    let fleet = |cached| {
        format!(r#"[(sku: "big", count: 2, limit: 2, cached: {cached}), (sku: "small", limit: 9)]"#)
    };
    // An instance on server 0 uses half of it. Server 1 is there and empty.
    let begin = |world: &mut World| {
        for number in [0, 1] {
            let server = world.server(number).unwrap();
            world.scale_up_instance(&world.up_on(server)).unwrap();
        }
        world.until(100.0);
        active(world)
    };
    let mut world = with_fleet(&fleet(false), "None", &stages);
    assert_eq!(begin(&mut world), [Some(41.0), Some(41.0)]);
    let mut world = with_fleet(&fleet(true), "None", &stages);
    assert_eq!(begin(&mut world), [Some(1.0), Some(1.0)]);
    let mut world = with_fleet(&fleet(false), "Servers(2)", &stages);
    let server = world.server(1).unwrap();
    assert!(world.scale_up_instance(&world.up_on(server)).is_err());
    world.despawn(world.instance(1).unwrap());
    world.until(1.0);
    let server = world.server(0).unwrap();
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(100.0);
    assert_eq!(active(&world)[4], Some(2.0));
}

#[test]
fn weights_come_from_peers_where_some_have_them_and_else_from_the_store() {
    let mut world = staged(&format!("{PEER}, {}", FETCH.replace("e-8", "e-9")));
    let first = world.scale_up_full(&world.up()).unwrap();
    world.until(110.0);
    assert_eq!(life(&world, 0)[1..], ["3 fetch_weights", "103 active"]);
    // Two at once from the one that has them; then one dies, and each of two more takes another peer.
    for _ in 0..2 {
        world.scale_up_full(&world.up()).unwrap();
    }
    world.until(140.0);
    assert_eq!(active(&world)[1..], [Some(133.0); 2]);
    for _ in 0..3 {
        world.scale_up_full(&world.up()).unwrap();
    }
    world.until(145.0);
    // 3, 4 and 5 load from the servers 0, 1 and 2; at 148, with half of its bytes, 3 loses its peer and begins
    // anew at that with the fewest loads, which it shares with 4: that has 500 bytes left at 50 a second, and
    // then 3 has 500.
    world.until(148.0);
    world.despawn(first.server);
    world.until(300.0);
    assert_eq!(active(&world)[3..], [Some(163.0), Some(158.0), Some(153.0)]);
    nothing_is_left(&world);
}

#[test]
fn a_host_ends_stages_by_another_start_up() {
    let mut world = staged(PULL);
    let one = world.scale_up_full(&world.up()).unwrap();
    world.scale_up_full(&world.up()).unwrap();
    world.until(13.0);
    world.entity_mut(one.instance).insert(StartUp {
        joins: at(14.0),
        activates: at(15.0),
    });
    // The second had 5 GiB by 13, has 6 by 15, and then the registry for itself.
    world.until(100.0);
    assert_eq!(active(&world), [Some(15.0), Some(19.0)]);
    // Nobody else touches a stage.
    let three = world.scale_up_full(&world.up()).unwrap();
    world.until(105.0);
    world.entity_mut(three.instance).remove::<StartUpStage>();
    world.flush();
    assert!(world.get::<StartUpStage>(three.instance).is_some());
    world.until(200.0);
    assert_eq!(active(&world)[2], Some(113.0));
    nothing_is_left(&world);
}

#[test]
fn a_fork_and_a_snapshot_go_on_in_the_middle_of_a_stage() {
    let stages = format!(
        "Boot(Exponential(mean: 9)), {PULL}, {PEER}, {FETCH}, WarmUp(Uniform(min: 1, max: 9))"
    );
    let scaling = format!("(spin_up: Constant(1), stages: [{stages}])");
    let setup = Setup {
        fleet: FLEET,
        start: "None",
        scaling: &scaling,
        ..Setup::default()
    };
    let rest = |world: &mut World| {
        world.scale_up_full(&world.up()).unwrap();
        world.until(500.0);
        (world.log(), world.get::<StageTimes>(world.app()).cloned())
    };
    for time in [1.0, 9.0, 17.0, 25.0, 33.0, 41.0, 49.0] {
        let mut world = setup.world();
        for _ in 0..4 {
            world.scale_up_full(&world.up()).unwrap();
        }
        world.until(time);
        let copies = setup.copies_of(&world);
        let whole = rest(&mut world);
        assert_eq!(
            whole.0.iter().filter(|it| it.contains("complete")).count(),
            5
        );
        for mut copy in copies {
            assert_eq!(rest(&mut copy), whole);
        }
    }
}

/// What `check` says of stages.
fn said(stages: &str, fleet: &str) -> String {
    let text = format!(
        r#"(
            name: "said", fleet: [(sku: "dgx-h100", count: 1, {fleet})],
            applications: [(
                name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                scaling: (stages: [{stages}]), workload: Host,
            )],
        )"#
    );
    said_of(&text)
}

#[test]
fn what_is_wrong_with_stages_is_said() {
    let load = |source| format!("LoadWeights(source: {source}, bandwidth_gib_per_s: 1.0)");
    for (stages, fleet, expected) in [
        (
            load("Peer").as_str(),
            "",
            "the first server has no peer to load from",
        ),
        ("Preset(\"tensorfuse\")", "", "unknown preset `tensorfuse`"),
        (
            "Boot(Uniform(min: 2, max: 1))",
            "",
            "is shorter than the shortest",
        ),
        ("WarmUp(Constant(1e12))", "", "years"),
        ("PullImage(bytes: 0, bandwidth_gib_per_s: 1.0)", "", "bytes"),
        (
            "PullImage(bytes: 1, bandwidth_gib_per_s: 0)",
            "",
            "bandwidth_gib_per_s",
        ),
        (
            "PullImage(bytes: 1, bandwidth_gib_per_s: 1, each_gib_per_s: 2)",
            "",
            "2 GiB/s for each are no limit where all share 1",
        ),
        (
            "Boot(Constant(1)), Boot(Constant(2))",
            "",
            "needed once a server",
        ),
        ("", "cached: true", "no application has stages"),
        ("Boot(Constant(1))", "cached: true", ""),
        ("Preset(\"tensorfuse-l40s\")", "", ""),
        (
            format!("{}, {}", load("Peer"), load("Remote")).as_str(),
            "",
            "",
        ),
    ] {
        let said = said(stages, fleet);
        assert!(said.contains(expected), "{stages}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{stages}: {said}");
    }
}
