//! What if another policy had been in charge when the crowd came? One run to the surge, then two copies of it
//! go on: the same requests, the same fleet, the same random numbers, each with a policy of its own.
//!
//!     cargo run --release --example what_if

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use fleetsim::autoscale::PolicyRegistry;
use fleetsim::prelude::*;

const SCENARIO: &str = r#"(
    name: "launch day",
    fleet: [(sku: "dgx-h100", count: 2, limit: 12, provision_delay: Constant(60.0))],
    applications: [(
        name: "assistant",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        scaling: (scale_up_delay: 30.0, drain: OnIdle),
        autoscaler: Threshold(interval: 15),
        slo: (ttft: 2.0),
        workload: Synthetic(
            arrivals: Poisson(rate: 8.0),
            shape: Piecewise([(0.0, 1.0), (600.0, 5.0), (1500.0, 1.0)]),
            prompt_tokens: LogNormal(median: 1200.0, sigma: 0.8, max: 8000),
            output_tokens: Geometric(mean: 180.0),
            window: (0.0, 2400.0),
        ),
    )],
)"#;

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = CheckedScenario::from_ron(SCENARIO, ".".as_ref())?;
    let mut simulation = Simulation::new(&scenario)?;
    let surge = SimTime::new(600.0)?;
    while simulation.now() < surge {
        simulation.tick()?;
    }
    let mut attained = Vec::new();
    for policy in [
        "Threshold(interval: 15)",
        "TokenVelocity(interval: 15)",
        "Periodic(interval: 15, periods: [(from: 0.16, to: 0.45, instances: (mixed: 10))])",
    ] {
        let mut fork = simulation.fork();
        let other = scenario.with_policy(&[0], policy)?;
        PolicyRegistry::built_in().install(fork.world_mut(), &other)?;
        while fork.tick()? {}
        let summary = fork.finish().record.summarise();
        let of = &summary.applications[0];
        let share = of.slo.attainment.unwrap_or_default() * 100.0;
        let (requests, hours) = (of.requests.completed, summary.fleet.gpu_hours);
        println!("{share:6.2} % in time, {requests} answered, {hours:6.1} GPU-hours: {policy}");
        attained.push((requests, share));
    }
    // No request is lost under either policy, and it makes a difference which is in charge.
    assert!(attained.windows(2).all(|pair| pair[0].0 == pair[1].0));
    assert!(attained.windows(2).any(|pair| pair[0].1 != pair[1].1));
    Ok(())
}
