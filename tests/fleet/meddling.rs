//! A host that inserts, replaces and removes components by hand: refused, or a crash; never wrong books.

use bevy_ecs::prelude::*;
use bevy_ecs::relationship::RelationshipTarget;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use proptest::prelude::*;

use crate::support::*;

/// A fleet with an instance in each status, under load: 0 active, 1 draining, 2 starting.
fn busy() -> World {
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 2, limit: 10, provision_delay: Constant(30))]"#,
        start: "Servers(1)",
        scaling: "(spin_up: Constant(3), scale_up_delay: 10, drain: Poll(1))",
        ..Setup::default()
    }
    .world();
    (0..4).for_each(|_| world.submit(20));
    world.until(1.0);
    world.scale_up_full(&world.up()).unwrap();
    let second = world.instance(1).unwrap();
    world.scale_down_full(second).unwrap();
    world.until(2.0);
    world
}

/// Every component that can be named from outside.
#[derive(Clone, Copy, Debug)]
struct Part {
    name: &'static str,
    remove: fn(&mut World, Entity),
    /// Inserts a copy of what another entity has.
    copy: fn(&mut World, Entity, Entity),
}

fn remove<C: Component>(world: &mut World, entity: Entity) {
    if let Ok(mut entity) = world.get_entity_mut(entity) {
        entity.remove::<C>();
    }
}

fn copy<C: Component + Clone>(world: &mut World, from: Entity, to: Entity) {
    let value = world.get::<C>(from).cloned();
    if let (Some(value), Ok(mut to)) = (value, world.get_entity_mut(to)) {
        to.insert(value);
    }
}

macro_rules! parts {
    ($($part:ident),* ; $($target:ident),*) => {
        const PARTS: &[Part] = &[
            $(Part { name: stringify!($part), remove: remove::<$part>, copy: copy::<$part> },)*
            $(Part { name: stringify!($target), remove: remove::<$target>, copy: |_, _, _| {} },)*
        ];
    };
}

parts!(
    Server, ServerSku, ServerStatus, Provisioning, Processor, OnServer, UsedBy, Instance, InstanceStatus,
    InstanceRole, OfApplication, HostedOn, Tag, EngineHandle, StartUp, DrainTimer, Application, ScalingRules,
    Templates;
    Processors, Hosts, Uses, Instances
);

/// Every entity of the fleet, in a fixed order, and two that are the host's.
fn entities(world: &mut World) -> Vec<Entity> {
    let mut all: Vec<Entity> = world.fleet::<Roster>().applications().to_vec();
    let mut found =
        world.query_filtered::<Entity, Or<(With<Server>, With<Processor>, With<Instance>)>>();
    let mut found: Vec<Entity> = found.iter(world).collect();
    found.sort_unstable();
    all.append(&mut found);
    all
}

#[test]
fn no_component_can_be_removed_from_what_lives() {
    for part in PARTS {
        let mut world = busy();
        for entity in entities(&mut world) {
            (part.remove)(&mut world, entity);
            check_invariants(&mut world).unwrap_or_else(|it| panic!("{}: {it}", part.name));
        }
        world.until(200.0);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        assert_eq!(
            (counts.completed, counts.restarted),
            (4, 0),
            "{}",
            part.name
        );
        assert_eq!(world.count::<Instance>(), 2, "{}", part.name);
        let crashes = world.log().iter().filter(|it| it.contains("crash")).count();
        assert_eq!(crashes, 0, "{}", part.name);
    }
}

#[test]
fn no_component_can_be_taken_from_elsewhere() {
    for part in PARTS {
        let mut world = busy();
        let all = entities(&mut world);
        let strange = world.spawn_empty().id();
        for &from in &all {
            for &to in all.iter().chain([&strange]) {
                (part.copy)(&mut world, from, to);
                check_invariants(&mut world).unwrap_or_else(|it| panic!("{}: {it}", part.name));
            }
        }
        world.until(200.0);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        assert_eq!(counts.completed, 4, "{}", part.name);
    }
}

#[test]
fn a_status_is_what_the_lifecycle_says() {
    for status in [
        InstanceStatus::ScalingUp,
        InstanceStatus::Active,
        InstanceStatus::Draining,
        InstanceStatus::ScalingDown,
    ] {
        let mut world = busy();
        for number in 0..3 {
            let instance = world.instance(number).unwrap();
            let before = world.status(instance);
            world.entity_mut(instance).insert(status);
            assert_eq!(world.status(instance), before);
            check_invariants(&mut world).unwrap();
        }
        world.until(200.0);
    }
}

