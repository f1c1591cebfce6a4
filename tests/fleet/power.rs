//! A cap on the power of a fleet. Servers draw 800 W (`big`) and 200 W (`small`) at most.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::observe;
use fleetsim::time::SimDuration;

use crate::support::*;

#[test]
fn servers_wait_for_power_and_name_the_cap() {
    let mut world = Setup {
        rest: "power_cap: (watts: 1300)",
        faults: "[(at: 10, fault: ServerCrash(server: 0, repair: 20))]",
        ..Setup::default()
    }
    .world();
    let error = world.scale_up_server(Some("big")).unwrap_err();
    assert_eq!(error.reason(), "power");
    assert_eq!(
        error.to_string(),
        "one more \"big\" draws more than the 1300 W of `power_cap`: remove a server first, or raise it"
    );
    let small = [0, 1].map(|_| world.scale_up_server(Some("small")).unwrap());
    assert!(world.scale_up_server(Some("small")).is_err());
    // One under repair will draw again.
    world.until(15.0);
    assert!(world.scale_up_server(Some("big")).is_err());
    world.scale_down_server(small[0]).unwrap();
    world.scale_up_server(Some("small")).unwrap();
    world.until(40.0);
    assert_eq!(world.count::<Server>(), 3);
}

/// When each request ended, in the order of their ends.
fn ends(world: &mut World) -> Vec<f64> {
    let app = world.app();
    let mut service = world.get_mut::<Service>(app).unwrap();
    let ended = service.take_ended();
    ended.map(|it| it.end.unwrap().seconds()).collect()
}

/// At 10 s a second server is there, and 1,600 W would be drawn of 1,200: steps of a second take 4/3 of one from the
/// next on. At 13 s it goes.
#[test]
fn steps_are_slower_while_more_would_be_drawn_worked_by_hand() {
    let setup = Setup {
        fleet: r#"[(sku: "big", count: 1, provision_delay: Constant(10))]"#,
        rest: "power_cap: (watts: 1200, beyond: Slow)",
        ..Setup::default()
    };
    let mut world = setup.world();
    let second = world.scale_up_server(None).unwrap();
    world.until(6.0);
    world.submit(10);
    world.until(9.0);
    let saved = {
        let mut bytes = Vec::new();
        save(&world, &mut bytes).unwrap();
        bytes
    };
    let go_on = |world: &mut World, second: Entity| {
        world.until(11.0);
        let fleet = world.only_fleet().unwrap();
        let slowdown = world.get::<PowerSlowdown>(fleet).unwrap();
        assert_eq!(slowdown.factor(), 4.0 / 3.0);
        world.until(13.0);
        world.scale_down_server(second).unwrap();
        world.until(30.0);
        let slowdown = world.get::<PowerSlowdown>(fleet).unwrap();
        assert_eq!((slowdown.factor(), slowdown.highest()), (1.0, 4.0 / 3.0));
        assert_eq!(slowdown.slowed_s(world.now()), 3.0);
        // Five tokens by 11, as a step is under way at 10; two in 4/3 s each, the second under way at 13; three more.
        let [end] = ends(world)[..] else {
            panic!("one request");
        };
        assert!((end - (11.0 + 8.0 / 3.0 + 3.0)).abs() < 1e-9, "{end}");
    };
    go_on(&mut world, second);
    let mut restored = setup.world();
    restore(&mut restored, &*saved).unwrap();
    let second = restored.server(1).unwrap();
    go_on(&mut restored, second);
}

#[test]
fn a_slow_server_is_slower_still_and_one_that_joins_is_slow_at_once() {
    let setup = Setup {
        fleet: r#"[(sku: "big", count: 2)]"#,
        start: "Servers(1)",
        rest: "power_cap: (watts: 800, beyond: Slow)",
        faults: "[
            (at: 3, fault: SlowServer(server: 1, factor: 1.5, duration: 7)),
            (at: 3, fault: SlowProcessor(server: 1, processor: 0, factor: 1.2, duration: 9)),
            (at: 3, fault: SlowProcessor(server: 1, processor: 1, factor: 1.1, duration: 9)),
        ]",
        ..Setup::default()
    };
    let mut world = setup.world();
    // On the second server, with instance 2: the others are busy. Steps of two seconds, then of three.
    let server = world.server(1).unwrap();
    world.submit(40);
    world.submit(40);
    world.scale_up_instance(&world.up_on(server)).unwrap();
    world.until(1.0);
    world.submit(5);
    world.until(4.0);
    let mut saved = Vec::new();
    save(&world, &mut saved).unwrap();
    // 3, 5 under way at 3, then 8, 11 under way at 10, and a last step that is slow by a processor: 2.4 s.
    let mut restored = setup.world();
    restore(&mut restored, &*saved).unwrap();
    for mut world in [world, restored] {
        let app = world.app();
        let instance = world.instance(2).unwrap();
        let engine = world.get::<EngineHandle>(instance).unwrap().engine();
        assert_eq!(world.get::<Service>(app).unwrap().pace(engine), 3.0);
        world.until(30.0);
        let [end] = ends(&mut world)[..] else {
            panic!("one request");
        };
        assert!((end - 13.4).abs() < 1e-9, "{end}");
    }
}

#[test]
fn a_summary_says_how_long_steps_were_slower() {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 2)]"#,
        rest: "power_cap: (watts: 1000, beyond: Slow)",
        faults: "[(at: 30, fault: ServerCrash(server: 1))]",
        ..Setup::default()
    }
    .world();
    observe::install(&mut world, &[], SimDuration::new(600.0).unwrap());
    world.until(60.0);
    let summary = fleetsim::summarise(&world).unwrap();
    let power = summary.fleet.power_cap.unwrap();
    assert_eq!((power.slowed_s, power.highest_factor), (30.0, 1.6));
    let table = fleetsim::report::summary_table(&summary);
    assert!(
        table.contains("slower for want of power: 30.00 s, by 1.600 at most"),
        "{table}"
    );
}

#[test]
fn a_cap_that_cannot_be_kept_is_refused() {
    let said = |sku: &str, rest: &str| {
        said_of(&format!(
            r#"(name: "t", fleet: [(sku: "{sku}", count: 2, limit: 3)], {rest}
                applications: [(name: "app", model: "llama2-70b", workload: Host,
                    instances: [(role: Mixed, start: None)], autoscaler: Host)])"#
        ))
    };
    for (rest, expected) in [
        (
            "power_cap: (watts: 20000),",
            "the servers at time zero draw up to 20400 W, more than the 20000 W of the cap",
        ),
        (
            "power_cap: (watts: 30600),",
            "the cap is never reached: all servers together draw 30600 W",
        ),
        ("power_cap: (watts: 0),", "expected more than 0, found `0`"),
    ] {
        let found = said("dgx-h100", rest);
        assert!(found.contains(expected), "{rest}: {found}");
    }
    assert_eq!(
        said("dgx-h100", "power_cap: (watts: 20000, beyond: Slow),"),
        ""
    );
}
