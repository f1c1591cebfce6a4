//! How often an interval contains what queueing theory knows.
#![allow(clippy::print_stdout, reason = "a test says what it found")]

use std::num::NonZero;

use fleetsim::autoscale::PolicyRegistry;
use fleetsim::scenario::CheckedScenario;
use fleetsim::study::{Interval, Replications};

/// Studies; set `FLEETSIM_STUDIES` for more.
const STUDIES: usize = 60;
const REPLICATIONS: usize = 6;

/// One server, first come first served, half of the time busy. A request of n tokens takes n times 1 ms.
fn scenario(seed: usize, lengths: &str, requests: usize) -> CheckedScenario {
    let text = format!(
        r#"(
            name: "one server", seed: {seed}, fleet: [(sku: "dgx-h100", count: 1)],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: RoundRobin,
                performance: Constant(prompt_time: 0.001, token_time: 0.001),
                instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
                workload: Synthetic(
                    arrivals: Poisson(rate: 0.5), prompt_tokens: Constant(1),
                    output_tokens: {lengths}, requests: {requests},
                ),
            )],
        )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap()
}

/// The share of studies whose interval of the mean wait contains the mean wait of theory.
fn coverage(lengths: &str, wait: f64, studies: usize) -> f64 {
    let registry = PolicyRegistry::built_in();
    let count = NonZero::new(REPLICATIONS).unwrap();
    let contains = |study: &usize| {
        let scenario = scenario(study * REPLICATIONS, lengths, 1500);
        let jobs = NonZero::new(2).unwrap();
        let runs = Replications::run(&scenario, &registry, count, None, jobs, &|| {}, &|| false);
        let runs = runs.unwrap().runs.into_iter();
        let waits = runs.map(|(_, run)| run.unwrap().number("chat.metrics.queue_s.mean").unwrap());
        let interval = Interval::of(&waits.collect::<Vec<f64>>()).unwrap();
        (interval.mean - wait).abs() <= interval.half_width.unwrap()
    };
    let covered = (0..studies).filter(contains).count();
    covered as f64 / studies as f64
}

/// The formula of Pollaczek and Khinchine at half load: λ E[S²] / 2(1 − ρ). A run starts empty, which
/// takes less than a hundredth of the half width off the mean.
#[test]
fn nineteen_of_twenty_intervals_contain_the_mean_wait_of_theory() {
    let more = std::env::var("FLEETSIM_STUDIES").ok();
    let studies = more.and_then(|it| it.parse().ok()).unwrap_or(STUDIES);
    // Geometric on 1, 2, … with mean 1000: E[N²] = m (2m − 1). M/M/1 waits 1 s, 0.05 % longer.
    let geometric = 0.5 * (1000.0 * 1999.0 * 1e-6) / (2.0 * 0.5);
    for (lengths, wait) in [
        ("Constant(1000)", 0.5),
        ("Geometric(mean: 1000)", geometric),
    ] {
        let covered = coverage(lengths, wait, studies);
        println!("{lengths}: {covered} of {studies} studies");
        let chance = 3.0 * (0.95 * 0.05 / studies as f64).sqrt();
        assert!(
            (covered - 0.95).abs() <= chance.max(0.02),
            "{lengths}: {covered}"
        );
    }
}

/// Batch means of single runs, at half load as above.
#[test]
fn nineteen_of_twenty_long_runs_have_the_mean_wait_of_theory_in_their_interval() {
    let studies = 60;
    let registry = PolicyRegistry::built_in();
    let (mut told, mut covered) = (0, 0);
    for seed in 0..studies {
        let scenario = scenario(seed, "Constant(1000)", 6000);
        let one = NonZero::<usize>::MIN;
        let runs = Replications::run(&scenario, &registry, one, None, one, &|| {}, &|| false);
        let outcome = runs.unwrap().runs.remove(0).1.unwrap();
        let wait = |figure: &str| outcome.number(&format!("chat.metrics.queue_s.{figure}"));
        if let Some(half_width) = wait("mean_half_width") {
            told += 1;
            covered += usize::from((wait("mean").unwrap() - 0.5).abs() <= half_width);
        }
    }
    println!("{covered} of {told} runs with an interval, of {studies}");
    assert!(told > studies * 9 / 10, "{told}");
    let share = covered as f64 / told as f64;
    assert!(
        share >= 0.95 - 3.0 * (0.95 * 0.05 / told as f64).sqrt(),
        "{share}"
    );
}
