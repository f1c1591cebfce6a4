//! A fleet that its host changes while it runs.

use fleetsim::autoscale::{Decider, DecisionLog, PolicyRegistry};
use fleetsim::catalog::Catalog;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::random::Delay;
use fleetsim::scenario::{Drain, FleetEntry, Performance, Scaling};
use fleetsim::serving::{Role, ServingRegistry};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;

use crate::host::*;

fn seconds(seconds: f64) -> SimDuration {
    SimDuration::saturating(seconds)
}

#[test]
fn limits_and_delays_of_skus_change() {
    let mut world = embed(&hosted(8, ""));
    let full = ScaleUpFull::new(world.chat(), Role::Mixed);
    assert!(matches!(
        world.scale_up_full(&full),
        Err(ScalingError::LimitReached { limit: 8, .. })
    ));
    world.set_limit("dgx-h100", Some(9)).unwrap();
    world
        .set_provision_delay("dgx-h100", Delay::Constant(seconds(100.0)))
        .unwrap();
    let new = world.scale_up_full(&full).unwrap();
    assert!(matches!(
        world.scale_up_full(&full),
        Err(ScalingError::LimitReached { limit: 9, .. })
    ));
    world.until(100.0);
    assert!(!world.can_schedule(new.instance));
    world.until(105.0);
    assert!(world.can_schedule(new.instance));
    // Servers beyond a limit stay.
    world.set_limit("dgx-h100", Some(2)).unwrap();
    world.until(110.0);
    assert_eq!(world.fleet::<Ledger>().servers_of(0).total(), 9);
    assert!(matches!(
        world.set_limit("dgx-h200", None),
        Err(ScalingError::UnknownSku { .. })
    ));
}

#[test]
fn a_sku_is_added_and_used() {
    let mut world = embed(&hosted(1, ""));
    let catalog = Catalog::built_in();
    let entry = FleetEntry {
        sku: "dgx-a100".to_owned(),
        count: 1,
        limit: Some(2),
        provision_delay: Delay::Constant(seconds(3.0)),
        ..FleetEntry::default()
    };
    let mut many = entry.clone();
    many.count = 3;
    assert!(matches!(
        world.add_sku(&many, &catalog),
        Err(ChangeError::OverLimit { .. })
    ));
    world.until(10.0);
    world.add_sku(&entry, &catalog).unwrap();
    assert!(matches!(
        world.add_sku(&entry, &catalog),
        Err(ChangeError::IsThere { .. })
    ));
    let mut unknown = entry.clone();
    unknown.sku = "dgx-z1".to_owned();
    assert!(matches!(
        world.add_sku(&unknown, &catalog),
        Err(ChangeError::Build(_))
    ));
    let on_it = ScaleUpFull {
        sku: Some("dgx-a100".to_owned()),
        ..ScaleUpFull::new(world.chat(), Role::Mixed)
    };
    let new = world.scale_up_full(&on_it).unwrap();
    assert!(world.scale_up_full(&on_it).is_err());
    let first = world.server(1).unwrap();
    world.until(13.0);
    world
        .scale_up_instance(&ScaleUpInstance::new(on_it.application, Role::Mixed, first))
        .unwrap();
    world.until(30.0);
    assert!(world.can_schedule(new.instance));
    let old = world.instance(0).unwrap();
    world.scale_down_instance(old).unwrap();
    for id in 0..20 {
        world.service_mut().submit(request(id, 30.0)).unwrap();
    }
    world.until(300.0);
    let ended: Vec<_> = world.service_mut().take_ended().collect();
    assert_eq!(ended.len(), 20);
    assert!(ended.iter().all(|it| it.prompt_instance > Some(0)));
}

#[test]
fn step_times_change_for_instances_that_come() {
    let performance = |prompt_time: f64| Performance::Constant {
        prompt_time: seconds(prompt_time),
        token_time: seconds(prompt_time / 100.0),
    };
    let checked = hosted(1, "performance: Constant(prompt_time: 1, token_time: 0.01)");
    let (mut world, catalog) = (embed(&checked), Catalog::built_in());
    let chat = world.chat();
    world
        .set_step_times(chat, &performance(2.0), &catalog)
        .unwrap();
    let full = ScaleUpFull::new(chat, Role::Mixed);
    world.scale_up_full(&full).unwrap();
    world.until(20.0);
    for id in [0, 1] {
        world.service_mut().submit(request(id, 20.0)).unwrap();
    }
    world.until(40.0);
    // 200 tokens: the first with the prompt, the others one a step.
    let ended: Vec<_> = world.service_mut().take_ended().collect();
    let took = ended.iter().map(|it| it.e2e().unwrap().seconds());
    for (took, expected) in took.zip([2.99, 5.98]) {
        assert!((took - expected).abs() < 1e-9, "{took} {expected}");
    }
    assert_eq!(ended.len(), 2);
    // A snapshot would make both alike; a fork does not.
    let refused = save(&world, &mut Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("OtherStepTimes"), "{refused}");
    assert!(fork(&world).is_some());
    // Nothing was measured there.
    let none = world.set_step_times(chat, &Performance::Profile, &Catalog::default());
    assert!(none.is_err());
}

