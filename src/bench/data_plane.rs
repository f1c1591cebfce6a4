use super::fleet::{APPLICATION, FleetBench, MODEL, SKU, templates};
use crate::catalog::Catalog;
use crate::random::Stream;
use crate::scenario::{self, Engine, Role, Scheduler};
use crate::serving::{Endpoint, EndpointConfig, EngineSpec, Performance};
use crate::time::{SimDuration, SimTime};
use crate::workload::{self, WorkloadError};

/// The data plane alone, in the steady state of a [`FleetBench`] whose requests never end: to be
/// measured slice by slice of simulated time.
///
/// ```
/// use fleetsim::bench::DataPlane;
/// use fleetsim::scenario::Scheduler;
///
/// let mut plane = DataPlane::new(Scheduler::Jsq, 10)?;
/// plane.serve(1_000.0);
/// assert!(plane.events() > 1_000);
/// # Ok::<(), fleetsim::workload::WorkloadError>(())
/// ```
#[derive(Debug)]
pub struct DataPlane {
    endpoint: Endpoint,
    rate: f64,
    until: SimTime,
}

impl DataPlane {
    /// A data plane of so many instances, all idle as yet.
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
                .map(|&(role, _)| (role, Engine::default(), hardware.memory_bytes))
                .collect(),
        };
        let mut endpoint = Endpoint::new(config, arrivals);
        let roles = roles
            .iter()
            .flat_map(|&(role, count)| (0..count).map(move |_| role));
        for (number, role) in roles.enumerate() {
            let engine = endpoint.add_engine(hardware.engine(number as u64, role));
            endpoint.open(engine);
        }
        Ok(Self {
            endpoint,
            rate: bench.rate(),
            until: SimTime::ZERO,
        })
    }

    /// Serves for as long as it takes so many requests to arrive, on average.
    pub fn serve(&mut self, requests: f64) {
        self.until = self.until + SimDuration::saturating(requests / self.rate);
        self.endpoint.serve_until(self.until);
        self.endpoint.take_ended();
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
            &sku.processor,
            sku.processors,
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
