//! The verbs as commands, from systems in the phases of a tick.

use bevy_ecs::message::MessageReader;
use bevy_ecs::prelude::*;
use fleetsim::fleet::FleetsExt;
use fleetsim::fleet::*;
use fleetsim::serving::Role;

use crate::support::*;

#[derive(Resource, Default)]
struct Seen {
    asked: Vec<Ticket>,
    answered: Vec<VerbOutcome>,
    events: Vec<ScalingEvent>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a system takes its parameters by value"
)]
fn ask(
    agenda: Res<'_, Agenda>,
    mut seen: ResMut<'_, Seen>,
    applications: Query<'_, '_, Entity, With<Application>>,
    mut commands: Commands<'_, '_>,
) {
    if agenda.awake(TickSet::Decide).is_empty() {
        return;
    }
    let application = applications.single().unwrap();
    seen.asked
        .push(commands.scale_up_full(ScaleUpFull::new(application, Role::Mixed)));
    seen.asked
        .push(commands.scale_up_full(ScaleUpFull::new(application, Role::Token)));
}

fn read(
    mut seen: ResMut<'_, Seen>,
    mut outcomes: MessageReader<'_, '_, VerbOutcome>,
    mut events: MessageReader<'_, '_, ScalingEvent>,
) {
    seen.answered.extend(outcomes.read().cloned());
    seen.events.extend(events.read());
}

#[test]
fn tickets_are_answered_in_the_same_tick() {
    let mut world = Setup::default().world();
    world.init_resource::<Seen>();
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(
        Tick,
        (ask.in_set(TickSet::Decide), read.in_set(TickSet::Observe)),
    );
    let app = world.app();
    let mut agenda = world.resource_mut::<Agenda>();
    agenda.wake(TickSet::Decide, at(5.0), app);
    world.until(5.0);
    let seen = world.resource::<Seen>();
    let [first, second] = seen.answered.as_slice() else {
        panic!("{:?}", seen.answered);
    };
    assert_eq!([first.ticket, second.ticket], *seen.asked);
    assert!(matches!(first.result, Ok(Granted::Both(_))));
    assert!(matches!(
        second.result,
        Err(ScalingError::NoTemplate { .. })
    ));
    assert_eq!(seen.events, world.fleet::<ScalingLog>().events());
    assert_eq!(seen.events.len(), 4);
}

#[test]
fn an_outcome_is_kept_until_a_host_asks_for_it() {
    let mut world = Setup::default().world();
    let app = world.app();
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let ticket = world
            .commands()
            .scale_up_full(ScaleUpFull::new(app, Role::Mixed));
        world.flush();
        tickets.push(ticket);
        // Many ticks, so that the messages are gone.
        for step in 1..=10 {
            let until = world.now().seconds() + f64::from(step);
            world.until(until);
        }
    }
    for ticket in tickets {
        assert!(matches!(world.outcome(ticket), Some(Ok(Granted::Both(_)))));
        assert_eq!(world.outcome(ticket), None);
    }
}
