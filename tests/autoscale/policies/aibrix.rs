use fleetsim::autoscale::Desire;
use fleetsim::autoscale::policies::{AibrixApa, Rules};
use fleetsim::serving::Role::{Mixed, Token};

use super::*;
use crate::support::*;

fn kv(per_mille: u64) -> Load {
    Load {
        kv_used: per_mille,
        kv: 1000,
        ..Load::ZERO
    }
}

#[test]
fn it_acts_outside_a_tenth_and_at_most_doubles_or_halves() {
    for (used, count) in [
        (550, 10),
        (551, 12),
        (900, 18),
        (1000, 20),
        (450, 10),
        (449, 9),
        (251, 6),
        (100, 5),
        (0, 5),
    ] {
        let signals = seen(30.0, vec![role(Mixed, 10, kv(used))]);
        let desired = decide(&mut AibrixApa::default(), &signals);
        assert_eq!(exactly(&desired, Mixed), count, "{used}");
    }
    let mut policy = tuned(AibrixApa::default(), |it| {
        it.target = 0.25;
    });
    let signals = seen(30.0, vec![role(Mixed, 10, kv(1000))]);
    assert_eq!(exactly(&decide(&mut policy, &signals), Mixed), 20);
}

#[test]
fn the_usage_is_that_of_active_instances_and_applies_to_all() {
    let with = |active, starting, guard| {
        let of = with_instances(Token, &vec![kv(800); active], starting);
        let mut policy = tuned(AibrixApa::default(), |it| it.pending_guard = guard);
        let desired = decide(&mut policy, &seen(30.0, vec![of]));
        desired.of(Token).unwrap().0
    };
    assert_eq!(with(4, 0, true), Desire::Exactly(7));
    assert_eq!(with(2, 2, false), Desire::Exactly(7));
    assert_eq!(with(0, 2, true), Desire::Keep);
    // While some start up, none is added.
    assert_eq!(with(2, 2, true), Desire::Exactly(4));
}

#[test]
fn mended_fewer_must_be_wanted_for_five_minutes() {
    let policy = tuned(AibrixApa::default(), |it| {
        it.window = seconds(0.0);
        it.rules = Rules::Mended;
    });
    let mut run = Run::new(policy, 10);
    assert_eq!(run.steps(1, kv(500)), []);
    assert_eq!(run.steps(30, kv(100)), [(310.0, 5)]);
    assert_eq!(run.steps(28, kv(100)), []);
    // 5 was wanted at 310 s for the last time.
    assert_eq!(run.steps(2, kv(100)), [(610.0, 2)]);
    // More are there at once.
    assert_eq!(run.step(kv(900)), 4);
}

#[test]
fn as_published_the_lowest_wish_of_five_minutes_counts() {
    let policy = tuned(AibrixApa::default(), |it| it.window = seconds(0.0));
    let mut run = Run::new(policy, 10);
    assert_eq!(run.step(kv(100)), 5);
    // A third less is asked for, and the lowest wish of before is taken.
    assert_eq!(run.step(kv(900)), 9);
    assert_eq!(run.step(kv(400)), 5);
}
