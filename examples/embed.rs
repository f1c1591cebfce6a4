//! A support desk that owns a fleet. The desk is the larger simulation: it has a shift plan, a budget
//! and a schedule of its own, in the same world as the fleet. It steps the fleet, watches it, gives it
//! requests beside those of the scenario, and scales it: from a system, as commands, and by hand, on
//! the world.
//!
//!     cargo run --example embed

#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(
    elided_lifetimes_in_paths,
    reason = "systems are easier to read without them"
)]

use std::error::Error;

use bevy_ecs::message::MessageReader;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::ScheduleLabel;
use fleetsim::fleet::{self, Ledger, ScriptedActions};
use fleetsim::prelude::*;

const SCENARIO: &str = r#"(
    name: "support desk",
    fleet: [(sku: "dgx-h100", count: 1, limit: 4, provision_delay: Constant(60.0))],
    applications: [(
        name: "support",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scaling: (scale_up_delay: 30.0, drain: OnIdle),
        workload: Synthetic(
            arrivals: Poisson(rate: 2.0),
            shape: Piecewise([(0.0, 1.0), (900.0, 3.0), (5400.0, 1.0)]),
            prompt_tokens: LogNormal(median: 600.0, sigma: 0.8, max: 8000),
            output_tokens: Geometric(mean: 150.0),
            window: (0.0, 7200.0),
        ),
    )],
)"#;

/// What the desk pays for an hour of a server.
const DOLLARS_PER_HOUR: f64 = 60.0;

/// The number of the first request that comes from the desk itself.
const FIRST_OF_MAILING: u64 = 1_000_000;

/// An entity of the desk's own: how many instances its shift plan wants from some instant on. The
/// fleet's agenda wakes it then.
#[derive(Component)]
struct Shift {
    instances: usize,
}

/// The desk's money, and up to when servers are paid for.
#[derive(Resource, Default)]
struct Budget {
    spent: f64,
    paid_until: SimTime,
}

/// What the desk remembers of what it saw.
#[derive(Resource, Default)]
struct Diary {
    verbs_granted: usize,
    mailing_answered: usize,
    longest_wait: SimDuration,
}

/// The desk's own schedule, every quarter of an hour.
#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct QuarterHour;

fn main() -> Result<(), Box<dyn Error>> {
    let mut world = World::new();
    world.init_resource::<Budget>();
    world.init_resource::<Diary>();
    fleet::install(
        &mut world,
        &CheckedScenario::from_ron(SCENARIO, ".".as_ref())?,
    )?;
    for (from, instances) in [(900.0, 2), (5400.0, 1)] {
        let shift = world.spawn(Shift { instances }).id();
        let mut agenda = world.resource_mut::<Agenda>();
        agenda.wake(TickSet::Act, SimTime::new(from)?, shift);
    }
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.add_systems(
        Tick,
        keep_to_the_plan.in_set(TickSet::Act).after(ScriptedActions),
    );
    schedules.add_systems(Tick, write_down.in_set(TickSet::Observe));
    schedules.add_systems(QuarterHour, (pay, read_answers, report).chain());

    for quarter in 1..=9 {
        world.run_until(SimTime::new(f64::from(quarter) * 900.0)?)?;
        world.run_schedule(QuarterHour);
        if quarter == 4 {
            send_mailing(&mut world)?;
        }
    }

    let support = world.application("support")?;
    let requests = world.get::<Service>(support).map(|it| it.counts());
    let requests = requests.ok_or("the application is gone")?;
    let diary = world.resource::<Diary>();
    assert_eq!(requests.completed, requests.arrived);
    assert_eq!((diary.verbs_granted, diary.mailing_answered), (2, 900));
    assert_eq!(world.active_instances(support, Role::Mixed).len(), 1);
    println!(
        "{} requests answered; of the mailing nobody waited longer than {:.2} s",
        requests.completed,
        diary.longest_wait.seconds()
    );
    Ok(())
}

