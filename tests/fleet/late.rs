//! Losses that are noticed late, against timelines worked out by hand.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::serving::{Counts, Outcome, RequestRecord};

use crate::support::*;

/// One server with two instances, of which health checks come every ten seconds, and what goes wrong.
fn checked(faults: &str, scaling: &str) -> World {
    let scaling = format!("(scale_up_delay: 0, health_check: 10, {scaling}");
    Setup {
        fleet: r#"[(sku: "big", count: 1, limit: 3), (sku: "small", limit: 9)]"#,
        faults,
        scaling: &scaling,
        ..Setup::default()
    }
    .world()
}

fn counts(world: &World) -> Counts {
    world.get::<Service>(world.app()).unwrap().counts()
}

fn ended(world: &mut World) -> Vec<RequestRecord> {
    let app = world.app();
    let mut service = world.get_mut::<Service>(app).unwrap();
    let mut ended: Vec<_> = service.take_ended().collect();
    ended.sort_by_key(|it| it.id);
    ended
}

fn faults(world: &World) -> Vec<String> {
    let events = world.fleet::<FaultLog>().events().iter();
    let line = |it: &FaultEvent| {
        let toll = it.toll;
        format!(
            "{} {} {}: {} {} {} {} {}",
            it.time,
            it.fault,
            it.target,
            toll.servers,
            toll.instances,
            toll.retried,
            toll.failed,
            toll.lost_tokens
        )
    };
    events.map(line).collect()
}

fn active(world: &World) -> u32 {
    world.status_summary().instances[0].2.active
}

const CRASH: &str = "[(at: 5, fault: InstanceCrash(instance: 0))]";

#[test]
fn requests_are_stuck_until_the_next_check() {
    let mut world = checked(CRASH, ")");
    world.submit(20);
    world.submit(20);
    world.until(6.0);
    // The router still sends requests there, and everybody takes it for active.
    let first = world.instance(0).unwrap();
    assert_eq!(world.status(first), Some(InstanceStatus::Active));
    assert_eq!(world.get::<Unnoticed>(first).unwrap().until(), at(10.0));
    assert_eq!(active(&world), 2);
    world.submit(1);
    world.until(9.9);
    assert_eq!((counts(&world).in_flight, counts(&world).waiting), (3, 0));
    // A host cannot make it known.
    world.entity_mut(first).remove::<Unnoticed>();
    world.flush();
    assert!(world.get::<Unnoticed>(first).is_some());
    assert_eq!(world.log(), Vec::<String>::new());
    assert!(!world.is_quiet() && !world.is_stalled());
    world.until(100.0);
    assert_eq!(world.log(), ["10 crash instance_0 scaling_down"]);
    // The first had its prompt and five tokens; the third nothing. Both wait for the second, which ends at 20.
    assert_eq!(
        faults(&world),
        [
            "5 instance_crash instance_0: 0 1 0 0 0",
            "10 crash_noticed instance_0: 0 0 2 0 6",
        ]
    );
    let ends: Vec<_> = ended(&mut world)
        .iter()
        .map(|it| (it.end, it.restarts))
        .collect();
    let expected = [(40.0, 1), (20.0, 0), (41.0, 1)];
    assert_eq!(
        ends,
        expected.map(|(end, restarts)| (Some(at(end)), restarts))
    );
    assert_eq!(world.fleet::<Ledger>().instances()[0].gone, Some(at(10.0)));
    assert_eq!(world.fleet::<FaultLog>().costly(), [at(5.0)]);
    assert!(world.is_quiet());
}

#[test]
fn at_the_check_they_meet_the_crash_policy() {
    let mut world = checked(CRASH, "), crash: Fail");
    world.submit(20);
    world.until(100.0);
    let record = ended(&mut world).remove(0);
    assert_eq!(
        (record.outcome, record.end),
        (Outcome::Failed, Some(at(10.0)))
    );
    // A check at the very instant is over; one without work is missed, too.
    let mut world = checked(
        "[(at: 10, fault: InstanceCrash(instance: 0, restart: true))]",
        ")",
    );
    world.until(100.0);
    assert_eq!(
        world.log(),
        [
            "20 crash instance_0 scaling_down",
            "20 scale_up_start instance_2 scaling_up",
            "20 scale_up_complete instance_2 active",
        ]
    );
}

#[test]
fn a_server_is_missed_with_its_instances_and_comes_back_no_earlier() {
    for (repair, back) in [(3, 10), (20, 25)] {
        let fault = format!("[(at: 5, fault: ServerCrash(server: 0, repair: {repair}))]");
        let mut world = checked(&fault, ")");
        world.submit(20);
        world.until(7.0);
        let server = world.server(0).unwrap();
        assert!(world.get::<Unnoticed>(server).is_some());
        // Nothing can be placed there, and a second fault finds nobody.
        let refused = world.scale_up_instance(&world.up_on(server)).unwrap_err();
        assert_eq!(refused, ScalingError::ServerLost { server: 0 });
        world.until(100.0);
        let log = world.log();
        assert_eq!(
            log[1..4],
            [
                "10 crash instance_0 scaling_down",
                "10 crash instance_1 scaling_down",
                "10 crash server_0 scaling_down",
            ]
        );
        assert_eq!(log[4], format!("{back} server_repaired server_1 active"));
        let faults = faults(&world);
        assert_eq!(faults[0], "5 server_crash server_0: 1 2 0 0 0");
        assert_eq!(faults[3], "10 crash_noticed server_0: 0 0 0 0 0");
        let record = ended(&mut world).remove(0);
        assert_eq!(record.end, Some(at(f64::from(back) + 20.0)));
        // Under repair from the crash on, also while it was not missed.
        let repaired = world.fleet::<FaultLog>().repair_time(None, at(100.0));
        assert_eq!(repaired.seconds(), f64::from(back) - 5.0);
        let ledger = world.fleet::<Ledger>();
        assert_eq!(ledger.servers()[0].unnoticed(at(100.0)).seconds(), 5.0);
        assert_eq!(
            ledger.instances()[0].served(at(100.0)),
            Some(at(0.0)..at(5.0))
        );
        assert!(world.is_quiet());
    }
}

