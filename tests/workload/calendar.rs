//! Requests by the hour of the day and the day of the week, against their weights.

use std::path::Path;

use fleetsim::scenario::{Arrivals, CheckedScenario, Event, Lengths, Shape, Weekday, Workload};
use fleetsim::time::{SimDuration, SimTime};
use fleetsim::workload::open;
use proptest::prelude::*;

use super::{all, seconds};

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
const WEEK: f64 = 7.0 * DAY;

fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).unwrap()
}

fn event(from: f64, factor: f64, lasts: f64) -> Event {
    Event {
        at: at(from),
        factor,
        lasts: SimDuration::new(lasts).unwrap(),
    }
}

/// Requests a day, from time zero until an instant.
#[derive(Clone)]
struct Plan {
    requests_per_day: f64,
    daily: Vec<f64>,
    weekly: Vec<f64>,
    starts: Weekday,
    events: Vec<Event>,
    until: f64,
}

impl Plan {
    fn new(requests_per_day: f64, until: f64) -> Self {
        Self {
            requests_per_day,
            daily: Vec::new(),
            weekly: Vec::new(),
            starts: Weekday::Monday,
            events: Vec::new(),
            until,
        }
    }

    fn workload(self) -> Workload {
        Workload::Planned {
            requests_per_day: self.requests_per_day,
            daily: self.daily,
            weekly: self.weekly,
            starts: self.starts,
            begins_at: SimDuration::ZERO,
            events: self.events,
            cv: 1.0,
            prompt_tokens: Lengths::Constant(1),
            output_tokens: Lengths::Constant(1),
            system_prompts: None,
            rate_scale: 1.0,
            window: Some((SimTime::ZERO, at(self.until))),
            requests: None,
        }
    }

    fn times(self) -> Vec<f64> {
        let times = seconds(&all(&self.workload(), Path::new(".")));
        assert!(times.is_sorted());
        times
    }
}

fn counts(times: &[f64], width: f64, bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for time in times {
        counts[(time / width) as usize] += 1;
    }
    counts
}

/// Asserts that counts are Poisson with these means: each within 4.5 standard deviations, and all
/// together by the chi-squared statistic, whose mean is their number and variance twice that.
#[track_caller]
fn poisson(counts: &[usize], means: &[f64]) {
    assert_eq!(counts.len(), means.len());
    let mut sum = 0.0;
    for (bin, (&count, &mean)) in counts.iter().zip(means).enumerate() {
        if mean == 0.0 {
            assert_eq!(count, 0, "bin {bin}");
            continue;
        }
        let off = (count as f64 - mean) / mean.sqrt();
        assert!(off.abs() < 4.5, "bin {bin}: {count} for {mean}");
        sum += off * off;
    }
    let bins = means.iter().filter(|mean| **mean > 0.0).count() as f64;
    assert!(
        (sum - bins).abs() < 5.0 * (2.0 * bins).sqrt(),
        "{sum} over {bins} bins"
    );
}

/// As 24 hours of a service may be.
fn hours() -> Vec<f64> {
    (0..24)
        .map(|hour| {
            if hour < 6 {
                0.5
            } else {
                f64::from(hour % 12) + 1.0
            }
        })
        .collect()
}

#[test]
fn hours_have_their_share_of_the_day() {
    let daily = hours();
    let sum: f64 = daily.iter().sum();
    let plan = Plan {
        daily: daily.clone(),
        ..Plan::new(200_000.0, 2.0 * DAY)
    };
    let times = plan.times();
    let means: Vec<f64> = daily
        .iter()
        .map(|weight| 200_000.0 * weight / sum)
        .collect();
    poisson(&counts(&times, HOUR, 48), &[means.clone(), means].concat());
}

