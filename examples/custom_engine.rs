//! An engine of one's own: one request at a time, the shortest prompt first, and answers come whole. How
//! much sooner than first come, first served?
//!
//!     cargo run --example custom_engine

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::cmp::Reverse;

use fleetsim::Registry;
use fleetsim::prelude::{SimTime, Simulation};
use fleetsim::serving::engine::{Effects, Engine, Place, RequestId, Start, Urge, Work};
use fleetsim::serving::registry::{EngineKind, EngineSite};
use fleetsim::serving::{EngineLoad, Performance};

/// What stands in the scenario: a name without parameters.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct ShortestFirst {}

impl EngineKind for ShortestFirst {
    const NAME: &'static str = "ShortestFirst";
    const SUMMARY: &'static str = "One request at a time, the shortest prompt first.";

    fn build(&self, site: &EngineSite) -> Box<dyn Engine> {
        Box::new(Server(site.performance.clone(), Vec::new(), None))
    }
}

/// How long steps take, the queue, and the request that runs until then.
#[derive(Clone, Debug)]
struct Server(Performance, Vec<Work>, Option<(Work, SimTime)>);

impl Engine for Server {
    fn enqueue(&mut self, work: &Work, _: SimTime) -> (Place, Urge) {
        self.1.push(*work);
        let urge = self.2.map_or(Urge::Start, |_| Urge::Nothing);
        (Place::default(), urge)
    }

    fn start(&mut self, effects: &mut Effects<'_>) -> Start {
        self.1.sort_by_key(|work| Reverse(work.prompt_tokens));
        let Some(work) = self.1.pop() else {
            return Start::Idle;
        };
        effects.prompt_started(work.request);
        let tokens = self.0.iteration(0, 1) * f64::from(work.decode_tokens());
        let seconds = self.0.iteration(work.prompt_tokens.into(), 0) + tokens;
        let ends = SimTime::saturating(effects.now().seconds() + seconds);
        self.2 = Some((work, ends));
        Start::Until(ends)
    }

    fn finish(&mut self, effects: &mut Effects<'_>) {
        if let Some((work, _)) = self.2.take() {
            effects.processed(work.prompt_tokens.into(), work.output_tokens.into());
            effects.first_token(work.request);
            effects.completed(work.request, 0);
        }
    }

    fn withdraw(&mut self, work: &Work, _: Place, _: SimTime) -> u64 {
        self.1.retain(|it| it.request != work.request);
        self.2 = self.2.filter(|(it, _)| it.request != work.request);
        0
    }

    fn each_request(&self, each: &mut dyn FnMut(RequestId)) {
        self.1.iter().for_each(|work| each(work.request));
        self.2.iter().for_each(|(work, _)| each(work.request));
    }

    fn ends(&self) -> Option<SimTime> {
        self.2.map(|(_, ends)| ends)
    }

    fn load(&self, _: SimTime) -> EngineLoad {
        EngineLoad::of(self.1.len(), self.2.iter().count())
    }
}

const SCENARIO: &str = r#"(name: "custom engine", fleet: [(sku: "dgx-h100", count: 4)],
    applications: [(name: "chat", model: "llama2-70b", scheduler: Jsq,
        instances: [(role: Mixed, engine: ENGINE, start: AllServers)],
        workload: Synthetic(arrivals: Poisson(rate: 4), requests: 2000,
            prompt_tokens: Geometric(mean: 4000), output_tokens: Geometric(mean: 20)))])"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::built_in();
    registry.register_engine::<ShortestFirst>();
    for engine in ["Fcfs", "ShortestFirst"] {
        let scenario = registry.from_ron(&SCENARIO.replace("ENGINE", engine), ".".as_ref())?;
        let mut simulation = Simulation::with_policies(&scenario, &registry)?;
        while simulation.tick()? {}
        let summary = simulation.finish().record.summarise();
        let mean = summary.applications[0].metrics.e2e_s.mean;
        println!("{engine:<14} {:.2} s a request", mean.unwrap_or_default());
    }
    Ok(())
}
