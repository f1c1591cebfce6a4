//! Copies of a fleet that go on by themselves.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::PolicyRegistry;
use fleetsim::fleet::{self, FleetsExt, *};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::Role;
use fleetsim::simulation::Simulation;
use serde::{Deserialize, Serialize};

use crate::host::*;

/// What a policy has to follow.
pub(crate) const SURGE: &str = r#"
        slo: (ttft: 1.0, tbt: 0.1),
        signals: (scrape_interval: 7.0, scrape_delay: 3.0),
        actuator: (up_cooldown: 20.0, down_cooldown: 30.0),
        workload: Synthetic(
            arrivals: Poisson(rate: 8.0), shape: Piecewise([(0.0, 1.0), (150.0, 4.0), (300.0, 0.5)]),
            prompt_tokens: LogNormal(median: 1200.0, sigma: 0.8, max: 8000),
            output_tokens: Geometric(mean: 120.0), window: (0.0, 600.0),
        ),
    "#;

/// Two kinds of engines, one of which tells its steps.
pub(crate) fn recorded() -> CheckedScenario {
    let text = r#"(
        name: "steps", fleet: [(sku: "dgx-h100", count: 2)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: RoundRobin,
            instances: [
                (role: Mixed, engine: Vllm(max_num_seqs: 16, num_gpu_blocks: 900), start: Servers(1)),
                (role: Mixed, engine: Splitwise(), start: Servers(1)),
            ],
            workload: Users(
                users: 30, requests: 400, think: Exponential(mean: 2.0),
                prompt_tokens: LogNormal(median: 900.0, sigma: 0.9), output_tokens: Geometric(mean: 90.0),
            ),
        )],
    )"#;
    CheckedScenario::from_ron(text, ".".as_ref()).unwrap()
}

/// A run whose steps and runs are recorded.
pub(crate) fn recording(checked: &CheckedScenario) -> Simulation {
    let mut simulation = Simulation::new(checked).unwrap();
    simulation.record_runs();
    simulation.record_steps(None);
    simulation
}

/// Everything that a run leaves behind, as text.
pub(crate) fn finish(mut simulation: Simulation) -> String {
    while simulation.tick().unwrap() {}
    let decisions = simulation.take_decisions();
    let finished = simulation.finish();
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{decisions:?}\n{:?}",
        finished.rows.requests,
        finished.rows.samples,
        finished.rows.steps,
        finished.rows.runs,
        finished.record
    )
}

#[test]
fn a_fork_goes_on_with_every_policy() {
    let checked = scenario(1, SURGE);
    let registry = PolicyRegistry::built_in();
    let mut tried = 0;
    for kind in registry.policies() {
        let Ok(checked) = checked.with_policy(&[0], &format!("{}()", kind.name())) else {
            continue;
        };
        // Policies of two pools do not go with one.
        let Ok(mut simulation) = Simulation::new(&checked) else {
            continue;
        };
        tried += 1;
        let undisturbed = finish(Simulation::new(&checked).unwrap());
        let mut forks = Vec::new();
        for tick in 0..400 {
            if tick % 57 == 20 {
                forks.push(simulation.fork());
            }
            simulation.tick().unwrap();
        }
        for fork in forks {
            assert!(finish(fork) == undisturbed, "{}", kind.name());
        }
        assert!(finish(simulation) == undisturbed, "{}", kind.name());
    }
    assert!(tried > 12, "only {tried} policies were tried");
}

#[test]
fn a_fork_reads_its_trace_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::from("arrival_s,prompt_tokens,output_tokens\n");
    for row in 0..500 {
        rows += &format!(
            "{},{},{}\n",
            f64::from(row) * 0.2,
            100 + row % 700,
            1 + row % 90
        );
    }
    std::fs::write(dir.path().join("trace.csv"), rows).unwrap();
    let text = r#"(
        name: "traced", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
            workload: Trace(path: "trace.csv", format: Requests(), repeat: 3, rate_scale: 1.5, window: (3, 250)),
        )],
    )"#;
    let checked = CheckedScenario::from_ron(text, dir.path()).unwrap();
    let undisturbed = finish(Simulation::new(&checked).unwrap());
    let mut simulation = Simulation::new(&checked).unwrap();
    let mut forks = Vec::new();
    for _ in 0..60 {
        forks.push(simulation.fork());
        simulation.tick().unwrap();
    }
    for fork in forks.into_iter().chain([simulation]) {
        assert!(finish(fork) == undisturbed);
    }
}

