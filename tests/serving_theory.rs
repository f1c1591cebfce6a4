//! The data plane against what queueing theory knows in closed form.
//!
//! An [`Engine::Fcfs`] with iterations of constant length is a single server, first come first
//! served: a request of `n` tokens takes `n` iterations. The wait of theory is `queue()` of the
//! record.
//!
//! How sure the comparisons are: one long run is cut into 32 batches of equally many requests, each
//! many times as long as the queue remembers. The first is dropped, since the run starts empty; the
//! means of the other 31 are close to independent, so their spread gives the standard error of the
//! mean. A test asserts that the closed form lies within [`SIGMAS`] = 4 of those errors (a correct
//! simulator fails that for fewer than one seed in a thousand, and the seeds are fixed), and that
//! the error is below [`PRECISION`] = 1.5 % of the mean, so that "within 4 errors" says something.

mod serving_support;

use fleetsim::random::Stream;
use fleetsim::scenario::{Engine, Scheduler};
use fleetsim::serving::{Endpoint, EngineId};
use fleetsim::workload::{Arrival, ArrivalStream};

use serving_support::{Fleet, arrival, at, seconds};

const BATCHES: usize = 32;
const SIGMAS: f64 = 4.0;
const PRECISION: f64 = 0.015;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean: f64,
    error: f64,
}

