//! Prompts on one engine and tokens on another, with the KV cache sent between them by blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetsim::random::Stream;
use fleetsim::scenario::{Engine, Frontend, Scheduler, SchedulingPolicy};
use fleetsim::serving::{
    ConstantTime, Endpoint, EndpointConfig, EngineId, EngineSpec, Linear, Outcome, Performance,
    PossibleEngine, RequestRecord, Role,
};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::{Arrival, Details};
use proptest::prelude::*;

pub(crate) const WEIGHTS: u64 = 1_000;

/// 64 tokens of a byte each, a second.
pub(crate) const SLOW_TRANSFER_GIB_PER_S: f64 = 64.0 / 1_073_741_824.0;

/// Events in which any of these cases has come to its end many times over.
const MANY_EVENTS: u64 = 300_000;

/// A fleet of engines `Vllm` with a byte of KV cache a token.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) scheduler: Scheduler,
    /// In the order of joining, each with its options.
    pub(crate) engines: Vec<(Role, Engine)>,
    pub(crate) performance: Performance,
}

impl Fleet {
    fn endpoint(&self, arrivals: &[Arrival]) -> Endpoint {
        let possible = |&(role, engine): &(Role, Engine)| PossibleEngine::new(role, engine, 0);
        let config = EndpointConfig {
            weights_bytes: WEIGHTS,
            kv_bytes_per_token: 1,
            scheduler: self.scheduler,
            random: Stream::new(1, "scheduler"),
            possible: self.engines.iter().map(possible).collect(),
        };
        let arrivals = arrivals.to_vec();
        Endpoint::new(config, Box::new(arrivals.into_iter().map(Ok)))
    }

    pub(crate) fn open(&self, endpoint: &mut Endpoint, instance: usize, now: SimTime) -> EngineId {
        let (role, batching) = self.engines[instance % self.engines.len()];
        let engine = endpoint.add_engine(EngineSpec {
            instance: instance as u64,
            role,
            batching,
            memory_bytes: 0,
            performance: self.performance.clone(),
        });
        endpoint.open(engine);
        endpoint.flush(now);
        engine
    }

    pub(crate) fn build(&self, arrivals: &[Arrival]) -> (Endpoint, Vec<EngineId>) {
        let mut endpoint = self.endpoint(arrivals);
        let engines = (0..self.engines.len())
            .map(|instance| self.open(&mut endpoint, instance, SimTime::ZERO))
            .collect();
        (endpoint, engines)
    }
}

pub(crate) fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).expect("an instant")
}

/// An engine of which steps with a prompt take 1 s and others ½ s, without a prefix cache.
pub(crate) fn plain(num_gpu_blocks: u32, max_num_batched_tokens: u32) -> Engine {
    Engine::Vllm {
        max_num_seqs: Some(8),
        max_num_batched_tokens: Some(max_num_batched_tokens),
        max_model_len: Some(200),
        block_size: 16,
        num_gpu_blocks: Some(num_gpu_blocks),
        gpu_memory_utilization: 0.9,
        enable_prefix_caching: false,
        enable_chunked_prefill: true,
        long_prefill_token_threshold: 0,
        long_prefill_token_threshold_adaptive: false,
        scheduling_policy: SchedulingPolicy::Fcfs,
        watermark: 0.0,
        scheduler_reserve_full_isl: true,
        max_num_active_seqs: None,
        prefill_schedule_interval: 1,
        async_scheduling: false,
        reject_oversized: true,
        frontend: Frontend::NONE,
    }
}

