//! Timelines of the data plane worked out by hand, at the edges of what requests and engines may
//! be.
//!
//! Unless a test says otherwise an iteration takes 1 s with a prompt and ½ s without, and a KV
//! cache travels at 64 tokens a second. All instants are sums of powers of two, so they are
//! compared exactly.

mod serving_support;

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{EngineLoad, Outcome, Rejection, RequestRecord, Role};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::Arrival;

use serving_support::{
    ENGINES, Fleet, SLOW_TRANSFER_GIB_PER_S, arrival, at, combinations, schedulers, seconds, stream,
};

fn fleet(scheduler: Scheduler, batching: Engine, n: usize) -> Fleet {
    Fleet {
        iteration_s: (1.0, 0.5),
        ..Fleet::new(scheduler, batching, n)
    }
}

fn all_fleets(n: usize) -> impl Iterator<Item = Fleet> {
    combinations(SLOW_TRANSFER_GIB_PER_S)
        .map(move |(scheduler, engine)| fleet(scheduler, engine, n))
}

/// The batch engines whose memory is limited.
fn limited() -> impl Iterator<Item = Engine> {
    ENGINES.into_iter().filter(|engine| *engine != Engine::Fcfs)
}

/// Start of the prompt, first token, start of the tokens, end.
fn timeline(record: &RequestRecord) -> [Option<f64>; 4] {
    [
        record.prompt_start,
        record.first_token,
        record.token_start,
        record.end,
    ]
    .map(|time| time.map(SimTime::seconds))
}

/// 2: the prompt starts. 2 + 1 = 3: it ends with the only token there is. No token phase, no
/// transfer.
#[test]
fn one_output_token_is_all_prompt() {
    for fleet in all_fleets(2) {
        let (mut endpoint, engines) = fleet.build(stream(&[arrival(7, 2.0, 32, 1)]));
        endpoint.serve_until(at(3.0));
        assert!(endpoint.is_done() && endpoint.next_event().is_none());
        let record = endpoint.take_ended().next().unwrap();
        assert_eq!(timeline(&record), [Some(2.0), Some(3.0), None, Some(3.0)]);
        assert_eq!(record.e2e(), record.ttft());
        assert_eq!(record.tbt(), Some(SimDuration::ZERO));
        assert_eq!(record.second_token(), None);
        assert_eq!(record.token_instance, record.prompt_instance);
        let busy = engines
            .iter()
            .filter(|&&e| endpoint.load(e, endpoint.served()).output_tokens > 0);
        assert_eq!(busy.count(), 1);
    }
}

/// 0: the prompt starts; 1: its token. On one engine the other three tokens follow at once and take
/// 3 × ½, to 2½; between two engines 32 tokens travel for 32 / 64 = ½ first, so 1½ and 3.
#[test]
fn a_request_may_arrive_at_time_zero() {
    for fleet in all_fleets(1) {
        let travels = fleet.scheduler.transfer_gib_per_s().is_some();
        let delay = if travels { 0.5 } else { 0.0 };
        let record = fleet.serve(&[arrival(0, 0.0, 32, 4)]).remove(0);
        let expected = [0.0, 1.0, 1.0 + delay, 2.5 + delay].map(Some);
        assert_eq!(timeline(&record), expected, "{fleet:?}");
        assert_eq!(record.token_instance != record.prompt_instance, travels);
        assert_eq!(record.tbt(), Some(seconds((1.5 + delay) / 4.0)));
    }
}

/// The first request: its prompt in [0, 1], its other 4 tokens in one run [1, 3].
///
/// The second comes at 3 sharp, as that run ends: arrivals come first, the run is cut after floor(2
/// / ½) + 1 = 5 iterations, of which there are but 4, so it ends there and then. [3, 4] is the
/// second prompt, [4, 5] its 2 tokens.
#[test]
fn an_arrival_as_a_run_ends_adds_no_token() {
    for batching in ENGINES {
        let (mut endpoint, engines) = fleet(Scheduler::Jsq, batching, 1)
            .build(stream(&[arrival(0, 0.0, 8, 5), arrival(1, 3.0, 8, 3)]));
        endpoint.serve_until(at(3.0));
        assert_eq!(
            endpoint.load(engines[0], endpoint.served()).output_tokens,
            5
        );
        endpoint.serve_until(SimTime::MAX);
        assert_eq!(endpoint.counts().output_tokens, 8);
        let records: Vec<_> = endpoint.take_ended().collect();
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.0, 3.0].map(Some));
        assert_eq!(timeline(&records[1]), [3.0, 4.0, 4.0, 5.0].map(Some));
    }
}

