//! The scenarios of classic failures: what they say about themselves is true, the policy that fails does,
//! and the one that claims to avoid it does, too.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use fleetsim::autoscale::{Decision, PolicyRegistry};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{RequestRecord, Role};
use fleetsim::simulation::Simulation;
use fleetsim::study::{Comparison, Contest, Figures};

/// The head of the table in a scenario's comments; a row for each policy follows.
const HEAD: &str = "//     SLO met   GPU-hours   turns/h   policy\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.ron"))
}

fn load(name: &str, overrides: &[String]) -> CheckedScenario {
    CheckedScenario::load(&path(name), overrides).unwrap_or_else(|problems| panic!("{problems}"))
}

fn compare(scenario: &CheckedScenario, policies: &[&str]) -> Comparison {
    let registry = PolicyRegistry::built_in();
    let contest = Contest::new(scenario, &registry, &policies.join(", "));
    let contest = contest.unwrap_or_else(|problems| panic!("{problems}"));
    let jobs = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    contest.run(jobs, &())
}

/// Runs a scenario under the policies of the table in its comments, and holds each row against what came
/// out.
fn told(name: &str) -> Comparison {
    let text = fs::read_to_string(path(name)).unwrap();
    let (_, table) = text
        .split_once(HEAD)
        .unwrap_or_else(|| panic!("{name} has no table"));
    let rows = table.lines().take_while(|line| line.starts_with("//     "));
    let rows: Vec<&str> = rows.collect();
    let policies: Vec<&str> = rows
        .iter()
        .map(|row| row[HEAD.len() - 7..].trim())
        .collect();
    let comparison = compare(&load(name, &[]), &policies);
    let written: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let true_rows: Vec<String> = comparison
        .contenders
        .iter()
        .map(|of| row(&of.policy, of.figures.as_ref().unwrap()))
        .collect();
    assert_eq!(
        written,
        true_rows,
        "{name} should say\n{}",
        true_rows.join("\n")
    );
    comparison
}

fn row(policy: &str, figures: &Figures) -> String {
    format!(
        "//     {:>5.2} %{:>12.1}{:>10.1}   {policy}",
        figures.attainment.unwrap() * 100.0,
        figures.gpu_hours,
        figures.flapping.per_hour
    )
}

fn figures(comparison: &Comparison, place: usize) -> &Figures {
    comparison.contenders[place].figures.as_ref().unwrap()
}

fn met(comparison: &Comparison, place: usize) -> f64 {
    figures(comparison, place).attainment.unwrap()
}

fn turns(comparison: &Comparison, place: usize) -> f64 {
    figures(comparison, place).flapping.per_hour
}

/// A run under one policy: what it decided, and its requests.
fn run(scenario: &CheckedScenario, policy: &str) -> (Vec<Decision>, Vec<RequestRecord>) {
    let scenario = scenario.with_policy(&[0], policy).unwrap();
    let mut simulation = Simulation::new(&scenario).unwrap();
    let (mut decisions, mut requests) = (Vec::new(), Vec::new());
    let mut keep = |rows: fleetsim::observe::Rows| {
        requests.extend(rows.requests.into_iter().map(|(_, record)| record));
    };
    let ran = simulation.run(|_, news| {
        decisions.extend(news.decisions);
        keep(news.rows);
        Ok::<(), ()>(())
    });
    ran.unwrap().unwrap();
    keep(simulation.finish().rows);
    (decisions, requests)
}

/// Share of the requests that arrived between two instants whose first token came within a second.
fn prompt_answers(requests: &[RequestRecord], from: f64, to: f64) -> f64 {
    let arrived: Vec<_> = requests
        .iter()
        .filter(|it| (from..to).contains(&it.arrival.seconds()))
        .collect();
    let met = arrived
        .iter()
        .filter(|it| it.ttft().is_some_and(|ttft| ttft.seconds() <= 1.0));
    met.count() as f64 / arrived.len() as f64
}

#[test]
fn a_flash_crowd_is_over_before_a_policy_that_reacts_has_caught_up() {
    let comparison = told("flash_crowd");
    let scenario = load("flash_crowd", &[]);
    let [hpa, threshold, periodic, velocity, forecast] =
        [1, 2, 3, 4, 5].map(|place| &comparison.contenders[place].policy);
    for policy in [hpa, threshold, velocity, forecast] {
        let (_, requests) = run(&scenario, policy);
        assert!(prompt_answers(&requests, 0.0, 600.0) > 0.98, "{policy}");
        assert!(prompt_answers(&requests, 620.0, 680.0) < 0.6, "{policy}");
        assert!(prompt_answers(&requests, 1000.0, 1800.0) > 0.98, "{policy}");
    }
    let (_, requests) = run(&scenario, periodic);
    assert!(prompt_answers(&requests, 600.0, 900.0) > 0.99);
    assert!(met(&comparison, 3) > met(&comparison, 2) && met(&comparison, 2) > met(&comparison, 0));
    let hours = |place| figures(&comparison, place).gpu_hours;
    assert!(met(&comparison, 6) > 0.99 && hours(6) > 3.0 * hours(0));
    assert!(met(&comparison, 7) > 0.99 && hours(7) < hours(3));
}

