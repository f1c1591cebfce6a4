//! Hazards and repairs against closed forms.

use fleetsim::fleet::*;

use crate::support::*;

/// Servers under a hazard, for this many seconds.
fn run(servers: u32, seed: u64, hazards: &str, seconds: f64) -> bevy_ecs::world::World {
    let fleet =
        format!(r#"[(sku: "small", count: {servers}, limit: {servers}), (sku: "big", limit: 9)]"#);
    let rest = format!("seed: {seed}, hazards: [{hazards}],");
    let mut world = Setup {
        fleet: &fleet,
        start: "None",
        rest: &rest,
        ..Setup::default()
    }
    .world();
    world.run_until(at(seconds)).unwrap();
    world
}

const SECONDS: f64 = 1e6;

/// How long at least this many servers were up, in each of `parts` equal parts of the run.
fn shares(world: &bevy_ecs::world::World, least: i32, parts: usize) -> Vec<f64> {
    let accounts = world.fleet::<Ledger>().servers().iter();
    let mut steps: Vec<(f64, i32)> = accounts
        .flat_map(|it| {
            let up = it.active.map_or(SECONDS, |it| it.seconds());
            [(up, 1), (it.gone.map_or(SECONDS, |it| it.seconds()), -1)]
        })
        .collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let length = SECONDS / parts as f64;
    let mut times = vec![0.0; parts];
    let (mut level, mut since) = (0, 0.0);
    for (at, by) in steps.into_iter().chain([(SECONDS, 0)]) {
        if level >= least {
            for (part, time) in times.iter_mut().enumerate() {
                let (begin, end) = (length * part as f64, length * (part + 1) as f64);
                *time += (at.min(end) - f64::max(since, begin)).max(0.0);
            }
        }
        level += by;
        since = at;
    }
    times.iter().map(|time| time / length).collect()
}

/// The mean of the parts, and how far it may be from the truth: 4 standard errors (once in 16,000 times).
fn estimate(parts: &[f64]) -> (f64, f64) {
    let count = parts.len() as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let squares = parts.iter().map(|it| (it - mean) * (it - mean));
    let variance = squares.sum::<f64>() / (count - 1.0);
    (mean, 4.0 * (variance / count).sqrt())
}

fn binomial(n: u32, k: u32) -> f64 {
    (0..k)
        .map(|i| f64::from(n - i) / f64::from(i + 1))
        .product()
}

#[test]
fn k_out_of_n_servers_are_available_as_often_as_the_closed_form_says() {
    // Up for 1,000 s and under repair for 100 s on average: each is up with probability 10/11.
    let hazard =
        "(strikes: ServerCrash(repair: Exponential(mean: 100)), every: Exponential(mean: 1000))";
    let world = run(8, 11, hazard, SECONDS);
    let up: f64 = 10.0 / 11.0;
    for least in 5..=8 {
        let states = least..=8;
        let expected: f64 = states
            .map(|k| binomial(8, k) * up.powi(k as i32) * (1.0 - up).powi(8 - k as i32))
            .sum();
        let (found, error) = estimate(&shares(&world, least as i32, 40));
        assert!(
            (found - expected).abs() <= error && error < 0.03,
            "{least}: {found} +- {error}, expected {expected}"
        );
    }
    let log = world.fleet::<FaultLog>();
    let window = at(0.0)..at(SECONDS);
    let ledger = world.fleet::<Ledger>();
    let active = ledger.server_time(&window, None, Some(ServerStatus::Active));
    let repair = log.repair_time(None, at(SECONDS));
    let all = active.seconds() + repair.seconds();
    assert!(
        (all - 8.0 * SECONDS).abs() < 1e-3,
        "every second counts once"
    );
}

#[test]
fn each_hazard_strikes_as_often_as_its_renewals_say() {
    // A renewal takes the time to a strike and what it takes to be up again; over a time T there are T / mean, with
    // a variance of T · variance / mean³ (the renewal central limit theorem).
    for (name, strikes, every, mean, variance) in [
        (
            "server_crash",
            "ServerCrash(repair: Constant(50))",
            "Exponential(mean: 450)",
            500.0,
            450.0 * 450.0,
        ),
        (
            "server_crash",
            "ServerCrash(repair: Exponential(mean: 50))",
            "Uniform(min: 100, max: 500)",
            350.0,
            400.0 * 400.0 / 12.0 + 2500.0,
        ),
        (
            "slow_server",
            "SlowServer(factor: 2, duration: Constant(100))",
            "Exponential(mean: 400)",
            500.0,
            400.0 * 400.0,
        ),
        (
            "processor_lost",
            "ProcessorLost(repair: Constant(5))",
            "Exponential(mean: 500)",
            500.0,
            500.0 * 500.0,
        ),
        (
            "processor_lost",
            "ProcessorLost(repair: Constant(5))",
            "Normal(mean: 500, std: 50)",
            500.0,
            50.0 * 50.0,
        ),
    ] {
        let hazard = format!("(strikes: {strikes}, every: {every})");
        let seconds = 2e5;
        let world = run(6, 3, &hazard, seconds);
        let found = world.fleet::<FaultLog>().totals()[name].count as f64;
        let expected = 6.0 * seconds / mean;
        let deviation = (6.0 * seconds * variance / (mean * mean * mean)).sqrt();
        // The first renewal is shorter by the time to be up again, which is less than one of each target.
        assert!(
            (found - expected).abs() < 4.0 * deviation + 6.0,
            "{strikes} {every}: {found}, expected {expected} +- {deviation}"
        );
    }
}