/// As above, but the second comes at 2, where the second token iteration ends: the run is cut after
/// floor(1 / ½) + 1 = 3 iterations, at 2½. [2½, 3½] is the second prompt and the last token of the
/// first request; [3½, 4½] are the second's 2 tokens. `Fcfs` does not cut: all as if it came at 3.
#[test]
fn an_arrival_between_iterations_waits_for_the_next_to_end() {
    for batching in limited() {
        let records = fleet(Scheduler::Jsq, batching, 1)
            .serve(&[arrival(0, 0.0, 8, 5), arrival(1, 2.0, 8, 3)]);
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.0, 3.5].map(Some));
        assert_eq!(timeline(&records[1]), [2.5, 3.5, 3.5, 4.5].map(Some));
    }
    let records = fleet(Scheduler::Jsq, Engine::Fcfs, 1)
        .serve(&[arrival(0, 0.0, 8, 5), arrival(1, 2.0, 8, 3)]);
    assert_eq!(timeline(&records[1]), [3.0, 4.0, 4.0, 5.0].map(Some));
}

/// Two engines have a request each, [0, 5½] on the first and [0, 3] on the second. The third
/// request comes at 3 sharp: arrivals come first, so both have one still, and the tie goes to the
/// first.
#[test]
fn at_one_instant_arrivals_come_first() {
    for batching in ENGINES {
        let arrivals = [
            arrival(0, 0.0, 8, 10),
            arrival(1, 0.0, 8, 5),
            arrival(2, 3.0, 8, 1),
        ];
        let records = fleet(Scheduler::Jsq, batching, 2).serve(&arrivals);
        let third = records.iter().find(|record| record.id == 2).unwrap();
        assert_eq!(third.prompt_instance, Some(0));
    }
}

/// 8 prompt tokens in [0, 1] with the first of 5 output tokens, the other 4 in one run [1, 3]. Of
/// the 8 + 5 tokens all are pending at ¼, and at 2¼ two: floor(1¼ / ½) = 2 iterations are credited.
#[test]
fn a_run_under_way_is_credited() {
    for batching in ENGINES {
        let (mut endpoint, engines) =
            fleet(Scheduler::Jsq, batching, 1).build(stream(&[arrival(0, 0.0, 8, 5)]));
        for (now, prompt_tokens, output_tokens, pending_tokens, prompt_busy_s, token_busy_s) in [
            (0.25, 0, 0, 13, 0.25, 0.0),
            (2.25, 8, 3, 2, 1.0, 1.25),
            (3.5, 8, 5, 0, 1.0, 2.0),
        ] {
            endpoint.serve_until(at(now));
            let load = endpoint.load(engines[0], endpoint.served());
            let expected = EngineLoad {
                prompt_tokens,
                output_tokens,
                pending_tokens,
                prompt_busy_s,
                token_busy_s,
                ..load
            };
            assert_eq!(load, expected, "{batching:?} at {now}");
        }
    }
}

/// Tenths of a second are not exact, so an arrival meant for a boundary lies just before or just
/// after it. Whatever it does to the run, each request gets the tokens that it asked for.
#[test]
fn rounding_at_a_boundary_adds_no_token() {
    for batching in ENGINES {
        for token_s in [0.1, 0.3, 0.7] {
            let fleet = Fleet {
                iteration_s: (0.1, token_s),
                ..fleet(Scheduler::Jsq, batching, 1)
            };
            let mut summed = 0.1;
            for token in 0..=30 {
                for time in [summed, 0.1 + f64::from(token) * token_s] {
                    let arrivals = [arrival(0, 0.0, 8, 21), arrival(1, time, 8, 3)];
                    let (mut endpoint, engines) = fleet.build(stream(&arrivals));
                    endpoint.serve_until(at(time));
                    assert!(endpoint.load(engines[0], endpoint.served()).output_tokens <= 21);
                    endpoint.serve_until(SimTime::MAX);
                    assert_eq!(endpoint.counts().output_tokens, 24, "{fleet:?} at {time}");
                    assert!(endpoint.is_done());
                }
                summed += token_s;
            }
        }
    }
}

