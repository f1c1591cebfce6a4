//! A scheduler of one's own: of two instances drawn at random, the one with less to do. How near does
//! that come to the rule that looks at all of them?
//!
//!     cargo run --example custom_scheduler

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use fleetsim::catalog::Catalog;
use fleetsim::observe::Distribution;
use fleetsim::random::Stream;
use fleetsim::scenario::{Engine, Performance as Times, Scheduler as Rule, Workload};
use fleetsim::serving::engine::Phases;
use fleetsim::serving::routing::{Engines, Event, RequestView, Route, Router};
use fleetsim::serving::{
    Endpoint, EndpointConfig, EngineId, EngineSpec, Performance, PossibleEngine, Role,
};
use fleetsim::time::SimTime;
use fleetsim::{document, workload};

const SEED: u64 = 7;
const MEMORY_BYTES: u64 = 8 * 80 * 1024 * 1024 * 1024;
const REQUESTS: &str = "Synthetic(arrivals: Poisson(rate: 80.0), requests: 20000,
    prompt_tokens: Geometric(mean: 1500.0), output_tokens: Geometric(mean: 170.0))";

/// The power of two choices.
#[derive(Clone, Debug)]
struct PowerOfTwo {
    engines: Vec<EngineId>,
    random: Stream,
}

impl Router for PowerOfTwo {
    fn route(&mut self, request: &RequestView, engines: &Engines<'_>) -> Route {
        let mut able = self.engines.clone();
        able.retain(|&engine| engines.holds(engine, request, Phases::Both));
        let mut draw = || able.get(self.random.below(able.len())).copied();
        let two = [draw(), draw()].into_iter().flatten();
        let less_to_do = two.min_by_key(|&it| engines.pending_tokens(it));
        less_to_do.map_or(Route::Wait, Route::Engine)
    }

    fn on(&mut self, event: &Event) {
        match *event {
            Event::Opened { engine, .. } => self.engines.push(engine),
            Event::Closed { engine } => self.engines.retain(|&other| other != engine),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (engines, random) = (Vec::new(), Stream::new(SEED, "power of two"));
    let power_of_two = PowerOfTwo { engines, random };
    println!("seconds to the first token    mean     p50     p99");
    let random = run("Random", Rule::Random, None)?;
    let two = run("PowerOfTwo", Rule::Random, Some(power_of_two))?;
    let all = run("TokenJsq", Rule::TokenJsq, None)?;
    assert!(all < two && two < random);
    Ok(())
}

/// The same requests on sixteen instances, under a built-in rule or one's own. Returns the mean.
fn run(name: &str, rule: Rule, own: Option<PowerOfTwo>) -> Result<f64, Box<dyn Error>> {
    let catalog = Catalog::built_in();
    let model = &catalog.models["llama2-70b"];
    let config = EndpointConfig {
        weights_bytes: model.weights_bytes,
        kv_bytes_per_token: model.kv_bytes_per_token(),
        scheduler: rule,
        random: Stream::new(SEED, "scheduler"),
        possible: vec![PossibleEngine::new(
            Role::Mixed,
            Engine::default(),
            MEMORY_BYTES,
        )],
    };
    let requests: Workload = document::read("requests", REQUESTS)?;
    let arrivals = workload::open(&requests, ".".as_ref(), SEED, "chat")?;
    let mut endpoint = match own {
        Some(own) => Endpoint::with_router(config, Box::new(own), f64::INFINITY, arrivals),
        None => Endpoint::new(config, arrivals),
    };
    let performance = Performance::new(&Times::Profile, &catalog, &model.name, "h100-80gb", 8)?;
    for instance in 0..16 {
        let engine = endpoint.add_engine(EngineSpec {
            instance,
            role: Role::Mixed,
            batching: Engine::default(),
            memory_bytes: MEMORY_BYTES,
            performance: performance.clone(),
        });
        endpoint.open(engine);
    }
    endpoint.serve_until(SimTime::MAX);
    let mut waits = Distribution::default();
    for ttft in endpoint.take_ended().filter_map(|request| request.ttft()) {
        waits.record(ttft.seconds());
    }
    let waits = waits.statistics();
    let [mean, p50, p99] = [waits.mean, waits.p50, waits.p99].map(Option::unwrap_or_default);
    println!("{name:<24} {mean:>9.3} {p50:>7.3} {p99:>7.3}");
    Ok(mean)
}
