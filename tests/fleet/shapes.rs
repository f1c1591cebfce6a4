//! Templates of one role with several shapes: each SKU has the one that fits.

use bevy_ecs::prelude::*;
use bevy_ecs::relationship::RelationshipTarget;
use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::Role;
use fleetsim::simulation::Simulation;
use fleetsim::time::{SimDuration, SimTime};
use schemars::JsonSchema;
use serde::Deserialize;

/// Wants five instances at its first decision.
#[derive(Component, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Five {}

impl Policy for Five {
    const NAME: &'static str = "Five";
    const SUMMARY: &'static str = "five instances";

    fn interval(&self) -> SimDuration {
        SimDuration::saturating(10.0)
    }

    fn decide(&mut self, _: &Signals, desired: &mut DesiredInstances) {
        desired.exactly(Role::Mixed, 5, "a test");
    }
}

/// Eight processors of a `dgx-h100`, or four of a server that has no more.
fn scenario(fields: &str) -> Result<CheckedScenario, String> {
    let fleet = r#"(sku: "dgx-h100", count: 1, limit: 4), (sku: "four", count: 1, limit: 4)"#;
    let templates = r#"
        (role: Mixed, tensor_parallelism: 8, start: Sku("dgx-h100")),
        (role: Mixed, tensor_parallelism: 4, start: Sku("four")),
    "#;
    scenario_of(fleet, templates, fields)
}

fn takes(world: &World, instance: Entity) -> usize {
    world.get::<Uses>(instance).map_or(0, Uses::len)
}

fn scenario_of(fleet: &str, templates: &str, fields: &str) -> Result<CheckedScenario, String> {
    let text = format!(
        r#"(
            name: "shapes",
            fleet: [{fleet}],
            applications: [(
                name: "app", model: "llama2-70b",
                performance: Constant(prompt_time: 1, token_time: 1),
                instances: [{templates}],
                workload: Synthetic(
                    arrivals: Constant(rate: 1), prompt_tokens: Constant(1),
                    output_tokens: Constant(1), requests: 0,
                ),
                {fields}
            )],
            catalog: ["four.ron"],
        )"#
    );
    let directory = tempfile::tempdir().unwrap();
    let catalog = r#"(skus: [(name: "four", processor: "a100-80gb", processors: 4)])"#;
    std::fs::write(directory.path().join("four.ron"), catalog).unwrap();
    CheckedScenario::from_ron(&text, directory.path()).map_err(|problems| problems.to_string())
}

#[test]
fn scale_up_takes_the_template_that_fits_the_sku() {
    let mut world = World::new();
    install(&mut world, &scenario("").unwrap()).unwrap();
    let app = world.application("app").unwrap();
    for (sku, processors) in [("four", 4), ("dgx-h100", 8)] {
        let request = ScaleUpFull {
            sku: Some(sku.to_owned()),
            ..ScaleUpFull::new(app, Role::Mixed)
        };
        let up = world.scale_up_full(&request).unwrap();
        assert_eq!(takes(&world, up.instance), processors);
        world.cancel_scale_up(up.instance).unwrap();
        let server = world.scale_up_server(Some(sku)).unwrap();
        let request = ScaleUpInstance::new(app, Role::Mixed, server);
        let instance = world.scale_up_instance(&request).unwrap();
        assert_eq!(takes(&world, instance), processors);
        check_invariants(&mut world).unwrap();
    }
}

#[test]
fn named_processors_choose_the_template_that_takes_as_many() {
    let mut world = World::new();
    install(&mut world, &scenario("").unwrap()).unwrap();
    let app = world.application("app").unwrap();
    let server = world.scale_up_server(Some("dgx-h100")).unwrap();
    let request = ScaleUpInstance {
        processors: Some(vec![0, 1, 2, 3]),
        ..ScaleUpInstance::new(app, Role::Mixed, server)
    };
    let instance = world.scale_up_instance(&request).unwrap();
    assert_eq!(takes(&world, instance), 4);
}

#[test]
fn the_first_template_that_fits_is_taken() {
    let templates = r#"
        (role: Mixed, tensor_parallelism: 8, start: Sku("dgx-h100")),
        (role: Mixed, tensor_parallelism: 2, start: Sku("dgx-a100")),
    "#;
    let fleet = r#"(sku: "dgx-h100", count: 1), (sku: "dgx-a100", count: 1), (sku: "four")"#;
    let mut world = World::new();
    install(&mut world, &scenario_of(fleet, templates, "").unwrap()).unwrap();
    let app = world.application("app").unwrap();
    for (sku, processors) in [("dgx-h100", 8), ("dgx-a100", 8), ("four", 2)] {
        let request = ScaleUpFull {
            sku: Some(sku.to_owned()),
            ..ScaleUpFull::new(app, Role::Mixed)
        };
        let up = world.scale_up_full(&request).unwrap();
        assert_eq!(takes(&world, up.instance), processors, "{sku}");
    }
}

#[test]
fn a_policy_scales_every_shape() {
    for (choice, shapes) in [
        ("First", [8, 4, 8, 8, 8]),
        ("Named(\"four\")", [8, 4, 4, 4, 4]),
    ] {
        let fields = format!("autoscaler: Five(), actuator: (sku: {choice})");
        let mut registry = PolicyRegistry::built_in();
        registry.register::<Five>();
        let checked = scenario(&fields).unwrap();
        let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
        let world = simulation.world_mut();
        world.run_until(SimTime::saturating(50.0)).unwrap();
        check_invariants(world).unwrap();
        let accounts = world.fleet::<Ledger>().instances().iter();
        let found: Vec<u32> = accounts.map(|it| it.processors).collect();
        assert_eq!(found, shapes, "{choice}");
    }
}

#[test]
fn a_choice_that_can_never_carry_the_role_is_refused() {
    let eight = "(role: Mixed, tensor_parallelism: 8, start: Sku(\"dgx-h100\"))";
    let fleet = r#"(sku: "dgx-h100", count: 1), (sku: "four")"#;
    let refused = |fields: &str| scenario_of(fleet, eight, fields).err();
    let error = refused(r#"autoscaler: Five(), actuator: (sku: Named("four"))"#).unwrap();
    assert!(
        error.contains("takes 8 processors, and a `four` has 4"),
        "{error}"
    );
    // Without a policy nothing is chosen, and a role that is not scaled needs no SKU.
    assert_eq!(refused(r#"actuator: (sku: Named("four"))"#), None);
    let fixed = r#"autoscaler: Five(), actuator: (sku: Named("four"), mixed: (min: 0, max: 0))"#;
    assert_eq!(refused(fixed), None);
}
