//! Things that break, against timelines worked out by hand.

use std::path::Path;

use bevy_ecs::prelude::*;
use fleetsim::fleet::{self, *};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};

use crate::support::*;

fn ended(world: &mut World) -> Vec<RequestRecord> {
    let app = world.app();
    let mut service = world.get_mut::<Service>(app).unwrap();
    service.take_ended().collect()
}

/// One server with two instances, and what goes wrong.
fn broken(faults: &str) -> World {
    Setup {
        faults,
        ..Setup::default()
    }
    .world()
}

fn faults(world: &World) -> Vec<String> {
    let events = world.fleet::<FaultLog>().events().iter();
    let line = |it: &FaultEvent| {
        let until = it.until.map_or_else(String::new, |it| format!(" to {it}"));
        let Toll {
            servers,
            instances,
            retried,
            failed,
            lost_tokens,
        } = it.toll;
        format!(
            "{} {} {}{until}: {servers} {instances} {retried} {failed} {lost_tokens}",
            it.time, it.fault, it.target
        )
    };
    events.map(line).collect()
}

#[test]
fn a_server_that_is_repaired_comes_back_with_its_instances() {
    let mut world = broken("[(at: 5, fault: ServerCrash(server: 0, repair: 10))]");
    world.submit(20);
    world.submit(20);
    world.until(5.0);
    // Each had its prompt of one token and five tokens of output.
    assert_eq!(
        faults(&world),
        ["5 server_crash server_0 to 15: 1 2 2 0 12"]
    );
    assert_eq!(world.count::<Server>(), 0);
    assert!(!world.is_quiet() && !world.is_stalled());
    world.until(100.0);
    assert_eq!(
        world.log()[2..],
        [
            "5 crash instance_1 scaling_down",
            "15 server_repaired server_1 active",
            "15 scale_up_start instance_2 scaling_up",
            "15 scale_up_start instance_3 scaling_up",
            "15 scale_up_complete instance_2 active",
            "15 scale_up_complete instance_3 active",
        ]
    );
    let ends: Vec<_> = ended(&mut world)
        .iter()
        .map(|it| (it.end.unwrap().seconds(), it.restarts))
        .collect();
    assert_eq!(ends, [(35.0, 1), (35.0, 1)]);
    let repairs = world.fleet::<FaultLog>().repair_time(None, at(100.0));
    assert_eq!(repairs.seconds(), 10.0);
    assert!(world.is_quiet());
}

#[test]
fn requests_fail_where_the_scenario_says_so() {
    for (policy, faults, expected) in [
        (
            "Fail",
            "[(at: 105, fault: InstanceCrash(instance: 0))]",
            (105.0, 0),
        ),
        (
            "RetryAtMost(1)",
            "[(at: 105, fault: InstanceCrash(instance: 0)), (at: 109, fault: InstanceCrash(instance: 1))]",
            (109.0, 1),
        ),
    ] {
        let text = format!(
            r#"(
                name: "fail", fleet: [(sku: "dgx-h100", count: 2)], faults: {faults},
                applications: [(
                    name: "app", model: "llama2-70b", crash: {policy}, scheduler: Jsq,
                    performance: Constant(prompt_time: 1, token_time: 1),
                    instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
                    workload: Synthetic(
                        arrivals: Constant(rate: 0.01), prompt_tokens: Constant(7),
                        output_tokens: Constant(20), requests: 1,
                    ),
                )],
            )"#
        );
        let scenario = CheckedScenario::from_ron(&text, Path::new(".")).unwrap();
        let mut world = World::new();
        fleet::install(&mut world, &scenario).unwrap();
        world.until(200.0);
        let (end, restarts) = expected;
        let records = ended(&mut world);
        assert_eq!(records.len(), 1);
        let record = &records[0];
        assert_eq!(record.arrival, at(100.0));
        assert_eq!(record.outcome, Outcome::Failed);
        assert_eq!(record.end.map(|it| it.seconds()), Some(end));
        assert_eq!(record.restarts, restarts);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        assert!(counts.add_up());
        assert_eq!(counts.failed, 1);
    }
}

#[test]
fn an_instance_restarts_in_place() {
    let mut world = broken("[(at: 5, fault: InstanceCrash(instance: 1, restart: true))]");
    world.until(50.0);
    assert_eq!(
        world.log(),
        [
            "5 crash instance_1 scaling_down",
            "5 scale_up_start instance_2 scaling_up",
            "5 scale_up_complete instance_2 active",
        ]
    );
    assert_eq!(world.fleet::<Ledger>().instances()[2].server, 0);
}

