//! Scale-down of instances that have work.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::scenario::{Fault, FaultKind};
use fleetsim::serving::{Counts, Outcome};
use fleetsim::time::{SimDuration, SimTime};

use crate::support::*;

/// One server with one instance that works from 0 to 7, at 2.25.
fn busy(scaling: &str) -> (World, Entity, Entity) {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1)]"#,
        scaling,
        start: "None",
        ..Setup::default()
    }
    .world();
    let server = world.server(0).unwrap();
    let instance = world
        .start_spin_up_instance(&world.up_on(server), true)
        .unwrap();
    world.submit(7);
    world.until(2.25);
    (world, server, instance)
}

/// The same, and a call to drain the instance.
fn drained(scaling: &str) -> World {
    let (mut world, server, instance) = busy(scaling);
    world.scale_down_full(instance).unwrap();
    assert_eq!(world.status(instance), Some(InstanceStatus::Draining));
    assert_eq!(world.pending_server_removals(), [server]);
    world
}

fn counts(world: &World) -> Counts {
    world.get::<Service>(world.app()).unwrap().counts()
}

#[test]
fn a_polled_drain_ends_at_a_check() {
    // Checks at 2.25 + 2n: 8.25 is the first at which the work, done at 7, is over.
    let mut world = drained("(drain: Poll(2))");
    world.until(20.0);
    assert_eq!(
        world.log()[1..],
        [
            "2.25 scale_down_start instance_0 draining",
            "8.25 scale_down_complete instance_0 scaling_down",
            "8.25 scale_down_server server_0 scaling_down",
        ]
    );
    assert_eq!(counts(&world).completed, 1);
    assert_eq!(world.count::<Processor>(), 0);
}

#[test]
fn a_drain_on_idle_ends_at_the_very_instant() {
    for max_tick in [None, Some(0.4), Some(100.0)] {
        let mut world = drained("(drain: OnIdle)");
        world.resource_mut::<TickLimits>().max_tick = max_tick.map(SimDuration::saturating);
        world.until(20.0);
        assert_eq!(
            world.log()[2..],
            [
                "7 scale_down_complete instance_0 scaling_down",
                "7 scale_down_server server_0 scaling_down",
            ]
        );
        let account = &world.fleet::<Ledger>().instances()[0];
        assert_eq!(account.gone, Some(at(7.0)));
    }
}

#[test]
fn a_drain_whose_last_token_comes_at_the_call_is_over_at_once() {
    let mut world = Setup {
        actions: "[(at: 7, action: ScaleDownInstance(instance: 0))]",
        ..Setup::default()
    }
    .world();
    world.submit(7);
    world.until(7.0);
    assert_eq!(
        world.log(),
        [
            "7 scale_down_start instance_0 draining",
            "7 scale_down_complete instance_0 scaling_down",
        ]
    );
}

#[test]
fn a_drain_that_takes_too_long_puts_its_work_back() {
    for drain in ["Poll(2)", "OnIdle"] {
        let mut world = drained(&format!("(drain: {drain}, drain_timeout: 3)"));
        world.until(6.0);
        assert_eq!(
            world.log()[1..],
            [
                "2.25 scale_down_start instance_0 draining",
                "5.25 drain_timeout instance_0 draining",
                "5.25 scale_down_complete instance_0 scaling_down",
                "5.25 scale_down_server server_0 scaling_down",
            ]
        );
        assert_eq!((counts(&world).waiting, counts(&world).restarted), (1, 1));
        // It begins again on the next instance, with the first attempt's time to first token.
        world.scale_up_full(&world.up()).unwrap();
        world.until(60.0);
        let app = world.app();
        let mut service = world.get_mut::<Service>(app).unwrap();
        let record = service.take_ended().next().unwrap();
        assert_eq!(record.outcome, Outcome::Completed);
        assert_eq!((record.first_token, record.restarts), (Some(at(1.0)), 1));
        assert!(world.is_quiet());
    }
}

/// One server with two instances, of which the first works from 0 to 10 and drains from 4.25 on. A token takes four
/// bytes of KV cache; five tokens are there at 4, of which four travel for 2 s where caches travel at 8 bytes a second.
fn moved(drain: &str, rest: &str) -> World {
    let scaling = format!("(scale_up_delay: 0, drain: {drain})");
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 2, limit: 4)]"#,
        scaling: &scaling,
        start: "Servers(1)",
        rest,
        ..Setup::default()
    }
    .world();
    let server = world.server(1).unwrap();
    world.submit(10);
    world.until(1.0);
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(4.25);
    world
}

fn record(world: &mut World) -> fleetsim::serving::RequestRecord {
    let app = world.app();
    let mut service = world.get_mut::<Service>(app).unwrap();
    let ended = service.take_ended().next();
    ended.unwrap()
}

const MIGRATE: &str = "Migrate(bandwidth_gib_per_s: 7.450580596923828e-9)";

#[test]
fn a_drain_that_requeues_ends_at_once() {
    let mut world = moved("Requeue", "");
    let first = world.instance(0).unwrap();
    world.scale_down_instance(first).unwrap();
    assert_eq!(
        world.log()[2..],
        [
            "4.25 scale_down_start instance_0 draining",
            "4.25 scale_down_complete instance_0 scaling_down",
        ]
    );
    world.until(60.0);
    let record = record(&mut world);
    assert_eq!(
        (record.first_token, record.end),
        (Some(at(1.0)), Some(at(14.25)))
    );
    assert_eq!((record.restarts, counts(&world).moved), (1, 0));
    // The prompt of one token, and four tokens by 4.
    assert_eq!(counts(&world).lost_tokens, 5);
    assert!(world.is_quiet());
}