/// One engine for prompts and one for tokens, with a KV cache that travels at 64 tokens a second.
fn pair(prompt: Engine, token: Engine) -> Fleet {
    Fleet {
        scheduler: Scheduler::KvRoundRobin {
            transfer_gib_per_s: SLOW_TRANSFER_GIB_PER_S,
        },
        engines: vec![(Role::Prompt, prompt), (Role::Token, token)],
        performance: Performance::Constant(ConstantTime::new(
            SimDuration::saturating(1.0),
            SimDuration::saturating(0.5),
        )),
    }
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

/// Start of the prompt, first token, start of the tokens, end.
pub(crate) fn timeline(record: &RequestRecord) -> [Option<f64>; 4] {
    [
        record.prompt_start,
        record.first_token,
        record.token_start,
        record.end,
    ]
    .map(|time| time.map(SimTime::seconds))
}

/// Two prompts of 32 tokens, one a step: [0, 1] and [1, 2]. The engine of the tokens has 4 blocks of 16.
///
/// The first takes 3 of them, for 32 tokens and the first output. Its cache travels for 32 / 64 = ½ s, to
/// 1½, and its other 4 tokens take 4 × ½, to 3½. The second asks at 2 and at 3 and finds one block free; at 4 it
/// finds all four, travels to 4½, and has its other 3 tokens at 6. Till 4½ its 2 blocks stay where they were.
#[test]
fn a_cache_travels_when_its_blocks_are_free() {
    let fleet = pair(plain(20, 32), plain(5, 32));
    let (mut endpoint, engines) = fleet.build(&[arrival(0, 0.0, 32, 5), arrival(1, 0.0, 32, 4)]);
    let blocks = |endpoint: &mut Endpoint, now: f64| {
        endpoint.serve_until(at(now));
        let used = |engine| (endpoint.load(engine, at(now)).memory_used - WEIGHTS) / 16;
        (used(engines[0]), used(engines[1]))
    };
    // The first is kept, the second runs; three are reserved.
    assert_eq!(blocks(&mut endpoint, 1.25), (4, 3));
    assert_eq!(blocks(&mut endpoint, 3.25), (2, 3));
    assert_eq!(blocks(&mut endpoint, 3.75), (2, 0));
    assert_eq!(blocks(&mut endpoint, 4.25), (2, 3));
    assert_eq!(blocks(&mut endpoint, 4.75), (0, 3));
    endpoint.serve_until(SimTime::MAX);
    let records: Vec<_> = endpoint.take_ended().collect();
    assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.5, 3.5].map(Some));
    assert_eq!(timeline(&records[1]), [1.0, 2.0, 4.5, 6.0].map(Some));
    // The second token of the first comes 1 s after its first, that of the second 3 s.
    let gaps = endpoint.token_gaps().statistics();
    assert_eq!((gaps.count, gaps.max, gaps.p50), (7, Some(3.0), Some(0.5)));
    let longest = records.iter().map(|it| it.served.max_tbt);
    let longest: Vec<_> = longest.map(|it| it.map(SimDuration::seconds)).collect();
    assert_eq!(longest, [Some(1.0), Some(3.0)]);
}

/// The engine of the tokens has 4 blocks again. The first request has 3 of them from 1½ on; the second, whose prompt
/// of 15 tokens runs in [1, 2], comes with one block at 2 + 15 / 64, has a token in [2½, 3], and at 3 needs
/// another block: none is free, and as the last admitted it loses its own.
///
/// It has 2 of its 4 tokens and needs 2 blocks for its 17. The first request takes the fourth block for its
/// token 49 and ends with its 20th output, at 1½ + 19 × ½ = 11. The second then computes all again in a step
/// of 1 s, and has its last token ½ s later.
#[test]
fn tokens_are_preempted_where_they_are_served() {
    let fleet = pair(plain(20, 64), plain(5, 64));
    let (mut endpoint, engines) = fleet.build(&[arrival(0, 0.0, 32, 20), arrival(1, 0.5, 15, 4)]);
    endpoint.serve_until(SimTime::MAX);
    let records: Vec<_> = endpoint.take_ended().collect();
    assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.5, 11.0].map(Some));
    assert_eq!(timeline(&records[1]), [1.0, 2.0, 2.5, 12.5].map(Some));
    assert_eq!(records[1].served.preemptions, 1);
    assert_eq!(
        records[1].served.max_tbt,
        Some(SimDuration::saturating(9.0))
    );
    let load = endpoint.load(engines[1], endpoint.served());
    assert_eq!(load.preemptions, 1);
    // All 17 tokens of the second are computed there, though its prompt was computed before.
    assert_eq!(load.prompt_tokens, 17);
}

/// The engine of the tokens has 109 blocks of one token, and one request runs at a time.
///
/// The first request comes with 40 blocks and grows to 54; the second waits with 56. Of the 109 there are then 53 for
/// the first, which loses them all and computes its 53 tokens again, 16 a step, to fail where it failed before. So
/// the second gives its blocks up, and begins again when the first has ended.
#[test]
fn one_that_waits_with_blocks_makes_room_for_one_that_starves() {
    let starving = |pipelined: bool| {
        let mut engine = plain(110, 16);
        if let Engine::Vllm {
            max_num_seqs,
            block_size,
            scheduler_reserve_full_isl,
            async_scheduling,
            ..
        } = &mut engine
        {
            *max_num_seqs = Some(1);
            *block_size = 1;
            *scheduler_reserve_full_isl = false;
            *async_scheduling = pipelined;
        }
        engine
    };
    for pipelined in [false, true] {
        let engine = starving(pipelined);
        let mut fleet = pair(engine, engine);
        fleet.engines.push((Role::Prompt, engine));
        let (mut endpoint, _) = fleet.build(&[arrival(0, 0.0, 39, 16), arrival(1, 0.0, 55, 2)]);
        endpoint.serve_until(at(1_000.0));
        assert!(endpoint.is_done(), "{:?}", endpoint.counts());
        assert_eq!(endpoint.counts().evicted, 1);
        let ended: Vec<_> = endpoint
            .take_ended()
            .map(|it| (it.id, it.restarts))
            .collect();
        assert_eq!(ended, [(0, 0), (1, 1)]);
    }
}

