use fleetsim::autoscale::policies::SageServeReactive;
use fleetsim::serving::Role::{Mixed, Token};

use super::*;
use crate::support::*;

fn wanted(of: RoleSnapshot) -> u32 {
    let role = of.role;
    let desired = decide(&mut SageServeReactive::default(), &seen(30.0, vec![of]));
    exactly(&desired, role)
}

#[test]
fn one_more_above_half_of_the_memory_and_one_fewer_below_a_quarter() {
    for (used, count) in [(501, 5), (500, 4), (250, 4), (249, 3)] {
        assert_eq!(wanted(role(Mixed, 4, memory(used))), count, "{used}");
        assert_eq!(wanted(role(Token, 4, memory(used))), count, "{used}");
    }
    assert_eq!(wanted(role(Mixed, 2, memory(0))), 2);
    assert_eq!(wanted(role(Mixed, 100, memory(900))), 100);
}

#[test]
fn one_action_at_a_time() {
    let full = [memory(900); 3];
    assert_eq!(wanted(with_instances(Mixed, &full, 0)), 4);
    assert_eq!(wanted(with_instances(Mixed, &full, 1)), 4);
    let empty = [memory(0); 3];
    assert_eq!(wanted(with_instances(Mixed, &empty, 1)), 4);
}