#[test]
fn half_hours_and_days_off_count_and_the_week_has_its_mean() {
    let daily: Vec<f64> = (0..48).map(|half| f64::from(half % 5)).collect();
    let weekly = vec![1.0, 1.0, 1.0, 1.0, 2.0, 0.5, 0.0];
    let (of_day, of_week): (f64, f64) = (daily.iter().sum(), weekly.iter().sum());
    let plan = Plan {
        daily: daily.clone(),
        weekly: weekly.clone(),
        starts: Weekday::Friday,
        ..Plan::new(30_000.0, WEEK)
    };
    let times = plan.times();
    let from_friday = [4, 5, 6, 0, 1, 2, 3].map(|day| weekly[day]);
    let means = from_friday.iter().flat_map(|of| {
        let scale = 30_000.0 * 7.0 / of_week / of_day;
        daily.iter().map(move |weight| of * weight * scale)
    });
    let means: Vec<f64> = means.collect();
    assert!((means.iter().sum::<f64>() - 210_000.0).abs() < 1e-6);
    poisson(&counts(&times, HOUR / 2.0, 7 * 48), &means);
}

#[test]
fn events_multiply_and_stop_what_comes() {
    let plan = Plan {
        events: vec![
            event(1000.0, 3.0, 2000.0),
            event(2000.0, 2.0, 3000.0),
            event(6000.0, 0.0, 1000.0),
        ],
        ..Plan::new(864_000.0, 10_000.0)
    };
    let means = [10.0, 30.0, 60.0, 20.0, 20.0, 10.0, 0.0, 10.0, 10.0, 10.0];
    poisson(
        &counts(&plan.times(), 1000.0, 10),
        &means.map(|rate| rate * 1000.0),
    );
}

#[test]
fn equal_gaps_and_bursts_follow_the_calendar_too() {
    let shape = Shape::Calendar {
        daily: [vec![0.0; 12], vec![1.0; 12]].concat(),
        weekly: Vec::new(),
        starts: Weekday::Monday,
        begins_at: SimDuration::ZERO,
        events: Vec::new(),
    };
    let spec = |arrivals| Workload::Synthetic {
        arrivals,
        shape: shape.clone(),
        prompt_tokens: Lengths::Constant(1),
        output_tokens: Lengths::Constant(1),
        system_prompts: None,
        rate_scale: 1.0,
        window: None,
        requests: Some(172_800),
    };
    // One a second on average is two a second from noon on: the last comes at the second midnight.
    let times = seconds(&all(
        &spec(Arrivals::Constant { rate: 1.0 }),
        Path::new("."),
    ));
    for (number, time) in [
        (0, 43_200.5),
        (1, 43_201.0),
        (86_399, DAY),
        (86_400, DAY + 43_200.5),
        (172_799, 2.0 * DAY),
    ] {
        assert!(
            (times[number] - time).abs() < 1e-6,
            "{number}: {}",
            times[number]
        );
    }
    let bursts = seconds(&all(
        &spec(Arrivals::Gamma { rate: 1.0, cv: 3.0 }),
        Path::new("."),
    ));
    let off = counts(&bursts, DAY / 2.0, 8);
    assert_eq!((off[0], off[2]), (0, 0));
    // The variance of a count of a renewal process is cv² times its mean.
    assert!(
        (off[1] as f64 - 86_400.0).abs() < 4.0 * 3.0 * 86_400.0_f64.sqrt(),
        "{off:?}"
    );
}

#[test]
fn long_times_without_requests_take_no_time() {
    let stopped = Plan {
        events: vec![event(0.0, 0.0, 1e9)],
        ..Plan::new(86_400.0, 1e9 + 100.0)
    };
    let times = stopped.times();
    assert!(times[0] > 1e9 && times.len() > 50, "{}", times.len());
    // Less than one in twenty-five years.
    let spec = Plan {
        daily: hours(),
        ..Plan::new(1e-4, 1e14)
    };
    let mut stream = open(&spec.workload(), Path::new("."), 1, "chat").unwrap();
    let first = stream.next().unwrap().unwrap().time.seconds();
    assert!(first > DAY, "{first}");
    assert!(stream.take(1000).count() == 1000);
}

