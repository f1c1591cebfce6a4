//! Objectives of percentiles, percentiles that are asked for, and what a run costs a day.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::sync::Arc;

use fleetsim::catalog::{Processor, Sku};
use fleetsim::observe::{
    ApplicationRecord, ApplicationStatistics, RunRecord, ServerUsage, Summary,
};
use fleetsim::report::summary_table;
use fleetsim::scenario::{Limit, Objective};
use fleetsim::serving::{Outcome, Rejection, RequestRecord, Served};
use fleetsim::time::{SimDuration, SimTime};
use proptest::prelude::*;

/// A request of three output tokens that took this long to its first, and one second more.
fn request(ttft: f64, outcome: Outcome) -> RequestRecord {
    let at = |seconds| Some(SimTime::saturating(seconds));
    RequestRecord {
        id: 0,
        arrival: SimTime::ZERO,
        prompt_tokens: 997,
        output_tokens: 3,
        prompt_start: at(0.0),
        first_token: at(ttft),
        token_start: at(ttft),
        end: at(ttft + 1.0),
        prompt_instance: Some(0),
        token_instance: Some(0),
        restarts: 0,
        served: Served::default(),
        frontend: SimDuration::ZERO,
        outcome,
        details: None,
    }
}

fn limit(seconds: f64) -> SimDuration {
    SimDuration::saturating(seconds)
}

/// A run of half a day in which requests had these times to first token.
fn run(objective: Objective, ttft: &[f64], rejected: usize) -> Summary {
    let mut statistics = ApplicationStatistics::new(objective);
    for &ttft in ttft {
        statistics.record(&request(ttft, Outcome::Completed));
    }
    for _ in 0..rejected {
        statistics.record(&request(0.0, Outcome::Rejected(Rejection::TooLarge)));
    }
    let record = RunRecord {
        end: SimTime::saturating(43_200.0),
        percentiles: vec![50.0, 75.0, 95.0],
        applications: vec![ApplicationRecord {
            name: "chat".into(),
            statistics,
            instances: Vec::new(),
            step_times: Vec::new(),
            start_up: Vec::new(),
            start_up_attempts: None,
            resilience: None,
        }],
        servers: vec![ServerUsage {
            sku: Arc::new(Sku {
                name: "dgx".to_owned(),
                processor: "gpu".to_owned(),
                processors: 8,
                price_per_hour: Some(10.0),
                ..Sku::default()
            }),
            processor: Arc::new(Processor::default()),
            seconds: 43_200.0,
            peak: 1,
            bills: Vec::new(),
        }],
        ..RunRecord::default()
    };
    record.summarise()
}

fn objective(ttft: Limit) -> Objective {
    Objective {
        ttft: Some(ttft),
        ..Objective::default()
    }
}

#[test]
fn a_percentile_is_met_by_the_run_and_missed_by_one_request_more() {
    let met = |slow: usize, rejected: usize| {
        let ttft = [vec![1.0; 95 - rejected], vec![9.0; slow]].concat();
        let slo = run(objective(Limit::P95(limit(1.0))), &ttft, rejected).applications[0]
            .slo
            .clone();
        (
            slo.met.unwrap(),
            slo.percentiles[0].within.unwrap(),
            slo.attainment.unwrap(),
        )
    };
    assert_eq!(met(5, 0), (true, 0.95, 0.95));
    assert_eq!(met(6, 0), (false, 95.0 / 101.0, 95.0 / 101.0));
    // A request that is turned away is within no limit.
    assert_eq!(met(5, 1), (false, 0.94, 0.94));
}

#[test]
fn limits_of_requests_and_of_percentiles_stand_side_by_side() {
    let both = Objective {
        e2e: Some(Limit::Each(limit(5.0))),
        ..objective(Limit::P75(limit(2.0)))
    };
    let ttft = [1.0, 1.5, 2.0, 3.0, 9.0];
    let summary = run(both, &ttft, 0);
    let slo = &summary.applications[0].slo;
    assert_eq!(slo.limits.e2e, Some(limit(5.0)));
    assert_eq!(slo.limits.ttft, None, "it is not one of each request");
    assert_eq!(slo.attainment, Some(0.6), "within both limits");
    assert_eq!(slo.met, Some(false), "3 of 5 are 60 %");
    let table = summary_table(&summary);
    for said in [
        "SLO E2E ≤ 5 s, TTFT p75 ≤ 2 s: missed",
        "requests within the limit: TTFT 60.00 %, all limits 60.00 %",
        "seconds         mean         p50         p75         p95",
    ] {
        assert!(table.contains(said), "{said}:\n{table}");
    }
    let met = summary_table(&run(objective(Limit::P50(limit(2.0))), &ttft, 0));
    assert!(met.contains("SLO TTFT p50 ≤ 2 s: met"), "{met}");
}

#[test]
fn percentiles_are_those_that_are_asked_for() {
    let summary = run(Objective::default(), &[1.0, 2.0, 3.0, 4.0, 5.0], 0);
    let rows = &summary.applications[0].percentiles;
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.percentile, row.ttft_s))
        .collect();
    // numpy: percentile([1, 2, 3, 4, 5], [50, 75, 95]) is [3, 4, 4.8].
    assert_eq!(
        found,
        [(50.0, Some(3.0)), (75.0, Some(4.0)), (95.0, Some(4.8))]
    );
    assert_eq!(rows[0].itl_s, None);
}

#[test]
fn cost_is_told_by_day_month_and_million_tokens() {
    // Half a day of a server at 10 dollars an hour, for 2,000 requests of 997 and 3 tokens.
    let summary = run(Objective::default(), &vec![1.0; 2000], 0);
    let rates = summary.fleet.rates;
    assert_eq!(summary.fleet.cost, Some(120.0));
    assert_eq!(rates.cost_per_day, Some(240.0));
    assert_eq!(rates.cost_per_month, Some(7200.0));
    assert_eq!(rates.cost_per_million_tokens, Some(60.0));
    assert_eq!(rates.cost_per_million_output_tokens, Some(20_000.0));
    let table = summary_table(&summary);
    let said = "120.00 dollars: 240.0 a day, 7,200 a month of 30 days, 60.00 a million tokens";
    assert!(table.contains(said), "{table}");
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["fleet"]["cost_per_month"], 7200.0);

    let idle = run(Objective::default(), &[], 0).fleet.rates;
    assert_eq!(idle.cost_per_million_tokens, None, "no token was paid for");
}

proptest! {
    /// A percentile is met exactly where the n-th smallest value is within the limit, n being the number of
    /// requests that it demands, rounded up.
    #[test]
    fn met_means_that_as_many_as_demanded_are_within(
        ttft in proptest::collection::vec(0.0..10.0_f64, 1..200),
        most in 0.0..10.0_f64,
        kind in 0..6_usize,
    ) {
        let kinds = [Limit::P50, Limit::P75, Limit::P90, Limit::P95, Limit::P99, Limit::P999];
        let limit = kinds[kind](limit(most));
        let slo = run(objective(limit), &ttft, 0).applications[0].slo.clone();
        let permille = (limit.percentile().unwrap() * 10.0).round() as usize;
        let demanded = (ttft.len() * permille).div_ceil(1000);
        let mut sorted = ttft.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assert_eq!(slo.met, Some(sorted[demanded - 1] <= most));
    }
}
