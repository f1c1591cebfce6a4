use fleetsim::autoscale::policies::{Chiron, Rules};
use fleetsim::serving::Role::Mixed;

use super::*;
use crate::support::*;

fn wanted(busy: usize, idle: usize, starting: usize) -> u32 {
    let mut loads = vec![requests(3); busy];
    loads.resize(busy + idle, Load::ZERO);
    let signals = seen(30.0, vec![with_instances(Mixed, &loads, starting)]);
    let mut policy = tuned(Chiron::default(), |it| it.rules = Rules::Mended);
    exactly(&decide(&mut policy, &signals), Mixed)
}

/// As published, one goes whenever none is added, and comes back.
#[test]
fn as_published_it_flaps() {
    let wanted = |busy, idle| {
        let mut loads = vec![requests(3); busy];
        loads.resize(busy + idle, Load::ZERO);
        let signals = seen(30.0, vec![with_instances(Mixed, &loads, 0)]);
        exactly(&decide(&mut Chiron::default(), &signals), Mixed)
    };
    assert_eq!(wanted(6, 4), 9);
    assert_eq!(wanted(6, 3), 10);
}

#[test]
fn six_of_ten_may_have_requests() {
    assert_eq!(wanted(7, 3, 0), 11);
    assert_eq!(wanted(6, 4, 0), 10);
    // Six of nine would be too many, five are not.
    assert_eq!(wanted(5, 5, 0), 9);
    assert_eq!(wanted(0, 10, 0), 9);
    assert_eq!(wanted(0, 2, 0), 2);
    assert_eq!(wanted(100, 0, 0), 100);
}

#[test]
fn one_action_at_a_time() {
    assert_eq!(wanted(7, 3, 1), 11);
    assert_eq!(wanted(0, 10, 1), 11);
}