#[test]
fn it_is_written_without_a_name_and_mistakes_have_their_place() {
    let scenario = |workload: &str| {
        let text = format!(
            r#"(name: "plan", end: 600.0, fleet: [(sku: "dgx-h100", count: 1)], applications: [(
                name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                workload: {workload},
            )])"#
        );
        CheckedScenario::from_ron(&text, Path::new("."))
    };
    let lengths = "prompt_tokens: Constant(9), output_tokens: Constant(9)";
    let bare = format!(
        "(requests_per_day: 3e6, daily: [{}], weekly: [1, 1, 1, 1, 1, 2, 2], events: [(at: 60, factor: 2.5, for: 60)], {lengths})",
        vec!["1"; 24].join(", ")
    );
    let one = scenario(&bare).unwrap_or_else(|wrong| panic!("{wrong}"));
    let other = scenario(&format!("Planned{bare}")).unwrap();
    let times = |checked: &CheckedScenario| {
        let spec = &checked.scenario().applications[0].workload;
        let stream = open(spec, Path::new("."), 42, "chat").unwrap();
        stream
            .take(1000)
            .map(|it| it.unwrap().time)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(&one), times(&other));
    for (from, to, said) in [
        (
            "[1, 1, 1, 1, 1, 2, 2]",
            "[1, 2]",
            "a week has 7 days, and there are 2 weights",
        ),
        (
            "[1, 1, 1, 1, 1, 2, 2]",
            "[0, 0, 0, 0, 0, 0, 0]",
            "with every weight zero",
        ),
        (
            "[1, 1, 1, 1, 1, 2, 2]",
            "[0, 0, 0, 0, 0, 0, -1]",
            "-1 is not a weight",
        ),
        ("daily: [1,", "daily: [", "23 weights do not divide a day"),
        ("3e6", "-1", "expected at least 0.0001, found `-1`"),
        ("for: 60", "for: 0", "expected more than 0, found `0`"),
        ("for: 60", "fro: 60", "unknown field `fro`"),
        (
            "factor: 2.5",
            "factor: -2.5",
            "expected at least 0, found `-2.5`",
        ),
        ("factor: 2.5", "factor: 1e30", "cannot be simulated"),
        (
            "requests_per_day: 3e6, ",
            "",
            "the field `requests_per_day` is missing",
        ),
    ] {
        assert!(bare.contains(from), "{from}");
        let wrong = scenario(&bare.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(wrong.contains(said), "{said}:\n{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The expected number of requests is the integral of the rate, for all weights and events: equal
    /// gaps have it to one request.
    #[test]
    fn equal_gaps_come_where_the_integral_of_the_rate_is_whole(
        daily in proptest::collection::vec(0.0..5.0_f64, 24),
        weekly in proptest::collection::vec(0.1..5.0_f64, 7),
        from in 0.0..2e5_f64,
        factor in 0.0..4.0_f64,
        lasts in 1.0..4e5_f64,
    ) {
        prop_assume!(daily.iter().sum::<f64>() > 0.5);
        let mean = |weights: &[f64]| weights.iter().sum::<f64>() / weights.len() as f64;
        let rate = |time: f64| {
            let hour = (time / HOUR) as usize;
            let usual = daily[hour % 24] / mean(&daily) * weekly[hour / 24 % 7] / mean(&weekly);
            let there = (from..from + lasts).contains(&time);
            0.01 * usual * if there { factor } else { 1.0 }
        };
        let shape = Shape::Calendar {
            daily: daily.clone(), weekly: weekly.clone(), starts: Weekday::Monday, begins_at: SimDuration::ZERO,
            events: vec![event(from, factor, lasts)],
        };
        let spec = Workload::Synthetic {
            arrivals: Arrivals::Constant { rate: 0.01 }, shape,
            prompt_tokens: Lengths::Constant(1), output_tokens: Lengths::Constant(1),
            system_prompts: None, rate_scale: 1.0, window: None, requests: Some(5000),
        };
        let times = seconds(&all(&spec, Path::new(".")));
        // The integral between changes of the rate, of which each is at a whole hour or an end of the event.
        let mut marks: Vec<f64> = (0..2000).map(|hour| f64::from(hour) * HOUR).collect();
        marks.extend([from, from + lasts]);
        marks.sort_by(f64::total_cmp);
        let (mut integral, mut place) = (0.0, 0);
        for pair in marks.windows(2) {
            let of = rate((pair[0] + pair[1]) / 2.0);
            while place < times.len() && times[place] <= pair[1] {
                let expected = integral + of * (times[place] - pair[0]);
                prop_assert!((expected - (place + 1) as f64).abs() < 1e-6, "{place}: {expected}");
                place += 1;
            }
            integral += of * (pair[1] - pair[0]);
        }
        prop_assert!(place > 100);
    }
}
