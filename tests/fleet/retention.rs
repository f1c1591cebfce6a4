//! What nobody takes, and what grows with time.

use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;

use crate::support::*;

#[test]
fn records_that_nobody_takes_are_dropped_where_a_host_says_so() {
    for (retention, ended, lines) in [
        (Retention::UntilTaken, 100, 100),
        (Retention::OneTick, 1, 1),
    ] {
        let mut world = Setup::default().world();
        world.insert_resource(retention);
        let server = world.server(0).unwrap();
        for second in 1..=100 {
            world.submit(1);
            // Refused: its processors are busy.
            world.scale_up_instance(&world.up_on(server)).unwrap_err();
            world.until(f64::from(second));
        }
        let service = world.get::<Service>(world.app()).unwrap();
        assert_eq!(service.counts().completed, 100);
        assert!(service.ended().len() <= ended, "{retention:?}");
        assert!(
            world.fleet::<ScalingLog>().events().len() <= lines,
            "{retention:?}"
        );
    }
}

#[test]
fn what_is_due_now_is_served_now() {
    let mut world = Setup::default().world();
    world.until(3.0);
    world.submit(2);
    world.run_until(at(3.0)).unwrap();
    let counts =
        |world: &bevy_ecs::world::World| world.get::<Service>(world.app()).unwrap().counts();
    assert_eq!(counts(&world).arrived, 1);
    // The natural loop of a host ends, at time zero as well.
    let mut world = Setup::default().world();
    world.submit(2);
    let mut steps = 0;
    while let Some(next) = world.next_served() {
        world.run_until(next).unwrap();
        steps += 1;
        assert!(steps < 100);
    }
    assert_eq!(counts(&world).completed, 1);
}
