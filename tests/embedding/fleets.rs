//! Several fleets in one world.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::PolicyRegistry;
use fleetsim::fleet::{self, *};
use fleetsim::observe::{self, Rows};
use fleetsim::report::{CsvWriter, Requests, Scaling, Timeline};
use fleetsim::scenario::{CheckedScenario, Objective};
use fleetsim::serving::{Role, ServingRegistry};
use fleetsim::time::SimTime;

use crate::fork::SURGE;
use crate::host::*;

/// A fleet with a policy that follows a surge, faults and scripted actions.
fn east() -> CheckedScenario {
    let chat = scenario(1, SURGE)
        .with_policy(&[0], "Threshold(max: 8)")
        .unwrap();
    assert!(chat.scenario().seed == 0);
    chat
}

/// Another: two applications, pairs of engines, drains on idle.
fn west() -> CheckedScenario {
    let text = r#"(
        name: "west", seed: 7,
        fleet: [
            (sku: "dgx-a100", count: 3, limit: 8, provision_delay: Uniform(min: 5.0, max: 40.0)),
            (sku: "dgx-h100", count: 2, limit: 6),
        ],
        applications: [
            (
                name: "chat", model: "llama2-70b",
                instances: [
                    (role: Prompt, tensor_parallelism: 8, start: Servers(1)),
                    (role: Token, tensor_parallelism: 8, start: Servers(2)),
                ],
                scheduler: KvJsq(transfer_gib_per_s: 50.0),
                scaling: (scale_up_delay: 12.0, drain: OnIdle),
                workload: Synthetic(
                    arrivals: Poisson(rate: 5.0), prompt_tokens: Constant(900),
                    output_tokens: Geometric(mean: 100.0), window: (0.0, 500.0),
                ),
            ),
            (
                name: "code", model: "llama2-70b", autoscaler: HpaGpu(max: 3),
                instances: [(role: Mixed, start: Servers(1))],
                scaling: (scale_up_delay: 20.0, drain: OnIdle),
                workload: Synthetic(
                    arrivals: Gamma(rate: 3.0, cv: 3.0), prompt_tokens: LogNormal(median: 2000.0, sigma: 1.0, max: 9000),
                    output_tokens: Geometric(mean: 60.0), window: (0.0, 550.0),
                ),
            ),
        ],
        actions: [
            (at: 60.0, action: ScaleUpFull(application: "chat", role: Token, sku: "dgx-h100")),
            (at: 300.0, action: ScaleDownFull(instance: 1)),
            (at: 333.0, action: ScaleUpServer(sku: "dgx-a100")),
        ],
        faults: [(at: 200.0, fault: InstanceCrash(instance: 2))],
    )"#;
    CheckedScenario::from_ron(text, ".".as_ref()).unwrap()
}

/// Installs a scenario's fleet with its policies and recorders.
fn install(world: &mut World, name: &str, checked: &CheckedScenario) -> Entity {
    let fleet = fleet::install_named(world, name, checked, &ServingRegistry::default()).unwrap();
    let policies = PolicyRegistry::built_in();
    policies.install_in(world, fleet, checked).unwrap();
    let objectives = checked.scenario().applications.iter().map(|of| of.slo);
    let objectives: Vec<Objective> = objectives.collect();
    observe::install(world, &objectives, checked.scenario().sample_interval);
    fleet
}