#[test]
fn a_lost_processor_is_used_again_after_its_repair() {
    // Both instances have four of the eight processors.
    let mut world = broken("[(at: 5, fault: ProcessorLost(server: 0, processor: 1, repair: 10))]");
    world.until(6.0);
    assert_eq!(world.count::<Broken>(), 1);
    let server = world.server(0).unwrap();
    let refused = world.scale_up_instance(&world.up_on(server)).unwrap_err();
    assert_eq!(refused.reason(), "no_processors");
    let named = ScaleUpInstance {
        processors: Some(vec![0, 1, 2, 3]),
        ..world.up_on(server)
    };
    let refused = world.scale_up_instance(&named).unwrap_err();
    assert!(refused.to_string().contains("is broken"), "{refused}");
    world.until(50.0);
    assert_eq!(world.count::<Broken>(), 0);
    assert_eq!(
        world.log()[3..],
        [
            "15 scale_up_start instance_2 scaling_up",
            "15 scale_up_complete instance_2 active",
        ]
    );
    // With one instance there are others that are free, and a processor that is never repaired stays away.
    let mut world = Setup {
        start: "None",
        faults: "[(at: 5, fault: ProcessorLost(server: 0, processor: 1))]",
        ..Setup::default()
    }
    .world();
    let server = world.server(0).unwrap();
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(50.0);
    assert_eq!(
        world.log().last().unwrap(),
        "5 scale_up_complete instance_1 active"
    );
    assert!(world.scale_up_instance(&world.up_on(server)).is_err());
    assert!(world.is_quiet());
}

#[test]
fn steps_take_longer_on_a_slow_server() {
    // Steps of a second. From 4 on they take two, but for the one under way: 5, 7, 9, 11. At 10 that is over.
    let mut world = broken("[(at: 4, fault: SlowServer(server: 0, factor: 2, duration: 6))]");
    world.submit(20);
    world.until(50.0);
    // Five tokens by 5, eight by 11, and twelve more.
    assert_eq!(ended(&mut world)[0].end, Some(at(23.0)));
    assert_eq!(faults(&world), ["4 slow_server server_0 to 10: 0 0 0 0 0"]);
    assert_eq!(world.count::<Slow>(), 0);
    // One that joins meanwhile is slow, too.
    let mut world = Setup {
        start: "None",
        faults: "[(at: 4, fault: SlowServer(server: 0, factor: 3, duration: 100))]",
        ..Setup::default()
    }
    .world();
    world.until(5.0);
    let server = world.server(0).unwrap();
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(6.0);
    world.submit(10);
    world.until(50.0);
    assert_eq!(ended(&mut world)[0].end, Some(at(36.0)));
}

#[test]
fn an_instance_is_as_slow_as_its_slowest_processor() {
    // The processors 0 to 3 are of the first instance. Its steps take two seconds from 5 to 11, and five that are under way
    // at 6 from 7 to 12; the other's take one.
    let slow = |processor, factor, at, duration| {
        format!(
            "(at: {at}, fault: SlowProcessor(server: 0, processor: {processor}, factor: {factor},
                duration: {duration}))"
        )
    };
    let first = slow(1, 2, 4, 6);
    let mut world = broken(&format!("[{first}]"));
    world.submit(20);
    world.submit(20);
    world.until(50.0);
    let ends = |world: &mut World| ended(world).iter().map(|it| it.end).collect::<Vec<_>>();
    assert_eq!(ends(&mut world), [Some(at(20.0)), Some(at(23.0))]);
    assert_eq!(
        faults(&world),
        ["4 slow_processor server_0/1 to 10: 0 0 0 0 0"]
    );
    assert_eq!(world.count::<Slow>(), 0);
    // The slowest counts: steps end at 5, 7, 12, 14 and, from 14 on, after a second.
    let second = slow(2, 5, 6, 5);
    let mut world = broken(&format!("[{}, {second}]", slow(1, 2, 4, 9)));
    world.submit(20);
    world.until(50.0);
    assert_eq!(ends(&mut world), [Some(at(26.0))]);
    // So does the server, and a processor that is not there is nobody's.
    let server = "(at: 4, fault: SlowServer(server: 0, factor: 3, duration: 4))";
    let mut world = broken(&format!(
        "[{server}, {}, {}]",
        slow(0, 2, 4, 6),
        slow(9, 2, 4, 6)
    ));
    world.submit(20);
    world.until(50.0);
    // Steps end at 5, 8, 11, and then after a second each.
    assert_eq!(ends(&mut world), [Some(at(24.0))]);
    let log = world.fleet::<ScalingLog>();
    assert_eq!(log.count(ScalingAction::CrashInvalid), 1);
}

