//! Requests that a host makes, takes back and follows; and what engines do meanwhile.

use bevy_ecs::message::MessageReader;
use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::scenario::Workload;
use fleetsim::serving::{Cancelled, NoSuchRequest, Outcome, Phase, Rejection, RequestRecord, Role};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimTime;
use proptest::prelude::*;

use crate::host::*;

#[derive(Resource, Default)]
struct Answers(Vec<RequestRecord>);

fn read(mut ended: MessageReader<'_, '_, RequestEnded>, mut answers: ResMut<'_, Answers>) {
    answers.0.extend(ended.read().map(|it| it.record.clone()));
}

#[test]
fn ends_are_announced_in_the_tick_in_which_they_come() {
    let mut world = embed(&hosted(1, ""));
    world.announce_requests();
    world.announce_requests();
    world.init_resource::<Answers>();
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(Tick, read.in_set(TickSet::Observe));
    for id in 0..50 {
        let time = id as f64 * 0.5;
        world.service_mut().submit(request(id, time)).unwrap();
    }
    for second in 1..=100 {
        world.until(f64::from(second));
    }
    let taken: Vec<_> = world.service_mut().take_ended().collect();
    assert_eq!(taken.len(), 50);
    assert_eq!(world.resource::<Answers>().0, taken);
}

#[test]
fn readers_do_not_take_from_each_other() {
    let mut world = embed(&hosted(1, ""));
    let early = world.service_mut().follow_ended();
    for id in 0..40 {
        world.service_mut().submit(request(id, id as f64)).unwrap();
    }
    world.until(20.0);
    let late = world.service_mut().follow_ended();
    let before: Vec<u64> = world.service_mut().take_ended().map(|it| it.id).collect();
    world.until(200.0);
    let ids = |world: &mut World, follower| -> Vec<u64> {
        world
            .service_mut()
            .read_ended(follower)
            .map(|it| it.id)
            .collect()
    };
    let after = ids(&mut world, late);
    let taken: Vec<u64> = world.service_mut().take_ended().map(|it| it.id).collect();
    let all = ids(&mut world, early);
    assert_eq!(taken, after);
    assert_eq!(all, [before, after].concat());
    assert_eq!(all.len(), 40);
    assert!(ids(&mut world, early).is_empty());
}

/// The next request of a loop is handed over at the instant at which the last ended.
#[test]
fn a_closed_loop_of_a_host_is_the_one_that_is_built_in() {
    let users = |workload: &str| scenario(1, workload);
    let built_in = users(
        "workload: Users(users: 3, requests: 60, prompt_tokens: Constant(500), output_tokens: Constant(200)),",
    );
    let mut simulation = Simulation::new(&built_in).unwrap();
    while simulation.tick().unwrap() {}
    let finished = simulation.finish();
    let theirs: Vec<(SimTime, Option<SimTime>)> = finished
        .rows
        .requests
        .iter()
        .map(|(_, it)| (it.arrival, it.end))
        .collect();

    let mut world = embed(&hosted(1, ""));
    world.resource_mut::<TickLimits>().stop_at_ends = true;
    let follower = world.service_mut().follow_ended();
    (0..3).for_each(|id| world.service_mut().submit(request(id, 0.0)).unwrap());
    let (mut next, mut ours) = (3, Vec::new());
    while ours.len() < 60 {
        world.tick().unwrap();
        let now = world.now();
        let mut service = world.service_mut();
        let ended: Vec<_> = service.read_ended(follower).cloned().collect();
        for record in ended {
            assert_eq!(
                record.end,
                Some(now),
                "the tick ends where the request does"
            );
            ours.push((record.arrival, record.end));
            if next < 60 {
                let arrival = fleetsim::workload::Arrival {
                    time: now,
                    ..request(next, 0.0)
                };
                service.submit(arrival).unwrap();
                next += 1;
            }
        }
    }
    assert_eq!(ours, theirs);
}