#[test]
fn a_copy_of_a_server_is_no_server() {
    let mut world = busy();
    let server = world.server(0).unwrap();
    let copy = world.entity_mut(server).clone_and_spawn();
    check_invariants(&mut world).unwrap();
    assert!(world.scale_down_server(copy).is_err());
    assert_eq!(world.server(0), Some(server));
    assert!(world.get::<Hosts>(server).is_some_and(|it| !it.is_empty()));
    world.until(200.0);
}

#[test]
fn a_processor_that_is_lost_takes_its_server_along() {
    let mut world = busy();
    let server = world.server(0).unwrap();
    let processor = world
        .get::<Processors>(server)
        .unwrap()
        .iter()
        .next()
        .unwrap();
    world.despawn(processor);
    check_invariants(&mut world).unwrap();
    assert_eq!(world.server(0), None);
    world.until(200.0);
    let counts = world.get::<Service>(world.app()).unwrap().counts();
    assert_eq!((counts.completed, counts.restarted), (4, 4));
}

#[test]
fn an_application_without_its_service_has_no_instances() {
    let mut world = busy();
    let app = world.app();
    world.entity_mut(app).remove::<Service>();
    check_invariants(&mut world).unwrap();
    assert_eq!(world.count::<Instance>(), 0);
    world.until(200.0);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(f64),
    Submit(u32),
    Up,
    Down(usize),
    Cancel(usize),
    Remove(usize, usize),
    Copy(usize, usize, usize),
    Drain(usize, f64),
    Start(usize, f64),
    Despawn(usize),
    Clone(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0_usize..64;
    let part = || 0..PARTS.len();
    prop_oneof![
        4 => (0.0..9.0_f64).prop_map(Step::Wait),
        2 => (1_u32..20).prop_map(Step::Submit),
        2 => Just(Step::Up),
        1 => which().prop_map(Step::Down),
        1 => which().prop_map(Step::Cancel),
        8 => (part(), which()).prop_map(|(part, it)| Step::Remove(part, it)),
        8 => (part(), which(), which()).prop_map(|(part, from, to)| Step::Copy(part, from, to)),
        2 => (which(), 0.0..60.0_f64).prop_map(|(it, until)| Step::Drain(it, until)),
        2 => (which(), 0.0..60.0_f64).prop_map(|(it, until)| Step::Start(it, until)),
        1 => which().prop_map(Step::Despawn),
        1 => which().prop_map(Step::Clone),
    ]
}

fn take(world: &mut World, step: &Step) {
    let all = entities(world);
    // The application stays.
    let pick = |it: usize| (all.len() > 1).then(|| all[1 + it % (all.len() - 1)]);
    let any = |it: usize| all[it % all.len()];
    match *step {
        Step::Wait(seconds) => {
            let until = world.now().seconds() + seconds;
            world.until(until);
        }
        Step::Submit(seconds) => world.submit(seconds),
        Step::Up => drop(world.scale_up_full(&world.up())),
        Step::Down(it) => drop(world.scale_down_full(any(it))),
        Step::Cancel(it) => drop(world.cancel_scale_up(any(it))),
        Step::Remove(part, it) => (PARTS[part].remove)(world, any(it)),
        Step::Copy(part, from, to) => (PARTS[part].copy)(world, any(from), any(to)),
        Step::Drain(it, until) => {
            let timer = DrainTimer::until(at(until));
            world.entity_mut(any(it)).insert(timer);
        }
        Step::Start(it, until) => {
            let joins = at(until / 2.0);
            let activates = at(until);
            world
                .entity_mut(any(it))
                .insert(StartUp { joins, activates });
        }
        Step::Despawn(it) => drop(pick(it).map(|it| world.despawn(it))),
        Step::Clone(it) => drop(world.entity_mut(any(it)).clone_and_spawn()),
    }
    world.flush();
    check_invariants(world).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_meddling_keeps_every_invariant(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = busy();
        let mut arrived = 4;
        for step in &steps {
            take(&mut world, step);
            arrived += u64::from(matches!(step, Step::Submit(_)));
        }
        let _ = world.scale_up_full(&world.up());
        let end = world.now().seconds() + 10_000.0;
        world.until(end);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        let idle = world.active_instances(world.app(), fleetsim::serving::Role::Mixed).is_empty();
        prop_assert_eq!(counts.arrived, arrived);
        prop_assert!(idle || counts.completed == arrived);
    }
}
