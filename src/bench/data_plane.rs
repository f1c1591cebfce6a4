use std::fmt;
use std::iter::Peekable;
use std::time::{Duration, Instant};

use super::fleet::{APPLICATION, FleetBench, MODEL, SKU, templates};
use crate::catalog::Catalog;
use crate::random::Stream;
use crate::scenario::{self, Engine, Role, Scheduler};
use crate::serving::{Endpoint, EndpointConfig, EngineSpec, Performance, PossibleEngine};
use crate::time::{SimDuration, SimTime};
use crate::workload::{self, Arrival, ArrivalStream, WorkloadError};

/// The data plane alone, in the steady state of an endless [`FleetBench`].
///
/// It is measured in slices of simulated time. Requests are drawn ahead and records are dropped, so that
/// neither the generator nor the statistics are measured.
///
/// ```
/// use fleetsim::bench::DataPlane;
/// use fleetsim::scenario::Scheduler;
///
/// let mut plane = DataPlane::new(Scheduler::Jsq, 10)?;
/// let took = plane.serve(1_000.0);
/// println!("{:.0} ns an event", took.as_nanos() as f64 / plane.events() as f64);
/// assert!(plane.events() > 1_000);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
pub struct DataPlane {
    endpoint: Endpoint,
    arrivals: Peekable<ArrivalStream>,
    rate: f64,
    until: SimTime,
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane")
            .field("endpoint", &self.endpoint)
            .field("rate", &self.rate)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl DataPlane {
    /// A data plane of `instances`, all idle.
    ///
    /// # Errors
    /// Without instances there is no rate of requests.
    pub fn new(scheduler: Scheduler, instances: u32) -> Result<Self, WorkloadError> {
        let bench = FleetBench {
            servers: instances,
            requests: u64::MAX,
            ..FleetBench::small(scheduler)
        };
        let arrivals = workload::open(&bench.workload(), ".".as_ref(), 0, APPLICATION)?;
        let roles = templates(&scheduler, instances);
        let catalog = Catalog::built_in();
        let hardware = Hardware::of(&catalog);
        let model = &catalog.models[MODEL];
        let config = EndpointConfig {
            weights_bytes: model.weights_bytes,
            kv_bytes_per_token: model.kv_bytes_per_token(),
            scheduler,
            random: Stream::new(0, "scheduler"),
            possible: roles
                .iter()
                .map(|&(role, _)| {
                    PossibleEngine::new(role, Engine::default(), hardware.memory_bytes)
                })
                .collect(),
        };
        let mut endpoint = Endpoint::new(config, Box::new(std::iter::empty()));
        let roles = roles
            .iter()
            .flat_map(|&(role, count)| (0..count).map(move |_| role));
        for (number, role) in roles.enumerate() {
            let engine = endpoint.add_engine(hardware.engine(number as u64, role));
            endpoint.open(engine);
        }
        Ok(Self {
            endpoint,
            arrivals: arrivals.peekable(),
            rate: bench.rate(),
            until: SimTime::ZERO,
        })
    }

    /// Serves until about `requests` more have arrived, and returns the wall time.
    pub fn serve(&mut self, requests: f64) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = requests;
        while left > 0.0 {
            self.until = self.until + SimDuration::saturating(left.min(STEP) / self.rate);
            self.draw();
            let start = Instant::now();
            self.endpoint.serve_until(self.until);
            self.endpoint.take_ended();
            took += start.elapsed();
            left -= STEP;
        }
        took
    }

    fn draw(&mut self) {
        let due =
            |next: &Result<Arrival, _>| next.as_ref().is_ok_and(|next| next.time <= self.until);
        while let Some(Ok(arrival)) = self.arrivals.next_if(due) {
            let submitted = self.endpoint.submit(arrival);
            debug_assert!(submitted.is_ok(), "it arrives after what has been served");
        }
    }

    /// Events so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.endpoint.counts().events
    }

    /// Requests that have arrived so far.
    #[must_use]
    pub const fn arrived(&self) -> u64 {
        self.endpoint.counts().arrived
    }
}

/// Requests that are drawn and let go at once: few enough to stay in the cache.
const STEP: f64 = 200.0;

/// One server of the benchmarks, all of it for one instance.
struct Hardware {
    memory_bytes: u64,
    performance: Performance,
}

impl Hardware {
    fn of(catalog: &Catalog) -> Self {
        let sku = &catalog.skus[SKU];
        let performance = Performance::new(
            &scenario::Performance::Profile,
            catalog,
            MODEL,
            sku,
            sku.processors,
            &Engine::default(),
        );
        Self {
            memory_bytes: catalog.processors[&sku.processor].memory_bytes
                * u64::from(sku.processors),
            performance: performance.expect("the built-in catalog has a profile of it"),
        }
    }

    fn engine(&self, instance: u64, role: Role) -> EngineSpec {
        EngineSpec {
            instance,
            role,
            batching: Engine::default(),
            memory_bytes: self.memory_bytes,
            performance: self.performance.clone(),
        }
    }
}