/// Room for 100 tokens. A prompt of 60 takes 61 and 40 − 1 tokens make it 100; a prompt of 99 with
/// one token takes 100. One token more and neither can ever fit: it is turned away as it arrives,
/// and nothing else changes. `Fcfs` has no limit.
#[test]
fn a_request_that_can_never_fit_is_turned_away() {
    let arrivals = [
        arrival(0, 0.0, 60, 40),
        arrival(1, 0.5, 60, 41),
        arrival(2, 0.5, 99, 1),
        arrival(3, 1.0, 100, 1),
        arrival(4, 1.0, 1, 100),
        arrival(5, 2.0, u32::MAX, u32::MAX),
        arrival(6, 9.0, 10, 10),
    ];
    let fits = |arrival: &Arrival| {
        u64::from(arrival.prompt_tokens) + u64::from(arrival.output_tokens) <= 100
    };
    for fleet in all_fleets(1) {
        if fleet.batching == Engine::Fcfs {
            assert!(fleet.serve(&arrivals[..5]).iter().all(|r| r.end.is_some()));
            continue;
        }
        let fleet = Fleet { room: 100, ..fleet };
        let records = fleet.serve(&arrivals);
        let (served, turned_away): (Vec<&RequestRecord>, Vec<_>) =
            records.iter().partition(|r| r.end.is_some());
        assert_eq!(turned_away.len(), 4);
        for record in turned_away {
            assert!([1, 3, 4, 5].contains(&record.id));
            assert_eq!(record.outcome, Outcome::Rejected(Rejection::TooLarge));
            assert_eq!(timeline(record), [None; 4]);
            assert_eq!(
                (record.prompt_instance, record.token_instance),
                (None, None)
            );
        }
        let fitting: Vec<Arrival> = arrivals
            .iter()
            .filter(|&arrival| fits(arrival))
            .cloned()
            .collect();
        let alone = fleet.serve(&fitting);
        assert_eq!(served, alone.iter().collect::<Vec<_>>(), "{fleet:?}");
    }
}

/// What is too large for the engines there are, but not for one that could come, waits for that one
/// and lets others pass. 0, 1, 4: the small ones. At 10 the large engine opens: [10, 11] is the
/// prompt, [11, 11½] the token.
#[test]
fn a_request_too_large_for_the_present_waits_for_a_larger_engine() {
    for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[..4] {
        for batching in limited() {
            let large = fleet(*scheduler, batching, 1);
            let small = Fleet {
                room: 100,
                ..large.clone()
            };
            let arrivals = [
                arrival(0, 0.0, 500, 2),
                arrival(1, 1.0, 10, 2),
                arrival(2, 4.0, 10, 2),
            ];
            let mut endpoint = large.endpoint(stream(&arrivals));
            let engine = endpoint.add_engine(small.engine(0, Role::Mixed));
            endpoint.open(engine);
            endpoint.serve_until(at(10.0));
            endpoint.flush(at(10.0));
            assert_eq!(
                (endpoint.counts().completed, endpoint.counts().waiting),
                (2, 1)
            );
            assert_eq!(endpoint.outstanding()[0].outcome, Outcome::Waiting);

            let engine = endpoint.add_engine(large.engine(1, Role::Mixed));
            endpoint.open(engine);
            endpoint.flush(at(10.0));
            endpoint.serve_until(SimTime::MAX);
            let last = endpoint.take_ended().next_back().unwrap();
            assert_eq!(timeline(&last), [10.0, 11.0, 11.0, 11.5].map(Some));
            assert_eq!(last.prompt_instance, Some(1));
        }
    }
}

