//! Several variants of a role: wishes by SKU, and a limiter that shares out the GPUs that are left.

use bevy_ecs::component::Component;
use fleetsim::autoscale::policies::SaturationV2;
use fleetsim::autoscale::{
    Decision, DesiredInstances, InstanceSnapshot, Load, Policy, PolicyRegistry, RoleSnapshot,
    Signals, Variant,
};
use fleetsim::fleet::{InstanceAccount, InstanceStatus, check_invariants};
use fleetsim::serving::Role::Mixed;
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::*;

/// Wants, from each of these seconds on, a number of instances on each SKU; with `spare` the limiter shares out.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct BySku {
    wants: Vec<(f64, Vec<(usize, u32)>)>,
    spare: Option<f64>,
}

impl Policy for BySku {
    const NAME: &'static str = "BySku";
    const SUMMARY: &'static str = "what the test says";

    fn interval(&self) -> SimDuration {
        seconds(10.0)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        let now = signals.now().seconds();
        if let Some((_, counts)) = self.wants.iter().rev().find(|(from, _)| *from <= now) {
            desired.on_skus(Mixed, counts.clone(), "told");
            if let Some(spare) = self.spare {
                desired.claim(Mixed, spare);
            }
        }
    }
}

fn run(text: &str) -> (Vec<Decision>, Vec<InstanceAccount>) {
    let mut registry = PolicyRegistry::built_in();
    registry.register::<BySku>();
    let mut simulation = Simulation::with_policies(&checked(text), &registry).unwrap();
    let mut decisions = Vec::new();
    loop {
        let more = simulation.tick().unwrap();
        check_invariants(simulation.world_mut()).unwrap();
        decisions.extend(simulation.take_decisions());
        if !more {
            break;
        }
    }
    (decisions, simulation.finish().ledger.instances().to_vec())
}

/// An application without requests; `fields` are its own.
fn application(name: &str, start: &str, fields: &str) -> String {
    format!(
        r#"(
            name: "{name}", model: "llama2-70b",
            instances: [(role: Mixed, start: {start})],
            scaling: (scale_up_delay: 5, drain: OnIdle),
            {fields},
            workload: Synthetic(
                arrivals: Constant(rate: 1), requests: 1,
                prompt_tokens: Constant(100), output_tokens: Constant(10),
            ),
        )"#
    )
}

