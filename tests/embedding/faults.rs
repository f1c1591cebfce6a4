//! What hosts met that embedded the fleet, each once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bevy_ecs::lifecycle::{Insert, Remove};
use bevy_ecs::prelude::*;
use fleetsim::autoscale::DecisionLog;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::observe::{ObserveSet, Rows};
use fleetsim::serving::{Follower, Role, SubmitError};
use fleetsim::time::SimDuration;

use crate::host::*;

const STEADY: &str = r#"
    workload: Synthetic(
        arrivals: Poisson(rate: 6.0), prompt_tokens: Constant(800), output_tokens: Geometric(mean: 150.0),
        window: (0.0, 300.0),
    ),
"#;

/// What an observer does with the entity that it is told of.
type Act = fn(Entity, &mut Commands<'_, '_>);

#[test]
fn an_observer_of_a_status_may_do_what_a_system_may() {
    let acts: [Act; 4] = [
        |it, commands| commands.entity(it).despawn(),
        |it, commands| {
            commands.queue(move |world: &mut World| {
                let host = world.get::<HostedOn>(it).map(HostedOn::server);
                host.map(|server| world.despawn(server));
            });
        },
        |it, commands| {
            commands.scale_down_instance(it);
            commands.cancel_scale_up(it);
        },
        |it, commands| {
            commands.queue(move |world: &mut World| {
                let chat = world.chat();
                let _ = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
                let _ = world.scale_down_full(it);
            });
        },
    ];
    for status in [
        InstanceStatus::ScalingUp,
        InstanceStatus::Active,
        InstanceStatus::Draining,
        InstanceStatus::ScalingDown,
    ] {
        for (number, act) in acts.into_iter().enumerate() {
            let mut world = embed(&scenario(2, STEADY));
            let mut left = 3;
            world.add_observer(
                move |on: On<'_, '_, Insert<InstanceStatus>>,
                      statuses: Query<'_, '_, &InstanceStatus>,
                      mut commands: Commands<'_, '_>| {
                    if statuses.get(on.entity) == Ok(&status) && left > 0 {
                        left -= 1;
                        act(on.entity, &mut commands);
                    }
                },
            );
            let chat = world.chat();
            world.until(5.0);
            let _ = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
            check_invariants(&mut world).unwrap();
            world.until(6.0);
            if let Some(new) = world.instance(2) {
                let _ = world.cancel_scale_up(new);
            }
            check_invariants(&mut world).unwrap();
            let _ = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
            world.until(40.0);
            if let Some(busy) = world.instance(0) {
                let _ = world.scale_down_full(busy);
            }
            check_invariants(&mut world).unwrap();
            for second in 41..60 {
                world.until(f64::from(second));
            }
            let _ = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
            world.until(2_000.0);
            let counts = world.service().counts();
            let served = counts.completed == counts.arrived;
            let none = world.active_instances(chat, Role::Mixed).is_empty();
            assert!(served || none, "{status:?} {number}: {counts:?}");
        }
    }
}

#[test]
fn a_host_heals_itself_from_what_is_removed() {
    let mut world = embed(&scenario(2, STEADY));
    world.add_observer(
        |_: On<'_, '_, Remove<Instance>>, mut commands: Commands<'_, '_>| {
            commands.queue(|world: &mut World| {
                let chat = world.chat();
                let _ = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
            });
        },
    );
    for second in 1..100 {
        world.until(f64::from(second) * 3.0);
        if second % 9 == 0 {
            let mut instances = world.query_filtered::<(&Instance, Entity), With<Instance>>();
            let least = instances
                .iter(&world)
                .map(|(it, entity)| (it.number(), entity))
                .min();
            let host = world.get::<HostedOn>(least.unwrap().1).unwrap().server();
            world.despawn(host);
            check_invariants(&mut world).unwrap();
        }
    }
    world.until(3_000.0);
    let counts = world.service().counts();
    assert_eq!(counts.completed, counts.arrived);
}

#[test]
fn what_is_due_now_is_served_now() {
    let mut world = embed(&hosted(1, ""));
    world.until(7.0);
    world.service_mut().submit(request(0, 7.0)).unwrap();
    world.until(7.0);
    assert_eq!(world.service().counts().arrived, 1);
    world.service_mut().submit(request(1, 7.0)).unwrap();
    let mut steps = 0;
    while let Some(next) = world.next_served() {
        world.run_until(next).unwrap();
        steps += 1;
        assert!(steps < 1_000, "the loop ends");
    }
    assert_eq!(world.service().counts().completed, 2);
}

