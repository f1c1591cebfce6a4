//! Small fleets to try things on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use fleetsim::catalog::{Catalog, Model, Processor, Sku};
use fleetsim::fleet::{
    self, FleetWorldExt, FleetsExt, Instance, InstanceStatus, ScaleUpFull, ScaleUpInstance,
    ScalingExt, ScalingLog, Server, Service, check_invariants,
};
use fleetsim::scenario::{CheckedScenario, Scenario};
use fleetsim::serving::Role;
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;
use ron::extensions::Extensions;

/// Two SKUs: `big` with eight processors and `small` with two, of 80 GB and 100 W each.
fn catalog() -> Catalog {
    let sku = |name: &str, processors: u32| {
        let sku = Sku {
            name: name.to_owned(),
            processor: "gpu".to_owned(),
            processors,
            machines: 1,
            max_power_w: Some(f64::from(processors) * 100.0),
            ..Sku::default()
        };
        (name.to_owned(), Arc::new(sku))
    };
    let processor = Processor {
        name: "gpu".to_owned(),
        memory_bytes: 80_000_000_000,
        ..Processor::default()
    };
    let model = Model {
        name: "model".to_owned(),
        layers: 1,
        hidden_size: 1,
        weights_bytes: 1_000,
        ..Model::default()
    };
    Catalog {
        skus: BTreeMap::from([sku("big", 8), sku("small", 2)]),
        processors: BTreeMap::from([("gpu".to_owned(), Arc::new(processor))]),
        models: BTreeMap::from([("model".to_owned(), Arc::new(model))]),
        ..Catalog::default()
    }
}

/// What differs from fleet to fleet, as RON.
pub(crate) struct Setup<'a> {
    pub(crate) fleet: &'a str,
    pub(crate) start: &'a str,
    pub(crate) scaling: &'a str,
    pub(crate) actions: &'a str,
    pub(crate) faults: &'a str,
    pub(crate) rest: &'a str,
}

impl Default for Setup<'_> {
    /// One `big` server with two instances, up to ten of it, and no delays.
    fn default() -> Self {
        Self {
            fleet: r#"[(sku: "big", count: 1, limit: 10), (sku: "small", limit: 9)]"#,
            start: "AllServers",
            scaling: "(scale_up_delay: 0)",
            actions: "[]",
            faults: "[]",
            rest: "",
        }
    }
}

impl Setup<'_> {
    /// One application `app`: instances of four processors that take a second a token. The test is its
    /// autoscaler.
    pub(crate) fn scenario(&self) -> CheckedScenario {
        let Self {
            fleet,
            start,
            scaling,
            actions,
            faults,
            rest,
        } = self;
        let text = format!(
            r#"(
                name: "test", fleet: {fleet}, actions: {actions}, faults: {faults},
                applications: [(
                    name: "app", model: "model", scheduler: Jsq,
                    performance: Constant(prompt_time: 1, token_time: 1),
                    instances: [(role: Mixed, engine: Fcfs, tensor_parallelism: 4, start: {start})],
                    scaling: {scaling}, autoscaler: Host,
                    workload: Synthetic(
                        arrivals: Constant(rate: 1), prompt_tokens: Constant(1),
                        output_tokens: Constant(1), requests: 0,
                    ),
                )],
                {rest}
            )"#
        );
        let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
        let scenario: Scenario = options
            .from_str(&text)
            .expect("the test's scenario is valid");
        CheckedScenario::new(scenario, catalog(), PathBuf::new())
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A fork of a world that was made so, and one that its snapshot restores.
    pub(crate) fn copies_of(&self, world: &World) -> [World; 2] {
        let fork = fleet::fork(world).unwrap();
        let mut bytes = Vec::new();
        fleet::save(world, &mut bytes).unwrap();
        let mut restored = self.world();
        fleet::restore(&mut restored, &*bytes).unwrap();
        check_invariants(&mut restored).unwrap();
        [fork, restored]
    }

    pub(crate) fn world(&self) -> World {
        let mut world = World::new();
        fleet::install(&mut world, &self.scenario()).unwrap();
        check_invariants(&mut world).unwrap();
        world
    }
}

pub(crate) fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).unwrap()
}

/// Shorthand for what tests do all the time.
pub(crate) trait WorldTestExt {
    /// Runs until then, checking every invariant after each tick on the way.
    fn until(&mut self, seconds: f64);
    fn app(&self) -> Entity;
    fn up(&self) -> ScaleUpFull;
    fn up_on(&self, server: Entity) -> ScaleUpInstance;
    fn status(&self, instance: Entity) -> Option<InstanceStatus>;
    /// A request that keeps an instance busy for this many seconds.
    fn submit(&mut self, seconds: u32);
    /// How many entities have a component.
    fn count<C: Component>(&mut self) -> usize;
    /// The scaling log so far, `time action target status`.
    fn log(&self) -> Vec<String>;
    fn number(&self, entity: Entity) -> u64;
}

impl WorldTestExt for World {
    fn until(&mut self, seconds: f64) {
        let end = at(seconds);
        while self.now() < end {
            self.resource_mut::<fleet::TickLimits>().horizon = end;
            self.tick().unwrap();
            check_invariants(self).unwrap();
        }
        self.run_until(end).unwrap();
        self.resource_mut::<fleet::TickLimits>().horizon = SimTime::MAX;
        check_invariants(self).unwrap();
    }

    fn app(&self) -> Entity {
        self.application("app").unwrap()
    }

    fn up(&self) -> ScaleUpFull {
        ScaleUpFull::new(self.app(), Role::Mixed)
    }

    fn up_on(&self, server: Entity) -> ScaleUpInstance {
        ScaleUpInstance::new(self.app(), Role::Mixed, server)
    }

    fn status(&self, instance: Entity) -> Option<InstanceStatus> {
        self.get(instance).copied()
    }

    fn submit(&mut self, seconds: u32) {
        let (time, app) = (self.now(), self.app());
        let mut service = self.get_mut::<Service>(app).unwrap();
        let mut arrival = Arrival {
            id: service.counts().arrived,
            time,
            prompt_tokens: 1,
            output_tokens: seconds,
            details: None,
        };
        while service.submit(arrival.clone()).is_err() {
            arrival.id += 1;
        }
    }

    fn count<C: Component>(&mut self) -> usize {
        self.query_filtered::<Entity, With<C>>().iter(self).count()
    }

    fn log(&self) -> Vec<String> {
        let line = |it: &fleet::ScalingEvent| {
            let action = it.action.name();
            format!("{} {action} {} {}", it.time, it.target, it.status)
        };
        let log = self.fleet::<ScalingLog>();
        log.events().iter().map(line).collect()
    }

    fn number(&self, entity: Entity) -> u64 {
        let instance = self.get::<Instance>(entity).map(Instance::number);
        let server = self.get::<Server>(entity).map(Server::number);
        instance.or(server).unwrap()
    }
}

/// What `check` says of a scenario: warnings, or what is wrong.
pub(crate) fn said_of(text: &str) -> String {
    match CheckedScenario::from_ron(text, ".".as_ref()) {
        Ok(checked) => checked.warnings().to_string(),
        Err(problems) => problems.to_string(),
    }
}
