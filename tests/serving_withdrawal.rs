//! Engines that are closed, removed or withdrawn while they have work: timelines worked out by
//! hand.
//!
//! An iteration takes 1 s with a prompt and ½ s without, a KV cache travels at 64 tokens a second.
//! Left alone, a request of 32 + 4 tokens from time zero has its prompt in [0, 1] and its 3 other
//! tokens take 3 × ½: on one engine in [1, 2½]; between two its cache travels for 32 / 64 = ½
//! first, so in [1½, 3].

mod serving_support;

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{Endpoint, EngineBusy, EngineId, Evacuated, RequestRecord, Role};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;
use proptest::prelude::*;

use serving_support::{
    ENGINES, Fleet, SLOW_TRANSFER_GIB_PER_S, WEIGHTS, arrival, at, combinations, schedulers, stream,
};

const KV_JSQ: Scheduler = Scheduler::KvJsq {
    transfer_gib_per_s: SLOW_TRANSFER_GIB_PER_S,
};

fn fleet(scheduler: Scheduler, batching: Engine, n: usize) -> Fleet {
    Fleet {
        iteration_s: (1.0, 0.5),
        ..Fleet::new(scheduler, batching, n)
    }
}

/// Start of the prompt, first token, start of the tokens, end.
fn timeline(record: &RequestRecord) -> [f64; 4] {
    [
        record.prompt_start,
        record.first_token,
        record.token_start,
        record.end,
    ]
    .map(|time| time.expect("it has come to that").seconds())
}

/// Serves to the end, checks every total, and gives the records by number.
fn finish(endpoint: &mut Endpoint) -> Vec<RequestRecord> {
    endpoint.serve_until(SimTime::MAX);
    endpoint.recount().expect("every total agrees");
    assert!(endpoint.is_done(), "{:?}", endpoint.counts());
    let mut records: Vec<_> = endpoint.take_ended().collect();
    records.sort_by_key(|record| record.id);
    records
}

/// Withdraws an engine, checks that `restarted` requests wait, and lets a new one (instance 9) take
/// its place.
fn replace(
    fleet: &Fleet,
    endpoint: &mut Endpoint,
    engine: (EngineId, Role),
    now: f64,
    restarted: u64,
) {
    let (engine, role) = engine;
    endpoint.serve_until(at(now));
    let before = endpoint.counts();
    assert_eq!(endpoint.withdraw(engine, at(now)), restarted);
    endpoint.recount().expect("every total agrees");
    let counts = endpoint.counts();
    assert_eq!(counts.restarted - before.restarted, restarted);
    assert_eq!(counts.waiting, restarted);
    assert_eq!(counts.in_flight, before.in_flight - restarted);
    assert!(endpoint.is_idle(engine));
    assert_eq!(
        endpoint.load(engine, endpoint.served()).memory_used,
        WEIGHTS
    );

    endpoint.open(engine);
    let new = endpoint.add_engine(fleet.engine(9, role));
    endpoint.open(new);
    endpoint.flush(at(now));
    endpoint.recount().expect("every total agrees");
    assert_eq!(endpoint.counts().waiting, 0);
}

/// A pair of engines that serves one request of 32 + 4 tokens, of which one (0: the prompt's, 1:
/// the tokens') is replaced.
fn replace_one_of_a_pair(replaced: usize, now: f64, restarted: u64, expected: [f64; 4]) {
    for batching in ENGINES {
        for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[4..7] {
            let fleet = fleet(*scheduler, batching, 1);
            let (mut endpoint, engines) = fleet.build(stream(&[arrival(0, 0.0, 32, 4)]));
            let engine = (engines[replaced], fleet.roles[replaced]);
            replace(&fleet, &mut endpoint, engine, now, restarted);
            let record = finish(&mut endpoint).remove(0);
            assert_eq!(timeline(&record), expected, "{fleet:?}");
            assert_eq!(u64::from(record.restarts), restarted);
            let mut instances = [0, 1].map(Some);
            if restarted > 0 {
                instances[replaced] = Some(9);
            }
            assert_eq!([record.prompt_instance, record.token_instance], instances);
        }
    }
}