#[test]
fn a_request_is_taken_back_wherever_it_is() {
    let mut world = embed(&hosted(1, ""));
    let mut service = world.service_mut();
    for id in 0..3 {
        service.submit(request(id, id as f64 * 100.0)).unwrap();
    }
    world.until(1.0);
    let mut service = world.service_mut();
    assert_eq!(service.cancel(0), Ok(Cancelled::AfterArrival));
    assert_eq!(service.cancel(2), Ok(Cancelled::BeforeArrival));
    assert_eq!(service.cancel(0), Err(NoSuchRequest { id: 0 }));
    assert_eq!(service.cancel(2), Err(NoSuchRequest { id: 2 }));
    // Its number is free again.
    service.submit(request(2, 150.0)).unwrap();
    world.until(400.0);
    let ended: Vec<_> = world.service_mut().take_ended().collect();
    let outcomes: Vec<_> = ended.iter().map(|it| (it.id, it.outcome)).collect();
    let cancelled = Outcome::Rejected(Rejection::Cancelled);
    assert_eq!(
        outcomes,
        [
            (0, cancelled),
            (1, Outcome::Completed),
            (2, Outcome::Completed)
        ]
    );
    assert_eq!(ended[0].end, Some(at(1.0)));
    let counts = world.service().counts();
    assert_eq!(
        (counts.arrived, counts.completed, counts.rejected),
        (3, 2, 1)
    );
}

#[test]
fn a_request_that_waits_for_an_instance_is_taken_back() {
    let mut world = embed(&hosted(0, ""));
    (0..4).for_each(|id| world.service_mut().submit(request(id, 0.0)).unwrap());
    world.until(1.0);
    assert_eq!(world.service().counts().waiting, 4);
    world.service_mut().cancel(2).unwrap();
    let chat = world.chat();
    world
        .scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))
        .unwrap();
    world.until(100.0);
    let counts = world.service().counts();
    assert_eq!(
        (counts.completed, counts.rejected, counts.waiting),
        (3, 1, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// With every scheduler and engine, at any instant, nothing is left of a request that was taken back, and
    /// all others are served.
    #[test]
    fn what_is_taken_back_leaves_nothing(
        scheduler in 0_usize..6, engine in 0_usize..4,
        cancels in prop::collection::vec((0.0..40.0_f64, 0_u64..120), 1..40),
    ) {
        let scheduler = ["Jsq", "TokenJsq", "RoundRobin", "KvTokenJsq(transfer_gib_per_s: 0.2)",
            "KvJsq(transfer_gib_per_s: 0.05)", "MixedPool(transfer_gib_per_s: 0.2)"][scheduler];
        let engine = ["Splitwise(max_batch_size: 8)", "Orca(max_batch_size: 4)", "Fcfs",
            "Vllm(max_num_seqs: 8, num_gpu_blocks: 400)"][engine];
        let split = scheduler.contains('(');
        let roles: &[&str] = if split { &["Prompt", "Token"] } else { &["Mixed"] };
        let templates: String = roles.iter().map(|role| format!(
            "(role: {role}, engine: {engine}, start: Servers(1)),"
        )).collect();
        let text = format!(r#"(
            name: "cancel", fleet: [(sku: "dgx-h100", count: {})],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: {scheduler}, instances: [{templates}],
                workload: Host,
            )],
        )"#, roles.len());
        let checked = fleetsim::scenario::CheckedScenario::from_ron(&text, ".".as_ref());
        // Not every engine sends KV caches.
        prop_assume!(checked.is_ok());
        let mut world = embed(&checked.unwrap());
        for id in 0..120 {
            world.service_mut().submit(request(id, id as f64 * 0.25)).unwrap();
        }
        let mut cancels = cancels;
        cancels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut taken_back = 0;
        for (time, id) in cancels {
            world.until(time);
            taken_back += u64::from(world.service_mut().cancel(id).is_ok());
            prop_assert_eq!(world.service().recount(), Ok(()));
        }
        world.until(5_000.0);
        let counts = world.service().counts();
        prop_assert_eq!((counts.waiting, counts.in_flight), (0, 0));
        prop_assert_eq!(counts.completed + taken_back, 120);
    }
}