/// requests.csv, scaling.csv, timeline.csv and summary.json of a fleet, to the byte.
fn results(world: &World, fleet: Entity, checked: &CheckedScenario) -> [String; 4] {
    let rows = world.get::<Rows>(fleet).unwrap();
    let mut requests = CsvWriter::<Requests, _>::new(Vec::new(), "requests.csv").unwrap();
    for (application, request) in &rows.requests {
        let name = &*checked.scenario().applications[*application].name;
        requests.write((name, request)).unwrap();
    }
    let mut scaling = CsvWriter::<Scaling, _>::new(Vec::new(), "scaling.csv").unwrap();
    for event in world.get::<ScalingLog>(fleet).unwrap().events() {
        scaling.write(event).unwrap();
    }
    let mut timeline = CsvWriter::<Timeline, _>::new(Vec::new(), "timeline.csv").unwrap();
    for sample in &rows.samples {
        timeline.write(sample).unwrap();
    }
    let summary = fleetsim::summarise_fleet(world, fleet).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    [
        text(requests.finish().unwrap()),
        text(scaling.finish().unwrap()),
        text(timeline.finish().unwrap()),
        format!("{summary:#?}"),
    ]
}

fn alone(checked: &CheckedScenario) -> [String; 4] {
    let mut world = World::new();
    let fleet = install(&mut world, "alone", checked);
    world.run_until(at(700.0)).unwrap();
    check_invariants(&mut world).unwrap();
    results(&world, fleet, checked)
}

#[test]
fn two_fleets_give_each_the_results_that_it_has_alone() {
    let scenarios = [east(), west()];
    let expected = [alone(&scenarios[0]), alone(&scenarios[1])];
    assert!(
        expected
            .iter()
            .flatten()
            .all(|text| text.lines().count() > 1)
    );
    for order in [[0, 1], [1, 0]] {
        let mut world = World::new();
        let fleets = order.map(|it| install(&mut world, &format!("fleet {it}"), &scenarios[it]));
        world.run_until(at(123.4)).unwrap();
        check_invariants(&mut world).unwrap();

        // A fork has both, and so has a snapshot.
        let mut fork = fleet::fork(&world).unwrap();
        let mut bytes = Vec::new();
        fleet::save(&world, &mut bytes).unwrap();
        let mut later = World::new();
        for it in order {
            install(&mut later, &format!("fleet {it}"), &scenarios[it]);
        }
        fleet::restore(&mut later, &*bytes).unwrap();

        for world in [&mut world, &mut fork, &mut later] {
            check_invariants(world).unwrap();
            world.run_until(at(700.0)).unwrap();
            check_invariants(world).unwrap();
            for (place, it) in order.into_iter().enumerate() {
                let fleet = world.fleets()[place];
                let found = results(world, fleet, &scenarios[it]);
                for (found, expected) in found.iter().zip(&expected[it]) {
                    assert!(found == expected, "fleet {it}, installed at place {place}");
                }
            }
        }
        assert_eq!(world.fleets(), fleets);
    }
}

#[test]
fn a_fleet_that_goes_leaves_the_other_as_it_is() {
    let scenarios = [east(), west()];
    let expected = alone(&scenarios[1]);
    for by_hand in [false, true] {
        let mut world = World::new();
        let first = install(&mut world, "first", &scenarios[0]);
        let second = install(&mut world, "second", &scenarios[1]);
        world.announce_requests();
        world.run_until(at(200.0)).unwrap();
        if by_hand {
            world.despawn(first);
            world.flush();
        } else {
            fleet::uninstall_fleet(&mut world, first).unwrap();
        }
        check_invariants(&mut world).unwrap();
        assert_eq!(world.only_fleet(), Ok(second));
        let left = world.query::<&Application>().iter(&world).count();
        assert_eq!(left, 2);
        world.run_until(at(700.0)).unwrap();
        assert!(results(&world, second, &scenarios[1]) == expected);
        assert!(world.is_quiet());
        fleet::uninstall_fleet(&mut world, second).unwrap();
        assert!(!world.contains_resource::<Clock>());
    }
}