/// The prompt begins again at ½: [½, 1½] with its first token only now, cache to 2, tokens to 3½.
/// It first ran at 0.
#[test]
fn the_engine_of_the_prompt_goes_while_it_runs() {
    replace_one_of_a_pair(0, 0.5, 1, [0.0, 1.5, 2.0, 3.5]);
}

/// Nothing was generated on the engine that goes, but the request was to come to it. The prompt's
/// engine ends the iteration that is under way, at 1, and then begins again: [1, 2], cache to 2½,
/// tokens to 4.
#[test]
fn the_engine_of_the_tokens_goes_while_the_prompt_runs() {
    replace_one_of_a_pair(1, 0.5, 1, [0.0, 2.0, 2.5, 4.0]);
}

/// At 1¼ the cache is under way; whichever end goes, it is lost. The prompt again in [1¼, 2¼],
/// cache to 2¾, tokens to 4¼. The first token of the first attempt, at 1, was given out.
#[test]
fn either_engine_goes_while_the_cache_is_under_way() {
    replace_one_of_a_pair(0, 1.25, 1, [0.0, 1.0, 2.75, 4.25]);
    replace_one_of_a_pair(1, 1.25, 1, [0.0, 1.0, 2.75, 4.25]);
}

/// At 2 one token of three is there. The prompt again in [2, 3], cache to 3½, all three tokens
/// again, to 5. The token phase first ran at 1½.
#[test]
fn the_engine_of_the_tokens_goes_while_they_run() {
    replace_one_of_a_pair(1, 2.0, 1, [0.0, 1.0, 1.5, 5.0]);
}

/// The engine of the prompt has nothing to do with the request any more.
#[test]
fn the_engine_of_the_prompt_goes_while_the_tokens_run() {
    replace_one_of_a_pair(0, 2.0, 0, [0.0, 1.0, 1.5, 3.0]);
}

/// On one engine for both: during the prompt, at ½, again in [½, 1½] and [1½, 3]; during the
/// tokens, at 2, again in [2, 3] and [3, 4½].
#[test]
fn the_only_engine_goes() {
    for batching in ENGINES {
        for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[..4] {
            for (now, expected) in [(0.5, [0.0, 1.5, 1.5, 3.0]), (2.0, [0.0, 1.0, 1.0, 4.5])] {
                let fleet = fleet(*scheduler, batching, 1);
                let (mut endpoint, engines) = fleet.build(stream(&[arrival(0, 0.0, 32, 4)]));
                replace(&fleet, &mut endpoint, (engines[0], Role::Mixed), now, 1);
                let record = finish(&mut endpoint).remove(0);
                assert_eq!(
                    (timeline(&record), record.restarts),
                    (expected, 1),
                    "{fleet:?}"
                );
                assert_eq!(record.prompt_instance, Some(9));
            }
        }
    }
}

/// Room for 60: what `a_transfer_asks_for_room_each_second` in `serving_edges.rs` works out.
/// Request 0 has its tokens in [1.3125, 11.3125], request 1 has held its prompt since 2 and asks
/// for room each second.
fn two_that_do_not_fit_together(batching: Engine) -> (Fleet, [Arrival; 2]) {
    let fleet = Fleet {
        room: 60,
        ..fleet(KV_JSQ, batching, 1)
    };
    (fleet, [arrival(0, 0.0, 20, 21), arrival(1, 0.5, 32, 4)])
}

/// The source goes at 5: request 1 alone begins again, [5, 6], asks at 6, 7, …, 12; cache to 12½, 3
/// tokens to 14.
#[test]
fn the_source_goes_while_a_transfer_waits_for_room() {
    for batching in [ENGINES[1], ENGINES[2]] {
        let (fleet, arrivals) = two_that_do_not_fit_together(batching);
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        replace(&fleet, &mut endpoint, (engines[0], Role::Prompt), 5.0, 1);
        let records = finish(&mut endpoint);
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.3125, 11.3125]);
        assert_eq!(timeline(&records[1]), [1.0, 2.0, 12.5, 14.0]);
        assert_eq!((records[0].restarts, records[1].restarts), (0, 1));
    }
}

