//! What is done about a wish.

use std::sync::Arc;

use fleetsim::catalog::Catalog;
use fleetsim::fleet::{
    FleetWorldExt, FleetsExt, InstanceStatus, Ledger, ScalingExt, Service, check_invariants,
};
use fleetsim::scenario::{CheckedScenario, Fault, FaultKind, Victim};
use fleetsim::simulation::Simulation;
use fleetsim::workload::Arrival;

use crate::support::*;

const FLEET: &str = r#"(sku: "dgx-h100", count: 2, limit: 6)"#;

fn told(wants: &str, actuator: &str) -> Vec<String> {
    let fields = format!("autoscaler: Told(wants: {wants}), actuator: ({actuator})");
    let checked = scenario(FLEET, &fields).unwrap_or_else(|problems| panic!("{problems}"));
    changes(&decisions(&checked).0)
}

#[test]
fn start_ups_are_given_up_before_actives_are_drained() {
    // Ordered at 10 s, they are active at 35 s.
    let changes = told("[(10, 5), (20, 1)]", "");
    assert_eq!(changes, ["10: 5 +3 ~0 -0 !0", "20: 1 +0 ~3 -1 !0"]);
    let changes = told("[(10, 5), (40, 2)]", "");
    assert_eq!(changes, ["10: 5 +3 ~0 -0 !0", "40: 2 +0 ~0 -3 !0"]);
}

#[test]
fn limits_hold_and_refusals_are_written_down() {
    let changes = told("[(10, 0), (20, 9), (30, 3)]", "mixed: (min: 2, max: 3)");
    assert_eq!(
        changes,
        ["10: 0 +0 ~0 -0 !2", "20: 9 +1 ~0 -0 !6"],
        "of nine, one is added and six are not"
    );
    // The fleet itself ends at six servers.
    let changes = told("[(10, 9), (20, 6)]", "");
    assert_eq!(changes, ["10: 9 +4 ~0 -0 !3"]);
}

#[test]
fn the_fleets_limit_is_given_as_the_reason() {
    let checked = scenario(FLEET, "autoscaler: Told(wants: [(10, 9), (20, 6)])").unwrap();
    let (decisions, log) = decisions(&checked);
    assert_eq!(
        decisions[0].reason,
        "told; the fleet already has its limit of 6 servers of \"dgx-h100\": remove one first, or raise `limit`"
    );
    assert_eq!(log["scale_up_failed"], 1);
}

#[test]
fn with_a_minimum_of_zero_everything_may_go_and_come_back() {
    let changes = told("[(10, 0), (40, 2), (100, 0)]", "mixed: (min: 0)");
    assert_eq!(
        changes,
        [
            "10: 0 +0 ~0 -2 !0",
            "40: 2 +2 ~0 -0 !0",
            "100: 0 +0 ~0 -2 !0"
        ]
    );
}

#[test]
fn cooldowns_and_steps_spread_a_change() {
    let changes = told("[(10, 5)]", "max_up: 1, up_cooldown: 20");
    assert_eq!(
        changes,
        [
            "10: 5 +1 ~0 -0 !2",
            "20: 5 +0 ~0 -0 !2",
            "30: 5 +1 ~0 -0 !1",
            "40: 5 +0 ~0 -0 !1",
            "50: 5 +1 ~0 -0 !0",
        ]
    );
    let changes = told("[(10, 4), (20, 1)]", "max_down: 2, down_cooldown: 20");
    assert_eq!(
        changes,
        [
            "10: 4 +2 ~0 -0 !0",
            "20: 1 +0 ~0 -0 !3",
            "30: 1 +0 ~2 -0 !1",
            "40: 1 +0 ~0 -0 !1",
            "50: 1 +0 ~0 -1 !0",
        ]
    );
}

