//! Fleets that are written down and go on later.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::PolicyRegistry;
use fleetsim::fleet::{self, FleetsExt, *};
use fleetsim::random::Stream;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::registry::RouterKind;
use fleetsim::serving::routing::{Engines, Event, RequestView, Route, Router};
use fleetsim::serving::{EngineId, Role};
use fleetsim::simulation::{Simulation, SimulationError};
use fleetsim::snapshot::{RestoreError, SaveError, StateReader, StateWriter, read_header};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fork::{SURGE, finish, recorded, recording};
use crate::host::*;

fn saved(simulation: &Simulation) -> Vec<u8> {
    let mut bytes = Vec::new();
    simulation.save(&mut bytes).unwrap();
    bytes
}

fn save(world: &World) -> Result<Vec<u8>, SaveError> {
    let mut bytes = Vec::new();
    fleet::save(world, &mut bytes)?;
    Ok(bytes)
}

/// The run, saved after some of its ticks, ends each time as it does undisturbed.
fn goes_on(checked: &CheckedScenario, begin: impl Fn() -> Simulation, after: &[u32]) {
    let undisturbed = finish(begin());
    let mut simulation = begin();
    let mut tick = 0;
    for &stop in after {
        while tick < stop {
            simulation.tick().unwrap();
            tick += 1;
        }
        let mut restored = Simulation::restore(checked, &*saved(&simulation)).unwrap();
        check_invariants(restored.world_mut()).unwrap();
        assert_eq!(restored.now(), simulation.now());
        assert!(finish(restored) == undisturbed, "after {stop} ticks");
    }
    assert!(finish(simulation) == undisturbed);
}

#[test]
fn a_run_goes_on_with_every_policy() {
    let checked = scenario(1, SURGE);
    let mut tried = 0;
    for kind in PolicyRegistry::built_in().policies() {
        let Ok(checked) = checked.with_policy(&[0], &format!("{}()", kind.name())) else {
            continue;
        };
        // Policies of two pools do not go with one.
        if Simulation::new(&checked).is_err() {
            continue;
        }
        tried += 1;
        let begin = || Simulation::new(&checked).unwrap();
        goes_on(&checked, begin, &[0, 1, 77, 290]);
    }
    assert!(tried > 12, "only {tried} policies were tried");
}

#[test]
fn a_run_reads_its_trace_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::from("arrival_s,prompt_tokens,output_tokens,session,prefix_blocks\n");
    for row in 0..500 {
        rows += &format!(
            "{},{},{},user {},{} {}\n",
            f64::from(row) * 0.2,
            100 + row % 700,
            1 + row % 90,
            row % 7,
            row % 5,
            row
        );
    }
    std::fs::write(dir.path().join("trace.csv"), rows).unwrap();
    let text = r#"(
        name: "traced", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
            workload: Trace(
                path: "trace.csv", format: Requests(block_tokens: 64), repeat: 3, rate_scale: 1.5, window: (3, 250),
            ),
        )],
    )"#;
    let checked = CheckedScenario::from_ron(text, dir.path()).unwrap();
    let begin = || Simulation::new(&checked).unwrap();
    goes_on(&checked, begin, &[0, 3, 20, 41, 60]);

    // Another row in the trace is another run.
    let bytes = saved(&begin());
    std::fs::write(
        dir.path().join("trace.csv"),
        "arrival_s,prompt_tokens,output_tokens\n0,1,1\n",
    )
    .unwrap();
    let other = CheckedScenario::from_ron(text, dir.path()).unwrap();
    let error = Simulation::restore(&other, &*bytes).unwrap_err();
    assert!(error.to_string().contains("hash"), "{error}");
}

#[test]
fn a_run_keeps_the_steps_and_runs_that_are_recorded() {
    let checked = recorded();
    let begin = || recording(&checked);
    goes_on(&checked, begin, &[0, 2, 5, 9, 12]);
}

