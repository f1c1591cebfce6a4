use std::time::{Duration, Instant};

use super::{FleetBench, StepModelBench, VllmBench, bare_queue, peak_memory, reset_peak_memory};
use crate::fleet::{FleetsExt, Roster, Service, TickError};
use crate::scenario::{CheckedScenario, Diagnostics};
use crate::serving::NoRoofline;
use crate::simulation::{Simulation, SimulationError};
use crate::time::SimTime;

/// The largest number of events of the baseline, which does not change beyond it.
const BASELINE_EVENTS: u64 = 2_000_000;

/// What a benchmark took.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// Wall time in which the scenario was checked and its world built.
    pub build: Duration,
    /// Wall time from the first tick to the summary.
    pub run: Duration,
    /// Requests completed.
    pub completed: u64,
    /// Events of the data plane, arrivals included.
    pub events: u64,
    /// When the run ended.
    pub end: SimTime,
    /// The 99th percentile of the seconds that a request waited for its first run: large where
    /// queues grow.
    pub queue_p99_s: Option<f64>,
    /// The most memory at once, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
    /// Nanoseconds of an event in the bare queue with one entry for each instance.
    pub bare_queue_ns: f64,
}

impl Measurement {
    /// Requests completed in a second of wall time.
    #[must_use]
    pub fn requests_per_s(&self) -> f64 {
        self.completed as f64 / self.run.as_secs_f64()
    }

    /// Events in a second of wall time.
    #[must_use]
    pub fn events_per_s(&self) -> f64 {
        self.events as f64 / self.run.as_secs_f64()
    }

    /// Nanoseconds of wall time of an event.
    #[must_use]
    pub fn ns_per_event(&self) -> f64 {
        self.run.as_nanos() as f64 / self.events.max(1) as f64
    }

    /// What an event costs, as a multiple of one in the bare queue.
    #[must_use]
    pub fn times_bare_queue(&self) -> f64 {
        self.ns_per_event() / self.bare_queue_ns
    }

    /// Simulated seconds in a second of wall time.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.end.seconds() / self.run.as_secs_f64()
    }
}

/// Why a benchmark could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It is no valid scenario.
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    /// Its world cannot be built.
    #[error(transparent)]
    Install(#[from] SimulationError),
    /// The catalog has no roofline for what is to be priced by one.
    #[error(transparent)]
    NoRoofline(#[from] NoRoofline),
    /// It cannot be stepped.
    #[error(transparent)]
    Tick(#[from] TickError),
}

/// Runs a benchmark to its end, as `fleetsim run` would but for writing files, and its baseline
/// before it and after it.
///
/// # Errors
/// [`BenchError::Scenario`] when a field is out of its range; the others do not occur then.
pub fn measure(bench: &FleetBench) -> Result<Measurement, BenchError> {
    measure_scenario(bench.servers, bench.requests, || bench.scenario())
}

/// The same of a fleet of engines `Vllm`.
///
/// # Errors
/// As those of [`measure`].
pub fn measure_vllm(bench: &VllmBench) -> Result<Measurement, BenchError> {
    measure_scenario(bench.servers, bench.requests, || bench.scenario())
}

/// The same of a fleet whose steps a step model prices.
///
/// # Errors
/// As those of [`measure`].
pub fn measure_step_models(bench: &StepModelBench) -> Result<Measurement, BenchError> {
    measure_scenario(bench.servers, bench.requests, || bench.scenario())
}

/// The same of any scenario of about `requests` requests, beside the bare queue with an entry for each of
/// `servers`.
///
/// # Errors
/// [`BenchError`] when the scenario is wrong or cannot be run.
pub fn measure_scenario<E>(
    servers: u32,
    requests: u64,
    scenario: impl FnOnce() -> Result<CheckedScenario, E>,
) -> Result<Measurement, BenchError>
where
    BenchError: From<E>,
{
    let baseline = || bare_queue(servers, requests.min(BASELINE_EVENTS));
    let before = baseline();
    reset_peak_memory();
    let started = Instant::now();
    let mut simulation = Simulation::new(&scenario()?)?;
    let build = started.elapsed();
    while simulation.tick()? {
        simulation.take_rows();
        simulation.take_scaling();
    }
    let completed = simulation.completed();
    let events = events(&simulation);
    let summary = simulation.finish().record.summarise();
    let run = started.elapsed() - build;
    let queue_p99_s = summary
        .applications
        .first()
        .and_then(|application| application.metrics.queue_s.p99);
    let peak_memory = peak_memory();
    Ok(Measurement {
        build,
        run,
        completed,
        events,
        end: summary.end_s,
        queue_p99_s,
        peak_memory,
        bare_queue_ns: f64::midpoint(before, baseline()),
    })
}

fn events(simulation: &Simulation) -> u64 {
    let world = simulation.world();
    let applications = world.fleet::<Roster>().applications().iter();
    applications
        .filter_map(|&entity| world.get::<Service>(entity))
        .map(|service| service.0.counts().events)
        .sum()
}