/// The destination goes at 5: both begin again in their order. As each comes alone to the prompt's
/// engine, the first runs in [5, 6], the second in [6, 7]. Cache of the first to 6.3125, 20 tokens
/// to 16.3125. The second asks at 7, 8, …, 17; cache to 17½, 3 tokens to 19.
#[test]
fn the_destination_goes_while_a_transfer_waits_for_room() {
    for batching in [ENGINES[1], ENGINES[2]] {
        let (fleet, arrivals) = two_that_do_not_fit_together(batching);
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        replace(&fleet, &mut endpoint, (engines[1], Role::Token), 5.0, 2);
        let records = finish(&mut endpoint);
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.3125, 16.3125]);
        assert_eq!(timeline(&records[1]), [1.0, 2.0, 17.5, 19.0]);
        assert_eq!((records[0].restarts, records[1].restarts), (1, 1));
    }
}

/// Left alone but for the doors: the cache is under way in [1, 1½] and both engines close at 1¼.
/// The source is busy until 1½, the destination until 3; neither can be removed before. A request
/// that comes at 1¼ waits for the engines that open at 4: [4, 5], cache to 5½, tokens to 7.
#[test]
fn closed_engines_are_busy_until_the_last_token() {
    for batching in ENGINES {
        let arrivals = [arrival(0, 0.0, 32, 4), arrival(1, 1.25, 32, 4)];
        let fleet = fleet(KV_JSQ, batching, 1);
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        let (source, destination) = (engines[0], engines[1]);
        endpoint.serve_until(at(1.125));
        endpoint.close(source);
        endpoint.close(destination);
        for (now, source_is_busy, destination_is_busy) in [
            (1.25, true, true),
            (1.5, false, true),
            (2.75, false, true),
            (3.0, false, false),
        ] {
            endpoint.serve_until(at(now));
            endpoint.recount().unwrap();
            assert_eq!(endpoint.is_idle(source), !source_is_busy, "at {now}");
            assert_eq!(
                endpoint.is_idle(destination),
                !destination_is_busy,
                "at {now}"
            );
            if destination_is_busy {
                assert_eq!(
                    endpoint.remove(destination),
                    Err(EngineBusy { assigned: 1 })
                );
                assert_eq!(endpoint.idle_since(destination), None);
            }
        }
        assert_eq!(endpoint.idle_since(source), Some(at(1.5)));
        assert_eq!(endpoint.idle_since(destination), Some(at(3.0)));
        assert_eq!(endpoint.remove(source), Ok(()));
        assert_eq!(endpoint.remove(destination), Ok(()));
        assert_eq!(endpoint.counts().waiting, 1);

        endpoint.serve_until(at(4.0));
        for role in [Role::Prompt, Role::Token] {
            let engine = endpoint.add_engine(fleet.engine(5, role));
            endpoint.open(engine);
        }
        endpoint.flush(at(4.0));
        let records = finish(&mut endpoint);
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.5, 3.0]);
        assert_eq!(timeline(&records[1]), [4.0, 5.0, 5.5, 7.0]);
        assert!(records.iter().all(|record| record.restarts == 0));
    }
}