/// Room for 30. [0, 1] is a short prompt, so that two of 13 tokens, which come meanwhile, run
/// together in [1, 2] and take 14 each. 2 are left, and a token task wants 5: none can run, ever.
/// The later request is evicted; the earlier runs its 5 tokens in [2, 4½]. Then the later begins
/// again: the prompt in [4½, 5½], its tokens to 8. Its first token came at 2, and stays there.
///
/// Prompt tokens: 1 + 13 + 13, and 13 again. Output tokens: 1 + 6 + 6, and the first again.
#[test]
fn prompts_that_fill_the_memory_make_way() {
    for batching in limited() {
        let arrivals = [
            arrival(0, 0.0, 1, 1),
            arrival(1, 0.5, 13, 6),
            arrival(2, 0.5, 13, 6),
        ];
        let fleet = Fleet {
            room: 30,
            ..fleet(Scheduler::Jsq, batching, 1)
        };
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        endpoint.serve_until(at(3.0));
        endpoint.recount().unwrap();
        assert_eq!(
            (endpoint.counts().evicted, endpoint.counts().in_flight),
            (1, 2)
        );
        assert_eq!(endpoint.outstanding()[1].outcome, Outcome::InFlight);
        assert_eq!(endpoint.outstanding()[1].prompt_instance, None);
        endpoint.serve_until(SimTime::MAX);
        endpoint.recount().unwrap();
        let counts = endpoint.counts();
        assert_eq!(
            (counts.completed, counts.evicted, counts.restarted),
            (3, 1, 0)
        );
        assert_eq!((counts.prompt_tokens, counts.output_tokens), (40, 14));
        assert!(endpoint.is_idle(engines[0]));
        let records: Vec<_> = endpoint.take_ended().collect();
        assert_eq!(timeline(&records[1]), [1.0, 2.0, 2.0, 4.5].map(Some));
        assert_eq!(timeline(&records[2]), [1.0, 2.0, 5.5, 8.0].map(Some));
        assert_eq!(
            records.iter().map(|r| r.restarts).collect::<Vec<_>>(),
            [0, 0, 1]
        );
    }
}

/// One engine of the pair is there, the other comes at 10. Three requests of 32 + 2 tokens, from 0,
/// 1 and 2, wait; then on `Fcfs` engines their prompts run in [10, 11], [11, 12] and [12, 13], each
/// cache travels for ½ and the second token takes ½.
#[test]
fn requests_wait_for_the_missing_half_of_a_pair() {
    let arrivals: Vec<_> = (0..3).map(|id| arrival(id, id as f64, 32, 2)).collect();
    for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[4..7] {
        for missing in [Role::Prompt, Role::Token] {
            let fleet = fleet(*scheduler, Engine::Fcfs, 1);
            let mut endpoint = fleet.endpoint(stream(&arrivals));
            let there = if missing == Role::Prompt {
                Role::Token
            } else {
                Role::Prompt
            };
            let engine = endpoint.add_engine(fleet.engine(0, there));
            endpoint.open(engine);
            endpoint.serve_until(at(10.0));
            assert_eq!(endpoint.counts().waiting, 3);
            let late = endpoint.add_engine(fleet.engine(9, missing));
            endpoint.open(late);
            assert_eq!(endpoint.counts().waiting, 3, "until flushed");
            endpoint.flush(at(10.0));
            assert_eq!(
                (endpoint.counts().waiting, endpoint.counts().in_flight),
                (0, 3)
            );
            endpoint.serve_until(SimTime::MAX);
            for (record, id) in endpoint.take_ended().zip(0..) {
                let start = 10.0 + id as f64;
                assert_eq!(record.id, id);
                let expected = [start, start + 1.0, start + 1.5, start + 2.0];
                assert_eq!(timeline(&record), expected.map(Some));
            }
        }
    }
}

/// A request of one token needs no token engine: [0, 1]. One of two waits for one.
#[test]
fn one_output_token_needs_no_token_engine() {
    for scheduler in &schedulers(SLOW_TRANSFER_GIB_PER_S)[4..7] {
        for batching in ENGINES {
            let fleet = fleet(*scheduler, batching, 1);
            let mut endpoint =
                fleet.endpoint(stream(&[arrival(0, 0.0, 9, 1), arrival(1, 0.0, 9, 2)]));
            let engine = endpoint.add_engine(fleet.engine(0, Role::Prompt));
            endpoint.open(engine);
            endpoint.serve_until(SimTime::MAX);
            assert_eq!(
                (endpoint.counts().completed, endpoint.counts().waiting),
                (1, 1)
            );
            assert_eq!(endpoint.take_ended().next().unwrap().end, Some(at(1.0)));
        }
    }
}