fn options() -> impl Strategy<Value = Engine> {
    let limits = (
        1_u32..12,
        prop::sample::select(vec![8_u32, 16, 33, 64, 512]),
        prop::sample::select(vec![1_u32, 4, 8, 16]),
        prop::sample::select(vec![60_u32, 200, 500]),
        10_u32..25,
    );
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
    );
    let rare = (
        prop::sample::select(vec![0_u32, 0, 1, 7, 16, 50]),
        prop::sample::select(vec![0.0, 0.0, 0.05, 0.2]),
        prop::sample::select(vec![1_u32, 1, 2, 3, 5]),
    );
    (limits, flags, rare).prop_map(|(limits, flags, rare)| {
        let (seqs, tokens, size, length, tenths) = limits;
        let (caching, pipelined, reserve, priority, adaptive) = flags;
        let (threshold, watermark, interval) = rare;
        Engine::Vllm {
            max_num_seqs: Some(seqs.min(tokens)),
            max_num_batched_tokens: Some(tokens),
            max_model_len: Some(length),
            block_size: size,
            num_gpu_blocks: Some(2 + length.div_ceil(size) * tenths / 10),
            gpu_memory_utilization: 0.9,
            enable_prefix_caching: caching,
            enable_chunked_prefill: true,
            long_prefill_token_threshold: threshold,
            long_prefill_token_threshold_adaptive: adaptive,
            scheduling_policy: match priority {
                true => SchedulingPolicy::Priority,
                false => SchedulingPolicy::Fcfs,
            },
            watermark,
            scheduler_reserve_full_isl: reserve,
            max_num_active_seqs: None,
            prefill_schedule_interval: interval,
            async_scheduling: pipelined,
            reject_oversized: true,
            frontend: Frontend::NONE,
        }
    })
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    let transfer_gib_per_s = 1e-6;
    prop_oneof![
        Just(Scheduler::KvRoundRobin { transfer_gib_per_s }),
        Just(Scheduler::KvJsq { transfer_gib_per_s }),
        Just(Scheduler::KvTokenJsq { transfer_gib_per_s }),
        (1_u64..300).prop_map(move |prompt_max_pending_tokens| Scheduler::MixedPool {
            prompt_max_pending_tokens,
            transfer_gib_per_s
        }),
    ]
}

fn fleet() -> impl Strategy<Value = Fleet> {
    let engines = [options(), options(), options()];
    let times = (
        prop_oneof![Just(0.007_812_5), 0.001..0.02],
        0.0..1e-4,
        0.0..1e-5,
    );
    (scheduler(), engines, any::<bool>(), times).prop_map(|(scheduler, engines, alike, times)| {
        let roles = match scheduler {
            Scheduler::MixedPool { .. } => vec![Role::Prompt, Role::Token, Role::Mixed],
            _ => vec![Role::Prompt, Role::Token],
        };
        let engine = |place: usize| engines[if alike { 0 } else { place }];
        Fleet {
            scheduler,
            engines: roles.into_iter().zip((0..3).map(engine)).collect(),
            performance: Performance::Linear(Linear {
                base: times.0,
                prefill_token: times.1,
                decode_request: times.1,
                context_token: times.2,
            }),
        }
    })
}

/// Gap to the one before, prompt, outputs, priority, which prefix, how many ids of it.
type Draw = (f64, u32, u32, i64, u64, usize);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (
        prop_oneof![Just(0.0), 0.0..0.3, 0.0..3.0],
        prop_oneof![1..60_u32, 1..300_u32],
        prop_oneof![Just(1_u32), 1..10_u32, 1..200_u32],
        -1..3_i64,
        0..4_u64,
        prop_oneof![Just(0_usize), 0..40_usize],
    );
    prop::collection::vec(draw, 1..40)
}

fn arrivals(draws: &[Draw]) -> Vec<Arrival> {
    let mut now = 0.0;
    let arrivals = draws.iter().zip(0..).map(|(draw, id)| {
        let &(gap, prompt_tokens, output_tokens, priority, prefix, ids) = draw;
        now += gap;
        Arrival {
            id,
            time: at(now),
            prompt_tokens,
            output_tokens,
            details: Some(Arc::new(Details {
                priority,
                prefix_blocks: (0..ids as u64).map(|id| prefix * 1_000 + id).collect(),
                block_tokens: 8,
                ..Details::default()
            })),
        }
    });
    arrivals.collect()
}