#[test]
fn one_that_is_installed_later_begins_then() {
    let mut world = World::new();
    install(&mut world, "first", &east());
    world.run_until(at(50.0)).unwrap();
    let text = r#"(
        name: "later", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "late", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
            workload: Synthetic(
                arrivals: Constant(rate: 1.0), prompt_tokens: Constant(100),
                output_tokens: Constant(1), requests: 3,
            ),
        )],
        faults: [(at: 30.0, fault: ServerCrash(server: 0))],
    )"#;
    let later = CheckedScenario::from_ron(text, ".".as_ref()).unwrap();
    let fleet = install(&mut world, "later", &later);
    world.run_until(at(100.0)).unwrap();
    let rows = world.get::<Rows>(fleet).unwrap();
    let arrivals = rows.requests.iter().map(|(_, it)| it.arrival.seconds());
    assert_eq!(arrivals.collect::<Vec<_>>(), [51.0, 52.0, 53.0]);
    let account = world.get::<Ledger>(fleet).unwrap().servers()[0];
    assert_eq!((account.created, account.gone), (at(50.0), Some(at(80.0))));
}

#[test]
fn verbs_find_the_fleet_or_ask_which() {
    let checked = scenario(2, "workload: Host, autoscaler: Host,");
    let mut world = World::new();
    let registry = ServingRegistry::default();
    let [east, west] = ["east", "west"]
        .map(|name| fleet::install_named(&mut world, name, &checked, &registry).unwrap());
    assert_eq!(
        fleet::install_named(&mut world, "east", &checked, &registry),
        Err(InstallError::Installed)
    );
    let several = ScalingError::SeveralFleets {
        names: vec!["east".to_owned(), "west".to_owned()],
    };
    assert_eq!(world.scale_up_server(None), Err(several.clone()));
    assert_eq!(world.application("chat"), Err(several.clone()));
    assert_eq!(world.set_limit("dgx-h100", None), Err(several.clone()));
    assert_eq!(world.server(0), None);
    assert!(several.to_string().contains("\"east\", \"west\""));

    let chat = world.application_in(west, "chat").unwrap();
    let new = world
        .scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))
        .unwrap();
    assert_eq!(world.fleet_of(new.instance), Some(west));
    let server = world.scale_up_server_in(east, None).unwrap();
    assert_eq!(world.fleet_of(server), Some(east));
    // An application has no instances on servers of another fleet.
    let elsewhere = ScaleUpInstance::new(chat, Role::Mixed, server);
    let refused = world.scale_up_instance(&elsewhere).unwrap_err();
    assert!(
        matches!(refused, ScalingError::OtherFleet { .. }),
        "{refused}"
    );
    let count = |fleet| world.get::<Refusals>(fleet).unwrap().iter().count();
    assert_eq!((count(east), count(west)), (0, 1));
    let events = world.get::<ScalingLog>(west).unwrap().events();
    assert!(events.iter().all(|it| it.fleet == 1) && events.len() == 3);
    check_invariants(&mut world).unwrap();
}

#[test]
fn an_observer_of_a_hosts_may_read_the_clock_while_a_fleet_is_restored() {
    #[derive(Resource, Default)]
    struct Seen(Vec<SimTime>);
    let checked = scenario(2, "workload: Host, autoscaler: Host,");
    let mut world = World::new();
    fleet::install(&mut world, &checked).unwrap();
    world.run_until(at(10.0)).unwrap();
    let mut bytes = Vec::new();
    fleet::save(&world, &mut bytes).unwrap();

    let mut later = World::new();
    later.init_resource::<Seen>();
    later.add_observer(
        |_: On<'_, '_, Add<Instance>>, clock: Res<'_, Clock>, mut seen: ResMut<'_, Seen>| {
            seen.0.push(clock.now());
        },
    );
    later.add_observer(
        |_: On<'_, '_, Remove<Instance>>, clock: Res<'_, Clock>, mut seen: ResMut<'_, Seen>| {
            seen.0.push(clock.now());
        },
    );
    fleet::install(&mut later, &checked).unwrap();
    fleet::restore(&mut later, &*bytes).unwrap();
    assert_eq!(later.now(), at(10.0));
    fleet::uninstall(&mut later);
    assert!(later.resource::<Seen>().0.len() >= 4);
}
