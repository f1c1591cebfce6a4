//! SKUs chosen by whether they keep an objective, and by price.

use bevy_ecs::component::Component;
use fleetsim::autoscale::{DesiredInstances, Policy, PolicyRegistry, Signals};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::*;

/// The SKU of the server that the first wish takes, and the reason in the log. Servers of A100s cost 14.75 dollars an
/// hour and do about half of what those of H100s do for 39.33.
fn added(fleet: &str, fields: &str) -> (usize, String) {
    let fields = format!("autoscaler: Told(wants: [(10, 2)]), {fields}");
    let checked = scenario(fleet, &fields).unwrap_or_else(|problems| panic!("{problems}"));
    let mut simulation = Simulation::with_policies(&checked, &registry())
        .unwrap_or_else(|problems| panic!("{problems}"));
    let mut reasons = Vec::new();
    while simulation.tick().unwrap() {
        reasons.extend(simulation.take_decisions().into_iter().map(|it| it.reason));
    }
    let servers = simulation.finish().ledger;
    (servers.servers()[1].sku, reasons[0].clone())
}

const BOTH: &str = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100")"#;

const CHOICE: &str = "actuator: (sku: CheapestThatMeets())";

#[test]
fn the_cheaper_server_is_chosen_where_it_keeps_the_objective() {
    let sku = |slo: &str, fleet: &str| added(fleet, &format!("slo: ({slo}), {CHOICE}"));
    // A prompt of 1,024 tokens takes about twice as long on an A100.
    assert_eq!(sku("ttft: 0.5", BOTH), (0, "told".to_owned()));
    assert_eq!(sku("ttft: 0.25", BOTH), (1, "told".to_owned()));
    assert_eq!(sku("tbt: 0.05", BOTH), (1, "told".to_owned()));
    // What costs nothing more is the cheapest.
    let reserved = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100", purchase: [
        (option: Reserved, most: 1), (option: OnDemand)])"#;
    assert_eq!(sku("ttft: 0.5", reserved).0, 1);
    // Cheap enough on the spot market.
    let spot = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100", purchase: [
        (option: Spot, price_per_hour: 20)])"#;
    assert_eq!(sku("ttft: 0.5", spot).0, 1);
}

#[test]
fn where_none_that_can_be_had_keeps_it_the_fastest_is_taken_and_told() {
    let sold_out = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100", available: [(0, 0)])"#;
    let fields = format!("slo: (ttft: 0.25), {CHOICE}");
    let told = "told; no SKU that can be had keeps the objective: the fastest";
    assert_eq!(added(sold_out, &fields), (0, told.to_owned()));
}

#[test]
fn a_full_quota_is_fallen_back_from() {
    let fleet = r#"(sku: "dgx-h100", count: 1), (sku: "dgx-a100")"#;
    let quotas = r#"quotas: [(name: "q", skus: ["dgx-h100"], processors: 8)],"#;
    let fields = r#"autoscaler: Told(wants: [(10, 3)]), actuator: (sku: FallBack(["dgx-h100", "dgx-a100"]))"#;
    let checked = scenario(fleet, fields).unwrap();
    let text = checked
        .text()
        .unwrap()
        .replacen("fleet:", &format!("{quotas} fleet:"), 1);
    let checked = registry()
        .from_ron(&text, ".".as_ref())
        .unwrap_or_else(|it| panic!("{it}"));
    let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
    while simulation.tick().unwrap() {}
    let servers = simulation.finish().ledger;
    let skus: Vec<usize> = servers.servers().iter().map(|it| it.sku).collect();
    assert_eq!(skus, [0, 1, 1]);
}

