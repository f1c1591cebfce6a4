use std::time::Instant;

use super::BenchError;
use super::fleet::{application, scenario, template};
use crate::catalog::Catalog;
use crate::fleet::FleetWorldExt;
use crate::scenario::{
    Action, Application, Arrivals, CheckedScenario, Engine, Lengths, Performance, Role, Scenario,
    Shape, Verb, Workload,
};
use crate::simulation::Simulation;
use crate::time::{SimDuration, SimTime};

/// What a tick costs in which nothing is due.
#[derive(Clone, Copy, Debug)]
pub struct TickTime {
    /// Servers of the fleet, each with an active instance.
    pub servers: u32,
    /// Ticks measured.
    pub ticks: u32,
    /// Nanoseconds of wall time a tick, in the fastest of the rounds: other work on the machine
    /// only adds.
    pub nanoseconds: f64,
}

/// Seconds from one sample of a fleet to the next: beyond what is measured.
const NEVER: f64 = 1e9;

/// A fleet in which nothing happens, stepped by a host a second at a time, at time zero.
///
/// # Errors
/// When there are more servers than a scenario may have.
pub fn idle_fleet(servers: u32) -> Result<Simulation, BenchError> {
    let application = Application {
        instances: vec![template(Role::Mixed, Engine::default(), servers)],
        ..application(arrival_after(NEVER))
    };
    let scenario = Scenario {
        max_tick: Some(SimDuration::saturating(1.0)),
        sample_interval: SimDuration::saturating(NEVER),
        ..scenario(servers, application)
    };
    build(scenario)
}

/// A fleet with one lifecycle timer due in each tick and nothing else.
///
/// An instance drains and is checked every second, while it serves a request that does not end.
///
/// # Errors
/// When there are more servers than a scenario may have.
pub fn draining_fleet(servers: u32) -> Result<Simulation, BenchError> {
    let application = Application {
        performance: Performance::Constant {
            prompt_time: SimDuration::saturating(1e12),
            token_time: SimDuration::saturating(1e12),
        },
        instances: vec![template(Role::Mixed, Engine::Fcfs, servers)],
        ..application(arrival_after(1.0))
    };
    let drain = Action {
        at: SimTime::saturating(2.0),
        action: Verb::ScaleDownInstance { instance: 0 },
    };
    let scenario = Scenario {
        actions: vec![drain],
        sample_interval: SimDuration::saturating(NEVER),
        ..scenario(servers, application)
    };
    let mut simulation = build(scenario)?;
    simulation.world_mut().run_until(SimTime::saturating(2.0))?;
    Ok(simulation)
}

/// Rounds that ticks are measured in.
const ROUNDS: u32 = 10;

/// Measures ticks of an [`idle_fleet`].
///
/// # Errors
/// As [`idle_fleet`].
pub fn measure_tick(servers: u32, ticks: u32) -> Result<TickTime, BenchError> {
    let mut simulation = idle_fleet(servers)?;
    let world = simulation.world_mut();
    // The first takes a sample of the fleet.
    world.tick()?;
    let round = (ticks / ROUNDS).max(1);
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..round {
            world.tick()?;
        }
        fastest = fastest.min(start.elapsed().as_nanos() as f64);
    }
    Ok(TickTime {
        servers,
        ticks: round * ROUNDS,
        nanoseconds: fastest / f64::from(round),
    })
}

/// One request, at `seconds`.
fn arrival_after(seconds: f64) -> Workload {
    Workload::Synthetic {
        arrivals: Arrivals::Constant {
            rate: 1.0 / seconds,
        },
        shape: Shape::Constant,
        prompt_tokens: Lengths::Constant(1),
        output_tokens: Lengths::Constant(1),
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(1),
    }
}

fn build(scenario: Scenario) -> Result<Simulation, BenchError> {
    let checked = CheckedScenario::new(scenario, Catalog::built_in(), ".")?;
    Ok(Simulation::new(&checked)?)
}
