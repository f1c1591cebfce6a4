//! Scripted faults.

use bevy_ecs::world::World;
use fleetsim::fleet::FleetsExt;
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
fn crashes_take_instances_and_servers_and_miss_those_that_are_gone() {
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
            "4 crash_invalid instance_1 gone",
            "5 crash server_1 scaling_down",
            "5 crash instance_2 scaling_down",
            "5 crash instance_3 scaling_down",
            "6 crash_invalid server_1 gone",
        ]
    );
    let refusals = world.fleet::<Refusals>();
    assert_eq!(refusals.of(ScalingAction::CrashInvalid, "gone"), 2);
    let counts = world.get::<Service>(world.app()).unwrap().counts();
    assert_eq!(counts.completed, 5);
    // Those of server 1 are put back together, so none is put back twice: 1's request, 2's, 3's,
    // and what 2 had taken over from 1.
    assert_eq!(counts.restarted, 4);
    assert!(world.is_quiet());
}

/// How an instance is when it crashes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// On a server that is not there yet.
    Provisioning,
    /// Before it has joined its application.
    SpinningUp,
    /// Joined, and not active yet.
    Joined,
    Idle,
    Busy,
    /// By `ScaleDownFull`.
    DrainingFull,
    /// By `ScaleDownInstance`.
    Draining,
    Gone,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Provisioning,
        Self::SpinningUp,
        Self::Joined,
        Self::Idle,
        Self::Busy,
        Self::DrainingFull,
        Self::Draining,
        Self::Gone,
    ];

    /// A fleet whose instance 2, alone on server 1, is at this stage, and the log so far. A server is
    /// there at 2 s, an instance joins at 5 s and is active at 12 s.
    fn reach(self, faults: &str) -> World {
        let mut world = Setup {
            fleet: r#"[(sku: "big", count: 1, limit: 10, provision_delay: Constant(2))]"#,
            scaling: "(spin_up: Constant(3), scale_up_delay: 10, drain: Poll(1))",
            faults,
            ..Setup::default()
        }
        .world();
        let up = world.scale_up_full(&world.up()).unwrap();
        let busy = matches!(self, Self::Busy | Self::DrainingFull | Self::Draining);
        world.until(12.0);
        if busy {
            // One for each of the three instances.
            (0..3).for_each(|_| world.submit(30));
        }
        world.until(13.0);
        match self {
            Self::DrainingFull => world.scale_down_full(up.instance).unwrap(),
            Self::Draining => world.scale_down_instance(up.instance).unwrap(),
            Self::Gone => world.scale_down_instance(up.instance).unwrap(),
            _ => {}
        }
        world
    }

    /// When the fault strikes.
    fn at(self) -> f64 {
        match self {
            Self::Provisioning => 1.0,
            Self::SpinningUp => 3.0,
            Self::Joined => 7.0,
            _ => 14.0,
        }
    }
}

fn counts(world: &World) -> fleetsim::serving::Counts {
    world.get::<Service>(world.app()).unwrap().counts()
}

#[test]
fn an_instance_crashes_at_each_stage_of_its_life() {
    for stage in Stage::ALL {
        let at = stage.at();
        let faults = format!("[(at: {at}, fault: InstanceCrash(instance: 2))]");
        let mut world = stage.reach(&faults);
        world.until(100.0);
        let line = |line: &str| world.log().contains(&format!("{at} {line}"));
        let hit = stage != Stage::Gone;
        assert_eq!(line("crash instance_2 scaling_down"), hit, "{stage:?}");
        assert_eq!(line("crash_invalid instance_2 gone"), !hit, "{stage:?}");
        // A scale-down that was granted takes the server along all the same.
        let along = stage == Stage::DrainingFull;
        let removed = line("scale_down_server server_1 scaling_down");
        assert_eq!(removed, along, "{stage:?}");
        assert_eq!(world.server(1).is_none(), along, "{stage:?}");
        let account = &world.fleet::<Ledger>().servers()[1];
        let deserted = hit && !along;
        let since = deserted.then(|| crate::support::at(at));
        assert_eq!(account.deserted_since, since, "{stage:?}");
        let counts = counts(&world);
        assert_eq!(counts.completed, counts.arrived, "{stage:?}");
        let busy = matches!(stage, Stage::Busy | Stage::DrainingFull | Stage::Draining);
        assert_eq!(counts.restarted, u64::from(busy), "{stage:?}");
        assert!(world.pending_server_removals().is_empty());
        assert!(world.is_quiet(), "{stage:?}");
    }
}