/// Of two engines of each role the first closes at 10 with work, and is removed once it is idle: no
/// request that comes after 10 is served by it.
#[test]
fn a_closed_engine_is_never_chosen() {
    for (scheduler, batching) in combinations(SLOW_TRANSFER_GIB_PER_S) {
        let arrivals: Vec<_> = (0..40)
            .map(|id| arrival(id, id as f64 / 2.0, 16, 8))
            .collect();
        let fleet = fleet(scheduler, batching, 2);
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        let closing = &engines[..engines.len() / 2];
        endpoint.serve_until(at(10.0));
        assert!(closing.iter().any(|&engine| !endpoint.is_idle(engine)));
        for &engine in closing {
            endpoint.close(engine);
            let busy = !endpoint.is_idle(engine);
            assert_eq!(endpoint.remove(engine).is_err(), busy);
        }
        let closed = 0..closing.len() as u64;
        for record in finish(&mut endpoint) {
            let instances = [record.prompt_instance, record.token_instance];
            let on_closed = instances.iter().flatten().any(|i| closed.contains(i));
            assert!(
                !on_closed || record.arrival <= at(10.0),
                "{fleet:?}: {record:?}"
            );
            assert_eq!(record.restarts, 0);
        }
        for &engine in closing {
            assert_eq!(endpoint.remove(engine), Ok(()));
        }
    }
}

#[test]
fn an_engine_that_is_taken_out_twice_counts_once() {
    let fleet = fleet(Scheduler::Jsq, Engine::Fcfs, 1);
    let (mut endpoint, engines) = fleet.build(stream(&[arrival(0, 0.0, 16, 8)]));
    endpoint.serve_until(at(10.0));
    for _ in 0..2 {
        assert_eq!(endpoint.remove(engines[0]), Ok(()));
        assert_eq!(endpoint.withdraw(engines[0], at(12.0)), 0);
        let did = endpoint.departed(Role::Mixed);
        assert_eq!((did.prompt_tokens, did.up_s), (16, 10.0));
    }
}

/// The iteration goes on when its prompt is taken out, and counts as one with a prompt.
#[test]
fn an_iteration_without_its_prompt_is_still_a_prompt_iteration() {
    let scheduler = Scheduler::KvJsq {
        transfer_gib_per_s: 1.0,
    };
    let (mut endpoint, engines) =
        Fleet::new(scheduler, Engine::Fcfs, 1).build(stream(&[arrival(0, 0.0, 10, 10)]));
    endpoint.serve_until(at(0.125));
    endpoint.withdraw(engines[1], at(0.125));
    endpoint.serve_until(at(1.0));
    let load = endpoint.load(engines[0], at(1.0));
    assert_eq!((load.prompt_busy_s, load.token_busy_s), (0.25, 0.0));
}

/// Evacuates an engine at an instant, and schedules what it puts back.
fn evacuate(endpoint: &mut Endpoint, engine: EngineId, now: f64) -> Evacuated {
    endpoint.serve_until(at(now));
    let done = endpoint.evacuate(engine, SLOW_TRANSFER_GIB_PER_S, at(now));
    endpoint.recount().expect("every total agrees");
    assert!(endpoint.counts().add_up());
    endpoint.flush(at(now));
    endpoint.recount().expect("every total agrees");
    done
}

/// The engine that has a request.
fn busy(endpoint: &Endpoint, engines: &[EngineId]) -> EngineId {
    let is_busy = |&&it: &&EngineId| !endpoint.is_idle(it);
    *engines.iter().find(is_busy).expect("one is at work")
}

/// At 3 the request of 32 + 12 tokens has five: one from its prompt and four in [1, 3]. Those and its prompt, but for the
/// last token, are 36 tokens of KV cache, which travel for 36 / 64 s from 3¼ to 3.8125. The other seven take 3½.
#[test]
fn a_request_goes_on_elsewhere_without_a_new_prefill() {
    for batching in ENGINES {
        for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[..4] {
            let fleet = fleet(*scheduler, batching, 2);
            let (mut endpoint, engines) = fleet.build(stream(&[arrival(7, 0.0, 32, 12)]));
            endpoint.serve_until(at(1.0));
            let (from, number) = (busy(&endpoint, &engines), 1);
            let done = evacuate(&mut endpoint, from, 3.25);
            assert_eq!(
                (done.moved, done.put_back, done.lost_tokens),
                (number, 0, 0)
            );
            endpoint.serve_until(at(3.75));
            assert!(!endpoint.is_idle(from) && endpoint.remove(from).is_err());
            endpoint.serve_until(at(3.8125));
            assert!(endpoint.is_idle(from));
            endpoint.remove(from).expect("its cache is gone");
            let record = finish(&mut endpoint).remove(0);
            assert_eq!(timeline(&record), [0.0, 1.0, 1.0, 7.3125], "{fleet:?}");
            assert_eq!((record.prompt_tokens, record.output_tokens), (32, 12));
            assert_eq!(record.restarts, 0);
            assert_ne!(record.prompt_instance, record.token_instance);
            let counts = endpoint.counts();
            assert_eq!((counts.prompt_tokens, counts.output_tokens), (32, 12));
            assert_eq!(
                (counts.moved, counts.restarted, counts.lost_tokens),
                (1, 0, 0)
            );
        }
    }
}

