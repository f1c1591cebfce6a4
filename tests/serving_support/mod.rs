//! What the tests of the data plane share: small fleets with iterations of constant length.
//!
//! A token takes one byte of KV cache, so memory can be counted in tokens.

#![allow(dead_code, reason = "each test crate uses its own part of it")]

use fleetsim::random::Stream;
use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{
    ConstantTime, Endpoint, EndpointConfig, EngineId, EngineSpec, Performance, PossibleEngine,
    RequestRecord, Role,
};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::{Arrival, ArrivalStream};

/// Bytes that the weights take on every engine.
pub(crate) const WEIGHTS: u64 = 1_000;

/// More memory than any workload of these tests can fill.
pub(crate) const AMPLE: u64 = 1 << 40;

/// 64 bytes, that is 64 tokens, a second.
pub(crate) const SLOW_TRANSFER_GIB_PER_S: f64 = 64.0 / 1_073_741_824.0;

/// A fleet, ready to be built as often as a test needs it.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) scheduler: Scheduler,
    pub(crate) batching: Engine,
    /// One engine each, in the order of joining.
    pub(crate) roles: Vec<Role>,
    /// Bytes for KV cache on each engine.
    pub(crate) room: u64,
    /// Seconds of an iteration with a prompt, and of one without.
    pub(crate) iteration_s: (f64, f64),
    pub(crate) seed: u64,
}

impl Fleet {
    /// `n` engines of each role that the scheduler asks for, with ample memory; an iteration takes
    /// a quarter of a second with a prompt and an eighth without.
    pub(crate) fn new(scheduler: Scheduler, batching: Engine, n: usize) -> Self {
        let roles: &[Role] = match scheduler {
            Scheduler::MixedPool { .. } => &[Role::Prompt, Role::Token, Role::Mixed],
            _ if scheduler.pairs_prompt_and_token() => &[Role::Prompt, Role::Token],
            _ => &[Role::Mixed],
        };
        Self {
            scheduler,
            batching,
            roles: roles.repeat(n),
            room: AMPLE,
            iteration_s: (0.25, 0.125),
            seed: 1,
        }
    }

    /// What an engine of this role is made from.
    pub(crate) fn engine(&self, instance: u64, role: Role) -> EngineSpec {
        let (prompt, token) = self.iteration_s;
        EngineSpec {
            instance,
            role,
            batching: self.batching,
            memory_bytes: WEIGHTS + self.room,
            performance: Performance::Constant(ConstantTime::new(seconds(prompt), seconds(token))),
        }
    }

    /// The endpoint without its engines.
    pub(crate) fn endpoint(&self, arrivals: ArrivalStream) -> Endpoint {
        let possible = |&role| PossibleEngine::new(role, self.batching, WEIGHTS + self.room);
        let config = EndpointConfig {
            weights_bytes: WEIGHTS,
            kv_bytes_per_token: 1,
            scheduler: self.scheduler,
            random: Stream::new(self.seed, "scheduler"),
            possible: self.roles.iter().map(possible).collect(),
        };
        Endpoint::new(config, arrivals)
    }

    /// The endpoint with its engines, all open. Instances are numbered from zero, as they join.
    pub(crate) fn build(&self, arrivals: ArrivalStream) -> (Endpoint, Vec<EngineId>) {
        let mut endpoint = self.endpoint(arrivals);
        let engines = (0..)
            .zip(&self.roles)
            .map(|(instance, &role)| {
                let engine = endpoint.add_engine(self.engine(instance, role));
                endpoint.open(engine);
                engine
            })
            .collect();
        (endpoint, engines)
    }

    /// Serves these arrivals to the end; the records are in the order of ending.
    pub(crate) fn serve(&self, arrivals: &[Arrival]) -> Vec<RequestRecord> {
        let (mut endpoint, _) = self.build(stream(arrivals));
        endpoint.serve_until(SimTime::MAX);
        assert!(endpoint.is_done(), "{:?}", endpoint.counts());
        endpoint.take_ended().collect()
    }
}

/// Every scheduler; those that send KV caches do so at `transfer_gib_per_s`.
pub(crate) fn schedulers(transfer_gib_per_s: f64) -> [Scheduler; 8] {
    [
        Scheduler::RoundRobin,
        Scheduler::Random,
        Scheduler::Jsq,
        Scheduler::TokenJsq,
        Scheduler::KvRoundRobin { transfer_gib_per_s },
        Scheduler::KvJsq { transfer_gib_per_s },
        Scheduler::KvTokenJsq { transfer_gib_per_s },
        Scheduler::MixedPool {
            prompt_max_pending_tokens: 64,
            transfer_gib_per_s,
        },
    ]
}

/// Every batch engine, with limits that a few requests reach.
pub(crate) const ENGINES: [Engine; 3] = [
    Engine::Fcfs,
    Engine::Orca { max_batch_size: 4 },
    Engine::Splitwise {
        max_batch_size: 4,
        max_batch_tokens: 64,
        max_preemptions: 2,
    },
];

/// Every scheduler with every batch engine.
pub(crate) fn combinations(transfer_gib_per_s: f64) -> impl Iterator<Item = (Scheduler, Engine)> {
    schedulers(transfer_gib_per_s)
        .into_iter()
        .flat_map(|scheduler| ENGINES.map(|engine| (scheduler, engine)))
}

/// A workload as an endpoint reads it.
pub(crate) fn stream(arrivals: &[Arrival]) -> ArrivalStream {
    let arrivals = arrivals.to_vec();
    Box::new(arrivals.into_iter().map(Ok))
}

/// Nothing to come but what is submitted.
pub(crate) fn nothing() -> ArrivalStream {
    Box::new(std::iter::empty())
}

pub(crate) fn seconds(seconds: f64) -> SimDuration {
    SimDuration::new(seconds).expect("a duration")
}

pub(crate) fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).expect("an instant")
}

pub(crate) fn arrival(id: u64, time: f64, prompt_tokens: u32, output_tokens: u32) -> Arrival {
    Arrival {
        id,
        time: at(time),
        prompt_tokens,
        output_tokens,
        details: None,
    }
}