#[test]
fn applications_go_on_whatever_their_steps_take() {
    let application = |name: &str, performance: &str, engine: &str| {
        let model = match performance.starts_with("Roofline") {
            true => "llama-3.1-70b",
            false => "llama2-70b",
        };
        format!(
            r#"(
                name: "{name}", model: "{model}", scheduler: TokenJsq, performance: {performance},
                instances: [(role: Mixed, engine: {engine}, start: Servers(2))],
                workload: Synthetic(
                    arrivals: Gamma(rate: 5.0, cv: 2.0), requests: 300,
                    prompt_tokens: LogNormal(median: 700.0, sigma: 0.9), output_tokens: Geometric(mean: 90.0),
                    system_prompts: (count: 5, tokens: 300),
                ),
            )"#
        )
    };
    let linear =
        "Linear(base: 0.006, prefill_token: 2e-5, decode_request: 5e-5, context_token: 1e-7)";
    let applications = [
        application("one", linear, "Splitwise()"),
        application("two", linear, "Vllm(max_num_seqs: 32, num_gpu_blocks: 700)"),
        application("three", "Roofline()", "Orca(max_batch_size: 16)"),
        application(
            "four",
            "Constant(prompt_time: 0.2, token_time: 0.03)",
            "Fcfs",
        ),
    ];
    let text = format!(
        "(name: \"four\", fleet: [(sku: \"dgx-h100\", count: 8)], applications: [{}])",
        applications.join(", ")
    );
    let checked =
        CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|it| panic!("{it}"));
    let begin = || {
        let mut simulation = Simulation::new(&checked).unwrap();
        let max_tick = fleetsim::time::SimDuration::saturating(0.7);
        let mut limits = simulation.world_mut().resource_mut::<TickLimits>();
        limits.max_tick = Some(max_tick);
        simulation
    };
    goes_on(&checked, begin, &[0, 1, 13, 40, 77]);
}

/// A router of one's own: instances in turn. Of a stubborn one no state can be written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InTurn {
    stubborn: bool,
    #[serde(skip)]
    open: Vec<EngineId>,
    #[serde(skip)]
    next: usize,
}

impl RouterKind for InTurn {
    const NAME: &'static str = "InTurn";
    const SUMMARY: &'static str = "Instances in turn.";

    fn build(&self, _: Stream) -> Box<dyn Router> {
        Box::new(self.clone())
    }
}

impl Router for InTurn {
    fn route(&mut self, _: &RequestView, _: &Engines<'_>) -> Route {
        self.next += 1;
        match self.open.len() {
            0 => Route::Wait,
            count => Route::Engine(self.open[self.next % count]),
        }
    }

    fn on(&mut self, event: &Event) {
        match *event {
            Event::Opened { engine, .. } => self.open.push(engine),
            Event::Closed { engine } => self.open.retain(|&it| it != engine),
            _ => {}
        }
    }

    fn save(&self, to: &mut StateWriter) -> Result<(), SaveError> {
        match self.stubborn {
            true => Err(SaveError::not_saved("the router InTurn", "it is stubborn")),
            false => to.put(&(&self.open, self.next)),
        }
    }

    fn restore(&mut self, from: &mut StateReader<'_>) -> Result<(), RestoreError> {
        (self.open, self.next) = from.take()?;
        Ok(())
    }
}

#[test]
fn a_router_of_a_hosts_own_goes_on_if_it_says_how() {
    let mut registry = PolicyRegistry::built_in();
    registry.register_router::<InTurn>();
    let scenario = |stubborn: bool| {
        let text = format!(
            r#"(
                name: "own", fleet: [(sku: "dgx-h100", count: 3)],
                applications: [(
                    name: "chat", model: "llama2-70b", scheduler: InTurn(stubborn: {stubborn}),
                    instances: [(role: Mixed, start: AllServers)],
                    workload: Synthetic(
                        arrivals: Poisson(rate: 6.0), requests: 200,
                        prompt_tokens: Constant(400), output_tokens: Geometric(mean: 60.0),
                    ),
                )],
                faults: [(at: 12.0, fault: InstanceCrash(instance: 1))],
            )"#
        );
        registry.from_ron(&text, ".".as_ref()).unwrap()
    };
    let checked = scenario(false);
    let begin = || Simulation::with_policies(&checked, &registry).unwrap();
    let mut simulation = begin();
    (0..3).for_each(|_| _ = simulation.tick().unwrap());
    let bytes = saved(&simulation);
    let restored = Simulation::restore_with_policies(&checked, &registry, &*bytes).unwrap();
    let undisturbed = finish(begin());
    assert!(finish(restored) == undisturbed && finish(simulation) == undisturbed);

    let simulation = Simulation::with_policies(&scenario(true), &registry).unwrap();
    let error = simulation.save(&mut Vec::new()).unwrap_err().to_string();
    assert!(
        error.contains("InTurn") && error.contains("stubborn"),
        "{error}"
    );
}