/// Twice: seven tokens by 4.8125, of which the step under way is the last, so that 38 tokens travel for 0.59375 s. Then it
/// loses its third engine, and begins again from its own prompt.
#[test]
fn a_request_moves_on_and_begins_again_as_it_was_sent() {
    for batching in ENGINES {
        let fleet = fleet(Scheduler::TokenJsq, batching, 3);
        let (mut endpoint, engines) = fleet.build(stream(&[arrival(0, 0.0, 32, 12)]));
        assert_eq!(evacuate(&mut endpoint, engines[0], 3.25).moved, 1);
        assert_eq!(evacuate(&mut endpoint, engines[1], 4.8125).moved, 1);
        endpoint.serve_until(at(5.40625));
        assert!(endpoint.is_idle(engines[1]));
        let mut lost = endpoint.clone();
        let record = finish(&mut endpoint).remove(0);
        // Five are left at 5.40625.
        assert_eq!(record.end, Some(at(7.90625)), "{fleet:?}");
        let instances = (record.prompt_instance, record.token_instance);
        assert_eq!(instances, (Some(0), Some(2)));
        let new = lost.add_engine(fleet.engine(9, Role::Mixed));
        lost.open(new);
        lost.serve_until(at(6.0));
        // 32 tokens of prompt, and eight.
        assert_eq!(lost.lose(engines[2], at(6.0)).tokens, 40);
        lost.flush(at(6.0));
        let record = finish(&mut lost).remove(0);
        assert_eq!((record.prompt_tokens, record.output_tokens), (32, 12));
        assert_eq!(record.end, Some(at(6.0 + 1.0 + 5.5)));
        assert_eq!((record.prompt_instance, record.restarts), (Some(9), 1));
    }
}

/// The first prompt is under way at ¾, the second request waits behind it. Both begin again on the engine that opens.
#[test]
fn what_has_no_first_token_is_put_back() {
    for batching in ENGINES {
        let fleet = fleet(Scheduler::Jsq, batching, 1);
        let arrivals = [arrival(0, 0.0, 32, 4), arrival(1, 0.5, 10, 1)];
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        endpoint.serve_until(at(0.75));
        let other = endpoint.add_engine(fleet.engine(1, Role::Mixed));
        endpoint.open(other);
        let done = evacuate(&mut endpoint, engines[0], 0.75);
        assert_eq!((done.moved, done.put_back, done.lost_tokens), (0, 2, 0));
        assert!(endpoint.is_idle(engines[0]));
        let records = finish(&mut endpoint);
        assert_eq!(records[0].first_token, Some(at(1.75)));
        assert!(
            records
                .iter()
                .all(|it| it.restarts == 1 && it.prompt_instance == Some(1))
        );
    }
}