#[test]
fn a_start_up_as_long_as_the_surge_is_a_cliff() {
    let comparison = told("cliff");
    let hpa = comparison.contenders[1].policy.as_str();
    let (none, none_hours) = (met(&comparison, 0), figures(&comparison, 0).gpu_hours);
    let text = fs::read_to_string(path("cliff")).unwrap();
    let with_delay = |delay: u32, policy: &str| {
        let set = format!("fleet[0].provision_delay=Constant({delay})");
        let comparison = compare(&load("cliff", &[set]), &[policy]);
        figures(&comparison, 0).clone()
    };
    let mut shares = Vec::new();
    for delay in [0, 60, 100, 120, 180] {
        let figures = with_delay(delay, hpa);
        let share = figures.attainment.unwrap();
        let line = format!(
            "//{delay:>8} s{:>8.2} %{:>12.1}\n",
            share * 100.0,
            figures.gpu_hours
        );
        assert!(text.contains(&line), "cliff should say\n{line}");
        assert!(figures.gpu_hours > 1.15 * none_hours, "{delay}");
        shares.push(share);
    }
    let [at_once, in_time, late, cliff, over] = shares[..] else {
        panic!("five delays");
    };
    assert!(at_once > 0.98);
    assert!(in_time > none + 0.1);
    assert!(late > none + 0.02);
    assert!((cliff - none).abs() < 0.01 && (over - none).abs() < 0.01);

    for by_arrivals in ["TokenVelocity", "Forecast"] {
        let figures = with_delay(120, by_arrivals);
        let share = figures.attainment.unwrap();
        let said = format!("{:.2} %", share * 100.0);
        assert!(text.contains(&said), "cliff should say {said}");
        assert!((share - none).abs() < 0.01, "{by_arrivals}");
    }
    let in_hand = comparison.contenders[2].policy.as_str();
    for policy in [in_hand, "Chiron", "Clairvoyant"] {
        for delay in [60, 180] {
            let figures = with_delay(delay, policy);
            assert!(figures.attainment.unwrap() > 0.99, "{policy}, {delay}");
        }
    }
}

#[test]
fn a_policy_that_ignores_what_starts_up_orders_four_too_many() {
    let comparison = told("ignored_start_ups");
    let scenario = load("ignored_start_ups", &[]);
    let [_, threshold, hpa] = [0, 1, 2].map(|place| &comparison.contenders[place].policy);

    let (_, requests) = run(
        &load("ignored_start_ups", &["fleet[0].count=3".into()]),
        "None",
    );
    assert!(
        prompt_answers(&requests, 0.0, 900.0) > 0.99,
        "one more is enough"
    );

    let (decisions, _) = run(&scenario, threshold);
    let ordered: u32 = decisions.iter().map(|it| it.started).sum();
    let first = decisions.iter().find(|it| it.started > 0).unwrap().time;
    let before_any_is_active = decisions.iter().take_while(|it| it.active == 2);
    let before: u32 = before_any_is_active.map(|it| it.started).sum();
    assert_eq!((first.seconds(), ordered, before), (315.0, 5, 5));

    let (decisions, _) = run(&scenario, hpa);
    assert!(decisions.iter().any(|it| it.started > 0));
    let on_their_way = decisions.iter().map(|it| it.scaling_up + it.started);
    assert!(on_their_way.max() <= Some(2));

    for (place, done, enough) in [(3, 1, 0.96), (4, 1, 0.96), (5, 2, 0.95)] {
        let actions = figures(&comparison, place).scaling_actions;
        assert_eq!(actions, done, "an order, and the last one takes it back");
        assert!(met(&comparison, place) > enough);
    }
}

#[test]
fn latency_says_nothing_on_a_slow_ramp() {
    let comparison = told("slow_ramp");
    // As published, a step of 20 % of one or two instances, rounded, is none.
    assert_eq!(figures(&comparison, 1).scaling_actions, 0);
    for by_latency in [1, 2] {
        assert!(met(&comparison, by_latency) < 0.8);
        assert!(figures(&comparison, by_latency).under_provisioned > Some(0.25));
    }
    assert!(turns(&comparison, 2) >= 10.0);
    assert!(met(&comparison, 3) > 0.99);
    assert!(turns(&comparison, 3) <= 1.0);
    assert!(figures(&comparison, 3).under_provisioned < Some(0.15));
    for by_arrivals in [4, 5] {
        assert!(met(&comparison, by_arrivals) > 0.97);
        assert!(turns(&comparison, by_arrivals) <= 2.0);
        assert!(figures(&comparison, by_arrivals).under_provisioned < Some(0.05));
        let hours = |place| figures(&comparison, place).gpu_hours;
        assert!(hours(by_arrivals) < 1.1 * hours(6));
    }
}