#[test]
fn a_server_crashes_at_each_stage_of_its_life() {
    for stage in Stage::ALL {
        let at = stage.at();
        let faults = format!("[(at: {at}, fault: ServerCrash(server: 1))]");
        let mut world = stage.reach(&faults);
        world.until(100.0);
        let line = |line: &str| world.log().contains(&format!("{at} {line}"));
        assert!(line("crash server_1 scaling_down"), "{stage:?}");
        let hit = stage != Stage::Gone;
        assert_eq!(line("crash instance_2 scaling_down"), hit, "{stage:?}");
        assert!(
            !line("scale_down_server server_1 scaling_down"),
            "{stage:?}"
        );
        assert_eq!(world.count::<Server>(), 1, "{stage:?}");
        let account = &world.fleet::<Ledger>().servers()[1];
        assert_eq!(account.deserted_since, None, "{stage:?}");
        let counts = counts(&world);
        assert_eq!(counts.completed, counts.arrived, "{stage:?}");
        assert!(world.is_quiet(), "{stage:?}");
    }
}

#[test]
fn a_server_that_has_gone_or_never_was_is_missed_by_a_crash() {
    for (number, scale_down) in [(1, true), (9, false)] {
        let faults = format!("[(at: 5, fault: ServerCrash(server: {number}))]");
        let mut world = Setup {
            faults: &faults,
            ..Setup::default()
        }
        .world();
        let server = world.scale_up_server(None).unwrap();
        if scale_down {
            world.scale_down_server(server).unwrap();
        }
        world.until(6.0);
        let missed = format!("5 crash_invalid server_{number} gone");
        assert_eq!(world.log().last(), Some(&missed));
    }
}

#[test]
fn an_outage_changes_nothing_for_what_is_there_at_any_stage() {
    for stage in Stage::ALL {
        let faults = format!("[(at: {}, fault: NoNewServers(duration: 500))]", stage.at());
        let mut world = stage.reach(&faults);
        world.until(50.0);
        let mut calm = stage.reach("[]");
        calm.until(50.0);
        assert_eq!(world.log(), calm.log(), "{stage:?}");
        let error = world.scale_up_server(None).unwrap_err();
        assert_eq!(error.reason(), "outage", "{stage:?}");
        // Instances on servers that are there come up as before.
        let server = world.scale_up_instance(&world.up_on(world.server(0).unwrap()));
        assert_eq!(server.unwrap_err().reason(), "no_processors", "{stage:?}");
    }
}

#[test]
fn a_server_that_a_crash_leaves_empty_is_on_the_books_until_it_is_used_again() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1)]"#,
        start: "Servers(1)",
        faults: r#"[
            (at: 10, fault: InstanceCrash(instance: 0)),
            (at: 20, fault: InstanceCrash(instance: 1)),
            (at: 50, fault: InstanceCrash(instance: 2)),
        ]"#,
        ..Setup::default()
    }
    .world();
    world.until(30.0);
    let server = world.server(0).unwrap();
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(60.0);
    let account = &world.fleet::<Ledger>().servers()[0];
    // From 20 to 30 s and since 50 s.
    assert_eq!(account.deserted.seconds(), 10.0);
    assert_eq!(account.deserted_since, Some(at(50.0)));
    assert_eq!(account.deserted_until(at(60.0)).seconds(), 20.0);
    world.scale_down_server(server).unwrap();
    let account = &world.fleet::<Ledger>().servers()[0];
    assert_eq!(account.deserted_until(at(90.0)).seconds(), 20.0);
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1, limit: 2)]"#,
        faults: "[(at: 2, fault: NoNewServers(duration: 5))]",
        actions: r#"[
            (at: 5, action: ScaleUpFull(application: "app", role: Mixed)),
            (at: 10, action: ScaleUpFull(application: "app", role: Mixed)),
            (at: 20, action: ScaleUpFull(application: "app", role: Mixed)),
            (at: 30, action: ScaleUpInstance(application: "app", role: Mixed, server: 0)),
            (at: 40, action: ScaleUpInstance(application: "app", role: Mixed, server: 5)),
        ]"#,
        ..Setup::default()
    }
    .world();
    world.until(50.0);
    let refusals: Vec<_> = world.fleet::<Refusals>().iter().collect();
    let failed = ScalingAction::ScaleUpFailed;
    assert_eq!(
        refusals,
        [
            (failed, "gone", 1),
            (failed, "limit", 1),
            (failed, "no_processors", 1),
            (failed, "outage", 1),
        ]
    );
}
