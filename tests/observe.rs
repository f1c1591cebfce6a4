//! What is counted and measured of a run: statistics, objectives, usage, energy.

use std::sync::Arc;

use fleetsim::catalog::{Processor, Sku};
use fleetsim::fleet::ScalingAction;
use fleetsim::observe::{
    ApplicationRecord, ApplicationStatistics, Distribution, InstanceUsage, RunRecord,
    ScalingCounts, ServerUsage,
};
use fleetsim::scenario::{Role, Slo};
use fleetsim::serving::{Outcome, Rejection, RequestRecord, Served};
use fleetsim::time::{SimDuration, SimTime};

#[test]
fn statistics_are_those_of_numpy_and_scipy() {
    let mut reader = csv::Reader::from_path("tests/golden/statistics.csv").unwrap();
    let mut cases = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let case = &row[0];
        let values: Vec<f64> = match case {
            "modular 100003" => (1..100_003_u64)
                .map(|n| (n * 7919 % 100_003) as f64 / 64.0)
                .collect(),
            _ => row[1].split(' ').map(|v| v.parse().unwrap()).collect(),
        };
        // Two halves, so that merging is held to the same figures.
        let (left, right) = values.split_at(values.len() / 3);
        let [mut distribution, rest] = [left, right].map(|part| {
            let mut distribution = Distribution::default();
            part.iter().for_each(|&value| distribution.record(value));
            distribution
        });
        distribution.merge(&rest);

        let got = distribution.statistics();
        assert_eq!(got.count, row[2].parse::<u64>().unwrap(), "{case}");
        let figures = [
            ("mean", got.mean),
            ("std", got.std),
            ("min", got.min),
            ("max", got.max),
            ("p50", got.p50),
            ("p90", got.p90),
            ("p95", got.p95),
            ("p99", got.p99),
            ("p999", got.p999),
            ("geomean", got.geomean),
        ];
        for ((name, figure), want) in figures.into_iter().zip(row.iter().skip(3)) {
            let (figure, want) = (figure.unwrap(), want.parse::<f64>().unwrap());
            assert!(
                (figure - want).abs() <= 1e-12 * want.abs(),
                "{case}: {name} is {figure}, not {want}"
            );
        }
        cases += 1;
    }
    assert_eq!(cases, 12);
}

/// Ten million values of a log-logistic distribution at equal steps of probability: which value has
/// which rank is known without sorting.
#[test]
fn a_sketch_of_ten_million_values_is_within_its_error() {
    const COUNT: u64 = 10_000_000;
    // 7,919 is prime to the count, so every n from 0 comes once, in a scattered order.
    let place = |n: u64| (n * 7919 % COUNT) as f64 + 0.5;
    let value = |place: f64| {
        let share = place / COUNT as f64;
        (0.6 * (share / (1.0 - share)).ln() - 2.0).exp()
    };
    let mut parts = [Distribution::default(), Distribution::default()];
    for n in 0..COUNT {
        parts[usize::from(n % 5 == 0)].record(value(place(n)));
    }
    let [mut all, fifth] = parts;
    all.merge(&fifth);
    let got = all.statistics();
    assert_eq!(got.count, COUNT);
    assert_eq!(got.percentile_error, Distribution::RELATIVE_ERROR);
    for (percent, figure) in [
        (50.0, got.p50),
        (90.0, got.p90),
        (95.0, got.p95),
        (99.0, got.p99),
        (99.9, got.p999),
    ] {
        let rank = (percent / 100.0 * (COUNT - 1) as f64).floor();
        let (figure, want) = (figure.unwrap(), value(rank + 0.5));
        let error = (figure - want).abs() / want;
        assert!(
            error <= got.percentile_error,
            "p{percent} is {figure}, not {want}: off by {error}"
        );
    }
    assert_eq!(got.min, Some(value(0.5)));
    assert_eq!(got.max, Some(value(COUNT as f64 - 0.5)));
    // The mean is exp(-2) Γ(1.6) Γ(0.4), the geometric mean exp(-2); a sum of midpoints comes near.
    let gamma = 0.893_515_349_287_690 * 2.218_159_543_757_688;
    let (mean, geomean) = ((-2.0_f64).exp() * gamma, (-2.0_f64).exp());
    assert!((got.mean.unwrap() / mean - 1.0).abs() < 1e-2);
    assert!((got.geomean.unwrap() / geomean - 1.0).abs() < 1e-9);
}

