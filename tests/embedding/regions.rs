//! Regions: several fleets that serve the same applications, with users of their own.

use std::collections::BTreeMap;

use fleetsim::fleet::*;
use fleetsim::report::{Outputs, ResultsDirectory};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::Simulation;
use fleetsim::time::{SimDuration, SimTime};
use proptest::prelude::*;

use crate::host::at;

/// Two regions 0.1 s apart, a server each unless it says otherwise; a request has 3 tokens and takes 2 s, its first
/// token 1 s. The users of `us` send nothing but for `own`.
fn two(routing: &str, us: u32, eu_workload: &str, own: &str) -> CheckedScenario {
    let text = format!(
        r#"(
            name: "two regions",
            regions: [
                (name: "eu", fleet: [(sku: "dgx-h100", count: 1)]),
                (
                    name: "us", fleet: [(sku: "dgx-h100", count: {us}, limit: 2)],
                    applications: [(name: "chat", workload: {own})],
                    actions: [(at: 50.0, action: ScaleUpFull(application: "chat", role: Mixed))],
                ),
            ],
            region_routing: {routing},
            region_latency: [(between: ("us", "eu"), one_way: 0.1)],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: Jsq,
                performance: Constant(prompt_time: 1.0, token_time: 0.5),
                instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
                workload: {eu_workload},
            )],
        )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|it| panic!("{it}"))
}

fn requests(rate: f64, count: u32) -> String {
    format!(
        "Synthetic(arrivals: Constant(rate: {rate}), prompt_tokens: Constant(10), \
         output_tokens: Constant(3), requests: {count})"
    )
}

/// The records of a run by region of the user and number, each with the position of the region that served it.
fn run(
    checked: &CheckedScenario,
    longest: Option<f64>,
) -> BTreeMap<(u32, u64), (usize, RequestRecord)> {
    let mut simulation = Simulation::new(checked).unwrap();
    let longest = longest.map(|it| SimDuration::new(it).unwrap());
    simulation.world_mut().resource_mut::<TickLimits>().max_tick = longest;
    let mut requests = Vec::new();
    while simulation.tick().unwrap() {
        check_invariants(simulation.world_mut()).unwrap();
        requests.extend(simulation.take_rows().requests);
    }
    requests.extend(simulation.finish().rows.requests);
    let keyed = requests.into_iter().map(|(served, record)| {
        let journey = record.journey().unwrap();
        ((journey.region, record.id), (served, record))
    });
    keyed.collect()
}

fn seconds(time: Option<SimDuration>) -> f64 {
    // What is left after the ninth digit is rounding.
    (time.unwrap().seconds() * 1e9).round() / 1e9
}

#[test]
fn a_request_that_is_served_elsewhere_pays_the_way_there_and_back() {
    let checked = two("Nearest", 0, &requests(0.1, 2), &requests(0.08, 1));
    let records = run(&checked, None);
    assert_eq!(records.len(), 3);
    // Of the users of eu, at 10 and 20 s: at once.
    for id in [0, 1] {
        let (served, record) = &records[&(0, id)];
        assert_eq!(*served, 0);
        assert_eq!(record.arrival, at(10.0 * (id + 1) as f64));
        assert_eq!(
            [
                seconds(record.queue()),
                seconds(record.ttft()),
                seconds(record.e2e())
            ],
            [0.0, 1.0, 2.0]
        );
    }
    // Sent in us at 12.5 s, where no server is: it is in eu at 12.6 s, when the first has ended, and its tokens
    // take 0.1 s back.
    let (served, record) = &records[&(1, 0)];
    assert_eq!(*served, 0);
    assert_eq!(
        (record.arrival, record.prompt_start),
        (at(12.5), Some(at(12.5) + SimDuration::new(0.1).unwrap()))
    );
    assert_eq!(
        [
            seconds(record.queue()),
            seconds(record.ttft()),
            seconds(record.e2e())
        ],
        [0.1, 1.2, 2.2]
    );
    assert_eq!(seconds(record.tbt()), 0.333_333_333);
    // A policy in eu sees what its servers did.
    assert_eq!(seconds(record.without_journey().ttft()), 1.0);
}

