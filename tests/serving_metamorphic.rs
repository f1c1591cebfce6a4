//! The data plane against itself: changes to a scenario whose effect is known without working the
//! scenario out.
//!
//! Every comparison is bit for bit, and of whole records, in the order of ending. Workloads are
//! small and random, for every scheduler with every batch engine.

mod serving_support;

use fleetsim::scenario::Scheduler;
use fleetsim::serving::{Endpoint, RequestRecord};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use serving_support::{
    AMPLE, ENGINES, Fleet, SLOW_TRANSFER_GIB_PER_S, arrival, at, nothing, schedulers, stream,
};

/// Memory for two or three requests: transfers wait, prompts wait, some are evicted.
const TIGHT: u64 = 150;

#[derive(Clone, Debug)]
struct Case {
    fleet: Fleet,
    arrivals: Vec<Arrival>,
}

impl Case {
    fn serve(&self) -> Vec<RequestRecord> {
        self.fleet.serve(&self.arrivals)
    }

    fn last_arrival(&self) -> SimTime {
        self.arrivals.last().expect("there is one").time
    }
}

/// Up to three engines of each role, and up to sixty requests of up to 40 + 40 tokens, some of them
/// at the same instant.
fn cases(room: impl Strategy<Value = u64>) -> impl Strategy<Value = Case> {
    let scheduler = prop_oneof![Just(1e3), Just(1.0), Just(0.01)].prop_flat_map(|speed| {
        prop::sample::select(schedulers(SLOW_TRANSFER_GIB_PER_S * speed).to_vec())
    });
    let engine = prop::sample::select(ENGINES.to_vec());
    let gap = prop_oneof![
        0.0..1.0,
        (0u8..8).prop_map(|eighths| f64::from(eighths) / 8.0)
    ];
    let work = prop::collection::vec((gap, 1u32..=40, 1u32..=40), 1..60);
    let iteration_s = (0.01..0.5, 0.01..0.5);
    (
        scheduler,
        engine,
        1usize..=3,
        room,
        iteration_s,
        any::<u64>(),
        work,
    )
        .prop_map(
            |(scheduler, engine, n, room, iteration_s, seed, work)| Case {
                fleet: Fleet {
                    room,
                    iteration_s,
                    seed,
                    ..Fleet::new(scheduler, engine, n)
                },
                arrivals: workload(&work),
            },
        )
}

fn workload(work: &[(f64, u32, u32)]) -> Vec<Arrival> {
    let mut now = 0.0;
    (0..)
        .zip(work)
        .map(|(id, &(gap, prompt_tokens, output_tokens))| {
            now += gap;
            arrival(id, now, prompt_tokens, output_tokens)
        })
        .collect()
}

fn any_memory() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![AMPLE, TIGHT])
}

/// The same record, all its instants changed.
fn retimed(record: &RequestRecord, change: impl Fn(f64) -> f64) -> RequestRecord {
    let change = |time: SimTime| at(change(time.seconds()));
    RequestRecord {
        arrival: change(record.arrival),
        prompt_start: record.prompt_start.map(change),
        first_token: record.first_token.map(change),
        token_start: record.token_start.map(change),
        end: record.end.map(change),
        ..record.clone()
    }
}

/// The same record, its instances renamed.
fn renamed(record: &RequestRecord, name: impl Fn(u64) -> u64) -> RequestRecord {
    RequestRecord {
        prompt_instance: record.prompt_instance.map(&name),
        token_instance: record.token_instance.map(&name),
        ..record.clone()
    }
}

/// The same scheduler, its transfers slower by `factor`.
fn slowed(scheduler: Scheduler, factor: f64) -> Scheduler {
    let Some(speed) = scheduler.transfer_gib_per_s() else {
        return scheduler;
    };
    let kind = std::mem::discriminant(&scheduler);
    schedulers(speed / factor)
        .into_iter()
        .find(|other| std::mem::discriminant(other) == kind)
        .expect("all of them are there")
}