#[test]
fn what_strikes_the_lost_is_in_vain() {
    let faults_of =
        "[(at: 5, fault: ServerCrash(server: 0)), (at: 6, fault: InstanceCrash(instance: 1)),
        (at: 7, fault: SlowProcessor(server: 0, processor: 0, factor: 2, duration: 5)),
        (at: 8, fault: ServerCrash(server: 0))]";
    let mut world = checked(faults_of, ")");
    world.until(100.0);
    assert_eq!(
        world
            .fleet::<ScalingLog>()
            .count(ScalingAction::CrashInvalid),
        3
    );
    assert_eq!(
        world
            .fleet::<Refusals>()
            .of(ScalingAction::CrashInvalid, "lost"),
        3
    );
    assert_eq!(world.count::<Server>(), 0);
}

#[test]
fn a_processor_is_missed_and_its_instance_starts_again() {
    let fault = "[(at: 5, fault: ProcessorLost(server: 0, processor: 0, repair: 20))]";
    let mut world = checked(fault, ")");
    world.until(9.0);
    assert_eq!((world.count::<Broken>(), active(&world)), (1, 2));
    world.until(100.0);
    assert_eq!(
        world.log(),
        [
            "10 crash instance_0 scaling_down",
            "25 scale_up_start instance_2 scaling_up",
            "25 scale_up_complete instance_2 active",
        ]
    );
}

#[test]
fn a_lost_instance_that_is_drained_moves_nothing() {
    let mut world = checked(CRASH, "drain: Migrate(bandwidth_gib_per_s: 1.0))");
    world.submit(20);
    world.until(6.0);
    let first = world.instance(0).unwrap();
    world.scale_down_instance(first).unwrap();
    assert_eq!(world.status(first), Some(InstanceStatus::Draining));
    world.until(100.0);
    assert_eq!((counts(&world).moved, counts(&world).restarted), (0, 1));
    assert_eq!(world.log()[1], "10 crash instance_0 scaling_down");
    // One that has nothing to do goes at once, and is never missed.
    let mut world = checked(CRASH, ")");
    world.until(6.0);
    let first = world.instance(0).unwrap();
    world.scale_down_instance(first).unwrap();
    world.until(100.0);
    assert_eq!(faults(&world), ["5 instance_crash instance_0: 0 1 0 0 0"]);
    assert!(world.is_quiet());
}

#[test]
fn a_fork_and_a_snapshot_go_on_before_a_loss_is_noticed() {
    let setup = Setup {
        fleet: r#"[(sku: "big", count: 4, limit: 9), (sku: "small", limit: 9)]"#,
        scaling: "(scale_up_delay: 1, health_check: 15)",
        rest: r#"seed: 4, hazards: [
            (strikes: ServerCrash(repair: Exponential(mean: 20)), every: Exponential(mean: 90)),
            (strikes: ProcessorLost(repair: Exponential(mean: 20)), every: Exponential(mean: 50)),
            (strikes: InstanceCrash(), every: Exponential(mean: 40)),
        ],"#,
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
    let mut seen = 0;
    for time in [20.0, 43.0, 71.0, 100.0] {
        let mut world = setup.world();
        for _ in 0..10 {
            world.submit(60);
        }
        world.until(time);
        seen += world.count::<Unnoticed>();
        let copies = setup.copies_of(&world);
        let whole = go_on(&mut world);
        for mut copy in copies {
            assert_eq!(go_on(&mut copy), whole);
        }
    }
    assert!(seen > 2, "{seen}");
}

#[test]
fn a_check_without_faults_is_said() {
    let said = said_of(
        r#"(
            name: "said", fleet: [(sku: "dgx-h100", count: 1)],
            applications: [(
                name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                scaling: (health_check: 5),
                workload: Synthetic(arrivals: Poisson(rate: 1), requests: 9,
                    prompt_tokens: Constant(9), output_tokens: Constant(9)),
            )],
        )"#,
    );
    assert!(said.contains("no faults and no hazards"), "{said}");
}

#[test]
fn a_server_that_follows_its_instance_is_one_loss_more() {
    let faults =
        "[(at: 5, fault: InstanceCrash(instance: 0)), (at: 6, fault: ServerCrash(server: 0))]";
    let mut world = checked(faults, ")");
    world.until(30.0);
    // Both are noticed at the check of 10 s, and nothing is to come.
    assert!(world.is_quiet() && world.server(0).is_none());
    let told: Vec<String> = self::faults(&world).into_iter().take(2).collect();
    assert_eq!(
        told,
        [
            "5 instance_crash instance_0: 0 1 0 0 0",
            "6 server_crash server_0: 1 1 0 0 0",
        ]
    );
}