#[test]
fn pure_latency_flaps_with_every_change_of_the_load() {
    let comparison = told("on_off");
    // Twelve changes of load an hour, and it turns round at each.
    assert_eq!(turns(&comparison, 1), 12.0);
    assert!(turns(&comparison, 2) < 4.0);
    let actions = |place| figures(&comparison, place).scaling_actions;
    assert!(actions(1) > 10 * actions(2));
    assert!(met(&comparison, 2) > met(&comparison, 1));
    assert!(figures(&comparison, 2).gpu_hours < figures(&comparison, 1).gpu_hours);
    assert_eq!((actions(1), actions(3)), (414, 25));
    assert!(met(&comparison, 3) > 0.99);
    assert!(turns(&comparison, 5) > 3.0 * turns(&comparison, 1));
}

#[test]
fn a_pool_by_memory_in_use_never_shrinks() {
    let comparison = told("idle_memory");
    let scenario = load("idle_memory", &[]);
    let tokens = |policy: &str| {
        let (decisions, _) = run(&scenario, policy);
        let mut tokens = decisions;
        tokens.retain(|it| it.role == Role::Token);
        tokens
    };
    let [_, stuck, by_default, by_tokens] =
        [0, 1, 2, 3].map(|place| comparison.contenders[place].policy.as_str());
    let of_stuck = tokens(stuck);
    assert!(of_stuck.iter().any(|it| it.started > 0));
    assert!(of_stuck.iter().all(|it| it.drained + it.cancelled == 0));
    let last = |policy| tokens(policy).last().unwrap().active;
    assert!(of_stuck.last().unwrap().active > 6);
    assert_eq!(last(by_default), 1);
    assert_eq!(last(by_tokens), 2);
    let hours = |place| figures(&comparison, place).gpu_hours;
    for by_tokens in [3, 4, 5] {
        assert!(hours(by_tokens) < 0.5 * hours(1), "{by_tokens}");
    }
    assert!(hours(6) > hours(1), "memory in use, under another name");
}

#[test]
fn a_mean_of_three_minutes_and_the_lowest_wish_of_five_never_settle() {
    let comparison = told("aibrix_swing");
    let scenario = load("aibrix_swing", &[]);
    let swing = |place: usize| {
        let (mut decisions, _) = run(&scenario, &comparison.contenders[place].policy);
        decisions.retain(|it| it.time.seconds() > 900.0);
        let there = |it: &Decision| it.active + it.scaling_up;
        let least = decisions.iter().map(there).min().unwrap();
        (least, decisions.iter().map(there).max().unwrap())
    };
    // Twenty would do, all the time.
    let (least, most) = swing(1);
    assert!(least <= 8 && most >= 60, "{least} to {most}");
    for settles in [2, 3] {
        let (least, most) = swing(settles);
        assert!(least >= 18 && most <= 22, "{least} to {most}");
    }
}

#[test]
fn a_planner_that_does_not_ask_what_the_rest_would_bear_flaps() {
    let comparison = told("planner_flapping");
    assert!(turns(&comparison, 1) >= 20.0);
    assert!(turns(&comparison, 2) <= 1.0);
}

#[test]
fn pods_that_leave_are_counted_for_those_that_stay() {
    let comparison = told("leaving_pods");
    let hours = |place| figures(&comparison, place).gpu_hours;
    assert!(hours(1) > 1.8 * hours(2));
    assert!(met(&comparison, 2) > met(&comparison, 1));
    let scenario = load("leaving_pods", &[]);
    let (decisions, _) = run(&scenario, &comparison.contenders[1].policy);
    // `Tbt p50 0.081 of 0.04`: what the active ones alone lack is less than what was asked for.
    let asked_for_the_leaving = |it: &Decision| {
        let ratio = it.reason.split_whitespace().nth(2)?.parse::<f64>().ok()? / 0.04;
        let of_active = (f64::from(it.active) * (ratio + 0.02)).ceil();
        let more = it.desired > it.active + it.scaling_up;
        Some(more && it.draining > 2 && f64::from(it.desired) > of_active)
    };
    let times = decisions
        .iter()
        .filter(|it| asked_for_the_leaving(it) == Some(true));
    assert!(times.count() >= 3);
}