fn finish(endpoint: &mut Endpoint) -> Vec<RequestRecord> {
    endpoint.serve_until(SimTime::MAX);
    assert!(endpoint.is_done(), "{:?}", endpoint.counts());
    endpoint.take_ended().collect()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(42),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Powers of two are exact in floating point, so with every duration doubled every instant is
    /// doubled to the last bit. Memory is ample: a transfer that waits for room tries again after
    /// one second, and that second does not stretch.
    #[test]
    fn time_has_no_scale(case in cases(Just(AMPLE)), powers in -3i32..=3) {
        let factor = 2f64.powi(powers);
        let (prompt_s, token_s) = case.fleet.iteration_s;
        let stretched = Fleet {
            scheduler: slowed(case.fleet.scheduler, factor),
            iteration_s: (prompt_s * factor, token_s * factor),
            ..case.fleet.clone()
        };
        let arrivals: Vec<Arrival> = case
            .arrivals
            .iter()
            .map(|a| Arrival { time: at(a.time.seconds() * factor), ..a.clone() })
            .collect();
        let expected: Vec<_> = case
            .serve()
            .iter()
            .map(|record| retimed(record, |time| time * factor))
            .collect();
        prop_assert_eq!(stretched.serve(&arrivals), expected);
    }

    /// Instances are only names.
    #[test]
    fn instances_are_only_names(case in cases(any_memory()), first in 0u64..1_000, step in 1u64..1_000) {
        let name = |instance| first + (1_000 - instance) * step;
        let mut endpoint = case.fleet.endpoint(stream(&case.arrivals));
        for (instance, &role) in (0..).zip(&case.fleet.roles) {
            let engine = endpoint.add_engine(case.fleet.engine(name(instance), role));
            endpoint.open(engine);
        }
        let expected: Vec<_> = case.serve().iter().map(|record| renamed(record, name)).collect();
        prop_assert_eq!(finish(&mut endpoint), expected);
    }

    /// Engines that are never opened change nothing, wherever they stand among the others; nor do
    /// engines that were closed, removed or withdrawn before the first request.
    #[test]
    fn engines_that_are_not_open_change_nothing(
        case in cases(any_memory()),
        fates in prop::collection::vec(0..5, 9),
    ) {
        let mut endpoint = case.fleet.endpoint(stream(&case.arrivals));
        for ((instance, &role), fate) in (0..).zip(&case.fleet.roles).zip(fates) {
            if fate > 0 {
                let extra = endpoint.add_engine(case.fleet.engine(1_000 + instance, role));
                if fate > 1 {
                    endpoint.open(extra);
                }
                match fate {
                    2 => endpoint.close(extra),
                    3 => prop_assert!(endpoint.remove(extra).is_ok()),
                    4 => prop_assert_eq!(endpoint.withdraw(extra, SimTime::ZERO), 0),
                    _ => {}
                }
            }
            let engine = endpoint.add_engine(case.fleet.engine(instance, role));
            endpoint.open(engine);
        }
        prop_assert_eq!(finish(&mut endpoint), case.serve());
    }

    /// Nor do a thousand of them: a large fleet is served by looking ahead, which nobody notices.
    #[test]
    fn a_crowd_of_engines_that_are_not_open_changes_nothing(
        case in cases(any_memory()),
        crowd in 1_000u64..1_200,
    ) {
        let mut endpoint = case.fleet.endpoint(stream(&case.arrivals));
        for instance in 0..crowd {
            endpoint.add_engine(case.fleet.engine(1_000 + instance, case.fleet.roles[0]));
        }
        for (instance, &role) in (0..).zip(&case.fleet.roles) {
            let engine = endpoint.add_engine(case.fleet.engine(instance, role));
            endpoint.open(engine);
        }
        prop_assert_eq!(finish(&mut endpoint), case.serve());
    }

    /// Engines that open after the last request has been dispatched change nothing. Memory is
    /// ample: what is evicted is dispatched once more.
    #[test]
    fn engines_that_open_too_late_change_nothing(case in cases(Just(AMPLE)), later in 0.0..10.0) {
        let (mut endpoint, _) = case.fleet.build(stream(&case.arrivals));
        let opening = at(case.last_arrival().seconds() + later);
        endpoint.serve_until(opening);
        for &role in &case.fleet.roles {
            let late = endpoint.add_engine(case.fleet.engine(1_000, role));
            endpoint.open(late);
        }
        endpoint.flush(opening);
        prop_assert_eq!(finish(&mut endpoint), case.serve());
    }

    /// Served in one go, in steps of any size, or event by event: it is all the same.
    #[test]
    fn steps_do_not_matter(case in cases(any_memory()), steps in prop::collection::vec(0.0..3.0, 1..80)) {
        let expected = case.serve();

        let (mut endpoint, engines) = case.fleet.build(stream(&case.arrivals));
        let mut now = 0.0;
        for step in steps {
            now += step;
            endpoint.serve_until(at(now));
            for &engine in &engines {
                prop_assert!(endpoint.load(engine, endpoint.served()).memory_used <= endpoint.load(engine, endpoint.served()).memory);
            }
            endpoint.recount().map_err(TestCaseError::fail)?;
        }
        prop_assert_eq!(&finish(&mut endpoint), &expected);

        let (mut endpoint, _) = case.fleet.build(stream(&case.arrivals));
        let mut ended = Vec::new();
        while let Some(next) = endpoint.next_event() {
            endpoint.serve_until(next);
            prop_assert_eq!(endpoint.last_event(), next);
            ended.extend(endpoint.take_ended());
        }
        prop_assert_eq!(&ended, &expected);
    }

    /// Two endpoints served in turns have nothing in common.
    #[test]
    fn endpoints_do_not_see_each_other(one in cases(any_memory()), two in cases(any_memory())) {
        let (mut first, _) = one.fleet.build(stream(&one.arrivals));
        let (mut second, _) = two.fleet.build(stream(&two.arrivals));
        let mut now = SimTime::ZERO;
        while let Some(next) = [first.next_event(), second.next_event()].into_iter().flatten().min() {
            prop_assert!(next >= now);
            now = next;
            first.serve_until(now);
            second.serve_until(now);
        }
        prop_assert_eq!(finish(&mut first), one.serve());
        prop_assert_eq!(finish(&mut second), two.serve());
    }

    /// Requests may come from a stream, from a host in any order, or from both. No two come at the
    /// same instant, where the order of handing over decides.
    #[test]
    fn it_does_not_matter_who_brings_the_requests(
        mut case in cases(any_memory()),
        order in prop::collection::vec(any::<(u16, bool)>(), 60),
    ) {
        case.arrivals.dedup_by_key(|arrival| arrival.time);
        let expected = case.serve();
        let mut handed: Vec<_> = order.into_iter().zip(case.arrivals.iter().cloned()).collect();
        let streamed: Vec<Arrival> = handed
            .iter()
            .filter(|((_, streamed), _)| *streamed)
            .map(|(_, arrival)| arrival.clone())
            .collect();
        handed.sort_by_key(|&(key, _)| key);

        let (mut all, _) = case.fleet.build(nothing());
        let (mut some, _) = case.fleet.build(stream(&streamed));
        for ((_, is_streamed), arrival) in handed {
            prop_assert!(all.submit(arrival.clone()).is_ok());
            if !is_streamed {
                prop_assert!(some.submit(arrival).is_ok());
            }
        }
        prop_assert_eq!(&finish(&mut all), &expected);
        prop_assert_eq!(&finish(&mut some), &expected);
    }

    /// What ended before an instant is the same whether requests come after it or not, and whether
    /// a host hands them over then or long before.
    #[test]
    fn the_future_does_not_change_the_past(mut case in cases(any_memory()), known in 0usize..60) {
        case.arrivals.dedup_by_key(|arrival| arrival.time);
        let known = known % case.arrivals.len();
        let (past, future) = case.arrivals.split_at(known);
        let instant = future[0].time;
        let expected = case.serve();

        let (mut endpoint, _) = case.fleet.build(stream(past));
        let before = past.last().map_or(SimTime::ZERO, |arrival| arrival.time);
        endpoint.serve_until(before);
        for arrival in future.iter().cloned() {
            prop_assert!(endpoint.submit(arrival).is_ok());
        }
        prop_assert_eq!(&finish(&mut endpoint), &expected);

        let alone = case.fleet.serve(past);
        let ended = |record: &&RequestRecord| record.end.is_some_and(|end| end < instant);
        let alone: Vec<_> = alone.iter().filter(ended).collect();
        let expected: Vec<_> = expected.iter().filter(ended).collect();
        prop_assert_eq!(alone, expected);
    }
}