#[test]
fn each_rule_looks_at_loads_at_the_instant_of_sending() {
    // Sent every 0.1 s from 0.1 s on; none ends before 2.1 s.
    let nothing = "Host";
    let six = requests(10.0, 6);
    let served = |routing: &str, longest| -> Vec<usize> {
        let records = run(&two(routing, 1, &six, nothing), longest);
        records.values().map(|(served, _)| *served).collect()
    };
    for longest in [None, Some(0.03), Some(0.1)] {
        assert_eq!(served("Nearest", longest), [0; 6]);
        // Those on their way count: at 0.3 s one is.
        assert_eq!(served("LeastLoaded", longest), [0, 1, 0, 1, 0, 1]);
        assert_eq!(served("Spill(threshold: 2.0)", longest), [0, 0, 1, 1, 0, 0]);
        assert_eq!(served("Spill(threshold: 1.5)", longest), [0, 0, 1, 1, 0, 0]);
        assert_eq!(served("Spill(threshold: 1.0)", longest), [0, 1, 0, 0, 0, 0]);
    }
    // One that is sent at the very instant at which another ends still sees it: 1 s apart, 2 s each, is 2 at a time.
    let steady = run(
        &two("Spill(threshold: 1.5)", 1, &requests(1.0, 4), nothing),
        None,
    );
    let served: Vec<usize> = steady.values().map(|(served, _)| *served).collect();
    assert_eq!(served, [0, 0, 1, 0]);
}

/// Three regions of random size under random load.
fn random(routing: &str, rates: [f64; 3], ways: [f64; 3], seed: u64, end: &str) -> CheckedScenario {
    let [ab, bc, ca] = ways;
    let [a, b, c] = rates;
    let text = format!(
        r#"(
            name: "three regions", seed: {seed}, {end}
            regions: [
                (name: "a", share: {a}, fleet: [(sku: "dgx-h100", count: 1, limit: 3)]),
                (name: "b", share: {b}, shift: 60.0, fleet: [(sku: "dgx-h100", count: 1), (sku: "dgx-a100", count: 1)]),
                (
                    name: "c", share: {c}, shift: -50.0, fleet: [(sku: "dgx-a100", count: 1, limit: 4)],
                    applications: [(name: "chat", autoscaler: HpaGpu(max: 3), scaling: (scale_up_delay: 5.0, drain: OnIdle))],
                    faults: [(at: 40.0, fault: InstanceCrash(instance: 0))],
                ),
            ],
            region_routing: {routing},
            region_latency: [
                (between: ("a", "b"), one_way: {ab}), (between: ("b", "c"), one_way: {bc}),
                (between: ("a", "c"), one_way: {ca}),
            ],
            applications: [
                (
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                    slo: (ttft: 1.0),
                    workload: Synthetic(
                        arrivals: Poisson(rate: 6.0), shape: Sinusoidal(amplitude: 1.0, period: 200.0),
                        prompt_tokens: LogNormal(median: 900.0, sigma: 0.9, max: 9000),
                        output_tokens: Geometric(mean: 80.0), window: (0.0, 150.0),
                    ),
                ),
            ],
        )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|it| panic!("{it}"))
}

