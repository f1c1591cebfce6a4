//! A plan made with knowledge of the workload, and the door that it takes it through.

use bevy_ecs::component::Component;
use fleetsim::autoscale::policies::Clairvoyant;
use fleetsim::autoscale::{CapacityModel, DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::fleet::{FleetWorldExt, FleetsExt, Ledger, check_invariants};
use fleetsim::scenario::{CheckedScenario, Diagnostics};
use fleetsim::serving::Role::Mixed;
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::support::*;

/// Two requests a second, twenty between 300 s and 360 s, and again between 400 s and 460 s and
/// between 900 s and 960 s. A server takes 90 s to start up.
fn crowds() -> CheckedScenario {
    let text = r#"(
        name: "crowds", end: 1200,
        fleet: [(sku: "dgx-h100", count: 1, provision_delay: Constant(60))],
        applications: [(
            name: "chat", model: "llama2-70b",
            instances: [(role: Mixed, start: AllServers)],
            scaling: (spin_up: Constant(20), scale_up_delay: 30),
            autoscaler: Clairvoyant,
            slo: (ttft: 1, tbt: 0.1),
            workload: Synthetic(
                arrivals: Poisson(rate: 2),
                shape: Piecewise([
                    (0, 1), (300, 10), (360, 1), (400, 10), (460, 1), (900, 10), (960, 1),
                ]),
                prompt_tokens: Constant(1000), output_tokens: Constant(100),
            ),
        )],
    )"#;
    CheckedScenario::from_ron(text, ".".as_ref()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn instances_are_active_before_a_flash_crowd_and_stay_for_the_next_if_it_is_near() {
    let checked = crowds();
    let mut simulation = Simulation::new(&checked).unwrap();
    let mut count = |time: f64| {
        let world = simulation.world_mut();
        world.run_until(at(time)).unwrap();
        check_invariants(world).unwrap();
        let found = world.fleet::<Ledger>().counts_of(0, Mixed);
        (found.scaling_up, found.active)
    };
    let crowd = CapacityModel::new(&checked, 0)
        .of(Mixed, fleetsim::autoscale::Mix::even(1000.0, 100.0))
        .unwrap();
    let needed = (20.0 / crowd.requests_per_s).ceil() as u32;
    assert!(needed >= 2, "{crowd:?}");

    assert_eq!(count(150.0), (0, 1), "nothing is ordered long before");
    let (ordered, active) = count(230.0);
    assert!(active == 1 && ordered + active >= needed, "{ordered}");
    let (_, active) = count(299.0);
    assert!(active >= needed, "{active} are active when it begins");
    let (_, between) = count(399.0);
    assert!(
        between >= needed,
        "the next crowd is nearer than a start-up"
    );
    assert_eq!(count(600.0), (0, 1), "and the third is not");
    let (_, active) = count(899.0);
    assert!(active >= needed);
    assert_eq!(count(1150.0), (0, 1));
}

#[test]
fn nearly_everybody_gets_what_was_promised() {
    let mut simulation = Simulation::new(&crowds()).unwrap();
    while simulation.tick().unwrap() {}
    let summary = simulation.finish().record.summarise();
    let attainment = summary.applications[0].slo.attainment.unwrap();
    assert!(attainment > 0.97, "{attainment}");
    // 1,200 s of one server and three crowds of 60 s, each with a start-up.
    assert!(
        summary.fleet.server_hours < 1.5,
        "{}",
        summary.fleet.server_hours
    );
}

/// Refuses to decide for anything.
#[derive(Component, Clone, Debug, Default, Deserialize, JsonSchema)]
struct Unwilling {}

impl Policy for Unwilling {
    const NAME: &'static str = "Unwilling";
    const SUMMARY: &'static str = "refuses";

    fn interval(&self) -> SimDuration {
        seconds(1.0)
    }

    fn prepare(&mut self, checked: &CheckedScenario, at: usize) -> Result<(), Diagnostics> {
        let path = format!("applications[{at}].autoscaler");
        let name = &checked.scenario().applications[at].name;
        Err(checked.problem_at(&path, format!("not for {name}")).into())
    }

    fn decide(&mut self, _: &Signals, _: &mut DesiredInstances) {}
}

#[test]
fn a_policy_may_look_at_its_scenario_beforehand_and_refuse() {
    let mut registry = PolicyRegistry::built_in();
    registry.register::<Unwilling>();
    let checked = scenario(r#"(sku: "dgx-h100", count: 1)"#, "autoscaler: Unwilling").unwrap();
    let refused = Simulation::with_policies(&checked, &registry).unwrap_err();
    assert!(
        refused.to_string().contains("error: not for chat"),
        "{refused}"
    );
}

#[test]
fn a_workload_is_read_up_to_the_end_of_the_run() {
    let mut policy = Clairvoyant::default();
    policy.prepare(&crowds(), 0).unwrap();
    let prepared = format!("{policy:?}");
    assert!(prepared.contains("119: ["), "the last bin before 1,200 s");
    assert!(!prepared.contains("121: ["));
}
