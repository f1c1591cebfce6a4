//! Requests that move from an engine to others, each with its KV cache, by blocks.

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{
    ConstantTime, Endpoint, EngineId, Evacuated, Linear, Performance, RequestRecord, Role,
};
use fleetsim::time::{SimDuration, SimTime};
use proptest::prelude::*;

use crate::split::{Fleet, SLOW_TRANSFER_GIB_PER_S, arrival, at, plain, timeline};

/// Engines for whole requests, of which steps with a prompt take 1 s and others ½ s.
fn fleet(engines: &[Engine]) -> Fleet {
    Fleet {
        scheduler: Scheduler::RoundRobin,
        engines: engines.iter().map(|&it| (Role::Mixed, it)).collect(),
        performance: Performance::Constant(ConstantTime::new(
            SimDuration::saturating(1.0),
            SimDuration::saturating(0.5),
        )),
    }
}

/// The same engine, which schedules a step while the one before runs.
fn pipelined(mut engine: Engine) -> Engine {
    if let Engine::Vllm {
        async_scheduling, ..
    } = &mut engine
    {
        *async_scheduling = true;
    }
    engine
}

fn evacuate(endpoint: &mut Endpoint, engine: EngineId, now: f64) -> Evacuated {
    endpoint.serve_until(at(now));
    let done = endpoint.evacuate(engine, SLOW_TRANSFER_GIB_PER_S, at(now));
    endpoint.recount().expect("every total agrees");
    assert!(endpoint.counts().add_up());
    endpoint.flush(at(now));
    endpoint.recount().expect("every total agrees");
    done
}

fn finish(endpoint: &mut Endpoint) -> Vec<RequestRecord> {
    endpoint.serve_until(SimTime::MAX);
    endpoint.recount().expect("every total agrees");
    assert!(endpoint.is_done(), "{:?}", endpoint.counts());
    let mut records: Vec<_> = endpoint.take_ended().collect();
    records.sort_by_key(|record| record.id);
    records
}

/// Five of 12 tokens by 3; the step under way at 3¼ is lost. 32 + 4 tokens travel for 36 / 64 s, to 3.8125, and seven
/// steps follow. The longest gap is from 3 to 4.3125.
#[test]
fn a_request_goes_on_with_its_blocks() {
    for engine in [plain(20, 64), pipelined(plain(20, 64))] {
        let fleet = fleet(&[engine, engine]);
        let (mut endpoint, engines) = fleet.build(&[arrival(0, 0.0, 32, 12)]);
        let done = evacuate(&mut endpoint, engines[0], 3.25);
        assert_eq!((done.moved, done.put_back, done.lost_tokens), (1, 0, 0));
        endpoint.serve_until(at(3.8125));
        assert!(endpoint.is_idle(engines[0]));
        let record = finish(&mut endpoint).remove(0);
        let expected = [0.0, 1.0, 1.0, 7.3125].map(Some);
        assert_eq!(timeline(&record), expected);
        assert_eq!(record.served.max_tbt, Some(SimDuration::saturating(1.3125)));
        assert_eq!((record.prompt_tokens, record.output_tokens), (32, 12));
        assert_eq!(
            (record.prompt_instance, record.token_instance),
            (Some(0), Some(1))
        );
        let counts = endpoint.counts();
        assert_eq!((counts.prompt_tokens, counts.output_tokens), (32, 12));
        assert_eq!((counts.moved, counts.restarted, record.restarts), (1, 0, 0));
    }
}

/// Of 96 tokens of prompt the first 64 are computed at 1¼: they are lost. The other engine has a request with one token.
#[test]
fn a_prompt_that_is_not_done_begins_again() {
    let fleet = fleet(&[plain(20, 64), plain(20, 64)]);
    let (mut endpoint, engines) = fleet.build(&[arrival(0, 0.0, 96, 3), arrival(1, 0.0, 8, 8)]);
    let done = evacuate(&mut endpoint, engines[0], 1.25);
    assert_eq!((done.moved, done.put_back), (0, 1));
    // The second chunk, which was under way, counts as processed, as it does for vLLM.
    assert_eq!(done.lost_tokens, 96);
    let records = finish(&mut endpoint);
    assert_eq!(
        (records[0].restarts, records[0].prompt_instance),
        (1, Some(1))
    );
    // The step of the other engine ends at 1½; two with chunks of 63 and 33 tokens follow.
    assert_eq!(records[0].first_token, Some(at(3.5)));
}

