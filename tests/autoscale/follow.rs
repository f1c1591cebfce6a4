//! A policy's interval and window are those of its component, also after a change at run time.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::policies::Threshold;
use fleetsim::autoscale::{DesiredInstances, Policy, Signals};
use fleetsim::fleet::{Application, FleetWorldExt};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::*;

/// Says how many requests arrived within its window.
#[derive(Component, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Counting {
    interval: SimDuration,
    window: SimDuration,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            interval: seconds(10.0),
            window: seconds(10.0),
        }
    }
}

impl Policy for Counting {
    const NAME: &'static str = "Counting";
    const SUMMARY: &'static str = "how many requests arrived";

    fn interval(&self) -> SimDuration {
        self.interval
    }

    fn window(&self) -> SimDuration {
        self.window
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let arrived = signals.weighted_over(self.window, |_| 1.0, |_| 1.0);
        for of in signals.roles() {
            desired.keep(of.role, format!("{arrived} looks"));
        }
    }
}

/// A run that decides by this policy, with late signals if `delay` is not 0.
fn begin(policy: &str, delay: f64) -> (Simulation, Entity) {
    let fields = format!(
        "autoscaler: {policy}, signals: (scrape_delay: {delay}), actuator: (mixed: (min: 1))"
    );
    let checked = scenario(r#"(sku: "dgx-h100", count: 1)"#, &fields).unwrap();
    let mut registry = registry();
    registry.register::<Counting>();
    let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
    let world = simulation.world_mut();
    let mut applications = world.query_filtered::<Entity, With<Application>>();
    let application = applications.single(world).unwrap();
    (simulation, application)
}

/// The instants of decisions until a time, and the reason of each.
fn decided(simulation: &mut Simulation, until: f64) -> Vec<(f64, String)> {
    simulation.world_mut().run_until(at(until)).unwrap();
    let decisions = simulation.take_decisions().into_iter();
    decisions.map(|it| (it.time.seconds(), it.reason)).collect()
}

fn times(simulation: &mut Simulation, until: f64) -> Vec<f64> {
    let decided = decided(simulation, until).into_iter();
    decided.map(|it| it.0).collect()
}

fn change(simulation: &mut Simulation, application: Entity, interval: f64) {
    let world = simulation.world_mut();
    let mut policy = world.get_mut::<Threshold>(application).unwrap();
    policy.interval = seconds(interval);
}

#[test]
fn a_changed_interval_moves_the_next_decision() {
    for delay in [0.0, 3.0] {
        let (mut simulation, application) = begin("Threshold(interval: 20)", delay);
        assert_eq!(times(&mut simulation, 45.0), [20.0, 40.0]);
        change(&mut simulation, application, 6.0);
        assert_eq!(times(&mut simulation, 61.0), [48.0, 54.0, 60.0]);
        change(&mut simulation, application, 50.0);
        assert_eq!(times(&mut simulation, 160.0), [100.0, 150.0]);
        // What is set to what it was changes nothing.
        change(&mut simulation, application, 50.0);
        assert_eq!(times(&mut simulation, 200.0), [200.0]);
    }
}

#[test]
fn a_policy_that_is_inserted_anew_brings_its_interval() {
    let (mut simulation, application) = begin("Threshold(interval: 20)", 0.0);
    assert_eq!(times(&mut simulation, 45.0), [20.0, 40.0]);
    let world = simulation.world_mut();
    let policy = tuned(Threshold::default(), |it| it.interval = seconds(7.0));
    world.entity_mut(application).insert(policy);
    assert_eq!(times(&mut simulation, 65.0), [49.0, 56.0, 63.0]);
}

#[test]
fn a_system_may_change_the_interval_within_a_tick() {
    use fleetsim::fleet::{Clock, Tick, TickSet};
    let (mut simulation, _) = begin("Threshold(interval: 20)", 0.0);
    let hurry = |clock: Res<'_, Clock>, mut policies: Query<'_, '_, &mut Threshold>| {
        if clock.now() == at(40.0) {
            for mut policy in &mut policies {
                policy.interval = seconds(5.0);
            }
        }
    };
    let mut schedules = simulation.world_mut().resource_mut::<Schedules>();
    schedules.add_systems(Tick, hurry.in_set(TickSet::Observe));
    assert_eq!(times(&mut simulation, 52.0), [20.0, 40.0, 45.0, 50.0]);
}

#[test]
fn a_changed_window_is_how_far_back_signals_reach() {
    let (mut simulation, application) = begin("Counting", 0.0);
    let before = decided(&mut simulation, 50.0);
    assert!(before.iter().all(|it| it.1 == "1 looks"), "{before:?}");
    let world = simulation.world_mut();
    world.get_mut::<Counting>(application).unwrap().window = seconds(40.0);
    let after = decided(&mut simulation, 80.0);
    let after: Vec<&str> = after.iter().map(|it| &*it.1).collect();
    assert_eq!(after, ["3 looks", "4 looks", "4 looks"]);
}

/// What cannot be decided by is not: the reason says why, and nothing panics.
#[test]
fn parameters_that_do_not_go_together_hold_everything() {
    let (mut simulation, application) = begin("Threshold(interval: 20)", 0.0);
    assert_eq!(times(&mut simulation, 25.0), [20.0]);
    let world = simulation.world_mut();
    let mut policy = world.get_mut::<Threshold>(application).unwrap();
    (policy.min, policy.max) = (5, 2);
    let held = decided(&mut simulation, 45.0);
    assert_eq!(held.len(), 1);
    assert!(held[0].1.contains("at most 2"), "{held:?}");
    let world = simulation.world_mut();
    let mut policy = world.get_mut::<Threshold>(application).unwrap();
    (policy.min, policy.max, policy.interval) = (1, 9, seconds(0.0));
    let held = decided(&mut simulation, 65.0);
    assert_eq!(held.len(), 1);
    assert!(held[0].1.contains("every 0 seconds"), "{held:?}");
    change(&mut simulation, application, 10.0);
    assert_eq!(times(&mut simulation, 90.0), [70.0, 80.0, 90.0]);
}
