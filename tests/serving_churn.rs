//! The data plane alone while engines come and go under load: nothing is lost, nothing is served by
//! an engine that is gone, every running total agrees with a recount.

use std::collections::BTreeSet;

use fleetsim::random::Stream;
use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{
    ConstantTime, Endpoint, EndpointConfig, EngineId, EngineSpec, Outcome, Performance,
    PossibleEngine, Role,
};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::Arrival;
use proptest::prelude::*;

const WEIGHTS: u64 = 1_000;
const MEMORY: u64 = 1_400;

#[derive(Clone, Debug)]
enum Step {
    Serve(f64),
    Open(usize),
    Close(usize),
    RemoveIdle,
    Withdraw(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            4 => (0.0..4.0).prop_map(Step::Serve),
            2 => (0usize..3).prop_map(Step::Open),
            2 => (0usize..8).prop_map(Step::Close),
            2 => Just(Step::RemoveIdle),
            1 => (0usize..8).prop_map(Step::Withdraw),
        ],
        1..60,
    )
}

fn schedulers() -> impl Strategy<Value = Scheduler> {
    let transfer_gib_per_s = 1e-6;
    prop_oneof![
        Just(Scheduler::RoundRobin),
        Just(Scheduler::Random),
        Just(Scheduler::Jsq),
        Just(Scheduler::TokenJsq),
        Just(Scheduler::KvRoundRobin { transfer_gib_per_s }),
        Just(Scheduler::KvJsq { transfer_gib_per_s }),
        Just(Scheduler::KvTokenJsq { transfer_gib_per_s }),
        (10u64..300).prop_map(move |prompt_max_pending_tokens| Scheduler::MixedPool {
            prompt_max_pending_tokens,
            transfer_gib_per_s
        }),
    ]
}

fn engines() -> impl Strategy<Value = Engine> {
    prop_oneof![
        Just(Engine::Fcfs),
        (1u32..8).prop_map(|max_batch_size| Engine::Orca { max_batch_size }),
        (1u32..8, 1u64..300, 0u32..5).prop_map(
            |(max_batch_size, max_batch_tokens, max_preemptions)| Engine::Splitwise {
                max_batch_size,
                max_batch_tokens,
                max_preemptions
            }
        ),
    ]
}

/// Gaps in tenths of a second, so that many events fall on the same instant, and shapes of which two
/// or three fill a memory.
fn arrivals() -> impl Strategy<Value = Vec<(u8, u32, u32)>> {
    prop::collection::vec((0u8..8, 1u32..220, 1u32..200), 1..80)
}

struct Fleet {
    endpoint: Endpoint,
    roles: Vec<Role>,
    batching: Engine,
    engines: Vec<EngineId>,
    made: u64,
}

impl Fleet {
    fn open(&mut self, role: usize, now: SimTime) {
        let role = self.roles[role % self.roles.len()];
        let time = |s| SimDuration::saturating(s);
        let engine = self.endpoint.add_engine(EngineSpec {
            instance: self.made,
            role,
            batching: self.batching,
            memory_bytes: MEMORY,
            performance: Performance::Constant(ConstantTime::new(time(0.2), time(0.1))),
        });
        self.made += 1;
        self.endpoint.open(engine);
        self.endpoint.flush(now);
        self.engines.push(engine);
    }
}

fn check(
    scheduler: Scheduler,
    batching: Engine,
    work: &[(u8, u32, u32)],
    script: &[Step],
) -> Result<(), TestCaseError> {
    let roles = match scheduler {
        Scheduler::MixedPool { .. } => vec![Role::Prompt, Role::Token, Role::Mixed],
        _ if scheduler.pairs_prompt_and_token() => vec![Role::Prompt, Role::Token],
        _ => vec![Role::Mixed],
    };
    let mut tenths = 0;
    let workload: Vec<Arrival> = (0..)
        .zip(work)
        .map(|(id, &(gap, prompt_tokens, output_tokens))| {
            tenths += u32::from(gap);
            let time = SimTime::saturating(f64::from(tenths) / 10.0);
            Arrival {
                id,
                time,
                prompt_tokens,
                output_tokens,
                details: None,
            }
        })
        .collect();
    let config = EndpointConfig {
        weights_bytes: WEIGHTS,
        kv_bytes_per_token: 1,
        scheduler,
        random: Stream::new(1, "scheduler"),
        possible: roles
            .iter()
            .map(|&role| PossibleEngine::new(role, batching, MEMORY))
            .collect(),
    };
    let endpoint = Endpoint::new(config, Box::new(workload.clone().into_iter().map(Ok)));
    let mut fleet = Fleet {
        endpoint,
        roles,
        batching,
        engines: Vec::new(),
        made: 0,
    };
    let mut now = SimTime::ZERO;
    let mut ended = Vec::new();
    let mut withdrawn = 0;
    for step in script {
        let chosen =
            |i: &usize, fleet: &Fleet| (!fleet.engines.is_empty()).then(|| i % fleet.engines.len());
        match step {
            Step::Serve(seconds) => {
                now = now + SimDuration::saturating(*seconds);
                fleet.endpoint.serve_until(now);
            }
            Step::Open(role) => fleet.open(*role, now),
            Step::Close(i) => {
                if let Some(i) = chosen(i, &fleet) {
                    fleet.endpoint.close(fleet.engines[i]);
                }
            }
            Step::RemoveIdle => {
                let endpoint = &mut fleet.endpoint;
                fleet.engines.retain(|&engine| {
                    let idle = endpoint.is_idle(engine);
                    assert_eq!(idle, idle && endpoint.remove(engine).is_ok());
                    !idle
                });
            }
            Step::Withdraw(i) => {
                if let Some(i) = chosen(i, &fleet) {
                    let engine = fleet.engines.swap_remove(i);
                    withdrawn += fleet.endpoint.withdraw(engine, now);
                    fleet.endpoint.flush(now);
                }
            }
        }
        fleet.endpoint.recount().map_err(TestCaseError::fail)?;
        ended.extend(fleet.endpoint.take_ended());
    }
    for role in 0..3 {
        fleet.open(role, now);
    }
    fleet.endpoint.serve_until(SimTime::saturating(1e7));
    fleet.endpoint.recount().map_err(TestCaseError::fail)?;
    ended.extend(fleet.endpoint.take_ended());

    prop_assert!(fleet.endpoint.is_done(), "{:?}", fleet.endpoint.counts());
    prop_assert_eq!(fleet.endpoint.counts().restarted, withdrawn);
    let ids: BTreeSet<u64> = ended.iter().map(|record| record.id).collect();
    prop_assert_eq!(ids.len(), workload.len());
    prop_assert_eq!(ended.len(), workload.len());
    for record in &ended {
        match record.outcome {
            Outcome::Completed => {
                let times = [
                    Some(record.arrival),
                    record.prompt_start,
                    record.first_token,
                    record.token_start.or(record.first_token),
                    record.end,
                ];
                prop_assert!(times.iter().all(Option::is_some));
                prop_assert!(record.restarts > 0 || times.is_sorted(), "{:?}", record);
            }
            Outcome::Rejected(_) => {
                let tokens = u64::from(record.prompt_tokens) + u64::from(record.output_tokens);
                prop_assert!(!matches!(batching, Engine::Fcfs) && tokens > MEMORY - WEIGHTS);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_while_engines_come_and_go(
        scheduler in schedulers(),
        batching in engines(),
        work in arrivals(),
        script in steps(),
    ) {
        check(scheduler, batching, &work, &script)?;
    }
}