#[test]
fn a_request_that_cannot_be_is_refused_and_nothing_else_happens() {
    let mut world = embed(&hosted(1, ""));
    world.until(10.0);
    let mut service = world.service_mut();
    let mut empty = request(0, 10.0);
    empty.output_tokens = 0;
    assert_eq!(
        service.submit(empty),
        Err(SubmitError::NoOutputTokens { id: 0 })
    );
    let mut silent = request(0, 10.0);
    silent.prompt_tokens = 0;
    assert_eq!(
        service.submit(silent),
        Err(SubmitError::NoPromptTokens { id: 0 })
    );
    assert!(matches!(
        service.submit(request(0, 9.5)),
        Err(SubmitError::Late { .. })
    ));
    service.submit(request(0, 11.0)).unwrap();
    assert_eq!(
        service.submit(request(0, 12.0)),
        Err(SubmitError::IdInUse { id: 0 })
    );
    world.until(100.0);
    let counts = world.service().counts();
    assert_eq!((counts.arrived, counts.completed), (1, 1));
}

/// What a recorder of a host's saw.
#[derive(Resource, Default)]
struct Seen(usize, Option<Follower>);

fn look(services: Query<'_, '_, &Service>, mut seen: ResMut<'_, Seen>) {
    seen.0 += services.iter().map(|it| it.ended().len()).sum::<usize>();
}

fn take(mut services: Query<'_, '_, &mut Service>, mut seen: ResMut<'_, Seen>) {
    for mut service in &mut services {
        seen.0 += service.take_ended().count();
    }
}

fn follow(mut services: Query<'_, '_, &mut Service>, mut seen: ResMut<'_, Seen>) {
    for mut service in &mut services {
        let follower = *seen.1.get_or_insert_with(|| service.follow_ended());
        seen.0 += service.read_ended(follower).count();
    }
}

#[test]
fn a_recorder_sees_all_that_ends_beside_that_of_the_fleet() {
    let mut world = embed_all(&scenario(2, STEADY));
    world.init_resource::<Seen>();
    let mut schedules = world.resource_mut::<Schedules>();
    let look = look.in_set(TickSet::Observe).before(ObserveSet::Collect);
    schedules.add_systems(Tick, look);
    world.until(600.0);
    let counts = world.service().counts();
    assert!(counts.completed > 1_500);
    assert_eq!(world.resource::<Seen>().0 as u64, counts.completed);
    assert_eq!(
        world.fleet::<Rows>().requests.len() as u64,
        counts.completed
    );

    let mut world = embed_all(&scenario(2, STEADY));
    world.init_resource::<Seen>();
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(
        Tick,
        follow.in_set(TickSet::Observe).after(ObserveSet::Sample),
    );
    world.until(600.0);
    assert_eq!(world.resource::<Seen>().0 as u64, counts.completed);
    assert_eq!(
        world.fleet::<Rows>().requests.len() as u64,
        counts.completed
    );
}

#[test]
fn a_host_that_takes_records_does_not_blind_the_policies() {
    let surge = r#"
        autoscaler: DynamoSla(interval: 20),
        slo: (ttft: 0.5, tbt: 0.05),
        workload: Synthetic(
            arrivals: Poisson(rate: 12.0), shape: Piecewise([(0.0, 1.0), (60.0, 4.0)]),
            prompt_tokens: Constant(1500), output_tokens: Constant(300), window: (0.0, 600.0),
        ),
    "#;
    let decisions = |takes: bool| {
        let mut world = embed_all(&scenario(1, surge));
        world.init_resource::<Seen>();
        if takes {
            let mut schedules = world.resource_mut::<Schedules>();
            let take = take
                .in_set(TickSet::Lifecycle)
                .after(LifecycleSet::WaitingRequestsAreScheduled);
            schedules.add_systems(Tick, take);
        }
        world.until(600.0);
        assert_eq!(world.resource::<Seen>().0 > 0, takes);
        world.fleet_mut::<DecisionLog>().drain().collect::<Vec<_>>()
    };
    let undisturbed = decisions(false);
    assert!(
        undisturbed.iter().any(|it| it.started > 0),
        "{undisturbed:?}"
    );
    assert_eq!(decisions(true), undisturbed);
}

