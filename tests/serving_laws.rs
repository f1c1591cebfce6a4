//! Laws that hold on every run of the data plane, whatever its scheduler, its engines and its luck.

mod serving_support;

use fleetsim::random::Stream;
use fleetsim::serving::{EngineLoad, Outcome, Role};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;

use serving_support::{
    AMPLE, Fleet, SLOW_TRANSFER_GIB_PER_S, WEIGHTS, arrival, combinations, stream,
};

/// Two hundred requests of up to 40 + 40 tokens that queue up now and then.
fn bursts(seed: u64) -> Vec<Arrival> {
    let mut random = Stream::new(seed, "laws/bursts");
    let mut now = 0.0;
    (0..200)
        .map(|id| {
            now += random.exponential() * if random.below(8) == 0 { 8.0 } else { 0.25 };
            let mut tokens = || 1 + random.below(40) as u32;
            let (prompt_tokens, output_tokens) = (tokens(), tokens());
            arrival(id, now, prompt_tokens, output_tokens)
        })
        .collect()
}

/// Every scheduler with every engine, with memory for everything and with memory for two or three
/// requests.
fn fleets() -> impl Iterator<Item = Fleet> {
    combinations(SLOW_TRANSFER_GIB_PER_S)
        .flat_map(|(scheduler, engine)| [AMPLE, 200].map(|room| (scheduler, engine, room)))
        .map(|(scheduler, engine, room)| Fleet {
            room,
            ..Fleet::new(scheduler, engine, 3)
        })
}

/// Little's law, L = λ W: the integral over time of the number of requests that are there, counted
/// from one event to the next, is the sum of the times that each spent there. Both are the same sum
/// taken in different orders, so all that may differ is rounding: at most one part in 2⁵³ for each
/// of a few thousand additions; 10⁻¹¹ is asserted.
#[test]
fn littles_law_holds_on_every_run() {
    for fleet in fleets() {
        let (mut endpoint, _) = fleet.build(stream(&bursts(15)));
        let (mut now, mut area) = (SimTime::ZERO, 0.0);
        while let Some(next) = endpoint.next_event() {
            let counts = endpoint.counts();
            area += (next - now).seconds() * (counts.waiting + counts.in_flight) as f64;
            endpoint.serve_until(next);
            now = next;
        }
        assert!(endpoint.is_done(), "{fleet:?}: {:?}", endpoint.counts());
        let spent: f64 = endpoint
            .take_ended()
            .map(|record| record.e2e().unwrap().seconds())
            .sum();
        assert!(
            (area - spent).abs() < 1e-11 * spent,
            "{fleet:?}: {area} but {spent}"
        );
    }
}

/// Where nothing was evicted, every token that was asked for was processed once: in all, and by
/// role.
#[test]
fn tokens_are_neither_lost_nor_made_up() {
    for fleet in fleets() {
        let arrivals = bursts(16);
        let (mut endpoint, engines) = fleet.build(stream(&arrivals));
        endpoint.serve_until(SimTime::MAX);
        let counts = endpoint.counts();
        let asked = |tokens: fn(&Arrival) -> u32| -> u64 {
            arrivals.iter().map(|a| u64::from(tokens(a))).sum()
        };
        let (prompt, output) = (asked(|a| a.prompt_tokens), asked(|a| a.output_tokens));
        assert_eq!((counts.completed, counts.restarted), (200, 0), "{fleet:?}");
        let records: Vec<_> = endpoint.take_ended().collect();
        assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
        let redone: u64 = records.iter().map(|r| u64::from(r.restarts)).sum();
        assert_eq!(redone, counts.evicted, "{fleet:?}");
        if fleet.room == AMPLE {
            assert_eq!(counts.evicted, 0, "{fleet:?}");
        }
        let loads: Vec<_> = engines
            .iter()
            .map(|&engine| endpoint.load(engine, endpoint.served()))
            .collect();
        let sum = |of: fn(&EngineLoad) -> u64| loads.iter().map(of).sum::<u64>();
        assert_eq!(sum(|load| load.prompt_tokens), counts.prompt_tokens);
        assert_eq!(sum(|load| load.output_tokens), counts.output_tokens);
        assert_eq!(sum(|load| load.pending_tokens + load.assigned), 0);
        assert!(loads.iter().all(|load| load.memory_used == WEIGHTS));
        if counts.evicted > 0 {
            assert!(counts.prompt_tokens > prompt && counts.output_tokens > output);
            continue;
        }
        assert_eq!(
            (counts.prompt_tokens, counts.output_tokens),
            (prompt, output)
        );
        if fleet.scheduler.pairs_prompt_and_token() {
            for (load, role) in loads.iter().zip(&fleet.roles) {
                let idle_side = match role {
                    Role::Prompt => load.token_busy_s,
                    _ => load.prompt_busy_s,
                };
                assert_eq!(idle_side, 0.0, "{fleet:?}");
            }
        }
    }
}
