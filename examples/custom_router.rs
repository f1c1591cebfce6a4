//! A router of one's own: of two instances drawn at random, the one with less to do. How near does that
//! come to the rule that looks at all of them?
//!
//!     cargo run --example custom_router

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use fleetsim::Registry;
use fleetsim::random::Stream;
use fleetsim::serving::EngineId;
use fleetsim::serving::engine::Phases;
use fleetsim::serving::registry::RouterKind;
use fleetsim::serving::routing::{Engines, Event, RequestView, Route, Router};
use fleetsim::simulation::Simulation;
use schemars::JsonSchema;
use serde::Deserialize;

/// What stands in the scenario.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PowerOf {
    /// Instances to look at.
    #[schemars(range(min = 1))]
    choices: usize,
}

impl RouterKind for PowerOf {
    const NAME: &'static str = "PowerOf";
    const SUMMARY: &'static str = "Of a few instances drawn at random, the one with less to do.";

    fn build(&self, random: Stream) -> Box<dyn Router> {
        Box::new(Draw {
            choices: self.choices,
            engines: Vec::new(),
            random,
        })
    }
}

#[derive(Clone, Debug)]
struct Draw {
    choices: usize,
    engines: Vec<EngineId>,
    random: Stream,
}

impl Router for Draw {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        let mut able = self.engines.clone();
        able.retain(|&engine| engines.holds(engine, request, Phases::Both));
        let drawn = (0..self.choices).filter_map(|_| able.get(self.random.below(able.len())));
        let less_to_do = drawn.min_by_key(|&&engine| engines.pending_tokens(engine));
        less_to_do.map_or(Route::Wait, |&engine| Route::Engine(engine))
    }

    fn on(&mut self, event: &Event) {
        match *event {
            Event::Opened { engine, .. } => self.engines.push(engine),
            Event::Closed { engine } => self.engines.retain(|&other| other != engine),
            _ => {}
        }
    }
}

const SCENARIO: &str = r#"(name: "custom router", fleet: [(sku: "dgx-h100", count: 16)],
    applications: [(name: "chat", model: "llama2-70b", scheduler: RULE,
        instances: [(role: Mixed, start: AllServers)],
        workload: Synthetic(arrivals: Poisson(rate: 80), requests: 20000,
            prompt_tokens: Geometric(mean: 1500), output_tokens: Geometric(mean: 170)))])"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = Registry::built_in();
    registry.register_router::<PowerOf>();
    println!("seconds to the first token, on average");
    for rule in ["Random", "PowerOf(choices: 2)", "TokenJsq"] {
        let scenario = registry.from_ron(&SCENARIO.replace("RULE", rule), ".".as_ref())?;
        let mut simulation = Simulation::with_policies(&scenario, &registry)?;
        while simulation.tick()? {}
        let requests = simulation.take_rows().requests;
        let waits = requests.iter().filter_map(|(_, it)| it.ttft());
        let total: f64 = waits.map(|it| it.seconds()).sum();
        println!("{rule:<22} {:>6.3}", total / requests.len() as f64);
    }
    Ok(())
}