#[test]
fn a_day_is_served_by_a_fleet_that_breathes() {
    let comparison = told("day_night");
    let none = figures(&comparison, 0);
    assert!(
        (380_000..420_000).contains(&none.arrived),
        "{}",
        none.arrived
    );
    let hours = |place| figures(&comparison, place).gpu_hours;
    assert!(met(&comparison, 2) > met(&comparison, 0) && hours(2) > hours(0));
    for breathes in [3, 4, 5] {
        assert!(met(&comparison, breathes) > met(&comparison, 0));
        assert!(hours(breathes) < 0.7 * hours(0));
    }
}

#[test]
fn what_is_ordered_at_once_loads_at_once() {
    let comparison = told("image_pull_storm");
    // Threshold and TokenVelocity come later than without the storm; who orders ahead does not.
    let crowd = compare(
        &load("flash_crowd", &[]),
        &[2, 4].map(|place: usize| comparison.contenders[place].policy.as_str()),
    );
    assert!(met(&comparison, 2) + 0.15 < met(&crowd, 0));
    assert!(met(&comparison, 4) + 0.05 < met(&crowd, 1));
    assert!(met(&comparison, 6) > 0.99);
}

#[test]
fn a_zone_that_is_out_is_replaced() {
    let comparison = told("zone_outage");
    assert!(met(&comparison, 1) > met(&comparison, 0) + 0.01);
}

#[test]
fn spot_servers_are_replaced_in_their_notice() {
    let comparison = told("spot_notice");
    assert!(met(&comparison, 0) < 0.3 && met(&comparison, 1) > 0.99);
}

#[test]
fn the_next_best_is_better_than_what_is_sold_out() {
    let comparison = told("sold_out");
    let insists = load(
        "sold_out",
        &["applications[0].actuator.sku=First".to_owned()],
    );
    let [threshold, velocity] = [2, 3].map(|place: usize| &*comparison.contenders[place].policy);
    let insisting = compare(&insists, &[threshold, velocity]);
    assert!(met(&comparison, 2) > met(&insisting, 0) + 0.1);
    assert!(met(&comparison, 3) > met(&insisting, 1) + 0.1);
}

#[test]
fn models_that_are_rarely_wanted_make_room() {
    let comparison = told("ten_models");
    // With one of each, one of three requests is late; who goes to zero serves nine of ten.
    assert!(met(&comparison, 0) < 0.7);
    for goes_to_zero in [3, 4, 5] {
        assert!(met(&comparison, goes_to_zero) > 0.9);
    }
}

#[test]
fn a_start_from_zero_is_short_where_the_disk_has_what_it_needs() {
    let comparison = told("from_zero");
    let without = load("from_zero", &["pool.servers=WithInstances()".to_owned()]);
    let (_, warm) = run(&load("from_zero", &[]), &comparison.contenders[0].policy);
    let (_, cold) = run(&without, &comparison.contenders[0].policy);
    let waits = |requests: &[RequestRecord]| {
        let waits = requests.iter().filter_map(RequestRecord::ttft);
        let mut waits: Vec<f64> = waits.map(|it| it.seconds()).collect();
        waits.sort_by(f64::total_cmp);
        waits
    };
    // Bytes over bandwidth, and what does not depend on the disk.
    let gib = f64::powi(2.0, 30);
    let weights = 2.0 * 70.6e9;
    let cached = weights / gib / 5.0 + 23.0 + 30.0;
    let first = 14.29e9 / gib / 0.5 + weights / gib + cached - 23.0 + 52.0;
    // A decision comes within 2 s, and a prompt takes less than a second.
    let near = |found: f64, told: f64| {
        assert!((told - 0.5..told + 3.0).contains(&found), "{found} {told}");
    };
    let (warm, cold) = (waits(&warm), waits(&cold));
    // The first start-up has begun before the first request.
    assert!(warm[warm.len() - 1] < first);
    near(warm[warm.len() - 2], cached);
    near(cold[cold.len() - 1], 120.0 + first);
}

#[test]
fn who_removes_servers_late_pays_more_and_serves_more() {
    let comparison = told("node_autoscalers");
    let knative = &*comparison.contenders[3].policy;
    let under = |servers: &str| {
        let scenario = load("node_autoscalers", &[format!("pool.servers={servers}")]);
        let comparison = compare(&scenario, &[knative]);
        (met(&comparison, 0), figures(&comparison, 0).gpu_hours)
    };
    let late = (met(&comparison, 3), figures(&comparison, 3).gpu_hours);
    for early in ["WithInstances()", "Karpenter()"] {
        let (share, hours) = under(early);
        assert!(
            late.0 > share + 0.05 && late.1 > 1.5 * hours,
            "{early}: {share}, {hours}"
        );
    }
}
