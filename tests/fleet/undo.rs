//! What one step made, one step undoes.

use fleetsim::fleet::*;

use crate::support::*;

fn fleet() -> bevy_ecs::world::World {
    Setup {
        fleet: r#"[(sku: "big", count: 2, limit: 3)]"#,
        start: "Servers(1)",
        scaling: "(scale_up_delay: 10)",
        ..Setup::default()
    }
    .world()
}

#[test]
fn an_instance_made_alone_is_given_up_alone() {
    let mut world = fleet();
    let server = world.server(1).unwrap();
    for pass in 0..2 {
        let instance = world.scale_up_instance(&world.up_on(server)).unwrap();
        world.until(f64::from(pass) + 1.0);
        world.cancel_scale_up(instance).unwrap();
        check_invariants(&mut world).unwrap();
        assert_eq!(world.server(1), Some(server));
    }
}

#[test]
fn an_instance_made_with_its_server_is_given_up_with_it() {
    let mut world = fleet();
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(1.0);
    world.cancel_scale_up(up.instance).unwrap();
    check_invariants(&mut world).unwrap();
    assert_eq!(world.server(2), None);
}

#[test]
fn a_server_stays_for_the_instance_that_was_added_to_it() {
    let mut world = fleet();
    let up = world.scale_up_full(&world.up()).unwrap();
    let second = world.scale_up_instance(&world.up_on(up.server)).unwrap();
    world.until(1.0);
    world.cancel_scale_up(up.instance).unwrap();
    assert_eq!(world.server(2), Some(up.server));
    world.cancel_scale_up(second).unwrap();
    check_invariants(&mut world).unwrap();
    assert_eq!(world.server(2), Some(up.server));
    world.scale_down_server(up.server).unwrap();
}