/// 36 tokens and one take three blocks. The other engine has five, four of them in use until its request ends at 6.
#[test]
fn a_request_waits_for_blocks() {
    let fleet = fleet(&[plain(20, 64), plain(6, 64)]);
    let (mut endpoint, engines) = fleet.build(&[arrival(0, 0.0, 32, 12), arrival(1, 0.0, 48, 11)]);
    let done = evacuate(&mut endpoint, engines[0], 3.25);
    assert_eq!((done.moved, done.put_back), (1, 0));
    let records = finish(&mut endpoint);
    assert_eq!(records[1].end, Some(at(6.0)));
    // Tries at 4¼, 5¼ and 6¼, which finds room.
    assert_eq!(records[0].end, Some(at(6.25 + 0.5625 + 3.5)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// With any engine evacuated at any time, every total agrees, every request ends, and where nothing was preempted each token is
    /// processed once, beside those that were lost.
    #[test]
    fn nothing_is_lost_and_no_token_is_made_twice(
        blocks in prop::sample::select(vec![14u32, 40, 400]),
        pipeline in any::<bool>(),
        split in any::<bool>(),
        work in prop::collection::vec((0u32..160, 1u32..100, 1u32..60), 1..25),
        leaving in prop::collection::vec((0u32..400, 0usize..12), 1..8),
    ) {
        let engine = if pipeline { pipelined(plain(blocks, 48)) } else { plain(blocks, 48) };
        let linear = Linear { base: 0.1, prefill_token: 0.002, decode_request: 0.01, context_token: 1e-4 };
        let roles = if split { vec![Role::Prompt, Role::Token, Role::Token] } else { vec![Role::Mixed; 3] };
        let fleet = Fleet {
            scheduler: if split { Scheduler::KvJsq { transfer_gib_per_s: SLOW_TRANSFER_GIB_PER_S } } else { Scheduler::Jsq },
            engines: roles.into_iter().map(|role| (role, engine)).collect(),
            performance: Performance::Linear(linear),
        };
        let mut work: Vec<_> = work.into_iter().map(|(time, prompt, output)| (f64::from(time) / 8.0, prompt, output)).collect();
        work.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrivals: Vec<_> = (0..).zip(&work).map(|(id, &(time, prompt, output))| arrival(id, time, prompt, output)).collect();
        let (mut endpoint, mut engines) = fleet.build(&arrivals);
        let mut leaving: Vec<_> = leaving.into_iter().map(|(time, which)| (f64::from(time) / 10.0, which)).collect();
        leaving.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (time, which) in leaving {
            let which = which % engines.len();
            endpoint.serve_until(at(time));
            let new = fleet.open(&mut endpoint, which, at(time));
            let gone = std::mem::replace(&mut engines[which], new);
            evacuate(&mut endpoint, gone, time);
        }
        let records = finish(&mut endpoint);
        prop_assert_eq!(records.len(), work.len());
        for record in &records {
            let (_, prompt, output) = work[record.id as usize];
            prop_assert_eq!((record.prompt_tokens, record.output_tokens), (prompt, output));
        }
        let counts = endpoint.counts();
        let preempted: u32 = records.iter().map(|it| it.served.preemptions).sum();
        let asked: u64 = work.iter().map(|it| u64::from(it.1 + it.2)).sum();
        if blocks == 400 && preempted == 0 && counts.evicted == 0 {
            prop_assert_eq!(counts.prompt_tokens + counts.output_tokens, asked + counts.lost_tokens);
        }
    }
}