/// What is done to the engines meanwhile.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Open(usize),
    Close(usize),
    Crash(usize),
}

fn deeds() -> impl Strategy<Value = Vec<(f64, Deed)>> {
    let deed = prop_oneof![
        (0_usize..3).prop_map(Deed::Open),
        (0_usize..6).prop_map(Deed::Close),
        (0_usize..6).prop_map(Deed::Crash),
    ];
    prop::collection::vec((0.0..4.0, deed), 0..8)
}

/// Serves in slices, so that a run without an end is found out.
fn serve(endpoint: &mut Endpoint, until: SimTime) -> Result<(), TestCaseError> {
    let mut slice = endpoint.served();
    while slice < until && endpoint.next_event().is_some() {
        slice = (slice + SimDuration::saturating(1.0)).min(until);
        endpoint.serve_until(slice);
        let counts = endpoint.counts();
        prop_assert!(counts.events < MANY_EVENTS, "it does not end: {counts:?}");
    }
    Ok(())
}

/// Whether requests may preempt one another without end, as in vLLM: those of equal priority and arrival, if prompts
/// are admitted that do not fit.
fn may_go_in_a_circle(fleet: &Fleet, arrivals: &[Arrival]) -> bool {
    let circular = |engine: &Engine| match engine {
        Engine::Vllm {
            scheduling_policy,
            scheduler_reserve_full_isl,
            ..
        } => *scheduling_policy == SchedulingPolicy::Priority && !scheduler_reserve_full_isl,
        _ => false,
    };
    fleet.engines.iter().any(|(_, engine)| circular(engine))
        && !arrivals.is_sorted_by(|a, b| a.time < b.time)
}

fn check(fleet: &Fleet, draws: &[Draw], deeds: &[(f64, Deed)]) -> Result<(), TestCaseError> {
    let arrivals = arrivals(draws);
    let (mut endpoint, mut engines) = fleet.build(&arrivals);
    let mut now = SimTime::ZERO;
    let mut made = engines.len();
    for &(seconds, deed) in deeds {
        now = now + SimDuration::saturating(seconds);
        serve(&mut endpoint, now)?;
        endpoint.serve_until(now);
        match deed {
            Deed::Open(kind) => {
                let instance = made - made % fleet.engines.len() + fleet.engines.len() + kind;
                engines.push(fleet.open(&mut endpoint, instance, now));
                made = instance + 1;
            }
            Deed::Close(which) => endpoint.close(engines[which % engines.len()]),
            Deed::Crash(which) => {
                endpoint.withdraw(engines[which % engines.len()], now);
                endpoint.flush(now);
            }
        }
        endpoint.recount().map_err(TestCaseError::fail)?;
    }
    for kind in 0..fleet.engines.len() {
        let instance = made - made % fleet.engines.len() + fleet.engines.len() + kind;
        engines.push(fleet.open(&mut endpoint, instance, now));
    }
    serve(&mut endpoint, SimTime::saturating(1e6))?;
    endpoint.serve_until(SimTime::MAX);
    endpoint.recount().map_err(TestCaseError::fail)?;
    if may_go_in_a_circle(fleet, &arrivals) && !endpoint.is_done() {
        return Ok(());
    }
    prop_assert!(endpoint.is_done(), "{:?}", endpoint.counts());
    let ended: Vec<_> = endpoint.take_ended().collect();
    let ids: BTreeSet<u64> = ended.iter().map(|record| record.id).collect();
    prop_assert_eq!(ids.len(), arrivals.len());
    for record in &ended {
        match record.outcome {
            Outcome::Completed => {
                let times = [
                    Some(record.arrival),
                    record.prompt_start,
                    record.first_token,
                ];
                prop_assert!(times.is_sorted(), "{record:?}");
                prop_assert!(record.first_token <= record.end && record.end.is_some());
                let split = record.output_tokens > 1 && record.restarts == 0;
                if split && !matches!(fleet.scheduler, Scheduler::MixedPool { .. }) {
                    prop_assert_ne!(record.prompt_instance, record.token_instance);
                }
            }
            Outcome::Rejected(_) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
    for &engine in &engines {
        let load = endpoint.load(engine, endpoint.served());
        prop_assert_eq!((load.queued, load.running, load.pending_tokens), (0, 0, 0));
        prop_assert!(load.memory_used <= WEIGHTS, "blocks leak");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn split_requests_come_to_their_end(
        fleet in fleet(),
        draws in draws(),
        deeds in deeds(),
    ) {
        check(&fleet, &draws, &deeds)?;
    }
}