#[test]
fn a_fork_has_steps_and_runs_that_are_recorded() {
    let checked = recorded();
    let begin = || recording(&checked);
    let undisturbed = finish(begin());
    let mut simulation = begin();
    let mut forks = Vec::new();
    for _ in 0..12 {
        forks.push(simulation.fork());
        simulation.tick().unwrap();
    }
    for fork in forks.into_iter().chain([simulation]) {
        assert!(finish(fork) == undisturbed);
    }
}

/// What a host keeps of an application.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Budget(f64);

#[derive(Component)]
struct Foreign;

#[test]
fn a_fork_takes_what_a_host_has_entered_and_leaves_the_rest() {
    let mut world = embed(&hosted(2, ""));
    world.get_resource_or_init::<Parts>().component::<Budget>();
    let chat = world.chat();
    world.entity_mut(chat).insert(Budget(3.5));
    let owned = world.spawn(Budget(7.0)).id();
    let foreign = world.spawn(Foreign).id();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake(TickSet::Act, at(30.0), foreign);
    agenda.wake(TickSet::Act, at(40.0), owned);
    (0..30).for_each(|id| world.service_mut().submit(request(id, id as f64)).unwrap());
    world.until(12.0);

    let mut fork = fleet::fork(&world).unwrap();
    check_invariants(&mut fork).unwrap();
    assert_eq!(fork.get::<Budget>(fork.chat()), Some(&Budget(3.5)));
    assert_eq!(fork.query::<&Budget>().iter(&fork).count(), 2);
    assert_eq!(fork.query::<&Foreign>().iter(&fork).count(), 0);
    for id in 30..60 {
        let arrival = request(id, id as f64);
        world.service_mut().submit(arrival.clone()).unwrap();
        fork.service_mut().submit(arrival).unwrap();
    }
    for world in [&mut world, &mut fork] {
        let chat = world.chat();
        world.until(25.0);
        world
            .scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))
            .unwrap();
        let first = world.instance(0).unwrap();
        world.scale_down_full(first).unwrap();
        world.until(500.0);
    }
    let log = |world: &World| world.fleet::<ScalingLog>().events().to_vec();
    assert_eq!(log(&fork), log(&world));
    assert_eq!(fork.service().ended(), world.service().ended());
    assert_eq!(fork.service().counts().completed, 60);
    assert!(fleet::fork(&World::new()).is_none());
}

#[test]
fn a_fork_is_scaled_as_the_fleet_is() {
    // Servers, instances, processors: what shares a server, and in which order, is the same.
    let text = r#"(
        name: "shared", fleet: [(sku: "dgx-h100", count: 2, limit: 4)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: Jsq, autoscaler: Host,
            instances: [(role: Mixed, tensor_parallelism: 2, start: Servers(1))],
            scaling: (scale_up_delay: 1.0, drain: Poll(0.5)), workload: Host,
        )],
    )"#;
    let mut world = embed(&CheckedScenario::from_ron(text, ".".as_ref()).unwrap());
    let chat = world.chat();
    let second = world.server(1).unwrap();
    let mut request = ScaleUpInstance::new(chat, Role::Mixed, second);
    request.processors = Some(vec![5, 2]);
    world.scale_up_instance(&request).unwrap();
    let first = world.instance(1).unwrap();
    world.scale_down_instance(first).unwrap();
    world.until(0.5);
    let mut fork = fleet::fork(&world).unwrap();
    for world in [&mut world, &mut fork] {
        let chat = world.chat();
        let server = world.server(0).unwrap();
        world
            .scale_up_instance(&ScaleUpInstance::new(chat, Role::Mixed, server))
            .unwrap();
        let mut request = ScaleUpInstance::new(chat, Role::Mixed, world.server(1).unwrap());
        request.processors = Some(vec![2, 3]);
        assert!(world.scale_up_instance(&request).is_err());
        world.until(10.0);
        let server = world.server(0).unwrap();
        world.despawn(server);
        check_invariants(world).unwrap();
        world.until(20.0);
    }
    let log = |world: &World| world.fleet::<ScalingLog>().events().to_vec();
    assert_eq!(log(&fork), log(&world));
}