/// What a host keeps of an application.
#[derive(Component, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Budget(f64);

/// Somebody that a host knows by its entity.
#[derive(Component, Clone, Debug, Serialize, Deserialize)]
struct Favourite(Entity);

#[derive(Component, Clone)]
struct Handle;

struct Billing;

fn prepared(checked: &CheckedScenario) -> World {
    let mut world = embed(checked);
    world
        .get_resource_or_init::<Parts>()
        .component::<Budget>()
        .component_with::<Favourite>(|it, twins| {
            it.0 = twins.of(it.0).unwrap_or(Entity::PLACEHOLDER);
        })
        .purpose::<Billing>();
    world
}

#[test]
fn a_host_finds_what_it_has_entered() {
    let checked = hosted(2, "");
    let mut world = prepared(&checked);
    world.announce_requests();
    let chat = world.chat();
    let second = world.instance(1).unwrap();
    world
        .entity_mut(chat)
        .insert((Budget(3.5), Favourite(second)));
    world.spawn(Budget(7.0));
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Billing>(at(60.0), chat);
    (0..30).for_each(|id| world.service_mut().submit(request(id, id as f64)).unwrap());
    world.until(12.0);

    let bytes = save(&world).unwrap();
    let mut later = prepared(&checked);
    fleet::restore(&mut later, &*bytes).unwrap();
    check_invariants(&mut later).unwrap();
    assert_eq!(later.get::<Budget>(later.chat()), Some(&Budget(3.5)));
    assert_eq!(later.query::<&Budget>().iter(&later).count(), 2);
    let favourite = later.get::<Favourite>(later.chat()).unwrap().0;
    assert_eq!(Some(favourite), later.instance(1));
    for id in 30..60 {
        let arrival = request(id, id as f64);
        world.service_mut().submit(arrival.clone()).unwrap();
        later.service_mut().submit(arrival).unwrap();
    }
    for world in [&mut world, &mut later] {
        let chat = world.chat();
        world.until(25.0);
        assert!(!world.resource::<Messages<RequestEnded>>().is_empty());
        world
            .scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))
            .unwrap();
        let first = world.instance(0).unwrap();
        world.scale_down_full(first).unwrap();
        assert_eq!(world.resource::<Agenda>().awake_for::<Billing>().count(), 0);
        world.until(60.0);
        assert_eq!(world.resource::<Agenda>().awake_for::<Billing>().count(), 1);
        world.until(500.0);
    }
    let log = |world: &World| world.fleet::<ScalingLog>().events().to_vec();
    assert_eq!(log(&later), log(&world));
    assert_eq!(later.service().ended(), world.service().ended());
    assert_eq!(later.service().counts().completed, 60);
}

