//! Requests that a host hands over: what is refused, with its reason, and that a refusal leaves no trace.

mod serving_support;

use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{Endpoint, Outcome, SubmitError};
use fleetsim::workload::Arrival;

use serving_support::{Fleet, arrival, at, stream};

/// An endpoint with one engine and this workload.
fn endpoint(workload: &[Arrival]) -> Endpoint {
    Fleet::new(Scheduler::Jsq, Engine::Fcfs, 1)
        .build(stream(workload))
        .0
}

#[test]
fn a_request_has_a_prompt_and_asks_for_a_token() {
    let mut endpoint = endpoint(&[]);
    let no_prompt = endpoint.submit(arrival(3, 0.0, 0, 10)).unwrap_err();
    assert_eq!(no_prompt, SubmitError::NoPromptTokens { id: 3 });
    assert!(no_prompt.to_string().contains("prompt_tokens 0"));
    let no_output = endpoint.submit(arrival(3, 0.0, 10, 0)).unwrap_err();
    assert_eq!(no_output, SubmitError::NoOutputTokens { id: 3 });
    assert!(no_output.to_string().contains("output_tokens 0"));
    assert!(endpoint.submit(arrival(3, 0.0, 0, 0)).is_err());

    endpoint.serve_until(at(100.0));
    endpoint.recount().unwrap();
    assert_eq!(endpoint.counts().arrived, 0);
    assert!(!endpoint.has_ended());

    assert_eq!(endpoint.submit(arrival(3, 100.0, 1, 1)), Ok(()));
    endpoint.serve_until(at(200.0));
    assert_eq!(endpoint.ended()[0].outcome, Outcome::Completed);
}

#[test]
fn nothing_arrives_in_the_past() {
    let mut endpoint = endpoint(&[]);
    endpoint.serve_until(at(5.0));
    let late = SubmitError::Late {
        id: 0,
        arrival: at(4.0),
        served: at(5.0),
    };
    assert_eq!(endpoint.submit(arrival(0, 4.0, 1, 1)), Err(late));
    assert_eq!(endpoint.submit(arrival(0, 5.0, 1, 1)), Ok(()));
}

#[test]
fn a_number_is_in_use_until_its_request_has_ended() {
    let taken = |id| Err(SubmitError::IdInUse { id });
    let mut endpoint = endpoint(&[arrival(0, 0.0, 1, 1_000), arrival(1, 0.0, 1, 1)]);
    endpoint.serve_until(at(0.0));
    assert_eq!(endpoint.submit(arrival(0, 1.0, 1, 1)), taken(0), "runs");
    assert_eq!(endpoint.submit(arrival(1, 1.0, 1, 1)), taken(1), "queues");
    assert_eq!(endpoint.submit(arrival(2, 9.0, 1, 1)), Ok(()));
    assert_eq!(
        endpoint.submit(arrival(2, 1.0, 1, 1)),
        taken(2),
        "is to come"
    );

    endpoint.serve_until(at(10_000.0));
    assert_eq!(endpoint.counts().completed, 3);
    for id in 0..3 {
        assert_eq!(endpoint.submit(arrival(id, 10_000.0, 1, 1)), Ok(()));
    }
    endpoint.serve_until(at(20_000.0));
    assert_eq!(endpoint.counts().completed, 6);
    endpoint.recount().unwrap();
}

/// In the order of a reversed sort, which is the worst of all for a sorted list.
#[test]
fn half_a_million_requests_may_be_handed_over_backwards() {
    const REQUESTS: u64 = 500_000;
    let mut endpoint = endpoint(&[]);
    for id in (0..REQUESTS).rev() {
        let handed_over = endpoint.submit(arrival(id, id as f64, 1, 1));
        assert_eq!(handed_over, Ok(()));
    }
    endpoint.serve_until(at(2.0 * REQUESTS as f64));
    let ended = endpoint.take_ended().map(|record| record.id);
    assert!(ended.eq(0..REQUESTS));
}
