//! A host's system between what a policy wants and what is done about it.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::{Decided, Decider, DecisionLog};
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::serving::Role;

use crate::host::*;

const GROWING: &str = r#"
    autoscaler: Periodic(interval: 10, periods: [
        (from: 0, to: 0.02, instances: (mixed: 5)), (from: 0.02, to: 24, instances: (mixed: 1)),
    ]),
    workload: Host,
"#;

type Rule = fn(&mut Decider);

/// The instances that start up or are active after each decision, and what the decisions say.
fn run(rule: Rule) -> (Vec<u32>, Vec<String>) {
    let mut world = embed_all(&scenario(2, GROWING));
    let apply = move |mut wishes: Query<'_, '_, &mut Decider>| {
        for mut wish in &mut wishes {
            rule(&mut wish);
        }
    };
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(Tick, apply.in_set(TickSet::Decide).after(Decided));
    let mut counts = Vec::new();
    for decision in 1..=12 {
        world.until(f64::from(decision) * 10.0);
        let now = world.fleet::<Ledger>().counts();
        counts.push(now.scaling_up + now.active);
    }
    let log = world.fleet_mut::<DecisionLog>().drain().collect::<Vec<_>>();
    let says = |it: &fleetsim::autoscale::Decision| {
        format!("{} {} {} {}", it.desired, it.started, it.drained, it.reason)
    };
    (counts, log.iter().map(says).collect())
}

#[test]
fn without_a_host_the_policy_gets_what_it_wants() {
    let (counts, _) = run(|_| {});
    assert_eq!(counts[0], 5);
    assert_eq!(counts[11], 1);
}

#[test]
fn a_cap_keeps_wishes_down_and_says_so() {
    let (counts, says) = run(|wish| wish.at_most(Role::Mixed, 3, "power cap"));
    assert_eq!(counts[0], 3);
    assert_eq!(counts[11], 1);
    assert!(
        says[0].starts_with("5 1 0") && says[0].ends_with("; power cap"),
        "{}",
        says[0]
    );
    assert!(!says[11].contains("power cap"), "{}", says[11]);
}

#[test]
fn a_cap_below_what_is_there_takes_nothing_away() {
    let (counts, says) = run(|wish| wish.at_most(Role::Mixed, 0, "power cap"));
    assert_eq!(counts[0], 2);
    assert!(says[0].ends_with("; power cap"), "{}", says[0]);
}

#[test]
fn a_floor_keeps_what_is_there() {
    let (counts, says) = run(|wish| wish.at_least(Role::Mixed, 4, "festival"));
    assert_eq!((counts[0], counts[11]), (5, 4));
    assert!(says.iter().any(|it| it.ends_with("; festival")));
}

#[test]
fn a_veto_leaves_things_as_they_are() {
    let (counts, says) = run(|wish| wish.veto(Role::Mixed, "change freeze"));
    assert!(counts.iter().all(|&it| it == 2), "{counts:?}");
    assert!(
        says[0].starts_with("5 0 0") && says[0].ends_with("; change freeze"),
        "{}",
        says[0]
    );
}