/// In the fleet's tick: when a shift begins, asks for as many instances as it wants.
fn keep_to_the_plan(
    agenda: Res<Agenda>,
    shifts: Query<&Shift>,
    applications: Query<Entity, With<Application>>,
    instances: Query<(&Instance, &InstanceStatus, Entity)>,
    mut commands: Commands,
) {
    for shift in shifts.iter_many(agenda.awake(TickSet::Act)).flatten() {
        let mut there: Vec<_> = instances
            .iter()
            .filter(|(_, status, _)| **status == InstanceStatus::Active)
            .map(|(instance, _, entity)| (instance.number(), entity))
            .collect();
        // Queries have no order that one may rely on; numbers have.
        there.sort_unstable();
        for application in &applications {
            for _ in there.len()..shift.instances {
                commands.scale_up_full(ScaleUpFull::new(application, Role::Mixed));
            }
        }
        for &(_, instance) in there.iter().skip(shift.instances) {
            commands.scale_down_full(instance);
        }
    }
}

/// In the fleet's tick: what the fleet did, and what became of the verbs that were commands.
fn write_down(
    mut diary: ResMut<Diary>,
    mut outcomes: MessageReader<VerbOutcome>,
    mut events: MessageReader<ScalingEvent>,
) {
    diary.verbs_granted += outcomes.read().filter(|it| it.result.is_ok()).count();
    for event in events.read() {
        let what = event.action.name();
        println!("{}       {what} {}", clock(event.time), event.target);
    }
}

/// In the desk's schedule: pays for the time of all servers since the last time.
fn pay(clock: Res<Clock>, ledger: Single<&Ledger>, mut budget: ResMut<Budget>) {
    let since = budget.paid_until..clock.now();
    let hours = ledger.server_time(&since, None, None).seconds() / 3600.0;
    budget.spent += hours * DOLLARS_PER_HOUR;
    budget.paid_until = since.end;
}

/// In the desk's schedule: looks for answers to its mailing.
fn read_answers(mut services: Query<&mut Service>, mut diary: ResMut<Diary>) {
    for mut service in &mut services {
        for request in service.take_ended() {
            if request.id >= FIRST_OF_MAILING {
                diary.mailing_answered += 1;
                diary.longest_wait = diary.longest_wait.max(request.ttft().unwrap_or_default());
            }
        }
    }
}

fn report(
    now: Res<Clock>,
    services: Query<&Service>,
    ledger: Single<&Ledger>,
    budget: Res<Budget>,
) {
    for service in &services {
        let (requests, instances) = (service.counts(), ledger.counts());
        println!(
            "{} {} active, {} requests answered, {} in flight, {:.2} dollars spent",
            clock(now.now()),
            instances.active,
            requests.completed,
            requests.in_flight,
            budget.spent
        );
    }
}

/// By hand: two more servers, 900 requests within a minute, and the servers away again.
fn send_mailing(world: &mut World) -> Result<(), Box<dyn Error>> {
    let support = world.application("support")?;
    let one_more = ScaleUpFull::new(support, Role::Mixed);
    let extra = [
        world.scale_up_full(&one_more)?,
        world.scale_up_full(&one_more)?,
    ];
    if let Err(refused) = world.scale_up_full(&one_more) {
        println!("{}       a third is refused: {refused}", clock(world.now()));
    }

    let begins = world.now() + SimDuration::new(120.0)?;
    world.run_until(begins)?;
    assert!(extra.iter().all(|it| world.can_schedule(it.instance)));
    let mut service = world.get_mut::<Service>(support).ok_or("it is gone")?;
    for number in 0..900 {
        service.submit(Arrival {
            id: FIRST_OF_MAILING + number,
            time: begins + SimDuration::new(number as f64 / 15.0)?,
            prompt_tokens: 400,
            output_tokens: 200,
            details: None,
        })?;
    }

    world.run_until(begins + SimDuration::new(120.0)?)?;
    for ScaledUp { instance, .. } in extra {
        world.scale_down_full(instance)?;
    }
    Ok(())
}

fn clock(time: SimTime) -> String {
    let seconds = time.seconds() as u64;
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60)
}
