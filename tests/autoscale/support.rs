//! Signals made by hand, and a policy that does what a test says.

use std::collections::BTreeMap;

use bevy_ecs::component::Component;
use fleetsim::autoscale::{
    Completion, Decision, DesiredInstances, Load, Policy, PolicyRegistry, RoleSnapshot, Signals,
    Snapshot,
};
use fleetsim::fleet::check_invariants;
use fleetsim::scenario::{CheckedScenario, Diagnostics};
use fleetsim::serving::Role;
use fleetsim::simulation::Simulation;
use fleetsim::time::{SimDuration, SimTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) fn at(seconds: f64) -> SimTime {
    SimTime::new(seconds).unwrap()
}

pub(crate) fn seconds(seconds: f64) -> SimDuration {
    SimDuration::new(seconds).unwrap()
}

/// A role of so many active instances with this load altogether.
pub(crate) fn role(role: Role, active: u32, load: Load) -> RoleSnapshot {
    RoleSnapshot {
        active,
        load,
        ..RoleSnapshot::new(role)
    }
}

/// What is seen at `now`, 30 s after nothing at all.
pub(crate) fn seen(now: f64, roles: Vec<RoleSnapshot>) -> Signals {
    seen_with(now, roles, 0)
}

/// The same, with so many requests with prompts of 1,000 tokens.
fn seen_with(now: f64, roles: Vec<RoleSnapshot>, arrived: u64) -> Signals {
    let mut signals = Signals::new(seconds(30.0), SimDuration::ZERO);
    signals.scrape(Snapshot {
        time: at(now - 30.0),
        roles: roles.iter().map(|it| RoleSnapshot::new(it.role)).collect(),
        ..Snapshot::default()
    });
    signals.scrape(Snapshot {
        time: at(now),
        arrived,
        arrived_prompt_tokens: 1000 * arrived,
        roles,
        ..Snapshot::default()
    });
    assert!(signals.look(at(now)));
    signals
}

/// The same, with one request completed that had these latencies.
pub(crate) fn with_latency(now: f64, roles: Vec<RoleSnapshot>, ttft: f64, tbt: f64) -> Signals {
    let mut signals = seen_with(now, roles, 1);
    let (end, e2e) = (at(now), 1.0);
    signals.complete(Completion {
        end,
        ttft,
        tbt,
        e2e,
        prompt_tokens: 1000,
        output_tokens: 200,
    });
    signals
}

/// A policy with some of its parameters set.
pub(crate) fn tuned<P>(mut policy: P, set: impl FnOnce(&mut P)) -> P {
    set(&mut policy);
    policy
}

pub(crate) fn decide(policy: &mut impl Policy, signals: &Signals) -> DesiredInstances {
    let mut desired = DesiredInstances::default();
    policy.decide(signals, &mut desired);
    desired
}

/// Wants, from each of these seconds on, so many instances of each role.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Told {
    wants: Vec<(f64, u32)>,
}

impl Policy for Told {
    const NAME: &'static str = "Told";
    const SUMMARY: &'static str = "what the test says";
    const WAKES: bool = false;

    fn interval(&self) -> SimDuration {
        seconds(10.0)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now().seconds();
        if let Some(&(_, count)) = self.wants.iter().rev().find(|(from, _)| *from <= now) {
            for of in signals.roles() {
                desired.exactly(of.role, count, "told");
            }
        }
    }
}

pub(crate) fn registry() -> PolicyRegistry {
    let mut registry = PolicyRegistry::built_in();
    registry.register::<Told>();
    registry
}

/// A chat service on `dgx-h100` servers that runs for 200 s; `fields` are the application's own.
pub(crate) fn scenario(fleet: &str, fields: &str) -> Result<CheckedScenario, Diagnostics> {
    scenario_of(fleet, "start: AllServers", fields)
}

/// The same; `template` are the fields of its instances' template.
pub(crate) fn scenario_of(
    fleet: &str,
    template: &str,
    fields: &str,
) -> Result<CheckedScenario, Diagnostics> {
    let text = format!(
        r#"(
    name: "test",
    end: 200,
    fleet: [{fleet}],
    applications: [(
        name: "chat",
        model: "llama2-70b",
        instances: [(role: Mixed, {template})],
        scaling: (scale_up_delay: 25),
        {fields},
        workload: Synthetic(
            arrivals: Constant(rate: 2),
            prompt_tokens: Constant(500),
            output_tokens: Constant(50),
            window: (0, 150),
        ),
    )],
)"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref())
}

pub(crate) fn checked(text: &str) -> CheckedScenario {
    CheckedScenario::from_ron(text, ".".as_ref()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// Runs it, checking every invariant after every tick, and returns what was decided.
pub(crate) fn decisions(checked: &CheckedScenario) -> (Vec<Decision>, BTreeMap<String, u64>) {
    let mut simulation = Simulation::with_policies(checked, &registry()).unwrap();
    let mut decisions = Vec::new();
    loop {
        let more = simulation.tick().unwrap();
        check_invariants(simulation.world_mut()).unwrap();
        decisions.extend(simulation.take_decisions());
        if !more {
            break;
        }
    }
    let mut log = BTreeMap::new();
    for event in simulation.take_scaling() {
        *log.entry(event.action.name().to_owned()).or_default() += 1;
    }
    (decisions, log)
}

/// `time: desired started cancelled drained refused` of each decision that changed or refused
/// something.
pub(crate) fn changes(decisions: &[Decision]) -> Vec<String> {
    let changed = decisions
        .iter()
        .filter(|it| it.started + it.cancelled + it.drained + it.refused > 0);
    changed
        .map(|it| {
            format!(
                "{}: {} +{} ~{} -{} !{}",
                it.time, it.desired, it.started, it.cancelled, it.drained, it.refused
            )
        })
        .collect()
}