/// The other engine has 50 tokens of memory, 40 of them in use until its request ends at 10½: 21 for its prompt, 19 more.
/// Tries from 3¼ on, each second: at 11¼ there is room. With 40 tokens of memory it could never hold 44.
#[test]
fn one_without_room_elsewhere_waits_for_it_or_is_put_back() {
    for batching in &ENGINES[1..] {
        for (memory, end, moved) in [(50, 15.3125, 1), (43, 16.5, 0)] {
            let fleet = Fleet {
                room: 50,
                ..fleet(Scheduler::Jsq, *batching, 1)
            };
            let arrivals = [arrival(0, 0.0, 32, 12), arrival(1, 0.0, 20, 20)];
            let (mut endpoint, engines) = fleet.build(stream(&arrivals));
            let mut small = fleet.engine(1, Role::Mixed);
            small.memory_bytes = WEIGHTS + memory;
            let small = endpoint.add_engine(small);
            endpoint.open(small);
            endpoint.serve_until(at(3.25));
            let done = evacuate(&mut endpoint, engines[0], 3.25);
            assert_eq!((done.moved, done.put_back), (moved, 1 - moved));
            assert_eq!(done.lost_tokens, if moved == 1 { 0 } else { 37 });
            if moved == 0 {
                let new = endpoint.add_engine(fleet.engine(2, Role::Mixed));
                endpoint.open(new);
                endpoint.serve_until(at(10.0));
                endpoint.flush(at(10.0));
            }
            let records = finish(&mut endpoint);
            assert_eq!(records[0].end, Some(at(end)), "{batching:?}");
            assert_eq!(records[1].end, Some(at(10.5)));
        }
    }
}

