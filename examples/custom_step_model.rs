//! A step model of one's own: attention that grows with the square of the prompt. How much longer do users
//! wait for their first token when prompts are four times as long?
//!
//!     cargo run --example custom_step_model

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use fleetsim::Registry;
use fleetsim::observe::Distribution;
use fleetsim::serving::registry::{StepModelKind, StepSite};
use fleetsim::serving::{BatchShape, StepModel};
use fleetsim::simulation::Simulation;
use schemars::JsonSchema;
use serde::Deserialize;

/// What stands in the scenario, and the model at once.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Quadratic {
    /// Seconds of each step.
    base: f64,
    /// Seconds for each token of the step.
    token: f64,
    /// Seconds for each pair of prompt tokens that attend to each other.
    pair: f64,
}

impl StepModelKind for Quadratic {
    const NAME: &'static str = "Quadratic";
    const SUMMARY: &'static str = "Attention that grows with the square of the prompt.";

    fn check(&self) -> Result<(), String> {
        let takes_time = self.base > 0.0 && self.token >= 0.0 && self.pair >= 0.0;
        takes_time
            .then_some(())
            .ok_or_else(|| "a step takes time".to_owned())
    }

    fn build(&self, _: &StepSite<'_>) -> Result<Arc<dyn StepModel>, String> {
        Ok(Arc::new(self.clone()))
    }
}

impl StepModel for Quadratic {
    fn seconds(&self, shape: &BatchShape) -> f64 {
        let pairs = shape.prefill_pairs_twice as f64 / 2.0;
        self.base + self.token * shape.tokens() as f64 + self.pair * pairs
    }
}

const SCENARIO: &str = r#"(
    name: "custom step model", fleet: [(sku: "dgx-h100", count: 2)],
    applications: [(
        name: "chat", model: "llama2-70b", scheduler: Jsq,
        performance: Quadratic(base: 0.02, token: 2e-5, pair: 1e-8),
        instances: [(role: Mixed, start: AllServers)],
        workload: Synthetic(arrivals: Poisson(rate: 1), requests: 1000,
            prompt_tokens: Constant(PROMPT), output_tokens: Geometric(mean: 100)),
    )],
)"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = Registry::built_in();
    registry.register_step_model::<Quadratic>();
    let mean = |tokens: &str| -> Result<f64, Box<dyn Error>> {
        let scenario = registry.from_ron(&SCENARIO.replace("PROMPT", tokens), ".".as_ref())?;
        let mut simulation = Simulation::with_policies(&scenario, &registry)?;
        while simulation.tick()? {}
        let mut waits = Distribution::default();
        for (_, request) in simulation.take_rows().requests {
            request
                .ttft()
                .iter()
                .for_each(|it| waits.record(it.seconds()));
        }
        let mean = waits.statistics().mean.unwrap_or_default();
        println!("{tokens} tokens: {mean:.3} s to the first token, on average");
        Ok(mean)
    };
    assert!(mean("8000")? > 4.0 * mean("2000")?);
    Ok(())
}