#[test]
fn records_that_nobody_takes_can_be_dropped_and_followers_still_read_all() {
    let mut world = embed(&scenario(2, STEADY));
    world.insert_resource(Retention::OneTick);
    let follower = world.service_mut().follow_ended();
    let (mut read, mut most) = (0, 0);
    for step in 1..=60 {
        world.until(f64::from(step) * 10.0);
        most = most.max(world.service().ended().len());
        if step % 20 == 0 {
            read += world.service_mut().read_ended(follower).count();
        }
    }
    let counts = world.service().counts();
    assert_eq!(read as u64, counts.completed);
    assert!(
        most < 400,
        "{most} records of {} are kept",
        counts.completed
    );
    world.service_mut().unfollow_ended(follower);
    assert_eq!(world.service_mut().read_ended(follower).count(), 0);
}

#[derive(Resource)]
struct Broken;

#[test]
fn a_failed_install_leaves_the_world_as_it_was() {
    let good = hosted(1, "");
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace.csv");
    std::fs::write(&trace, "arrival_s,prompt_tokens,output_tokens\n0,1,1\n").unwrap();
    let text = r#"(
        name: "bad", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [
            (name: "a", model: "llama2-70b", instances: [(role: Mixed, start: Servers(1))], workload: Host),
            (name: "b", model: "llama2-70b", instances: [(role: Mixed)], autoscaler: Host,
             workload: Trace(path: "trace.csv", format: Requests())),
        ],
    )"#;
    let bad = fleetsim::scenario::CheckedScenario::from_ron(text, dir.path()).unwrap();
    std::fs::remove_file(&trace).unwrap();

    let mut world = World::new();
    world.insert_resource(Broken);
    let before = world.entities().len();
    let error = install_world(&mut world, &bad).unwrap_err();
    assert!(matches!(error, InstallError::Workload { .. }), "{error}");
    assert_eq!(world.entities().len(), before);
    assert_eq!(world.tick(), Err(TickError::NotInstalled));
    install_world(&mut world, &good).unwrap();
    assert_eq!(
        install_world(&mut world, &good),
        Err(InstallError::Installed)
    );
    world.until(10.0);
}

fn install_world(
    world: &mut World,
    checked: &fleetsim::scenario::CheckedScenario,
) -> Result<(), InstallError> {
    fleetsim::fleet::install(world, checked)
}

#[test]
fn an_application_that_a_host_removes_does_not_crash() {
    let mut world = embed(&scenario(2, STEADY));
    world.until(10.0);
    let chat = world.chat();
    world
        .scale_up_full(&ScaleUpFull::new(chat, Role::Mixed))
        .unwrap();
    world.despawn(chat);
    check_invariants(&mut world).unwrap();
    let log = world.fleet::<ScalingLog>().events().to_vec();
    let count = |action| log.iter().filter(|it| it.action == action).count();
    assert_eq!(count(ScalingAction::Crash), 0);
    assert_eq!(count(ScalingAction::ScaleDownComplete), 2);
    assert_eq!(count(ScalingAction::ScaleUpCancelled), 1);
    assert_eq!(world.fleet::<Ledger>().counts(), StatusCounts::default());
    // The servers are there for others.
    assert_eq!(world.fleet::<Ledger>().servers_of(0).total(), 3);
    world.run_until(at(100.0)).unwrap();
    assert!(world.is_quiet());
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn panic_at_five(clock: Res<'_, Clock>) {
    assert!(clock.now() < at(5.0), "a host's own bug");
}

#[test]
fn an_error_says_what_is_wrong() {
    let mut world = embed(&hosted(1, ""));
    world.resource_mut::<TickLimits>().max_tick = Some(SimDuration::saturating(1e-8));
    assert!(world.tick().is_ok());
    world.resource_mut::<TickLimits>().max_tick = None;
    world.until(1e9);
    world.resource_mut::<TickLimits>().max_tick = Some(SimDuration::saturating(1e-8));
    let error = world.run_until(at(2e9)).unwrap_err();
    assert!(matches!(error, TickError::TooShort { .. }), "{error}");
    assert!(error.to_string().contains("max_tick"), "{error}");

    let mut world = embed(&hosted(1, ""));
    world.resource_mut::<TickLimits>().max_tick = Some(SimDuration::saturating(1.0));
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(Tick, panic_at_five.in_set(TickSet::Observe));
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run_until(at(9.0))));
    assert!(panicked.is_err());
    assert_eq!(world.tick(), Err(TickError::ScheduleLost));
}