/// Caches that are on their way to an engine go to another from where they were; prompts that are not done begin again.
#[test]
fn what_was_to_come_to_an_engine_goes_to_another() {
    for batching in ENGINES {
        let fleet = Fleet {
            roles: vec![Role::Prompt, Role::Token, Role::Token],
            ..fleet(KV_JSQ, batching, 1)
        };
        for (now, moved, expected) in [
            (0.5, 0, [0.0, 2.0, 2.5, 4.0]),
            (1.25, 1, [0.0, 1.0, 1.75, 3.25]),
        ] {
            let (mut endpoint, engines) = fleet.build(stream(&[arrival(0, 0.0, 32, 4)]));
            let done = evacuate(&mut endpoint, engines[1], now);
            assert_eq!((done.moved, done.put_back), (moved, 1 - moved));
            assert!(endpoint.is_idle(engines[1]));
            let record = finish(&mut endpoint).remove(0);
            assert_eq!(timeline(&record), expected, "{fleet:?}");
            assert_eq!(record.token_instance, Some(2));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// With any engine evacuated at any time, every total agrees, every request ends, and each token of those is processed once,
    /// beside those that were lost.
    #[test]
    fn nothing_is_lost_and_no_token_is_made_twice(
        which in 0usize..24,
        work in prop::collection::vec((0u32..160, 1u32..80, 1u32..40), 1..30),
        leaving in prop::collection::vec((0u32..400, 0usize..12), 1..8),
    ) {
        let (scheduler, batching) = combinations(SLOW_TRANSFER_GIB_PER_S).nth(which).expect("there are 24");
        let fleet = fleet(scheduler, batching, 3);
        let mut work: Vec<_> = work.into_iter().map(|(time, prompt, output)| (f64::from(time) / 8.0, prompt, output)).collect();
        work.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrivals: Vec<_> = (0..).zip(&work).map(|(id, &(time, prompt, output))| arrival(id, time, prompt, output)).collect();
        let (mut endpoint, mut engines) = fleet.build(stream(&arrivals));
        let mut leaving: Vec<_> = leaving.into_iter().map(|(time, which)| (f64::from(time) / 10.0, which)).collect();
        leaving.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (time, which) in leaving {
            let which = which % engines.len();
            endpoint.serve_until(at(time));
            let number = endpoint.counts().events;
            let new = endpoint.add_engine(fleet.engine(100 + number, fleet.roles[which % fleet.roles.len()]));
            endpoint.open(new);
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
        let asked: u64 = work.iter().map(|it| u64::from(it.1 + it.2)).sum();
        prop_assert_eq!(counts.prompt_tokens + counts.output_tokens, asked + counts.lost_tokens, "{:?} {:?}", scheduler, batching);
    }

    /// The same for engines that stop, and are only missed later.
    #[test]
    fn nothing_is_lost_with_engines_that_are_missed_later(
        which in 0usize..24,
        work in prop::collection::vec((0u32..160, 1u32..80, 1u32..40), 1..30),
        stopping in prop::collection::vec((0u32..400, 0u32..90, 0usize..3), 1..4),
    ) {
        let (scheduler, batching) = combinations(SLOW_TRANSFER_GIB_PER_S).nth(which).expect("there are 24");
        let fleet = fleet(scheduler, batching, 3);
        let mut work: Vec<_> = work.into_iter().map(|(time, prompt, output)| (f64::from(time) / 8.0, prompt, output)).collect();
        work.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrivals: Vec<_> = (0..).zip(&work).map(|(id, &(time, prompt, output))| arrival(id, time, prompt, output)).collect();
        let (mut endpoint, mut engines) = fleet.build(stream(&arrivals));
        let mut steps: Vec<(f64, usize, bool)> = stopping
            .iter()
            .flat_map(|&(time, later, which)| {
                let time = f64::from(time) / 10.0;
                [(time, which, false), (time + f64::from(later) / 10.0, which, true)]
            })
            .collect();
        steps.sort_by(|a, b| a.partial_cmp(b).expect("times"));
        for (time, which, missed) in steps {
            endpoint.serve_until(at(time));
            if missed {
                endpoint.lose(engines[which], at(time));
                let new = endpoint.add_engine(fleet.engine(100 + endpoint.counts().events, fleet.roles[which]));
                endpoint.open(new);
                engines[which] = new;
            } else {
                endpoint.freeze(engines[which], at(time));
                endpoint.recount().expect("every total agrees");
            }
            endpoint.flush(at(time));
            endpoint.recount().expect("every total agrees");
            prop_assert!(endpoint.counts().add_up());
        }
        let records = finish(&mut endpoint);
        prop_assert_eq!(records.len(), work.len());
        let counts = endpoint.counts();
        let asked: u64 = work.iter().map(|it| u64::from(it.1 + it.2)).sum();
        prop_assert_eq!(counts.prompt_tokens + counts.output_tokens, asked + counts.lost_tokens, "{:?} {:?}", scheduler, batching);
    }
}

/// At 1¼ the cache of 32 + 4 tokens is on its way from the engine that stops: it is lost at once, and the prompt begins
/// again when the other engine for prompts is free, at 1¼. What comes to the one that stopped is stuck until 5.
#[test]
fn an_engine_that_stops_breaks_what_it_sends_and_keeps_what_comes() {
    for batching in ENGINES {
        let fleet = Fleet {
            roles: vec![Role::Prompt, Role::Prompt, Role::Token],
            ..fleet(KV_JSQ, batching, 1)
        };
        let arrivals = [arrival(0, 0.0, 32, 4), arrival(1, 2.5, 32, 4)];
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        endpoint.serve_until(at(1.25));
        let lost = endpoint.freeze(engines[0], at(1.25));
        assert_eq!((lost.retried, lost.failed, lost.tokens), (1, 0, 33));
        endpoint.close(engines[1]);
        endpoint.flush(at(1.25));
        endpoint.recount().expect("every total agrees");
        // It went to the one that stopped: nobody else is open.
        endpoint.serve_until(at(5.0));
        assert_eq!(endpoint.counts().in_flight, 2);
        assert!(endpoint.next_event().is_none());
        let lost = endpoint.lose(engines[0], at(5.0));
        assert_eq!((lost.retried, lost.tokens), (2, 0));
        let new = endpoint.add_engine(fleet.engine(9, Role::Prompt));
        endpoint.open(new);
        endpoint.flush(at(5.0));
        let records = finish(&mut endpoint);
        assert_eq!(
            (records[0].first_token, records[0].restarts),
            (Some(at(1.0)), 2)
        );
        assert_eq!(
            (records[1].first_token, records[1].restarts),
            (Some(at(7.0)), 1)
        );
    }
}