#[test]
fn beyond_the_limit_only_percentiles_are_sketched() {
    let value = |n: usize| 1.0 + (n * 7919 % 100_003) as f64 / 64.0;
    let exactly = |limit: usize| {
        let mut kept = Distribution::default();
        (0..limit).for_each(|n| kept.record(value(n)));
        kept
    };
    let exact = exactly(Distribution::EXACT);
    assert_eq!(exact.statistics().percentile_error, 0.0);

    // Ten values more, one by one, and merged in either order.
    let ten: Vec<f64> = (Distribution::EXACT..Distribution::EXACT + 10)
        .map(value)
        .collect();
    let mut few = Distribution::default();
    ten.iter().for_each(|&value| few.record(value));
    let mut one_by_one = exact.clone();
    ten.iter().for_each(|&value| one_by_one.record(value));
    let mut merged = exact.clone();
    merged.merge(&few);
    let mut turned = few.clone();
    turned.merge(&one_by_one);
    turned.merge(&one_by_one);
    assert_eq!(turned.count(), 2 * one_by_one.count() + 10);

    let values: Vec<f64> = (0..Distribution::EXACT + 10).map(value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let square = |value: &f64| (value - mean) * (value - mean);
    let std = (values.iter().map(square).sum::<f64>() / values.len() as f64).sqrt();
    for sketched in [&one_by_one, &merged] {
        let figures = sketched.statistics();
        assert_eq!(figures.percentile_error, Distribution::RELATIVE_ERROR);
        assert!((figures.mean.unwrap() / mean - 1.0).abs() < 1e-12);
        assert!((figures.std.unwrap() / std - 1.0).abs() < 1e-10);
        assert_eq!(figures.min, exact.statistics().min);
    }
}

#[test]
fn merged_applications_count_and_measure_as_one() {
    let limit = |seconds| Some(SimDuration::saturating(seconds));
    let slo = Slo {
        ttft: limit(2.0),
        ..Slo::default()
    };
    let requests = [
        completed(1.0, 3.0),
        completed(3.0, 4.0),
        completed(2.0, 9.0),
        unserved(),
    ];
    let mut whole = ApplicationStatistics::new(slo);
    let mut parts = [
        ApplicationStatistics::new(slo),
        ApplicationStatistics::new(slo),
    ];
    for (n, request) in requests.iter().enumerate() {
        whole.record(request);
        parts[n % 2].record(request);
    }
    let [mut one, other] = parts;
    one.merge(&other);
    let end = SimTime::saturating(10.0);
    assert_eq!(one.counts(), whole.counts());
    assert_eq!(one.slo(end), whole.slo(end));
    assert_eq!(one.throughput(end), whole.throughput(end));
    assert_eq!(one.metrics(), whole.metrics());
}

#[test]
fn what_is_not_finite_has_no_figures() {
    let mut distribution = Distribution::default();
    distribution.record(f64::MAX);
    distribution.record(f64::MAX);
    let statistics = distribution.statistics();
    assert_eq!((statistics.mean, statistics.std), (None, None));
    assert_eq!(statistics.p50, Some(f64::MAX));

    let mut distribution = Distribution::default();
    distribution.record(f64::NAN);
    distribution.record(1.0);
    let statistics = distribution.statistics();
    assert_eq!((statistics.mean, statistics.max), (None, None));
    assert_eq!(statistics.min, Some(1.0));
}

#[test]
fn the_objective_counts_requests_that_ended() {
    let limit = |seconds| Some(SimDuration::saturating(seconds));
    let mut chat = ApplicationStatistics::new(Slo {
        ttft: limit(2.0),
        tbt: limit(0.5),
        e2e: None,
    });
    chat.record(&completed(2.0, 3.0)); // both limits met, each exactly
    chat.record(&completed(2.1, 2.2)); // first token too late
    chat.record(&completed(1.0, 9.0)); // tokens too slow
    chat.record(&RequestRecord {
        outcome: Outcome::Rejected(Rejection::TooLarge),
        ..unserved()
    });
    chat.record(&RequestRecord {
        outcome: Outcome::InFlight,
        restarts: 3,
        ..unserved()
    });
    chat.record(&unserved());
    chat.record_evictions(1);

    let end = SimTime::saturating(10.0);
    let slo = chat.slo(end);
    assert_eq!(slo.attainment, Some(0.25));
    assert_eq!(slo.goodput_per_s, Some(0.1));
    let counts = chat.counts();
    assert_eq!(
        (
            counts.arrived,
            counts.completed,
            counts.in_flight,
            counts.waiting
        ),
        (6, 3, 1, 1)
    );
    assert_eq!(counts.rejected["too_large"], 1);
    assert_eq!((counts.restarted, counts.evicted), (1, 1));
    let throughput = chat.throughput(end);
    assert_eq!(throughput.requests_per_s, 0.3);
    assert_eq!(throughput.prompt_tokens_per_s, 30.0);
    assert_eq!(throughput.output_tokens_per_s, 0.6);
    let metrics = chat.metrics();
    assert_eq!(
        metrics.ttft_s.count, 3,
        "only completed requests are measured"
    );
    assert_eq!(metrics.ttft_s.p50, Some(2.0));
}

#[test]
fn without_an_objective_or_an_end_there_is_no_attainment() {
    let end = SimTime::saturating(10.0);
    let mut none = ApplicationStatistics::default();
    none.record(&completed(1.0, 2.0));
    assert_eq!(none.slo(end).attainment, None);
    assert_eq!(none.slo(end).goodput_per_s, None);
    assert_eq!(none.throughput(SimTime::ZERO).requests_per_s, 0.0);

    let mut outstanding = ApplicationStatistics::new(Slo {
        e2e: Some(SimDuration::saturating(1.0)),
        ..Slo::default()
    });
    outstanding.record(&unserved());
    assert_eq!(outstanding.slo(end).attainment, None);
    assert_eq!(outstanding.slo(end).goodput_per_s, Some(0.0));
}

#[test]
fn hours_cost_and_energy_follow_from_the_catalog() {
    let run = RunRecord {
        end: SimTime::saturating(7200.0),
        applications: vec![ApplicationRecord {
            name: "chat".into(),
            statistics: ApplicationStatistics::default(),
            step_times: Vec::new(),
            start_up: Vec::new(),
            start_up_attempts: None,
            resilience: None,
            instances: vec![InstanceUsage {
                role: Role::Prompt,
                sku: "dgx".into(),
                processors: 4,
                scaling_up_s: 600.0,
                active_s: 6000.0,
                draining_s: 600.0,
                prompt_busy_s: 3600.0,
                token_busy_s: 1800.0,
                peak: 2,
            }],
        }],
        servers: vec![
            servers("dgx", Some(10.0), 300.0, 7200.0),
            servers("never-used", None, 0.0, 0.0),
        ],
        ..RunRecord::default()
    };
    let summary = run.summarise();
    let instances = &summary.applications[0].instances[0];
    assert_eq!(instances.gpu_hours, 8.0);
    assert_eq!(instances.mean, 1.0);
    let fleet = &summary.fleet;
    assert_eq!((fleet.server_hours, fleet.gpu_hours), (2.0, 16.0));
    assert_eq!(fleet.cost, Some(20.0));
    // Idle: 2 h × (1 kW + 8 × 0.1 kW). Busy: 4 × (0.2 kW × 1 h + 0.1 kW × 0.5 h).
    assert!((fleet.energy_kwh.unwrap() - (3.6 + 1.0)).abs() < 1e-12);
    assert_eq!(fleet.servers[1].cost, None);
    assert_eq!(fleet.servers[1].energy_kwh, None);

    let mut unpriced = run;
    unpriced.servers[1].seconds = 1.0;
    let fleet = unpriced.summarise().fleet;
    assert_eq!((fleet.cost, fleet.energy_kwh), (None, None));
}

#[test]
fn every_scaling_action_is_counted_under_its_name() {
    let mut counts = ScalingCounts::default();
    for (times, action) in ScalingAction::ALL.into_iter().enumerate() {
        (0..times).for_each(|_| counts.record(action));
    }
    let by_name = counts.by_name();
    assert_eq!(by_name.len(), ScalingAction::ALL.len());
    for (times, action) in ScalingAction::ALL.into_iter().enumerate() {
        assert_eq!(by_name[action.name()], times as u64);
    }
}

fn servers(sku: &str, price: Option<f64>, prompt_power_w: f64, seconds: f64) -> ServerUsage {
    ServerUsage {
        sku: Arc::new(Sku {
            name: sku.to_owned(),
            processor: "gpu".to_owned(),
            processors: 8,
            idle_power_w: 1000.0,
            price_per_hour: price,
            ..Sku::default()
        }),
        processor: Arc::new(Processor {
            name: "gpu".to_owned(),
            memory_bytes: 1,
            idle_power_w: 100.0,
            prompt_power_w,
            token_power_w: 200.0,
            ..Processor::default()
        }),
        seconds,
        peak: 1,
        bills: Vec::new(),
    }
}

/// A request of two output tokens that arrived at zero.
fn completed(first_token: f64, end: f64) -> RequestRecord {
    let at = |seconds| Some(SimTime::saturating(seconds));
    RequestRecord {
        prompt_start: at(0.5),
        first_token: at(first_token),
        token_start: at(first_token),
        end: at(end),
        prompt_instance: Some(0),
        token_instance: Some(1),
        outcome: Outcome::Completed,
        details: None,
        ..unserved()
    }
}

fn unserved() -> RequestRecord {
    RequestRecord {
        id: 0,
        arrival: SimTime::ZERO,
        prompt_tokens: 100,
        output_tokens: 2,
        prompt_start: None,
        first_token: None,
        token_start: None,
        end: None,
        frontend: SimDuration::ZERO,
        prompt_instance: None,
        token_instance: None,
        restarts: 0,
        served: Served::default(),
        outcome: Outcome::Waiting,
        details: None,
    }
}
