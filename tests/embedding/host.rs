//! A host's scenario and shorthand.

use bevy_ecs::prelude::*;
use fleetsim::autoscale::PolicyRegistry;
use fleetsim::fleet::{self, FleetWorldExt, ScalingExt, Service};
use fleetsim::observe;
use fleetsim::scenario::CheckedScenario;
use fleetsim::time::SimTime;
use fleetsim::workload::Arrival;

/// A fleet that only its host uses and scales: up to eight servers, of which `count` are there.
pub(crate) fn hosted(count: u32, rest: &str) -> CheckedScenario {
    scenario(count, &format!("workload: Host, {rest}"))
}

/// The same with a workload and the other fields of an application.
pub(crate) fn scenario(count: u32, application: &str) -> CheckedScenario {
    let start = if count == 0 { "None" } else { "AllServers" };
    let text = format!(
        r#"(
            name: "hosted",
            sample_interval: 10.0,
            fleet: [(sku: "dgx-h100", count: {count}, limit: 8, provision_delay: Constant(5.0))],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: Jsq,
                instances: [(role: Mixed, start: {start})],
                scaling: (spin_up: Constant(2.0), scale_up_delay: 5.0, drain: OnIdle),
                {application}
            )],
        )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|it| panic!("{it}"))
}

pub(crate) fn embed(checked: &CheckedScenario) -> World {
    let mut world = World::new();
    fleet::install(&mut world, checked).unwrap();
    world
}

/// The fleet with policies and recorders, as a simulation has it.
pub(crate) fn embed_all(checked: &CheckedScenario) -> World {
    let mut world = embed(checked);
    PolicyRegistry::built_in()
        .install(&mut world, checked)
        .unwrap();
    let scenario = checked.scenario();
    let slo: Vec<_> = scenario.applications.iter().map(|it| it.slo).collect();
    observe::install(&mut world, &slo, scenario.sample_interval);
    world
}

pub(crate) fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).unwrap()
}

pub(crate) fn request(id: u64, time: f64) -> Arrival {
    Arrival {
        id,
        time: at(time),
        prompt_tokens: 500,
        output_tokens: 200,
        details: None,
    }
}

pub(crate) trait Host {
    fn chat(&self) -> Entity;
    fn service(&self) -> &Service;
    fn service_mut(&mut self) -> Mut<'_, Service>;
    fn until(&mut self, seconds: f64);
}

impl Host for World {
    fn chat(&self) -> Entity {
        self.application("chat").unwrap()
    }

    fn service(&self) -> &Service {
        self.get(self.chat()).unwrap()
    }

    fn service_mut(&mut self) -> Mut<'_, Service> {
        let chat = self.chat();
        self.get_mut(chat).unwrap()
    }

    fn until(&mut self, seconds: f64) {
        self.run_until(at(seconds)).unwrap();
        fleet::check_invariants(self).unwrap();
        self.service().recount().unwrap();
    }
}