/// All that a run leaves behind.
fn leavings(mut simulation: Simulation, longest: Option<f64>) -> (String, String) {
    let longest = longest.map(|it| SimDuration::new(it).unwrap());
    simulation.world_mut().resource_mut::<TickLimits>().max_tick = longest;
    let (mut rows, mut scaling) = (simulation.take_rows(), simulation.take_scaling());
    while simulation.tick().unwrap() {
        let more = simulation.take_rows();
        rows.requests.extend(more.requests);
        rows.samples.extend(more.samples);
        scaling.extend(simulation.take_scaling());
    }
    let finished = simulation.finish();
    rows.requests.extend(finished.rows.requests);
    rows.samples.extend(finished.rows.samples);
    scaling.extend(finished.scaling);
    rows.requests
        .sort_by_key(|(of, it)| (it.end.unwrap_or(SimTime::MAX), *of, it.id, it.arrival));
    let summary = finished.record.summarise();
    (format!("{rows:?}{scaling:?}"), format!("{summary:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_request_is_lost_and_ticks_do_not_matter(
        routing in prop_oneof![
            Just("Nearest".to_owned()), Just("LeastLoaded".to_owned()),
            (1.0..40.0).prop_map(|it: f64| format!("Spill(threshold: {it})")),
        ],
        rates in [0.1..3.0_f64, 0.1..3.0, 0.1..3.0],
        ways in [0.0..0.5_f64, 0.0..0.5, 0.0..5.0],
        seed in 0..1000_u64,
        end in prop_oneof![Just(""), Just("end: 97.3,")],
    ) {
        let checked = random(&routing, rates, ways, seed, end);
        let mut simulation = Simulation::new(&checked).unwrap();
        let mut sent = BTreeMap::<u32, u64>::new();
        let mut unfinished = 0;
        let mut count = |requests: Vec<(usize, RequestRecord)>| {
            for (_, record) in requests {
                *sent.entry(record.journey().unwrap().region).or_default() += 1;
                unfinished += u64::from(!matches!(record.outcome, Outcome::Completed));
            }
        };
        while simulation.tick().unwrap() {
            check_invariants(simulation.world_mut()).unwrap();
            count(simulation.take_rows().requests);
        }
        let finished = simulation.finish();
        count(finished.rows.requests);
        let summary = finished.record.summarise();
        let total = summary.total.unwrap().requests;
        prop_assert_eq!(total.arrived, sent.values().sum::<u64>());
        prop_assert_eq!(total.in_flight + total.waiting, unfinished);
        if end.is_empty() {
            prop_assert_eq!(unfinished, 0);
        }
        let mut completed = 0;
        for (region, index) in summary.regions.iter().zip(0..) {
            let of = sent.get(&index).copied().unwrap_or(0);
            prop_assert_eq!(region.sent_to.values().sum::<u64>(), of);
            prop_assert_eq!(region.users.requests.arrived, of);
            completed += region.users.requests.completed;
        }
        prop_assert_eq!(completed, total.completed);
        let gpu_hours: f64 = summary.regions.iter().map(|it| it.fleet.gpu_hours).sum();
        prop_assert!((gpu_hours - summary.fleet.gpu_hours).abs() < 1e-9);
    }

    #[test]
    fn ticks_forks_and_snapshots_do_not_matter(
        routing in prop_oneof![Just("LeastLoaded"), Just("Spill(threshold: 9.0)")],
        ways in [0.0..0.5_f64, 0.0..0.5, 0.0..5.0],
        seed in 0..1000_u64,
        after in 0..60_u32,
    ) {
        let checked = random(routing, [1.0, 2.0, 0.5], ways, seed, "end: 120.0,");
        let begin = || Simulation::new(&checked).unwrap();
        let whole = leavings(begin(), None);
        prop_assert!(leavings(begin(), Some(0.31)) == whole);
        let mut simulation = begin();
        simulation.serve_on(3.try_into().unwrap());
        for _ in 0..after {
            simulation.tick().unwrap();
        }
        let mut bytes = Vec::new();
        simulation.save(&mut bytes).unwrap();
        let later = Simulation::restore(&checked, &*bytes).unwrap();
        let fork = simulation.fork();
        for simulation in [simulation, fork, later] {
            prop_assert!(leavings(simulation, None) == whole);
        }
    }
}

#[test]
fn what_is_wrong_with_regions_is_said_at_its_place() {
    let wrong = |text: &str, expected: &str| {
        let error = CheckedScenario::from_ron(text, ".".as_ref()).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(expected), "{expected}\n{told}");
    };
    let text = |rest: &str, regions: &str, workload: &str| {
        format!(
            r#"(
                name: "wrong", end: 10.0, {rest}
                regions: [{regions}],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                    workload: {workload},
                )],
            )"#
        )
    };
    let eu = r#"(name: "eu", fleet: [(sku: "dgx-h100", count: 1)])"#;
    let us = r#"(name: "us", fleet: [(sku: "dgx-h100", count: 1)])"#;
    let some = requests(1.0, 3);
    wrong(
        &text("", &format!("{eu}, {us}"), &some),
        "how far is `eu` from `us`?",
    );
    wrong(
        &text("", &format!("{eu}, {eu}"), &some),
        "another region `eu`",
    );
    wrong(
        &text("fleet: [(sku: \"dgx-h100\")],", eu, &some),
        "the servers are those of the regions",
    );
    wrong(
        &text("", &eu.replace("h100", "h1000"), &some),
        "unknown SKU `dgx-h1000`",
    );
    let users = "Users(users: 3, prompt_tokens: Constant(1), output_tokens: Constant(1))";
    wrong(&text("", eu, users), "cannot be shared out among regions");
    let moved = eu.replace("fleet:", "shift: 10.0, fleet:");
    wrong(&text("", &moved, &some), "the rate is always the same");
    let other = eu.replace(
        "fleet:",
        "applications: [(name: \"chad\", scaling: ())], fleet:",
    );
    wrong(&text("", &other, &some), "did you mean `chat`?");
    let policy = eu.replace(
        "fleet:",
        "applications: [(name: \"chat\", autoscaler: HpaGpu(mox: 3))], fleet:",
    );
    let checked = CheckedScenario::from_ron(&text("", &policy, &some), ".".as_ref()).unwrap();
    let told = Simulation::new(&checked).unwrap_err().to_string();
    assert!(
        told.contains("<scenario>:3:") && told.contains("mox"),
        "{told}"
    );
    wrong(
        r#"(name: "none", region_routing: LeastLoaded, applications: [(
            name: "chat", model: "llama2-70b", instances: [(role: Mixed)], workload: Host,
        )])"#,
        "`region_routing` has no effect without `regions`",
    );
}