#[test]
fn a_workload_is_hurried_and_replaced() {
    let steady = r#"workload: Synthetic(
        arrivals: Constant(rate: 1.0), prompt_tokens: Constant(10), output_tokens: Constant(2), requests: 100,
    ),"#;
    let mut world = embed(&scenario(1, steady));
    world.until(10.5);
    world.service_mut().set_rate(2.0).unwrap();
    assert!(world.service_mut().set_rate(0.0).is_err());
    assert!(world.service_mut().set_rate(f64::NAN).is_err());
    world.until(15.5);
    assert_eq!(world.service().counts().arrived, 20);
    world.service_mut().set_rate(0.5).unwrap();
    world.until(19.4);
    let times: Vec<f64> = world
        .service_mut()
        .take_ended()
        .map(|it| it.arrival.seconds())
        .collect();
    assert_eq!(times[9..13], [10.0, 10.75, 11.25, 11.75]);
    assert_eq!(times[19..], [15.25, 16.5, 18.5]);

    let spec = Workload::Synthetic {
        arrivals: fleetsim::scenario::Arrivals::Constant { rate: 4.0 },
        shape: fleetsim::scenario::Shape::Constant,
        prompt_tokens: fleetsim::scenario::Lengths::Constant(10),
        output_tokens: fleetsim::scenario::Lengths::Constant(2),
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(5),
    };
    let arrivals = fleetsim::workload::open(&spec, ".".as_ref(), 1, "chat").unwrap();
    world.service_mut().set_arrivals(arrivals);
    world.until(60.0);
    let times: Vec<f64> = world
        .service_mut()
        .take_ended()
        .map(|it| it.arrival.seconds())
        .collect();
    let expected = [0.25, 0.5, 0.75, 1.0, 1.25].map(|it| 19.4 + it);
    assert_eq!(times.len(), 5);
    for (time, expected) in times.into_iter().zip(expected) {
        assert!((time - expected).abs() < 1e-9, "{time} {expected}");
    }
    assert!(world.is_quiet());
}

#[test]
fn a_fleet_that_only_its_host_uses_and_scales_is_no_mistake() {
    for rest in ["", "autoscaler: Host,"] {
        let checked = hosted(0, rest);
        let mut simulation = Simulation::new(&checked).unwrap();
        assert!(simulation.warnings().is_empty());
        while simulation.tick().unwrap() {}
        assert_eq!(
            simulation.finish().record.summarise().applications[0]
                .requests
                .arrived,
            0
        );
    }
}

#[test]
fn the_power_of_a_server_over_time_is_the_energy_of_the_summary() {
    let workload = r#"workload: Synthetic(
        arrivals: Poisson(rate: 1.5), prompt_tokens: Constant(1500), output_tokens: Constant(60), requests: 60,
    ),"#;
    let checked = scenario(1, workload);
    let mut simulation = Simulation::new(&checked).unwrap();
    let mut joules = 0.0;
    let (mut idle, mut prompts, mut tokens) = (0, 0, 0);
    loop {
        let world = simulation.world();
        let server = world.server(0).unwrap();
        let watts = world.server_power_w(server).unwrap();
        let instance = world.instance(0).unwrap();
        match world
            .service()
            .phase(world.get::<EngineHandle>(instance).unwrap())
        {
            Phase::Idle => idle += 1,
            Phase::Prompt => prompts += 1,
            Phase::Token => tokens += 1,
        }
        let before = world.now();
        if let Some(next) = world.next_served() {
            simulation.world_mut().resource_mut::<TickLimits>().horizon = next;
        }
        let more = simulation.tick().unwrap();
        joules += watts * (simulation.now() - before).seconds();
        if !more {
            break;
        }
    }
    assert!(
        idle > 5 && prompts > 20 && tokens > 20,
        "{idle} {prompts} {tokens}"
    );
    let energy = simulation
        .finish()
        .record
        .summarise()
        .fleet
        .energy_kwh
        .unwrap()
        * 3.6e6;
    assert!((joules / energy - 1.0).abs() < 1e-9, "{joules} {energy}");
}
