use fleetsim::autoscale::Desire;
use fleetsim::autoscale::policies::AibrixApa;
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
    let with = |active, starting| {
        let of = with_instances(Token, &vec![kv(800); active], starting);
        decide(&mut AibrixApa::default(), &seen(30.0, vec![of]))
            .of(Token)
            .unwrap()
            .0
    };
    assert_eq!(with(4, 0), Desire::Exactly(7));
    assert_eq!(with(2, 2), Desire::Exactly(7));
    assert_eq!(with(0, 2), Desire::Keep);
}

#[test]
fn fewer_must_be_wanted_for_five_minutes() {
    let mut run = Run::new(AibrixApa::default(), 10);
    assert_eq!(run.steps(1, kv(500)), []);
    assert_eq!(run.steps(30, kv(100)), [(310.0, 5)]);
    assert_eq!(run.steps(28, kv(100)), []);
    // 5 was wanted at 310 s for the last time.
    assert_eq!(run.steps(2, kv(100)), [(610.0, 2)]);
    // More are there at once.
    assert_eq!(run.step(kv(900)), 4);
}