#[test]
fn rules_of_scaling_change_for_what_comes_and_for_what_drains() {
    for (before, after) in [
        (Drain::OnIdle, Drain::Poll(seconds(7.0))),
        (Drain::Poll(seconds(7.0)), Drain::OnIdle),
    ] {
        let rules = |drain| Scaling {
            drain,
            ..Scaling::default()
        };
        let mut world = embed(&hosted(2, ""));
        let chat = world.chat();
        world.set_scaling(chat, &rules(before)).unwrap();
        (0..4).for_each(|id| world.service_mut().submit(request(id, 0.0)).unwrap());
        world.until(1.0);
        let busy = world.instance(0).unwrap();
        world.scale_down_instance(busy).unwrap();
        world.until(1.5);
        assert!(world.instance(0).is_some());
        world.set_scaling(chat, &rules(after)).unwrap();
        world.until(100.0);
        assert!(world.instance(0).is_none(), "{before:?} {after:?}");
        let gone = world.fleet::<Ledger>().instances()[0]
            .gone
            .unwrap()
            .seconds();
        let on_grid = ((gone - 1.0) / 7.0).fract() == 0.0;
        assert_eq!(on_grid, after != Drain::OnIdle, "{gone}");
    }
    let mut world = embed(&hosted(1, ""));
    let server = world.server(0).unwrap();
    assert!(world.set_scaling(server, &Scaling::default()).is_err());
}

#[test]
fn an_application_is_added_and_another_removed() {
    let first = scenario(2, "workload: Host,");
    let text = r#"(
        name: "second", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "search", model: "llama2-70b", instances: [(role: Mixed, tensor_parallelism: 4)],
            autoscaler: DynamoSla(interval: 10), slo: (ttft: 1.0),
            workload: Synthetic(
                arrivals: Constant(rate: 2.0), prompt_tokens: Constant(300), output_tokens: Constant(20),
                requests: 100,
            ),
        )],
    )"#;
    let second = fleetsim::scenario::CheckedScenario::from_ron(text, ".".as_ref()).unwrap();
    let mut world = embed_all(&first);
    world.announce_requests();
    world.until(50.0);
    let registry = ServingRegistry::default();
    let search = world.add_application(&second, "search", &registry).unwrap();
    assert!(matches!(
        world.add_application(&second, "search", &registry),
        Err(ChangeError::IsThere { .. })
    ));
    assert!(matches!(
        world.add_application(&second, "find", &registry),
        Err(ChangeError::NotInScenario(_))
    ));
    let chat = world.chat();
    world.despawn(chat);
    let server = world.server(0).unwrap();
    world
        .start_spin_up_instance(&ScaleUpInstance::new(search, Role::Mixed, server), true)
        .unwrap();
    PolicyRegistry::built_in()
        .set_policy(&mut world, &second, "search", "DynamoSla(interval: 10)")
        .unwrap();
    fleetsim::observe::install(&mut world, &[], seconds(10.0));
    world.run_until(at(200.0)).unwrap();
    check_invariants(&mut world).unwrap();
    let counts = world.get::<Service>(search).unwrap().counts();
    assert_eq!((counts.arrived, counts.completed), (100, 100));
    let rows = std::mem::take(&mut world.fleet_mut::<fleetsim::observe::Rows>().requests);
    assert_eq!(rows.len(), 100);
    assert_eq!(rows[0].1.arrival, at(50.5));
    assert_eq!(rows[99].1.arrival, at(100.0));
    assert!(world.fleet::<DecisionLog>().decisions().len() >= 14);
    let summary = fleetsim::summarise(&world).unwrap();
    assert_eq!(summary.applications.len(), 1);
    assert_eq!(summary.applications[0].requests.completed, 100);
    // A fork has both lives.
    let mut fork = fork(&world).unwrap();
    fork.run_until(at(300.0)).unwrap();
    check_invariants(&mut fork).unwrap();
}

#[test]
fn a_policy_is_replaced_for_one_application() {
    let checked = scenario(1, "autoscaler: HpaGpu(max: 2), workload: Host,");
    let mut world = embed_all(&checked);
    world.until(100.0);
    let registry = PolicyRegistry::built_in();
    let periodic = "Periodic(interval: 20, periods: [(from: 0, to: 24, instances: (mixed: 4))])";
    assert!(
        registry
            .set_policy(&mut world, &checked, "chat", "Nonsense")
            .is_err()
    );
    assert!(
        registry
            .set_policy(&mut world, &checked, "char", periodic)
            .is_err()
    );
    let policy =
        |world: &bevy_ecs::world::World| world.get::<Decider>(world.chat()).map(Decider::policy);
    assert_eq!(policy(&world), Some("HpaGpu"));
    registry
        .set_policy(&mut world, &checked, "chat", periodic)
        .unwrap();
    world.until(200.0);
    assert_eq!(world.active_instances(world.chat(), Role::Mixed).len(), 4);
    registry
        .set_policy(&mut world, &checked, "chat", "None")
        .unwrap();
    assert_eq!(policy(&world), None);
    let decisions = world.fleet::<DecisionLog>().decisions().len();
    world.until(400.0);
    assert_eq!(world.fleet::<DecisionLog>().decisions().len(), decisions);
}

#[test]
fn the_figures_so_far_are_those_of_a_run_that_ends_there() {
    let workload = r#"workload: Synthetic(
        arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(800), output_tokens: Geometric(mean: 90.0),
        window: (0.0, 300.0),
    ),"#;
    let checked = scenario(2, workload);
    let mut world = embed_all(&checked);
    world.until(100.0);
    let so_far = fleetsim::summarise(&world).unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    simulation.world_mut().run_until(at(100.0)).unwrap();
    let ended = simulation.finish().record.summarise();
    assert_eq!(so_far, ended);
    assert!(so_far.applications[0].requests.completed > 300);
    // Nothing was taken.
    world.until(1_000.0);
    let all = fleetsim::summarise(&world).unwrap();
    assert_eq!(
        all.applications[0].requests.completed,
        world.service().counts().completed
    );
    assert!(fleetsim::summarise(&bevy_ecs::world::World::new()).is_none());
}