/// One request at a time: 0.5 s for its prompt and 10 × 0.05 s for the other tokens, so one a second flat out. At half
/// of that, prompts take a quarter of the time, and one waits 0.25 × 0.5 / (2 × 0.75) s on average.
#[test]
fn what_no_sku_keeps_is_refused_worked_by_hand() {
    let found = |slo: &str, choice: &str| {
        let fields = format!(
            "performance: Constant(prompt_time: 0.5, token_time: 0.05), slo: ({slo}),
             autoscaler: Told(), actuator: (sku: CheapestThatMeets({choice}))"
        );
        let template = "engine: Fcfs, start: AllServers";
        let checked = scenario_of(BOTH, template, &fields);
        let checked = checked.and_then(|it| registry().check(&it));
        checked.map_or_else(|found| found.to_string(), |_| String::new())
    };
    assert_eq!(found("ttft: 0.5834", "output_tokens: 11"), "");
    let refused = found("ttft: 0.5833", "output_tokens: 11");
    assert!(
        refused.contains(
            "on no SKU of the fleet `Mixed` instances keep the objective at a load of 0.5"
        )
    );
    assert_eq!(found("ttft: 0.5833", "output_tokens: 11, load: 0.49"), "");
    // Half of it, 0.5 s, is no iteration of a prompt.
    assert!(found("ttft: 0.5", "load: 0.01").contains("loosen the `slo`"));
    // At most 1 request a second for 10 tokens: the mean TBT is 0.1 s, also where one is alone.
    assert_eq!(found("tbt: 0.101", "output_tokens: 11"), "");
    assert!(found("tbt: 0.099", "output_tokens: 11").contains("loosen the `slo`"));
    let without = found("e2e: 9", "");
    assert!(
        without.contains("CheapestThatMeets needs an objective"),
        "{without}"
    );
}

#[test]
fn the_costliest_is_the_one_whose_going_saves_most() {
    let fleet = r#"(sku: "dgx-h100", count: 3, purchase: [
        (option: Spot, most: 1, price_per_hour: 30), (option: OnDemand, most: 1, price_per_hour: 90),
        (option: Reserved, most: 1, price_per_hour: 99),
    ])"#;
    let gone = |victim: &str| {
        let fields =
            format!("autoscaler: Told(wants: [(10, 2), (60, 1)]), actuator: (victim: {victim})");
        let checked = scenario(fleet, &fields).unwrap();
        let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
        while simulation.tick().unwrap() {}
        let servers = simulation.finish().ledger;
        let mut gone: Vec<_> = servers.servers().iter().enumerate().collect();
        gone.retain(|(_, it)| it.gone.is_some());
        gone.sort_by_key(|(_, it)| it.gone);
        gone.iter().map(|it| it.0).collect::<Vec<_>>()
    };
    assert_eq!(gone("Newest"), [2, 1]);
    assert_eq!(
        gone("Costliest"),
        [1, 0],
        "what is reserved is paid for all the same"
    );
}

/// Wants one instance more at each decision, and gives the prices that it sees as the reason.
#[derive(Component, Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Seen {}

impl Policy for Seen {
    const NAME: &'static str = "Seen";
    const SUMMARY: &'static str = "one more each time, with the prices as the reason";

    fn interval(&self) -> SimDuration {
        seconds(10.0)
    }

    fn decide(&mut self, signals: &Signals, desired: &mut DesiredInstances) {
        for of in signals.roles() {
            let prices: Vec<f64> = of.variants.iter().map(|it| it.price_per_hour).collect();
            desired.change(of.role, 1, format!("{prices:?}"));
        }
    }
}

#[test]
fn a_policy_sees_the_price_of_the_next_server() {
    let fleet = r#"(sku: "dgx-h100", count: 1, limit: 4, purchase: [
        (option: Reserved, most: 2, price_per_hour: 60), (option: Spot, most: 1, price_per_hour: 30),
        (option: OnDemand, price_per_hour: 90),
    ]), (sku: "dgx-a100", limit: 0)"#;
    let mut registry = PolicyRegistry::built_in();
    registry.register::<Seen>();
    let checked = scenario(fleet, "autoscaler: Seen()").unwrap();
    let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
    let mut reasons = Vec::new();
    while simulation.tick().unwrap() {
        reasons.extend(simulation.take_decisions().into_iter().map(|it| it.reason));
    }
    let expected = ["[0.0, 14.75]", "[30.0, 14.75]", "[90.0, 14.75]"];
    assert_eq!(reasons[..3], expected);
    assert!(reasons[3].starts_with("[90.0, 14.75]; the fleet already has its limit of 4"));
}