#[test]
fn a_region_has_its_share_of_a_day_at_its_own_time() {
    let text = |regions: &str, begins: &str| {
        format!(
            r#"(
                name: "day", end: 86400.0, regions: [{regions}], {begins}
                region_latency: [(between: ("here", "there"), one_way: 0.1)],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                    performance: Constant(prompt_time: 0.01, token_time: 0.01),
                    workload: Planned(
                        requests_per_day: 2400.0, prompt_tokens: Constant(1), output_tokens: Constant(1),
                        daily: [9, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 5],
                    ),
                )],
            )"#
        )
    };
    let fleet = "fleet: [(sku: \"dgx-h100\", count: 1)]";
    let regions =
        format!(r#"(name: "here", {fleet}), (name: "there", shift: 25200.0, share: 2.0, {fleet})"#);
    let checked = CheckedScenario::from_ron(&text(&regions, ""), ".".as_ref()).unwrap();
    let records = run(&checked, None);
    let by_hour = |region: u32| {
        let mut hours = [0; 24];
        for (key, (_, record)) in &records {
            if key.0 == region {
                hours[(record.arrival.seconds() / 3600.0) as usize] += 1;
            }
        }
        hours
    };
    let (here, there) = (by_hour(0), by_hour(1));
    assert!(
        here[0] > 700 && here[6..18].iter().sum::<i32>() == 0,
        "{here:?}"
    );
    // What was midnight is seven in the morning; twice as many.
    assert!(
        there[7] > 1400 && there[13..].iter().sum::<i32>() == 0,
        "{there:?}"
    );
    assert!(there[6] > 700, "{there:?}");
}

/// Start-ups that fail are told of with regions as without.
#[test]
fn failed_start_ups_of_a_region_are_written() {
    let text = r#"(
        name: "two regions",
        regions: [
            (name: "eu", fleet: [(sku: "dgx-h100", count: 1)]),
            (
                name: "us", fleet: [(sku: "dgx-h100", count: 1, limit: 2)],
                actions: [(at: 5, action: ScaleUpFull(application: "chat", role: Mixed))],
            ),
        ],
        region_latency: [(between: ("us", "eu"), one_way: 0.1)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: Jsq,
            performance: Constant(prompt_time: 1.0, token_time: 0.5),
            instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
            scaling: (start_up_failure: (probability: 1, attempts: 1)),
            workload: WORKLOAD,
        )],
    )"#;
    let text = text.replace("WORKLOAD", &requests(1.0, 30));
    let checked = CheckedScenario::from_ron(&text, ".".as_ref());
    let checked = checked.unwrap_or_else(|it| panic!("{it}"));
    let directory = tempfile::tempdir().unwrap();
    let results = ResultsDirectory::create(directory.path(), false).unwrap();
    let mut outputs = Outputs::new(&results, &checked, &[]).unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    simulation
        .run(|_, news| outputs.write(&news))
        .unwrap()
        .unwrap();
    outputs.finish(&simulation.finish()).unwrap();
    let faults = std::fs::read_to_string(directory.path().join("faults.csv")).unwrap();
    let rows: Vec<&str> = faults.lines().skip(1).collect();
    assert_eq!(rows.len(), 1, "{faults}");
    // Ordered at 5 s, it would be up at 15 s.
    assert!(
        rows[0].starts_with("15,start_up_failed,instance_1,"),
        "{faults}"
    );
    assert!(rows[0].ends_with(",us"), "{faults}");
}