/// Instants in eighths and 64ths of a second are exact, and so is moving them by a power of two.
fn eighths() -> impl Strategy<Value = Vec<Arrival>> {
    prop::collection::vec((0u8..8, 1u32..=40, 1u32..=40), 1..40).prop_map(|work| {
        let work: Vec<_> = work
            .into_iter()
            .map(|(gap, prompt, output)| (f64::from(gap) / 8.0, prompt, output))
            .collect();
        workload(&work)
    })
}

/// Fleets that forget everything once they are empty: those that choose by load, and those that
/// have no choice. (A turn, a random stream and the drifting counts of `KvTokenJsq` outlast the
/// requests.)
fn forgetful_fleets() -> impl Strategy<Value = Fleet> {
    let scheduler = prop::sample::select(schedulers(SLOW_TRANSFER_GIB_PER_S).to_vec());
    let engine = prop::sample::select(ENGINES.to_vec());
    (scheduler, engine, 1usize..=3).prop_map(|(scheduler, engine, n)| {
        let by_load = matches!(
            scheduler,
            Scheduler::Jsq | Scheduler::TokenJsq | Scheduler::KvJsq { .. }
        );
        Fleet::new(scheduler, engine, if by_load { n } else { 1 })
    })
}

proptest! {
    #![proptest_config(config())]

    /// Where nothing is there any more, a workload can be cut: its two parts served alone give what
    /// the whole gives, the second moved back to its start.
    #[test]
    fn a_workload_can_be_cut_where_nothing_is_there(
        fleet in forgetful_fleets(),
        morning in eighths(),
        evening in eighths(),
    ) {
        let first = fleet.serve(&morning);
        let second = fleet.serve(&evening);
        let over = first.iter().filter_map(|record| record.end).max().expect("one ended");
        let shift = f64::from((over.seconds() as u32 + 1).next_power_of_two());
        let whole: Vec<Arrival> = morning
            .iter()
            .cloned()
            .chain(evening.iter().map(|a| Arrival { time: at(shift + a.time.seconds()), ..a.clone() }))
            .collect();
        let expected: Vec<_> = first
            .into_iter()
            .chain(second.iter().map(|record| retimed(record, |time| time + shift)))
            .collect();
        prop_assert_eq!(fleet.serve(&whole), expected);
    }
}