#[test]
fn a_spot_server_drains_in_its_notice_and_is_gone() {
    let mut world = broken("[(at: 5, fault: SpotReclaim(server: 0, notice: 10))]");
    world.submit(12);
    world.submit(18);
    world.until(6.0);
    let server = world.server(0).unwrap();
    assert_eq!(world.get::<Reclaimed>(server).unwrap().at(), at(15.0));
    let refused = world.scale_up_instance(&world.up_on(server)).unwrap_err();
    assert_eq!(refused.reason(), "reclaimed");
    world.until(100.0);
    assert_eq!(
        world.log(),
        [
            "5 scale_down_start instance_0 draining",
            "5 scale_down_start instance_1 draining",
            "6 scale_up_failed instance failed",
            "12 scale_down_complete instance_0 scaling_down",
            "15 crash server_0 scaling_down",
            "15 crash instance_1 scaling_down",
        ]
    );
    // Fifteen of its eighteen tokens, and the one of its prompt.
    assert_eq!(faults(&world)[1], "15 spot_gone server_0: 1 1 1 0 16");
    // An idle server goes at once with its instances, an empty one in the end.
    let mut world = broken("[(at: 5, fault: SpotReclaim(server: 0, notice: 10))]");
    world.until(50.0);
    assert_eq!(
        world.log().last().unwrap(),
        "5 scale_down_server server_0 scaling_down"
    );
    let mut world = Setup {
        start: "None",
        faults: "[(at: 5, fault: SpotReclaim(server: 0, notice: 10))]",
        ..Setup::default()
    }
    .world();
    world.until(14.0);
    assert_eq!(world.count::<Server>(), 1);
    world.until(15.0);
    assert_eq!(world.count::<Server>(), 0);
}

#[test]
fn a_zone_that_is_out_comes_back() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 3, limit: 5, zones: ["a", "b"]), (sku: "small", limit: 9)]"#,
        faults: r#"[(at: 5, fault: ZoneOutage(zone: "a", duration: 10))]"#,
        ..Setup::default()
    }
    .world();
    let zone = |world: &World, number: u64| {
        let server = world.server(number)?;
        world.get::<InZone>(server).map(|it| it.name().to_owned())
    };
    let zones: Vec<_> = (0..3).map(|it| zone(&world, it).unwrap()).collect();
    assert_eq!(zones, ["a", "b", "a"]);
    world.until(6.0);
    assert_eq!(faults(&world), ["5 zone_outage a to 15: 2 4 0 0 0"]);
    // Two are under repair, so that two more may come, to the other zone.
    world.scale_up_server(Some("big")).unwrap();
    world.scale_up_server(Some("big")).unwrap();
    assert!(world.scale_up_server(Some("big")).is_err());
    assert_eq!(zone(&world, 3).unwrap(), "b");
    world.until(50.0);
    assert_eq!(zone(&world, 5).unwrap(), "a");
    assert_eq!(world.count::<Server>(), 5);
    assert_eq!(world.fleet::<Ledger>().counts().active, 6);
}

#[test]
fn a_hazard_strikes_each_target_by_a_clock_of_its_own() {
    let struck = |hazards: &str| {
        let rest = format!("hazards: [{hazards}], seed: 5,");
        let mut world = Setup {
            fleet: r#"[(sku: "big", count: 4, limit: 9, zones: ["a", "b"]), (sku: "small", limit: 9)]"#,
            rest: &rest,
            ..Setup::default()
        }
        .world();
        world.until(1000.0);
        faults(&world)
    };
    let crash = "(strikes: ServerCrash(repair: Constant(10)), every: Constant(300))";
    // Struck at 300, back at 310, struck at 610, back at 620, struck at 920.
    let times: Vec<_> = struck(crash)
        .iter()
        .map(|it| it.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(times, [["300"; 4], ["610"; 4], ["920"; 4]].concat());
    // What is slow is struck again when it is over; only the second zone, and only for a while.
    let slow = r#"(strikes: SlowServer(factor: 2, duration: Constant(50)), every: Constant(100), zone: "b",
        from: 200, until: 500)"#;
    assert_eq!(
        struck(slow),
        [
            "300 slow_server server_1 to 350: 0 0 0 0 0",
            "300 slow_server server_3 to 350: 0 0 0 0 0",
            "450 slow_server server_1 to 500: 0 0 0 0 0",
            "450 slow_server server_3 to 500: 0 0 0 0 0",
        ]
    );
    // Another hazard shifts nobody's numbers.
    let random = "(strikes: InstanceCrash(), every: Exponential(mean: 200))";
    let alone = struck(random);
    assert!(alone.len() > 20);
    let both = struck(&format!("{random}, {slow}"));
    let crashes: Vec<_> = both.iter().filter(|it| it.contains("crash")).collect();
    assert_eq!(crashes, alone.iter().collect::<Vec<_>>());
    let zones = struck("(strikes: ZoneOutage(duration: Constant(100)), every: Constant(400))");
    assert_eq!(zones[0], "400 zone_outage a to 500: 2 4 0 0 0");
    assert_eq!(zones.len(), 4);
}

