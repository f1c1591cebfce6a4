//! Engines that are closed, removed or withdrawn while they have work: timelines worked out by
//! hand.
//!
//! An iteration takes 1 s with a prompt and ½ s without, a KV cache travels at 64 tokens a second.
//! Left alone, a request of 32 + 4 tokens from time zero has its prompt in [0, 1] and its 3 other
//! tokens take 3 × ½: on one engine in [1, 2½]; between two its cache travels for 32 / 64 = ½
//! first, so in [1½, 3].

mod serving_support;

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{Endpoint, EngineBusy, EngineId, RequestRecord, Role};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;

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