/// The instance that goes when one of three does, and the one that has the least to do.
fn victim(victim: Victim) -> (u64, u64) {
    let mut catalog = Catalog::built_in();
    for (name, price) in [("dgx-a100", 9.0), ("dgx-h100", 1.0)] {
        let sku = catalog.skus.get_mut(name).unwrap();
        Arc::make_mut(sku).price_per_hour = Some(price);
    }
    let fleet = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100", count: 2)"#;
    let fields = "scheduler: RoundRobin, autoscaler: Told(wants: [(10, 2)])";
    let mut scenario = scenario(fleet, fields).unwrap().scenario().clone();
    scenario.applications[0].actuator.victim = victim;
    let checked = CheckedScenario::new(scenario, catalog, ".").unwrap();
    let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
    let world = simulation.world_mut();
    world.run_until(at(9.9)).unwrap();
    let chat = world.application("chat").unwrap();
    // In turn: of these, the second goes to the instance after the next.
    let mut service = world.get_mut::<Service>(chat).unwrap();
    let least = (service.counts().arrived + 1) % 3;
    for (id, output_tokens) in [(900, 1000), (901, 1), (902, 1000)] {
        let arrival = Arrival {
            id,
            time: at(9.9),
            prompt_tokens: 2000,
            output_tokens,
            details: None,
        };
        service.submit(arrival).unwrap();
    }
    world.run_until(at(10.0)).unwrap();
    let accounts = world.fleet::<Ledger>().instances();
    let gone = accounts
        .iter()
        .position(|it| it.status() != InstanceStatus::Active);
    (gone.unwrap() as u64, least)
}

#[test]
fn the_least_loaded_goes_first_unless_another_is_asked_for() {
    let (gone, least) = victim(Victim::LeastLoaded);
    assert_eq!(gone, least);
    assert_eq!(victim(Victim::Newest).0, 2);
    assert_eq!(victim(Victim::Costliest).0, 0, "the only dgx-a100");
}

#[test]
fn new_servers_are_of_the_sku_that_was_asked_for() {
    let fleet = r#"(sku: "dgx-a100", count: 1, limit: 2), (sku: "dgx-h100", limit: 9)"#;
    let skus = |choice: &str| {
        let fields = format!("autoscaler: Told(wants: [(10, 4)]), actuator: (sku: {choice})");
        let checked = scenario(fleet, &fields).unwrap_or_else(|problems| panic!("{problems}"));
        let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
        while simulation.tick().unwrap() {}
        let ledger = simulation.world().fleet::<Ledger>();
        let sku = |it: &fleetsim::fleet::InstanceAccount| it.sku;
        ledger.instances().iter().map(sku).collect::<Vec<_>>()
    };
    // The first has room for one more only.
    assert_eq!(skus("First"), [0, 0, 1, 1]);
    assert_eq!(skus("Fastest"), [0, 1, 1, 1]);
    assert_eq!(skus("Named(\"dgx-h100\")"), [0, 1, 1, 1]);
    assert_eq!(skus("Named(\"dgx-a100\")"), [0, 0]);
}

/// The servers of all instances there ever were, in the order of their creation.
fn servers(fleet: &str, template: &str, wants: &str, actuator: &str) -> Vec<u64> {
    let fields = format!("autoscaler: Told(wants: {wants}), actuator: ({actuator})");
    let checked = scenario_of(fleet, template, &fields).unwrap();
    let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
    while simulation.tick().unwrap() {
        check_invariants(simulation.world_mut()).unwrap();
    }
    let ledger = simulation.world().fleet::<Ledger>();
    ledger.instances().iter().map(|it| it.server).collect()
}

#[test]
fn servers_that_are_there_and_idle_come_before_new_ones() {
    let idle = r#"(sku: "dgx-h100", count: 3, limit: 4)"#;
    let on = servers(idle, "start: Servers(1)", "[(10, 5)]", "");
    assert_eq!(on, [0, 1, 2, 3]);
    let mixed = r#"(sku: "dgx-a100", count: 2, limit: 2), (sku: "dgx-h100", limit: 2)"#;
    let on = |sku: &str| servers(mixed, "start: Servers(1)", "[(10, 3)]", sku);
    assert_eq!(on(""), [0, 1, 2]);
    assert_eq!(on("sku: Fastest"), [0, 1, 2]);
    assert_eq!(on("sku: Named(\"dgx-h100\")"), [0, 2, 3]);
}

#[test]
fn the_rest_of_a_server_is_used_be_it_there_or_on_its_way() {
    let fleet = r#"(sku: "dgx-h100", count: 1, limit: 4, provision_delay: Constant(30))"#;
    let halves = "tensor_parallelism: 4, start: Servers(1)";
    let on = servers(fleet, halves, "[(10, 5), (20, 7)]", "");
    assert_eq!(on, [0, 0, 1, 1, 2, 2, 3]);
    // One that drained leaves half of a server that is there, and that comes before the one on its way.
    let on = servers(
        fleet,
        halves,
        "[(10, 1), (60, 3), (70, 4)]",
        "victim: Newest",
    );
    assert_eq!(on, [0, 0, 0, 1, 1]);
}

