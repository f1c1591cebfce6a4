//! A policy of one's own: as many instances as there are requests for, eight to each.
//!
//!     cargo run --example custom_policy

use bevy_ecs::component::Component;
use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Component, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Concurrency {
    /// Requests for each instance. Default 8.
    target: u64,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { target: 8 }
    }
}

impl Policy for Concurrency {
    const NAME: &'static str = "Concurrency";
    const SUMMARY: &'static str = "so many requests for each instance";

    fn interval(&self) -> SimDuration {
        SimDuration::saturating(15.0)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let requests = of.load.assigned + signals.snapshot().waiting;
            let count = u32::try_from(requests.div_ceil(self.target)).unwrap_or(u32::MAX);
            desired.exactly(of.role, count, format!("{requests} requests"));
        }
    }
}

const SCENARIO: &str = r#"(
    name: "custom policy",
    fleet: [(sku: "dgx-h100", count: 1, limit: 8)],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, start: AllServers)],
        autoscaler: Concurrency(target: 10),
        actuator: (mixed: (max: 6), down_cooldown: 60),
        workload: Synthetic(
            arrivals: Poisson(rate: 4),
            shape: Piecewise([(0, 1), (120, 4), (300, 1)]),
            prompt_tokens: Constant(1000),
            output_tokens: Constant(200),
            window: (0, 600),
        ),
    )],
)"#;

#[expect(clippy::print_stdout, reason = "the result is for the reader")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = CheckedScenario::from_ron(SCENARIO, ".".as_ref())?;
    let mut policies = PolicyRegistry::built_in();
    policies.register::<Concurrency>();

    let mut simulation = Simulation::with_policies(&scenario, &policies)?;
    while simulation.tick()? {
        for decision in simulation.take_decisions() {
            if decision.started + decision.cancelled + decision.drained > 0 {
                println!(
                    "{:5} s: {} active, {} wanted ({})",
                    decision.time.seconds(),
                    decision.active,
                    decision.desired,
                    decision.reason
                );
            }
        }
    }
    let summary = simulation.finish().record.summarise();
    let requests = &summary.applications[0].requests;
    println!("{} requests completed", requests.completed);
    Ok(())
}
