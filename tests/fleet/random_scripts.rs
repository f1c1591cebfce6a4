//! Random verbs at random instants, under load: every invariant after every tick.

use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::serving::Role;
use proptest::prelude::*;

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(f64),
    Submit(u32),
    UpFull(bool),
    UpServer,
    Up(usize, bool),
    Named(usize, Vec<u32>),
    DownFull(usize),
    Down(usize),
    DownServer(usize),
    Cancel(usize),
    DespawnInstance(usize),
    DespawnServer(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0_usize..12;
    prop_oneof![
        6 => (0.0..6.0_f64).prop_map(Step::Wait),
        2 => prop::sample::select(vec![0.0, 1.0, 5.0]).prop_map(Step::Wait),
        6 => (1_u32..20).prop_map(Step::Submit),
        3 => any::<bool>().prop_map(Step::UpFull),
        1 => Just(Step::UpServer),
        2 => (which(), any::<bool>()).prop_map(|(server, pre)| Step::Up(server, pre)),
        1 => (which(), prop::collection::vec(0_u32..9, 4)).prop_map(|(it, p)| Step::Named(it, p)),
        4 => which().prop_map(Step::DownFull),
        2 => which().prop_map(Step::Down),
        1 => which().prop_map(Step::DownServer),
        2 => which().prop_map(Step::Cancel),
        1 => which().prop_map(Step::DespawnInstance),
        1 => which().prop_map(Step::DespawnServer),
    ]
}

fn setup() -> impl Strategy<Value = (String, String)> {
    let delay = || {
        prop::sample::select(vec![
            "Constant(0)",
            "Constant(3)",
            "Uniform(min: 0, max: 5)",
        ])
    };
    let drain = prop::sample::select(vec!["Poll(1)", "Poll(2.5)", "OnIdle"]);
    let timeout = prop::sample::select(vec!["None", "4", "100"]);
    (delay(), delay(), 0_u32..4, drain, timeout).prop_map(|(provision, spin, delay, drain, timeout)| {
        (
            format!(r#"[(sku: "big", count: 1, limit: 6, provision_delay: {provision}), (sku: "small")]"#),
            format!("(spin_up: {spin}, scale_up_delay: {delay}, drain: {drain}, drain_timeout: {timeout})"),
        )
    })
}

/// The live one that an index points at, if any.
fn pick<C: Component>(world: &mut World, index: usize) -> Option<Entity> {
    let mut all: Vec<Entity> = world
        .query_filtered::<Entity, With<C>>()
        .iter(world)
        .collect();
    all.sort_unstable();
    (!all.is_empty()).then(|| all[index % all.len()])
}

fn take(world: &mut World, step: &Step) {
    let server = |world: &mut World, it| pick::<Server>(world, it);
    let instance = |world: &mut World, it| pick::<Instance>(world, it);
    match *step {
        Step::Wait(seconds) => {
            let until = world.now().seconds() + seconds;
            world.until(until);
            // Requests wait only while nothing is there to take them.
            let idle = world.active_instances(world.app(), Role::Mixed).is_empty();
            let service = world.get::<Service>(world.app()).unwrap();
            assert!(idle || service.counts().waiting == 0);
        }
        Step::Submit(seconds) => world.submit(seconds),
        Step::UpFull(small) => {
            let request = ScaleUpFull {
                sku: small.then(|| "small".to_owned()),
                ..world.up()
            };
            let _ = world.scale_up_full(&request);
        }
        Step::UpServer => drop(world.scale_up_server(None)),
        Step::Up(it, pre_start) => {
            if let Some(server) = server(world, it) {
                let _ = world.start_spin_up_instance(&world.up_on(server), pre_start);
            }
        }
        Step::Named(it, ref processors) => {
            if let Some(server) = server(world, it) {
                let request = ScaleUpInstance {
                    processors: Some(processors.clone()),
                    ..world.up_on(server)
                };
                let _ = world.scale_up_instance(&request);
            }
        }
        Step::DownFull(it) => drop(instance(world, it).map(|it| world.scale_down_full(it))),
        Step::Down(it) => drop(instance(world, it).map(|it| world.scale_down_instance(it))),
        Step::DownServer(it) => drop(server(world, it).map(|it| world.scale_down_server(it))),
        Step::Cancel(it) => drop(instance(world, it).map(|it| world.cancel_scale_up(it))),
        Step::DespawnInstance(it) => drop(instance(world, it).map(|it| world.despawn(it))),
        Step::DespawnServer(it) => drop(server(world, it).map(|it| world.despawn(it))),
    }
    check_invariants(world).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_script_keeps_every_invariant(
        (fleet, scaling) in setup(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let setup = Setup { fleet: &fleet, scaling: &scaling, ..Setup::default() };
        let mut world = setup.world();
        let mut arrived = 0;
        for step in &steps {
            take(&mut world, step);
            arrived += u64::from(matches!(step, Step::Submit(_)));
        }
        // Everything is served in the end, and everything can be scaled down to nothing.
        world.until(world.now().seconds() + 10.0);
        let server = match world.scale_up_server(None) {
            Ok(server) => server,
            Err(_) => pick::<Server>(&mut world, 0).unwrap(),
        };
        let _ = world.start_spin_up_instance(&world.up_on(server), false);
        let end = world.now().seconds() + 10_000.0;
        world.until(end);
        let counts = world.get::<Service>(world.app()).unwrap().counts();
        prop_assert_eq!(counts.completed, arrived);
        prop_assert!(world.is_quiet());
        while let Some(it) = pick::<Instance>(&mut world, 0) {
            prop_assert!(world.scale_down_full(it).is_ok());
        }
        while let Some(it) = pick::<Server>(&mut world, 0) {
            prop_assert!(world.scale_down_server(it).is_ok());
        }
        check_invariants(&mut world).unwrap();
        prop_assert_eq!(world.count::<Processor>(), 0);

        // The log tells the same story as the ledger, and in order.
        let log = world.fleet::<ScalingLog>().events();
        prop_assert!(log.is_sorted_by_key(|event| event.time));
        let ledger = world.fleet::<Ledger>();
        let window = at(0.0)..world.now();
        let all = InstanceFilter::default();
        let total = ledger.instance_time(&window, &all).seconds();
        let by_status: f64 = [InstanceStatus::ScalingUp, InstanceStatus::Active, InstanceStatus::Draining]
            .map(|status| InstanceFilter { status: Some(status), ..all.clone() })
            .iter()
            .map(|filter| ledger.instance_time(&window, filter).seconds())
            .sum();
        prop_assert!((total - by_status).abs() < 1e-6 * total.max(1.0));
    }
}