#[test]
fn what_cannot_be_saved_is_named() {
    let refused = |world: &World| match save(world) {
        Err(SaveError::NotSaved { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let checked = hosted(1, "");
    assert_eq!(save(&World::new()), Err(SaveError::NoFleet));

    let mut world = embed(&checked);
    world
        .get_resource_or_init::<Parts>()
        .unsaved_component::<Handle>();
    assert!(save(&world).is_ok());
    world.spawn(Handle);
    assert!(refused(&world).contains("Handle"), "{}", refused(&world));

    let mut world = embed(&checked);
    let chat = world.chat();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake_for::<Billing>(at(60.0), chat);
    assert!(refused(&world).contains("Billing"), "{}", refused(&world));

    let mut world = embed(&checked);
    let requests = (0..9).map(|id| Ok(request(id, id as f64)));
    let requests: Vec<_> = requests.collect();
    world
        .service_mut()
        .set_arrivals(Box::new(requests.into_iter()));
    assert!(
        refused(&world).contains("set_arrivals"),
        "{}",
        refused(&world)
    );
}

#[test]
fn a_snapshot_is_refused_where_it_does_not_belong() {
    let checked = hosted(1, "");
    let bytes = save(&prepared(&checked)).unwrap();
    let restore = |world: &mut World| fleet::restore(world, &*bytes).unwrap_err();

    let mut other = embed(&hosted(2, ""));
    assert!(matches!(
        restore(&mut other),
        RestoreError::Differs { what: "hash", .. }
    ));
    let mut run = embed(&checked);
    run.until(1.0);
    assert_eq!(restore(&mut run), RestoreError::NotFresh);
    assert_eq!(restore(&mut World::new()), RestoreError::NotFresh);

    let mut world = prepared(&checked);
    world.spawn(Budget(1.0));
    let bytes = save(&world).unwrap();
    let error = fleet::restore(&mut embed(&checked), &*bytes).unwrap_err();
    assert!(
        matches!(&error, RestoreError::Unknown(what) if what.contains("Budget")),
        "{error}"
    );
    assert_eq!(
        fleet::restore(
            &mut embed(&checked),
            &b"PK\x03\x04, and more of the kind"[..]
        ),
        Err(RestoreError::NotASnapshot)
    );
    let header = read_header(&*bytes).unwrap();
    assert_eq!((&*header.scenario, header.now), ("hosted", at(0.0)));
    let simulation = Simulation::restore(&hosted(2, ""), &*bytes);
    assert!(matches!(simulation, Err(SimulationError::Restore(_))));
}

#[test]
fn what_was_added_on_the_way_is_added_before_it_is_restored() {
    let checked = hosted(1, "");
    let entry = |sku: &str| fleetsim::scenario::FleetEntry {
        sku: sku.to_owned(),
        count: 1,
        limit: Some(4),
        ..Default::default()
    };
    let mut world = embed(&checked);
    world.until(3.0);
    world
        .add_sku(&entry("dgx-a100"), checked.catalog())
        .unwrap();
    world.until(9.0);
    let bytes = save(&world).unwrap();
    let error = fleet::restore(&mut embed(&checked), &*bytes).unwrap_err();
    assert!(error.to_string().contains("dgx-a100"), "{error}");

    let mut later = embed(&checked);
    later
        .add_sku(&entry("dgx-a100"), checked.catalog())
        .unwrap();
    fleet::restore(&mut later, &*bytes).unwrap();
    check_invariants(&mut later).unwrap();
    assert_eq!(later.status_summary(), world.status_summary());
    let request = ScaleUpFull {
        sku: Some("dgx-a100".to_owned()),
        ..ScaleUpFull::new(later.chat(), Role::Mixed)
    };
    later.scale_up_full(&request).unwrap();
    later.until(100.0);
    assert_eq!(later.active_instances(later.chat(), Role::Mixed).len(), 2);
}

fn small() -> &'static (CheckedScenario, Vec<u8>) {
    static SMALL: std::sync::OnceLock<(CheckedScenario, Vec<u8>)> = std::sync::OnceLock::new();
    SMALL.get_or_init(|| {
        let checked = scenario(
            1,
            "autoscaler: HpaGpu(), workload: Synthetic(
                arrivals: Poisson(rate: 4.0), prompt_tokens: Constant(500),
                output_tokens: Constant(100), requests: 100,
            ),",
        );
        let mut simulation = Simulation::new(&checked).unwrap();
        (0..20).for_each(|_| _ = simulation.tick().unwrap());
        let bytes = saved(&simulation);
        (checked, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_are_refused(
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..5),
    ) {
        let (checked, bytes) = small();
        let refused = |bytes: &[u8]| Simulation::restore(checked, bytes).is_err();
        prop_assert!(refused(&bytes[..cut.index(bytes.len())]));
        let mut changed = bytes.clone();
        for (at, bit) in flips {
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
        }
        prop_assert_eq!(refused(&changed), changed != *bytes);
    }
}
