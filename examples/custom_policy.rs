//! A policy of one's own, compared with built-in ones: as many instances as there are requests for.
//!
//!     cargo run --example custom_policy
//!
//! With arguments it is the whole command line of fleetsim with that policy beside the built-in ones:
//!
//!     cargo run --release --example custom_policy -- list policies
//!     cargo run --release --example custom_policy -- \
//!         compare scenarios/flash_crowd.ron --policies 'all, Concurrency(target: 16)'

use std::process::ExitCode;
use std::thread;

use bevy_ecs::component::Component;
use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::report::comparison_table;
use fleetsim::scenario::{CheckedScenario, Diagnostics};
use fleetsim::study::Contest;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Component, Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Concurrency {
    /// Requests for each instance. Default 8.
    #[schemars(range(min = 1))]
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
        actuator: (mixed: (max: 6), down_cooldown: 60),
        slo: (ttft: 1, tbt: 0.1),
        workload: Synthetic(
            arrivals: Poisson(rate: 4),
            shape: Piecewise([(0, 1), (120, 4), (300, 1)]),
            prompt_tokens: Constant(1000),
            output_tokens: Constant(200),
            window: (0, 600),
        ),
    )],
)"#;

#[expect(clippy::print_stdout, reason = "the table is for the reader")]
fn main() -> Result<ExitCode, Diagnostics> {
    let mut policies = PolicyRegistry::built_in();
    policies.register::<Concurrency>();
    if std::env::args_os().len() > 1 {
        return Ok(fleetsim::cli::main_with(std::env::args_os(), &policies));
    }
    let scenario = CheckedScenario::from_ron(SCENARIO, ".".as_ref())?;
    let contenders = "None, Threshold, HpaGpu, Concurrency, Concurrency(target: 32)";
    let contest = Contest::new(&scenario, &policies, contenders)?;
    let jobs = thread::available_parallelism().unwrap_or(std::num::NonZero::<usize>::MIN);
    println!("{}", comparison_table(&contest.run(jobs, &())));
    Ok(ExitCode::SUCCESS)
}