/// A mixed pool serves both phases on whatever there is: [0, 1] the prompt, [1, 2½] 3 tokens. With
/// nothing there, requests wait.
#[test]
fn a_mixed_pool_makes_do_with_one_engine() {
    let scheduler = schedulers(SLOW_TRANSFER_GIB_PER_S)[7];
    for batching in ENGINES {
        for role in [Role::Prompt, Role::Token, Role::Mixed] {
            let fleet = Fleet {
                roles: vec![role],
                ..fleet(scheduler, batching, 1)
            };
            let record = fleet.serve(&[arrival(0, 0.0, 32, 4)]).remove(0);
            assert_eq!(timeline(&record), [0.0, 1.0, 1.0, 2.5].map(Some));
        }
        let mut endpoint = fleet(scheduler, batching, 1).endpoint(stream(&[arrival(0, 0.0, 9, 9)]));
        endpoint.serve_until(SimTime::MAX);
        assert_eq!((endpoint.counts().waiting, endpoint.is_done()), (1, false));
    }
}

/// Room for 60. The first request takes 21 for its prompt and 20 for its tokens: prompt in [0, 1],
/// cache under way for 20 / 64 = 0.3125, tokens from 1.3125 for 20 × ½, to 11.3125. The second has
/// its prompt in [1, 2] and holds 33, for which its destination has no room (41 + 33 > 60). It asks
/// again at 3, 4, … and at 12 there is room: cache under way to 12½, 3 tokens to 14.
#[test]
fn a_transfer_asks_for_room_each_second() {
    for batching in limited() {
        let arrivals = [arrival(0, 0.0, 20, 21), arrival(1, 0.5, 32, 4)];
        let scheduler = schedulers(SLOW_TRANSFER_GIB_PER_S)[5];
        let records = Fleet {
            room: 60,
            ..fleet(scheduler, batching, 1)
        }
        .serve(&arrivals);
        assert_eq!(timeline(&records[0]), [0.0, 1.0, 1.3125, 11.3125].map(Some));
        assert_eq!(timeline(&records[1]), [1.0, 2.0, 12.5, 14.0].map(Some));
    }
}

/// Seven prompts on a token and a prompt engine that lend each other out: the memories fill with
/// caches that wait for each other. Whoever is evicted does not take the room that was made.
#[test]
fn memories_that_wait_for_each_other_come_free() {
    let scheduler = Scheduler::MixedPool {
        prompt_max_pending_tokens: 1,
        transfer_gib_per_s: 16.0 / 1_073_741_824.0,
    };
    let fleet = Fleet {
        roles: vec![Role::Token, Role::Prompt],
        room: 220,
        ..Fleet::new(scheduler, Engine::Orca { max_batch_size: 1 }, 1)
    };
    let shapes = [
        (10, 2),
        (99, 2),
        (109, 2),
        (53, 68),
        (1, 1),
        (1, 1),
        (35, 65),
    ];
    let arrivals: Vec<_> = (0..)
        .zip(shapes)
        .map(|(id, (prompt, output))| arrival(id, 0.0, prompt, output))
        .collect();
    let (mut endpoint, _) = fleet.build(stream(&arrivals));
    endpoint.serve_until(at(1_000.0));
    assert!(endpoint.is_done(), "{:?}", endpoint.counts());
}

/// Closing is for good: what was draining is not chosen again, and its work is finished.
#[test]
fn a_closed_engine_does_not_open_again() {
    let (mut endpoint, engines) = Fleet::new(Scheduler::Jsq, Engine::Fcfs, 1)
        .build(stream(&[arrival(0, 0.0, 10, 10), arrival(1, 1.0, 10, 10)]));
    endpoint.serve_until(at(0.5));
    endpoint.close(engines[0]);
    endpoint.open(engines[0]);
    endpoint.serve_until(SimTime::MAX);
    assert_eq!(
        (endpoint.counts().completed, endpoint.counts().waiting),
        (1, 1)
    );
}

/// An attempt that finds no prompt engine leaves the turn of the token engines where it was.
#[test]
fn a_choice_that_fails_takes_no_turn() {
    let fleet = Fleet::new(
        Scheduler::KvRoundRobin {
            transfer_gib_per_s: 1.0,
        },
        Engine::Fcfs,
        2,
    );
    let mut endpoint = fleet.endpoint(stream(&[arrival(0, 0.0, 10, 10)]));
    for number in 0..2 {
        let engine = endpoint.add_engine(fleet.engine(number, Role::Token));
        endpoint.open(engine);
    }
    endpoint.serve_until(at(1.0));
    let engine = endpoint.add_engine(fleet.engine(2, Role::Prompt));
    endpoint.open(engine);
    endpoint.flush(at(1.0));
    endpoint.serve_until(SimTime::MAX);
    let record = endpoint.take_ended().next().unwrap();
    assert_eq!(record.token_instance, Some(0));
}