#[test]
fn a_fork_and_a_snapshot_go_on_among_faults() {
    let rest = r#"seed: 9, hazards: [
        (strikes: ServerCrash(repair: Exponential(mean: 20)), every: Exponential(mean: 60)),
        (strikes: ProcessorLost(repair: Exponential(mean: 20)), every: Exponential(mean: 50)),
        (strikes: SlowServer(factor: 3, duration: Exponential(mean: 30)), every: Exponential(mean: 40)),
        (strikes: SlowProcessor(factor: 4, duration: Exponential(mean: 20)), every: Exponential(mean: 30)),
        (strikes: ZoneOutage(duration: Constant(15)), every: Exponential(mean: 90)),
        (strikes: SpotReclaim(notice: 7), every: Exponential(mean: 400)),
    ],"#;
    let setup = Setup {
        fleet: r#"[(sku: "big", count: 4, limit: 9, zones: ["a", "b"]), (sku: "small", limit: 9)]"#,
        scaling: "(scale_up_delay: 1, stages: [WarmUp(Exponential(mean: 5))])",
        rest,
        ..Setup::default()
    };
    let go_on = |world: &mut World| {
        for _ in 0..20 {
            world.submit(30);
        }
        world.until(world.now().seconds() + 150.0);
        let records = ended(world);
        (world.log(), faults(world), format!("{records:?}"))
    };
    for time in [3.0, 31.0, 59.0, 88.0, 117.0] {
        let mut world = setup.world();
        for _ in 0..20 {
            world.submit(30);
        }
        world.until(time);
        let copies = setup.copies_of(&world);
        let whole = go_on(&mut world);
        assert!(whole.1.len() > 10, "{:?}", whole.1);
        for mut copy in copies {
            assert_eq!(go_on(&mut copy), whole);
        }
    }
}

/// What `check` says of hazards and faults.
fn said(rest: &str, fleet: &str) -> String {
    let text = format!(
        r#"(
            name: "said", end: 100, fleet: [(sku: "dgx-h100", count: 1, {fleet})], {rest}
            applications: [(
                name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)], workload: Host,
            )],
        )"#
    );
    said_of(&text)
}

#[test]
fn what_is_wrong_with_hazards_is_said() {
    let crash = "strikes: ServerCrash()";
    let zones = r#"zones: ["a", "b"]"#;
    for (rest, fleet, expected) in [
        (format!("hazards: [({crash}, every: Exponential(mean: 0))],"), "", "expected at least 0.001 s"),
        (format!("hazards: [({crash}, every: Constant(9), sku: \"dgx\")],"), "", "unknown SKU of the fleet"),
        (format!("hazards: [({crash}, every: Constant(9), zone: \"a\")],"), "", "the fleet has no zones"),
        (format!("hazards: [({crash}, every: Constant(9), zone: \"c\")],"), zones, "unknown zone `c`"),
        (format!("hazards: [({crash}, every: Constant(9), zone: \"a\")],"), zones, ""),
        (format!("hazards: [({crash}, every: Constant(9), application: \"chat\")],"), "", "only `InstanceCrash`"),
        (format!("hazards: [({crash}, every: Constant(9), from: 5, until: 4)],"), "", "it is over at 4 s"),
        (format!("hazards: [({crash}, every: Constant(9), from: 500)],"), "", "the run ends at 100 s"),
        ("hazards: [(strikes: SlowServer(factor: 1, duration: Constant(1)), every: Constant(9))],".into(), "", "factor"),
        ("hazards: [(strikes: ZoneOutage(duration: Constant(1)), every: Constant(9))],".into(), "", "no zones"),
        ("faults: [(at: 1, fault: ZoneOutage(zone: \"q\", duration: 1))],".into(), zones, "unknown zone `q`"),
        ("faults: [(at: 1, fault: SlowServer(server: 0, factor: 0.5, duration: 1))],".into(), "", "factor"),
        (String::new(), r#"zones: ["a", "a"]"#, "is in the list already"),
        (String::new(), r#"zones: [""]"#, "a zone has no name"),
    ] {
        let said = said(&rest, fleet);
        assert!(said.contains(expected), "{rest}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{rest}: {said}");
    }
}
