//! The fleet in an `App` of Bevy's.

#![cfg(feature = "bevy_app")]
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use fleetsim::autoscale::DecisionLog;
use fleetsim::observe::Rows;
use fleetsim::plugin::{AutoscalePlugin, FleetPlugin, FleetPlugins, FleetStep, ObservePlugin};
use fleetsim::prelude::*;

fn scenario() -> CheckedScenario {
    let text = r#"(
        name: "app", sample_interval: 5.0,
        fleet: [(sku: "dgx-h100", count: 1, limit: 4)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: Jsq,
            instances: [(role: Mixed, start: AllServers)],
            autoscaler: DynamoSla(interval: 20), scaling: (scale_up_delay: 5.0),
            workload: Synthetic(
                arrivals: Poisson(rate: 20.0), prompt_tokens: Constant(1500),
                output_tokens: Geometric(mean: 150.0), window: (0.0, 90.0),
            ),
        )],
    )"#;
    CheckedScenario::from_ron(text, ".".as_ref()).unwrap()
}

fn run(app: &mut App, updates: usize) -> Vec<RequestRecord> {
    for _ in 0..updates {
        app.update();
    }
    assert_eq!(app.should_exit(), None);
    let mut rows = app.world_mut().fleet_mut::<Rows>();
    let requests = std::mem::take(&mut rows.requests);
    requests.into_iter().map(|(_, request)| request).collect()
}

#[test]
fn an_app_steps_a_fleet_as_a_simulation_does() {
    let scenario = scenario();
    let mut simulation = Simulation::new(&scenario).unwrap();
    let end = SimTime::new(120.0).unwrap();
    simulation.world_mut().run_until(end).unwrap();
    let expected: Vec<_> = simulation
        .take_rows()
        .requests
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert!(expected.len() > 1_000);

    let mut app = App::new();
    app.add_plugins(FleetPlugins::new(&scenario));
    assert_eq!(run(&mut app, 120), expected);
    assert_eq!(app.world().now(), end);
    assert!(!app.world().fleet::<DecisionLog>().decisions().is_empty());

    // Results do not depend on the step.
    let mut app = App::new();
    let fleet = FleetPlugin::new(&scenario).step(SimDuration::new(0.25).unwrap());
    app.add_plugins(FleetPlugins::new(&scenario).set(fleet));
    assert_eq!(run(&mut app, 480), expected);
}

#[test]
fn each_plugin_can_be_left_out() {
    let scenario = scenario();
    let mut app = App::new();
    app.add_plugins(
        FleetPlugins::new(&scenario)
            .build()
            .disable::<AutoscalePlugin>(),
    );
    run(&mut app, 60);
    assert!(app.world().get_fleet::<DecisionLog>().is_none());

    let mut app = App::new();
    app.add_plugins(
        FleetPlugins::new(&scenario)
            .build()
            .disable::<ObservePlugin>(),
    );
    (0..60).for_each(|_| app.update());
    assert!(app.world().get_fleet::<Rows>().is_none());
    assert!(!app.world().fleet::<DecisionLog>().decisions().is_empty());
}

#[derive(Resource, Default)]
struct Watched(Vec<f64>);

#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn watch(clock: Res<'_, Clock>, mut watched: ResMut<'_, Watched>) {
    watched.0.push(clock.now().seconds());
}

#[test]
fn a_host_has_its_systems_beside_the_step() {
    let scenario = scenario();
    let mut app = App::new();
    let fleet = FleetPlugin::new(&scenario).in_schedule(PostUpdate);
    app.add_plugins(FleetPlugins::new(&scenario).set(fleet));
    app.init_resource::<Watched>();
    app.add_systems(Update, watch);
    app.add_systems(PostUpdate, watch.after(FleetStep));
    (0..3).for_each(|_| app.update());
    assert_eq!(
        app.world().resource::<Watched>().0,
        [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    );
}

#[test]
fn time_on_the_wall_can_be_followed() {
    let scenario = scenario();
    let mut app = App::new();
    let fleet = FleetPlugin::new(&scenario).ratio(1_000.0);
    app.add_plugins(FleetPlugins::new(&scenario).set(fleet));
    app.update();
    std::thread::sleep(std::time::Duration::from_millis(20));
    app.update();
    assert!(app.world().now() >= SimTime::new(20.0).unwrap());
}

#[test]
fn what_cannot_be_built_ends_the_app() {
    let scenario = scenario();
    let mut app = App::new();
    app.add_plugins((FleetPlugin::new(&scenario), ObservePlugin::new(&scenario)));
    assert_eq!(app.should_exit(), None);
    let mut app = App::new();
    app.add_plugins(AutoscalePlugin::new(&scenario));
    assert_eq!(app.should_exit(), Some(AppExit::error()));
}