fn fleet(skus: &str, applications: &[String]) -> String {
    let applications = applications.join(",");
    format!(r#"(name: "variants", end: 100, fleet: [{skus}], applications: [{applications}])"#)
}

const TWO: &str = r#"(sku: "dgx-h100", count: 2, limit: 6), (sku: "dgx-a100", count: 1, limit: 3)"#;

/// How many instances on each of two SKUs there are at an instant.
fn there(accounts: &[InstanceAccount], time: f64) -> [usize; 2] {
    [0, 1].map(|sku| {
        let of = accounts
            .iter()
            .filter(|it| it.sku == sku && it.created <= at(time));
        of.filter(|it| it.gone.is_none_or(|gone| gone > at(time)))
            .count()
    })
}

#[test]
fn a_wish_by_sku_grows_one_and_shrinks_the_other() {
    let policy = "autoscaler: BySku(wants: [(20, [(0, 1), (1, 3)]), (50, [(0, 4), (1, 0)])])";
    let (decisions, accounts) = run(&fleet(TWO, &[application("chat", "AllServers", policy)]));
    assert_eq!(there(&accounts, 10.0), [2, 1]);
    assert_eq!(there(&accounts, 40.0), [1, 3]);
    assert_eq!(there(&accounts, 90.0), [4, 0]);
    assert_eq!(
        changes(&decisions),
        ["20: 4 +2 ~0 -1 !0", "50: 4 +3 ~0 -3 !0"]
    );
}

#[test]
fn limits_of_the_actuator_hold_for_the_sum_of_all_skus() {
    let fields = "autoscaler: BySku(wants: [(20, [(0, 4), (1, 3)])]), actuator: (max_up: 2)";
    let (decisions, _) = run(&fleet(TWO, &[application("chat", "AllServers", fields)]));
    assert_eq!(changes(&decisions)[0], "20: 7 +2 ~0 -0 !2");
    let fields = "autoscaler: BySku(wants: [(20, [(0, 0), (1, 0)])]), actuator: (mixed: (min: 2))";
    let (decisions, accounts) = run(&fleet(TWO, &[application("chat", "AllServers", fields)]));
    assert_eq!(
        there(&accounts, 90.0).iter().sum::<usize>(),
        2,
        "{decisions:?}"
    );
}

#[test]
fn a_sku_without_room_refuses_and_the_other_is_not_taken() {
    let policy = "autoscaler: BySku(wants: [(20, [(0, 2), (1, 9)])])";
    let (decisions, accounts) = run(&fleet(TWO, &[application("chat", "AllServers", policy)]));
    assert_eq!(there(&accounts, 90.0), [2, 3]);
    assert_eq!(changes(&decisions)[0], "20: 11 +2 ~0 -0 !6");
}

#[test]
fn the_limiter_serves_the_application_with_less_to_spare_first() {
    let of = |name, spare: &str| {
        let policy = format!("autoscaler: BySku(wants: [(20, [(0, 4)])], {spare})");
        application(name, "Servers(1)", &policy)
    };
    let started = |first: &str, second: &str| {
        let skus = r#"(sku: "dgx-h100", count: 2, limit: 6)"#;
        let (_, accounts) = run(&fleet(skus, &[of("first", first), of("second", second)]));
        [0, 1].map(|place| {
            let of = accounts.iter().filter(|it| it.application == place);
            of.filter(|it| it.created == at(20.0)).count()
        })
    };
    // There are four more, and each wants three.
    assert_eq!(started("spare: None", "spare: None"), [3, 1]);
    assert_eq!(started("spare: 0.3", "spare: 0.1"), [1, 3]);
    assert_eq!(started("spare: 0.1", "spare: 0.3"), [3, 1]);
}

/// The loads of instances on two SKUs, the second at twice the price.
fn two_variants(loads: &[(usize, u64)]) -> Signals {
    let load = |tokens| Load {
        kv_used: tokens,
        kv: 100_000,
        ..Load::ZERO
    };
    let mut sum = Load::ZERO;
    loads.iter().for_each(|it| sum += load(it.1));
    let instances = loads
        .iter()
        .zip(0..)
        .map(|(&(sku, tokens), number)| InstanceSnapshot {
            number,
            status: InstanceStatus::Active,
            sku,
            load: load(tokens),
        });
    let variant = |sku, price_per_hour| Variant {
        sku,
        price_per_hour,
        starting: 0,
        active: loads.iter().filter(|it| it.0 == sku).count() as u32,
    };
    let of = RoleSnapshot {
        kv_bytes_per_token: 1,
        instances: instances.collect(),
        variants: vec![variant(0, 10.0), variant(1, 20.0)],
        ..role(Mixed, loads.len() as u32, sum)
    };
    seen(30.0, vec![of])
}

#[test]
fn the_cheapest_tokens_are_added_and_the_dearest_removed() {
    let wanted = |loads: &[(usize, u64)]| {
        let desired = decide(&mut SaturationV2::default(), &two_variants(loads));
        desired.skus(Mixed).unwrap().to_vec()
    };
    // 80,000 tokens each.
    assert_eq!(wanted(&[(0, 75_000), (1, 75_000)]), [(0, 2), (1, 1)]);
    assert_eq!(wanted(&[(0, 10_000), (1, 10_000)]), [(0, 1), (1, 0)]);
    // Two can go: the dear one, and one of two cheap ones.
    assert_eq!(
        wanted(&[(0, 10_000), (0, 10_000), (1, 10_000)]),
        [(0, 1), (1, 0)]
    );
}