/// The SKUs of the servers that there were, in the order of creation.
fn bought(fleet: &str, rest: &str) -> (Vec<usize>, Vec<String>) {
    let fields = format!("{rest} autoscaler: Told(wants: [(10, 5), (20, 1), (60, 8)])");
    let checked = scenario(fleet, &fields).unwrap_or_else(|problems| panic!("{problems}"));
    let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
    let mut reasons = Vec::new();
    while simulation.tick().unwrap() {
        reasons.extend(simulation.take_decisions().into_iter().map(|it| it.reason));
    }
    let servers = simulation.finish().ledger;
    (servers.servers().iter().map(|it| it.sku).collect(), reasons)
}

#[test]
fn what_is_sold_out_is_bought_elsewhere() {
    // Two servers at first. At 10 s three more are wanted, at 60 s eight in all of the one that is left.
    let fleet = r#"(sku: "dgx-h100", count: 2, limit: 9, available: [(0, 3), (50, 9)]), (sku: "dgx-a100", limit: 2)"#;
    let (alone, reasons) = bought(fleet, "");
    assert_eq!(alone[..3], [0, 0, 0]);
    assert_eq!(
        reasons[0],
        "told; only 3 servers of \"dgx-h100\" can be had now: try again later, or use another SKU"
    );
    assert!(alone.iter().all(|&sku| sku == 0));
    let fall_back = r#"actuator: (sku: FallBack(["dgx-h100", "dgx-a100"])),"#;
    let (both, _) = bought(fleet, fall_back);
    assert_eq!(both[..5], [0, 0, 0, 1, 1]);
    assert!(both[5..].iter().all(|&sku| sku == 0), "{both:?}");
    let other_way = r#"actuator: (sku: FallBack(["dgx-a100", "dgx-h100"])),"#;
    assert_eq!(bought(fleet, other_way).0[..5], [0, 0, 1, 1, 0]);
    // What is wrong is said.
    let said = |fleet: &str, sku: &str| {
        let fields = format!("autoscaler: Told(), actuator: (sku: FallBack([{sku}]))");
        scenario(fleet, &fields).unwrap_err().to_string()
    };
    assert!(said(fleet, "").contains("nothing to fall back on"));
    assert!(said(fleet, r#""dgx-b100""#).contains("unknown SKU of the fleet"));
    assert!(said(fleet, r#""dgx-a100", "dgx-a100""#).contains("is in the list already"));
    let falling = r#"(sku: "dgx-h100", count: 2, available: [(9, 3), (9, 9)])"#;
    assert!(said(falling, r#""dgx-h100""#).contains("9 s does not come after 9 s"));
}

#[test]
fn what_is_missing_from_the_minimum_is_restored() {
    // From the start, although the policy says nothing and a cool-down would hold.
    let changes_of = |fields: &str| changes(&decisions(&scenario(FLEET, fields).unwrap()).0);
    let fields = "autoscaler: Told(), actuator: (mixed: (min: 4), max_up: 1, up_cooldown: 99)";
    assert_eq!(changes_of(fields), ["10: 4 +2 ~0 -0 !0"]);
    // And after a crash.
    let mut crash = scenario(FLEET, "autoscaler: Told(), actuator: (mixed: (min: 2))")
        .unwrap()
        .scenario()
        .clone();
    crash.faults.push(Fault {
        at: at(25.0),
        fault: FaultKind::InstanceCrash {
            instance: 0,
            restart: false,
        },
    });
    let checked = CheckedScenario::new(crash, Catalog::built_in(), ".").unwrap();
    let (decisions, _) = decisions(&checked);
    assert_eq!(changes(&decisions), ["30: 2 +1 ~0 -0 !0"]);
    assert_eq!(
        decisions[0].reason,
        "nothing was said of it; fewer than the minimum of 2"
    );
    // A policy that asks for even fewer is told so.
    let changes = told("[(10, 1)]", "mixed: (min: 3)");
    assert_eq!(changes[0], "10: 3 +1 ~0 -0 !0");
}
