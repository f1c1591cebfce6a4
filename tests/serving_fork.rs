//! Copies of an endpoint that go on by themselves.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod serving_support;

use fleetsim::serving::{Endpoint, RequestRecord};
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;
use proptest::prelude::*;

use serving_support::{Fleet, arrival, at, combinations, stream};

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    prop::collection::vec((0.0..1.0_f64, 1u32..60, 1u32..40), 2..60).prop_map(|gaps| {
        let mut time = 0.0;
        let arrival = |(id, (gap, prompt, output))| {
            time += gap;
            arrival(id, time, prompt, output)
        };
        (0..).zip(gaps).map(arrival).collect()
    })
}

fn finish(endpoint: &mut Endpoint) -> Vec<RequestRecord> {
    endpoint.serve_until(SimTime::MAX);
    endpoint.recount().unwrap();
    endpoint.take_ended().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A copy ends as the original does, and what happens to the one does not touch the other.
    #[test]
    fn a_copy_goes_on_as_the_original(arrivals in arrivals(), share in 0.0..1.0_f64, room in 150u64..1_000) {
        let last = arrivals.last().unwrap().time.seconds();
        let when = at(last * share);
        for (scheduler, engine) in combinations(1e-6) {
            let fleet = Fleet { room, ..Fleet::new(scheduler, engine, 2) };
            let (mut original, engines) = fleet.build(stream(&arrivals));
            original.serve_until(when);
            let mut copy = original.clone();
            let mut other = original.clone();
            other.withdraw(engines[0], when);
            let replaced = other.add_engine(fleet.engine(99, fleet.roles[0]));
            other.open(replaced);
            other.flush(when);
            prop_assert_eq!(finish(&mut other).len(), arrivals.len());
            let copied = finish(&mut copy);
            prop_assert_eq!(&copied, &finish(&mut original));
            prop_assert_eq!(copy.counts(), original.counts());
        }
    }
}