impl Estimate {
    /// From one run's values by batch means, the first batch dropped.
    fn from_batches(values: &[f64]) -> Self {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let means: Vec<f64> = values
            .chunks_exact(values.len() / BATCHES)
            .take(BATCHES)
            .skip(1)
            .map(mean)
            .collect();
        let n = means.len() as f64;
        let center = mean(&means);
        let squares: f64 = means.iter().map(|m| (m - center) * (m - center)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        assert!(
            error < PRECISION * center,
            "the run is too short: {center} ± {error}"
        );
        Self {
            mean: center,
            error,
        }
    }

    /// The least and the largest mean that one may still believe in.
    fn bounds(self) -> (f64, f64) {
        let margin = SIGMAS * self.error;
        (self.mean - margin, self.mean + margin)
    }

    /// Asserts `expected`, where that is itself known up to the fraction `bias`.
    fn assert(self, expected: f64, bias: f64) {
        let (low, high) = self.bounds();
        let slack = bias * expected;
        assert!(
            (low - slack..=high + slack).contains(&expected),
            "{self:?}, but theory says {expected}"
        );
    }
}

/// How many tokens requests ask for.
#[derive(Clone, Copy)]
enum Lengths {
    Constant(u32),
    /// On 1, 2, 3 and so on, with this mean.
    Geometric(f64),
}

impl Lengths {
    fn draw(self, stream: &mut Stream) -> u32 {
        match self {
            Self::Constant(tokens) => tokens,
            Self::Geometric(mean) => {
                let decay = -libm::log1p(-1.0 / mean);
                1 + (stream.exponential() / decay) as u32
            }
        }
    }
}

/// Poisson arrivals, `rate` of them a second.
fn poisson(rate: f64, lengths: Lengths, requests: u64, seed: u64) -> ArrivalStream {
    let mut gaps = Stream::new(seed, "theory/gaps");
    let mut sizes = Stream::new(seed, "theory/lengths");
    let mut now = 0.0;
    Box::new((0..requests).map(move |id| {
        now += gaps.exponential() / rate;
        Ok(arrival(id, now, 10, lengths.draw(&mut sizes)))
    }))
}

/// `n` servers, first come first served, whose iterations all take `iteration_s`.
fn servers(scheduler: Scheduler, n: usize, iteration_s: f64) -> Fleet {
    Fleet {
        iteration_s: (iteration_s, iteration_s),
        ..Fleet::new(scheduler, Engine::Fcfs, n)
    }
}

/// The mean wait in the queue.
fn mean_wait(fleet: &Fleet, arrivals: ArrivalStream) -> Estimate {
    let (mut endpoint, _) = fleet.build(arrivals);
    let mut waits = Vec::new();
    for step in 1.. {
        endpoint.serve_until(at(f64::from(step) * 1_000.0));
        waits.extend(
            endpoint
                .take_ended()
                .map(|record| record.queue().expect("it has run").seconds()),
        );
        if endpoint.is_done() {
            break;
        }
    }
    Estimate::from_batches(&waits)
}

/// M/D/1: with service of constant length S, E[W] = ρ S / (2 (1 − ρ)). Exact, so there is no
/// tolerance beyond the 4 standard errors.
fn assert_m_d_1(load: f64, requests: u64) {
    let fleet = Fleet {
        iteration_s: (0.5, 0.125),
        ..servers(Scheduler::RoundRobin, 1, 0.0)
    };
    let service = 0.5 + 4.0 * 0.125;
    let arrivals = poisson(load / service, Lengths::Constant(5), requests, 11);
    mean_wait(&fleet, arrivals).assert(load * service / (2.0 * (1.0 - load)), 0.0);
}

#[test]
fn waits_of_m_d_1_at_half_load() {
    assert_m_d_1(0.5, 100_000);
}

#[test]
fn waits_of_m_d_1_at_high_load() {
    assert_m_d_1(0.8, 500_000);
}

#[test]
fn waits_of_m_d_1_near_saturation() {
    assert_m_d_1(0.9, 2_000_000);
}

/// Geometric lengths on 1, 2, … with mean m make a service of E[S] = m s and E[S²] = (2 m² − m) s²,
/// and by Pollaczek and Khinchine E[W] = λ E[S²] / (2 (1 − ρ)). Exact for any m, so there is no
/// tolerance beyond the 4 standard errors.
#[test]
fn waits_with_geometric_service_are_those_of_pollaczek_and_khinchine() {
    let (load, mean, iteration) = (0.7, 8.0, 0.125);
    let rate = load / (mean * iteration);
    let second_moment = (2.0 * mean * mean - mean) * iteration * iteration;
    let arrivals = poisson(rate, Lengths::Geometric(mean), 800_000, 12);
    mean_wait(&servers(Scheduler::RoundRobin, 1, iteration), arrivals)
        .assert(rate * second_moment / (2.0 * (1.0 - load)), 0.0);
}

/// Many short iterations: mean length of [`exponential_servers`] in tokens.
const FINE: f64 = 256.0;

/// Servers whose service is close to exponential with mean 1 s: geometric with mean [`FINE`]
/// iterations of 1/[`FINE`] s. Its second moment is less than that of the exponential by the
/// fraction 1/(2 FINE), and waits are less by about as much; comparisons with formulas for
/// exponential service allow twice that, 1/FINE = 0.4 %, on top of the 4 standard errors.
fn exponential_servers(scheduler: Scheduler, n: usize) -> Fleet {
    servers(scheduler, n, 1.0 / FINE)
}

fn exponential_wait(scheduler: Scheduler, n: usize, load: f64, requests: u64) -> Estimate {
    let arrivals = poisson(load * n as f64, Lengths::Geometric(FINE), requests, 13);
    mean_wait(&exponential_servers(scheduler, n), arrivals)
}

/// E[W] = ρ / (μ − λ), with the tolerance of [`exponential_servers`].
#[test]
fn waits_of_m_m_1() {
    let load = 0.7;
    exponential_wait(Scheduler::RoundRobin, 1, load, 500_000)
        .assert(load / (1.0 - load), 1.0 / FINE);
}

/// Erlang's C formula: the probability of waiting at `n` servers with a common queue that are
/// offered `load` × `n` erlangs.
fn erlang_c(n: u32, load: f64) -> f64 {
    let offered = load * f64::from(n);
    let blocked = (1..=n).fold(1.0, |blocked, i| {
        offered * blocked / (f64::from(i) + offered * blocked)
    });
    blocked / (1.0 - load * (1.0 - blocked))
}

/// Four servers, three ways to share the same arrivals out. All that is stochastic is as in
/// [`waits_of_m_m_1`].
///
/// - `Random` makes four independent M/M/1 of λ/4 each.
/// - `RoundRobin` gives each server every fourth arrival, E₄/M/1: E[W] = σ / (μ (1 − σ)), where σ =
///   (λ / (λ + μ (1 − σ)))⁴ (found here by iteration). It is less than `Random`'s.
/// - `Jsq` lies strictly between M/M/4, whose common queue no rule can beat, E[W] = C / (4 μ − λ),
///   and `RoundRobin`, as a rule that looks is better than one that does not.
#[test]
fn sharing_out_among_four_servers() {
    let load = 0.7;
    let common_queue = erlang_c(4, load) / (4.0 - 4.0 * load);
    let independent = load / (1.0 - load);
    let random = exponential_wait(Scheduler::Random, 4, load, 800_000);
    random.assert(independent, 1.0 / FINE);

    let rate = 4.0 * load;
    let root = (0..200).fold(0.5, |root, _| (rate / (rate + 1.0 - root)).powi(4));
    let in_turn = exponential_wait(Scheduler::RoundRobin, 4, load, 800_000);
    in_turn.assert(root / (1.0 - root), 1.0 / FINE);
    assert!(in_turn.bounds().1 < random.bounds().0);

    let jsq = exponential_wait(Scheduler::Jsq, 4, load, 800_000);
    let (low, high) = jsq.bounds();
    assert!(common_queue * (1.0 + 1.0 / FINE) < low, "{jsq:?}");
    assert!(high < in_turn.bounds().0 && high < independent, "{jsq:?}");
}

/// Erlang's C by another way, its defining sum, so that a slip in the recursion cannot go unseen.
#[test]
fn erlang_c_is_its_defining_sum() {
    let (offered, load): (f64, f64) = (2.8, 0.7);
    let term = |k: i32| offered.powi(k) / (1..=k).map(f64::from).product::<f64>();
    let all_busy = term(4) / (1.0 - load);
    let expected = all_busy / ((0..4).map(term).sum::<f64>() + all_busy);
    assert!((erlang_c(4, load) - expected).abs() < 1e-12);
}

/// D/D/1. All times are multiples of an eighth of a second, which doubles hold exactly, so nothing
/// is rounded and there is no tolerance at all.
#[test]
fn waits_of_d_d_1_are_zero_below_and_grow_linearly_above_saturation() {
    let fleet = servers(Scheduler::Jsq, 1, 0.125);
    for gap in [1.25, 1.0, 0.875] {
        let arrivals: Vec<Arrival> = (0..1_000)
            .map(|id| arrival(id, id as f64 * gap, 10, 8))
            .collect();
        for record in fleet.serve(&arrivals) {
            let wait = record.id as f64 * (1.0 - gap).max(0.0);
            assert_eq!(record.queue(), Some(seconds(wait)), "gap {gap}");
            assert_eq!(record.e2e(), Some(seconds(wait + 1.0)), "gap {gap}");
        }
    }
}

/// Lindley's recursion, W' = max(0, W + S − A), on random work in eighths of a second, for each
/// scheduler with a single `Fcfs` engine for both phases. Nothing is rounded, so there is no
/// tolerance.
#[test]
fn waits_follow_lindleys_recursion() {
    let mut random = Stream::new(17, "theory/lindley");
    let mut now = 0.0;
    let arrivals: Vec<Arrival> = (0..1_000)
        .map(|id| {
            now += random.below(16) as f64 / 8.0;
            arrival(id, now, 10, 1 + random.below(12) as u32)
        })
        .collect();
    for scheduler in [
        Scheduler::RoundRobin,
        Scheduler::Random,
        Scheduler::Jsq,
        Scheduler::TokenJsq,
    ] {
        let mut free: f64 = 0.0;
        let records = servers(scheduler, 1, 0.125).serve(&arrivals);
        for (record, arrival) in records.iter().zip(&arrivals) {
            let start = free.max(arrival.time.seconds());
            free = start + 0.125 * f64::from(arrival.output_tokens);
            assert_eq!(
                (record.id, record.prompt_start),
                (arrival.id, Some(at(start)))
            );
            assert_eq!(record.end, Some(at(free)));
        }
    }
}

/// The utilisation law: the fraction of time that a server is busy is λ E[S]. Each sample is the
/// busy time in one 32nd of the run, a run under way credited up to its end. Exact in the mean: no
/// tolerance beyond the 4 standard errors.
#[test]
fn a_server_is_busy_as_often_as_work_arrives() {
    let (load, mean, iteration) = (0.7, 8.0, 0.125);
    let arrivals = poisson(load, Lengths::Geometric(mean), 100_000, 14);
    let (mut endpoint, engines) = servers(Scheduler::Jsq, 1, iteration).build(arrivals);
    let span = 0.99 * 100_000.0 / load / BATCHES as f64;
    let mut before = 0.0;
    let busy: Vec<f64> = (1..=BATCHES)
        .map(|batch| {
            endpoint.serve_until(at(span * batch as f64));
            let busy = busy_seconds(&endpoint, &engines);
            (busy - std::mem::replace(&mut before, busy)) / span
        })
        .collect();
    assert!(!endpoint.is_done(), "arrivals last to the end");
    Estimate::from_batches(&busy).assert(load * mean * iteration, 0.0);
}

fn busy_seconds(endpoint: &Endpoint, engines: &[EngineId]) -> f64 {
    engines
        .iter()
        .map(|&engine| endpoint.load(engine, endpoint.served()))
        .map(|load| load.prompt_busy_s + load.token_busy_s)
        .sum()
}
