//! Who asks to be woken is woken for itself alone.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::{PolicyRegistry, Sensed};
use fleetsim::fleet::{Agenda, Application, Clock, FleetWorldExt, Tick, TickSet};
use fleetsim::observe;
use fleetsim::scenario::{CheckedScenario, Objective};
use fleetsim::simulation::Simulation;
use fleetsim::time::{SimDuration, SimTime};

/// A policy that remembers, with signals that are late, and samples between decisions.
fn scenario() -> CheckedScenario {
    CheckedScenario::from_ron(
        r#"(
            name: "wakes",
            end: 1800,
            sample_interval: 7,
            fleet: [(sku: "dgx-h100", count: 2, limit: 12)],
            applications: [(
                name: "chat", model: "llama2-70b",
                instances: [(role: Mixed, start: Servers(2))],
                scaling: (scale_up_delay: 20, drain: OnIdle),
                autoscaler: Forecast(),
                signals: (scrape_interval: 5, scrape_delay: 11),
                workload: Synthetic(
                    arrivals: Poisson(rate: 6), shape: Sinusoidal(amplitude: 0.9, period: 600),
                    prompt_tokens: Constant(1500), output_tokens: Constant(200),
                ),
            )],
            actions: [(at: 300, action: ScaleUpFull(application: "chat", role: Mixed))],
            faults: [(at: 500, fault: InstanceCrash(instance: 0))],
        )"#,
        ".".as_ref(),
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
}

/// Everything that a run writes down.
fn outputs(prepare: impl FnOnce(&mut World)) -> String {
    let mut simulation = Simulation::new(&scenario()).unwrap();
    prepare(simulation.world_mut());
    let mut all = String::new();
    loop {
        let more = simulation.tick().unwrap();
        let news = simulation.take_news();
        for row in news.rows.requests {
            all += &format!("{row:?}\n");
        }
        for row in news.rows.samples {
            all += &format!("{row:?}\n");
        }
        for event in news.scaling {
            all += &format!("{event:?}\n");
        }
        for decision in news.decisions {
            all += &format!("{decision:?}\n");
        }
        if !more {
            break;
        }
    }
    let finished = simulation.finish();
    let summary = serde_json::to_string(&finished.record.summarise()).unwrap();
    all + &format!("{:?}{:?}\n{summary}", finished.rows, finished.ledger)
}

/// Kinds of output, each in order: their order among each other is that of the ticks.
fn sorted(outputs: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = outputs.lines().collect();
    lines.sort_by_key(|line| line.split(['(', ' ', '{']).next());
    lines
}

const SETS: [TickSet; 7] = [
    TickSet::Serve,
    TickSet::Faults,
    TickSet::Lifecycle,
    TickSet::Sense,
    TickSet::Decide,
    TickSet::Act,
    TickSet::Observe,
];

/// A purpose of the host's.
struct Disturbance;

/// Wakes each application in every set, again and again.
fn disturb(
    clock: Res<'_, Clock>,
    mut agenda: ResMut<'_, Agenda>,
    applications: Query<'_, '_, Entity, With<Application>>,
    mut last: Local<'_, f64>,
) {
    let now = clock.now();
    if now.seconds() < *last + 2.9 {
        return;
    }
    *last = now.seconds();
    for application in &applications {
        agenda.wake_for::<Disturbance>(now + SimDuration::saturating(2.9), application);
        for (number, set) in (0_u32..).zip(SETS) {
            let after = SimDuration::saturating(3.7 + f64::from(number) * 0.31);
            agenda.wake(set, now + after, application);
        }
    }
}

#[test]
fn a_host_that_wakes_everything_at_odd_instants_changes_nothing() {
    let alone = outputs(|_| {});
    assert!(alone.contains("Decision") && alone.contains("Sample") && alone.contains("Crash"));
    let disturbed = outputs(|world| {
        let mut applications = world.query_filtered::<Entity, With<Application>>();
        let applications: Vec<Entity> = applications.iter(world).collect();
        let mut agenda = world.resource_mut::<Agenda>();
        for application in applications {
            for set in SETS {
                agenda.wake(set, SimTime::saturating(1.3), application);
            }
        }
        let mut schedules = world.resource_mut::<Schedules>();
        schedules.add_systems(Tick, disturb.in_set(TickSet::Sense).after(Sensed));
    });
    assert_eq!(sorted(&alone), sorted(&disturbed));
}

#[test]
fn installing_twice_is_installing_once() {
    let once = outputs(|_| {});
    let twice = outputs(|world| {
        let checked = scenario();
        PolicyRegistry::built_in().install(world, &checked).unwrap();
        observe::install(world, &[Objective::default()], SimDuration::saturating(7.0));
    });
    assert_eq!(once, twice);
}

#[test]
fn a_policy_is_replaced_at_run_time() {
    let checked = scenario();
    let mut simulation = Simulation::new(&checked).unwrap();
    simulation
        .world_mut()
        .run_until(SimTime::saturating(600.0))
        .unwrap();
    simulation.take_news();
    let other = checked.with_policy(&[0], "Threshold()").unwrap();
    let world = simulation.world_mut();
    PolicyRegistry::built_in().install(world, &other).unwrap();
    world.run_until(SimTime::saturating(1200.0)).unwrap();
    let decisions = simulation.take_decisions();
    assert!(decisions.iter().all(|it| it.policy == "Threshold"));
    let times: Vec<f64> = decisions.iter().map(|it| it.time.seconds()).collect();
    assert!(times.len() > 5 && times[0] > 600.0, "{times:?}");
    assert!(
        times.is_sorted_by(|a, b| a < b),
        "once at each decision: {times:?}"
    );
}