#[test]
fn a_drain_that_migrates_ends_when_the_cache_is_gone() {
    for max_tick in [None, Some(0.3)] {
        let mut world = moved(MIGRATE, "");
        world.resource_mut::<TickLimits>().max_tick = max_tick.map(SimDuration::saturating);
        let first = world.instance(0).unwrap();
        world.scale_down_instance(first).unwrap();
        assert_eq!(world.status(first), Some(InstanceStatus::Draining));
        world.until(60.0);
        assert_eq!(
            world.log()[2..],
            [
                "4.25 scale_down_start instance_0 draining",
                "6.25 scale_down_complete instance_0 scaling_down",
            ]
        );
        // Six tokens are left.
        let record = record(&mut world);
        assert_eq!(
            (record.first_token, record.end),
            (Some(at(1.0)), Some(at(12.25)))
        );
        let instances = (record.prompt_instance, record.token_instance);
        assert_eq!(instances, (Some(0), Some(1)));
        assert_eq!((record.restarts, counts(&world).moved), (0, 1));
        assert_eq!(
            (counts(&world).prompt_tokens, counts(&world).output_tokens),
            (1, 10)
        );
        assert!(world.is_quiet());
    }
}

#[test]
fn caches_migrate_in_the_notice_of_a_spot_server_or_not_at_all() {
    // In time; and too late, when the request begins again.
    for (notice, end, restarts) in [(5, 12.25, 0), (1, 15.25, 1)] {
        let mut world = moved(MIGRATE, "");
        let fault = FaultKind::SpotReclaim {
            server: 0,
            notice: SimDuration::saturating(f64::from(notice)),
        };
        let at = at(4.25).max(world.now());
        world
            .set_script(
                &[],
                &[Fault {
                    at: later(at),
                    fault,
                }],
            )
            .unwrap();
        world.until(60.0);
        let record = record(&mut world);
        let late = later(at).seconds() - 4.25;
        let found = record.end.unwrap().seconds() - late;
        assert!((found - end).abs() < 1e-6, "{found}");
        assert_eq!(
            (record.restarts, record.token_instance),
            (restarts, Some(2))
        );
        assert!(world.is_quiet());
    }
}

/// The next instant that can be scripted.
fn later(at: SimTime) -> SimTime {
    SimTime::saturating(at.seconds() + 1e-9)
}

#[test]
fn with_nobody_to_go_to_the_work_waits() {
    let scaling = format!("(scale_up_delay: 0, drain: {MIGRATE})");
    let (mut world, _, instance) = busy(&scaling);
    world.scale_down_full(instance).unwrap();
    world.until(3.0);
    assert_eq!(world.count::<Instance>(), 0);
    assert_eq!((counts(&world).waiting, counts(&world).restarted), (1, 1));
}

#[test]
fn what_is_wrong_with_drains_is_said() {
    let said = |scaling: &str| {
        said_of(&format!(
            r#"(
                name: "said", fleet: [(sku: "dgx-h100", count: 1)],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                    scaling: ({scaling}), workload: Host,
                )],
            )"#
        ))
    };
    assert_eq!(said("drain: Requeue"), "");
    assert_eq!(
        said("drain: Migrate(bandwidth_gib_per_s: 20), drain_timeout: 9"),
        ""
    );
    let unused = said("drain: Requeue, drain_timeout: 9");
    assert!(unused.contains("never waited for"), "{unused}");
    let nothing = said("drain: Migrate(bandwidth_gib_per_s: 0)");
    assert!(nothing.contains("bandwidth_gib_per_s"), "{nothing}");
}

#[test]
fn work_done_at_the_deadline_is_done() {
    let mut world = drained("(drain: Poll(2), drain_timeout: 4.75)");
    world.until(20.0);
    assert!(!world.log().iter().any(|line| line.contains("timeout")));
    assert_eq!(
        world.log()[2],
        "7 scale_down_complete instance_0 scaling_down"
    );
}

#[test]
fn a_draining_instance_is_given_nothing_new() {
    let mut world = Setup::default().world();
    world.submit(5);
    world.submit(20);
    world.until(1.0);
    world
        .scale_down_instance(world.instance(0).unwrap())
        .unwrap();
    // By queue length instance 0 would be the first choice at 6.
    for second in 2..9 {
        world.until(f64::from(second));
        world.submit(1);
    }
    world.until(100.0);
    let app = world.app();
    let mut service = world.get_mut::<Service>(app).unwrap();
    let served: Vec<Option<u64>> = service.take_ended().map(|it| it.prompt_instance).collect();
    assert_eq!(served[0], Some(0));
    assert_eq!(served[1..], [Some(1); 8]);
}

#[test]
fn what_waits_is_scheduled_once_all_that_activates_then_is_active() {
    let mut world = Setup {
        fleet: r#"[(sku: "big")]"#,
        scaling: "(scale_up_delay: 10)",
        ..Setup::default()
    }
    .world();
    for _ in 0..2 {
        world.scale_up_full(&world.up()).unwrap();
    }
    for _ in 0..4 {
        world.submit(5);
    }
    world.until(9.0);
    assert_eq!(counts(&world).waiting, 4);
    world.until(10.0);
    assert_eq!((counts(&world).waiting, counts(&world).in_flight), (0, 4));
    // Two on each: had the first been flushed to alone, it would have all four until 30.
    world.until(20.0);
    assert_eq!(counts(&world).completed, 4);
}
