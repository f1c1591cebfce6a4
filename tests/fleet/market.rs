//! Purchase options, billing, curves of what can be had by zone, quotas.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::observe::{self, PurchaseSummary, Summary};
use fleetsim::scenario::CheckedScenario;
use fleetsim::scenario::PurchaseOption::{self, OnDemand, Reserved, Spot};
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;

use crate::support::*;

const BOUGHT: &str = r#"[(sku: "big", count: 1, limit: 10, purchase: [
    (option: Reserved, most: 2, price_per_hour: 60),
    (option: OnDemand, most: 1, price_per_hour: 100),
    (option: Spot, price_per_hour: 30),
])]"#;

fn world(fleet: &str, rest: &str) -> World {
    let mut world = Setup {
        fleet,
        rest,
        ..Setup::default()
    }
    .world();
    observe::install(&mut world, &[], SimDuration::new(600.0).unwrap());
    world
}

fn option(world: &World, server: Entity) -> Option<PurchaseOption> {
    world.get::<Purchased>(server).map(Purchased::option)
}

fn add(world: &mut World) -> Entity {
    world.scale_up_server(None).unwrap()
}

fn refused(world: &mut World) -> String {
    world.scale_up_server(None).unwrap_err().to_string()
}

fn summary(world: &World) -> Summary {
    fleetsim::summarise(world).unwrap()
}

/// Hours that were paid for, dollars, unused hours and their dollars.
fn paid(of: &PurchaseSummary) -> (f64, f64, f64, f64) {
    let (cost, unused) = (of.cost.unwrap(), of.unused_cost.unwrap());
    (of.billed_hours, cost, of.unused_hours, unused)
}

#[test]
fn a_new_server_is_bought_in_the_first_way_with_room_and_gives_it_back() {
    let mut world = world(BOUGHT, "");
    let first = world.server(0).unwrap();
    let new: Vec<Entity> = (0..4).map(|_| add(&mut world)).collect();
    let options: Vec<_> = new.iter().map(|&it| option(&world, it).unwrap()).collect();
    assert_eq!(option(&world, first), Some(Reserved), "at time zero");
    assert_eq!(options, [Reserved, OnDemand, Spot, Spot]);
    let price = world.get::<Purchased>(new[1]).unwrap().price_per_hour();
    assert_eq!(price, Some(100.0));
    world.scale_down_server(new[1]).unwrap();
    world.scale_down_server(new[0]).unwrap();
    let again = [add(&mut world), add(&mut world)].map(|it| option(&world, it).unwrap());
    assert_eq!(again, [Reserved, OnDemand]);
    // A crash gives it back, too; a server under repair keeps it.
    world.despawn(first);
    let again = add(&mut world);
    assert_eq!(option(&world, again), Some(Reserved));
    check_invariants(&mut world).unwrap();
}

#[test]
fn a_server_under_repair_keeps_what_it_was_bought_as() {
    let faults = "[(at: 10, fault: ServerCrash(server: 0, repair: 20))]";
    let mut world = Setup {
        fleet: r#"[(sku: "big", count: 1, purchase: [
            (option: Reserved, most: 1, price_per_hour: 6), (option: Spot, most: 1),
        ])]"#,
        faults,
        ..Setup::default()
    }
    .world();
    world.until(11.0);
    let other = add(&mut world);
    assert_eq!(option(&world, other), Some(Spot));
    assert_eq!(
        refused(&mut world),
        "no \"big\" can be had now, at most 1 Reserved, 1 Spot: try again later, or use another SKU"
    );
    world.until(31.0);
    let back = world.server(2).unwrap();
    assert_eq!(option(&world, back), Some(Reserved));
}

/// Over two hours: one server reserved all along, and a second from 1,800 s to 5,400 s; two on demand, of which one
/// goes after 600 s, though 1,800 s are paid for at least, and one lives for 2,000 s, paid for in steps of 900 s.
#[test]
fn costs_are_those_of_the_options_worked_by_hand() {
    let fleet = r#"[(sku: "big", count: 1, billing_step: 900, purchase: [
        (option: Reserved, most: 2, price_per_hour: 60),
        (option: OnDemand, price_per_hour: 100, minimum_billing: 1800),
    ])]"#;
    let mut world = world(fleet, "");
    world.until(1800.0);
    let second = add(&mut world);
    let [third, fourth] = [add(&mut world), add(&mut world)];
    world.until(2400.0);
    world.scale_down_server(third).unwrap();
    world.until(3800.0);
    world.scale_down_server(fourth).unwrap();
    world.until(5400.0);
    world.scale_down_server(second).unwrap();
    world.until(7200.0);

    let summary = summary(&world);
    let big = &summary.fleet.servers[0];
    assert_eq!(
        big.server_hours,
        (7200.0 + 3600.0 + 600.0 + 2000.0) / 3600.0
    );
    let [reserved, on_demand] = &big.purchases[..] else {
        panic!("two options: {:?}", big.purchases);
    };
    // 2 × 2 h are paid for, and 3 h of them used.
    assert_eq!(paid(reserved), (4.0, 240.0, 1.0, 60.0));
    assert_eq!(reserved.server_hours, 3.0);
    // 1,800 s for the one, 2,700 s for the other.
    assert_eq!(on_demand.billed_hours, 1.25);
    assert_eq!(on_demand.cost, Some(125.0));
    assert!((on_demand.unused_hours - (4500.0 - 2600.0) / 3600.0).abs() < 1e-12);
    assert_eq!(summary.fleet.cost, Some(365.0));
    assert_eq!(summary.fleet.cost_by_option["reserved"], 240.0);
    assert_eq!(summary.fleet.cost_by_option["on_demand"], 125.0);
    assert_eq!(summary.fleet.rates.cost_per_day, Some(365.0 * 12.0));
    let table = fleetsim::report::summary_table(&summary);
    let line =
        "big, reserved: 4.000 server-hours paid, 240.00 dollars; unused 1.000, 60.00 dollars";
    assert!(table.contains(line), "{table}");
}

#[test]
fn what_is_reserved_is_paid_for_also_where_nobody_has_it() {
    let fleet = r#"[(sku: "small"), (sku: "big", count: 1, purchase: [
        (option: Reserved, most: 3, price_per_hour: 10),
    ])]"#;
    let mut world = world(fleet, "");
    world.until(3600.0);
    let summary = summary(&world);
    assert_eq!(summary.fleet.cost, Some(30.0), "no server of the other SKU");
    assert_eq!(
        paid(&summary.fleet.servers[1].purchases[0]),
        (3.0, 30.0, 2.0, 20.0)
    );
}

#[test]
fn a_minimum_holds_without_options_and_at_the_end() {
    let fleet = r#"[(sku: "big", count: 1, minimum_billing: 3600)]"#;
    let mut world = world(fleet, "");
    world.until(1800.0);
    add(&mut world);
    world.until(5400.0);
    add(&mut world);
    world.until(5401.0);
    let summary = summary(&world);
    let bill = &summary.fleet.servers[0].purchases[0];
    assert_eq!(bill.option, "any");
    assert_eq!(bill.billed_hours, (5401.0 + 3601.0 + 3600.0) / 3600.0);
    assert_eq!(
        (bill.cost, summary.fleet.cost),
        (None, None),
        "there is no price"
    );
}

#[test]
fn curves_hold_for_a_zone_an_option_or_both() {
    let fleet = r#"[(sku: "big", zones: ["a", "b"], purchase: [
            (option: Spot, price_per_hour: 1), (option: OnDemand, most: 2, price_per_hour: 3),
        ], available_of: [
            (zone: "a", servers: [(10, 1)]),
            (zone: "b", purchase: Spot, servers: [(0, 1), (20, 2)]),
            (purchase: Spot, servers: [(30, 0)]),
        ])]"#;
    let mut world = Setup {
        fleet,
        start: "None",
        ..Setup::default()
    }
    .world();
    let add = |world: &mut World| {
        let server = world.scale_up_server(None).unwrap();
        let zone = world.get::<InZone>(server).unwrap().name().to_owned();
        (option(world, server).unwrap(), zone)
    };
    let of = |option, zone: &str| (option, zone.to_owned());
    // In turn, until the one of spot in b is there.
    assert_eq!(add(&mut world), of(Spot, "a"));
    assert_eq!(add(&mut world), of(Spot, "b"));
    assert_eq!(add(&mut world), of(Spot, "a"));
    assert_eq!(add(&mut world), of(Spot, "a"), "no more in b");
    world.until(10.0);
    // No more at all in a; on demand in b.
    assert_eq!(add(&mut world), of(OnDemand, "b"));
    world.until(20.0);
    assert_eq!(add(&mut world), of(Spot, "b"));
    world.until(30.0);
    assert_eq!(add(&mut world), of(OnDemand, "b"));
    assert_eq!(
        refused(&mut world),
        "no \"big\" can be had now, at most 0 Spot, 2 OnDemand: try again later, or use another SKU"
    );
    assert_eq!(world.count::<Server>(), 7);
    check_invariants(&mut world).unwrap();
}

#[test]
fn a_quota_counts_processors_of_several_skus_and_names_itself() {
    let fleet = r#"[(sku: "big", count: 1), (sku: "small", purchase: [
        (option: Spot, most: 9, price_per_hour: 1), (option: OnDemand, price_per_hour: 2),
    ])]"#;
    let quotas = r#"quotas: [
        (name: "account", processors: 20),
        (name: "spot", skus: ["small"], purchase: Spot, processors: 4),
    ]"#;
    let mut world = world(fleet, quotas);
    let mut small = || {
        let server = world.scale_up_server(Some("small"));
        server.map(|it| option(&world, it).unwrap())
    };
    assert_eq!(small(), Ok(Spot));
    assert_eq!(small(), Ok(Spot));
    assert_eq!(small(), Ok(OnDemand), "four processors of spot");
    // 8 + 6: a big one would make 22.
    let error = world.scale_up_server(Some("big")).unwrap_err();
    assert_eq!(error.reason(), "quota");
    assert_eq!(
        error.to_string(),
        "one more \"big\" is above the quota \"account\" of 20 processors: remove a server first, or raise it"
    );
    for _ in 0..3 {
        world.scale_up_server(Some("small")).unwrap();
    }
    let error = world.scale_up_server(Some("small")).unwrap_err();
    assert!(matches!(error, ScalingError::QuotaReached { quota, .. } if quota == "account"));
}

#[test]
fn a_hazard_of_spot_servers_leaves_the_others_alone() {
    let hazards = r#"hazards: [(
        strikes: SpotReclaim(notice: 5), every: Constant(50), purchase: Spot, until: 60,
    )]"#;
    let fleet = r#"[(sku: "big", count: 3, purchase: [
        (option: OnDemand, most: 1, price_per_hour: 9), (option: Spot, price_per_hour: 3),
    ])]"#;
    let mut world = world(fleet, hazards);
    world.until(100.0);
    let left: Vec<Entity> = world.fleet::<Roster>().servers().collect();
    let left: Vec<_> = left.iter().map(|&it| option(&world, it)).collect();
    assert_eq!(left, [Some(OnDemand)]);
    let log = world.log();
    let gone = log
        .iter()
        .filter(|it| it.starts_with("50 scale_down_server"));
    assert_eq!(
        gone.count(),
        2,
        "they are idle, and go at the notice: {log:#?}"
    );
}

#[test]
fn a_fork_and_a_snapshot_know_how_servers_were_bought() {
    let mut original = world(BOUGHT, "");
    for _ in 0..3 {
        add(&mut original);
    }
    original.until(100.0);
    let mut bytes = Vec::new();
    save(&original, &mut bytes).unwrap();
    let mut restored = world(BOUGHT, "");
    restore(&mut restored, &*bytes).unwrap();
    let mut forked = fork(&original).unwrap();
    for world in [&mut original, &mut restored, &mut forked] {
        world.until(3600.0);
        check_invariants(world).unwrap();
        let last = world.server(2).unwrap();
        assert_eq!(option(world, last), Some(OnDemand));
        world.scale_down_server(last).unwrap();
        let next = add(world);
        assert_eq!(option(world, next), Some(OnDemand));
        world.until(7200.0);
    }
    let costs = [&original, &restored, &forked].map(|it| summary(it).fleet.cost.unwrap());
    assert_eq!(costs, [60.0 * 4.0 + 100.0 * 2.0 + 30.0 * 2.0; 3]);
}

#[test]
fn what_cannot_be_bought_is_refused_with_its_place() {
    let said = |entry: &str, rest: &str| {
        said_of(&format!(
            r#"(name: "t", fleet: [(sku: "dgx-h100", count: 2, {entry})], {rest}
                applications: [(name: "app", model: "llama2-70b", workload: Host,
                    instances: [(role: Mixed, start: AllServers)], autoscaler: Host)])"#
        ))
    };
    for (entry, rest, expected) in [
        (
            "purchase: [(option: Reserved)]",
            "",
            "how many servers are reserved?",
        ),
        (
            "purchase: [(option: Reserved, most: 4, minimum_billing: 60)]",
            "",
            "what is reserved is paid for from the start to the end",
        ),
        (
            "purchase: [(option: Spot), (option: Spot)]",
            "",
            "`Spot` is in the list already",
        ),
        (
            "purchase: [(option: Spot, most: 1)]",
            "",
            "2 servers are more than the 1 that can be bought",
        ),
        (
            "purchase: [(option: OnDemand), (option: Spot)]",
            "",
            "no server is ever bought `Spot`",
        ),
        (
            "warm: 1",
            r#"quotas: [(name: "gpus", processors: 16)],"#,
            "kept ready have no room in the quota: 24 processors with those at time zero",
        ),
        (
            "available_of: [(servers: [(0, 1)])]",
            "",
            "it does not say of which servers",
        ),
        (
            r#"zones: ["a"], available_of: [(zone: "b", servers: [(0, 1)])]"#,
            "",
            "unknown zone of the fleet entry `b`",
        ),
        (
            r#"available_of: [(zone: "b", servers: [(0, 1)])]"#,
            "",
            "the fleet entry has no zones",
        ),
        (
            "available_of: [(purchase: Spot, servers: [(0, 1)])]",
            "",
            "no server is bought `Spot`",
        ),
        (
            "purchase: [(option: Spot)], available_of: [(purchase: Spot, servers: [(9, 1), (9, 2)])]",
            "",
            "9 s does not come after 9 s",
        ),
        (
            "",
            r#"quotas: [(name: "q", processors: 8)],"#,
            "the servers at time zero have 16 processors, more than the 8 of the quota",
        ),
        (
            "limit: 4",
            r#"quotas: [(name: "q", processors: 32)],"#,
            "the quota is never reached: the limits allow 32 processors",
        ),
        (
            "",
            r#"quotas: [(name: "q", skus: ["dgx-a100"], processors: 32)],"#,
            "unknown SKU of the fleet `dgx-a100`",
        ),
        (
            "",
            r#"hazards: [(strikes: SpotReclaim(notice: 9), every: Constant(9), purchase: Spot)],"#,
            "no server is bought `Spot`",
        ),
    ] {
        let found = said(entry, rest);
        assert!(found.contains(expected), "{entry} {rest}: {found}");
    }
}

#[test]
fn each_region_has_options_quotas_and_power_of_its_own() {
    let regions = |top: &str| {
        format!(
            r#"(name: "two", end: 3600, {top}
            regions: [
                (name: "eu", quotas: [(name: "eu", processors: 16)], fleet: [(
                    sku: "dgx-h100", count: 1, purchase: [(option: Reserved, most: 2, price_per_hour: 50)],
                )], actions: [(at: 0, action: ScaleUpServer()), (at: 0, action: ScaleUpServer())]),
                (name: "us", power_cap: (watts: 20400), fleet: [(
                    sku: "dgx-h100", count: 1, purchase: [(option: Spot, price_per_hour: 20)],
                )], actions: [(at: 1800, action: ScaleUpServer()), (at: 1800, action: ScaleUpServer())]),
            ],
            region_latency: [(between: ("us", "eu"), one_way: 0.1)],
            applications: [(name: "app", model: "llama2-70b", workload: Host, autoscaler: Host,
                instances: [(role: Mixed, start: None)])])"#
        )
    };
    let checked = CheckedScenario::from_ron(&regions(""), ".".as_ref());
    let checked = checked.unwrap_or_else(|it| panic!("{it}"));
    let mut simulation = Simulation::new(&checked).unwrap();
    while simulation.tick().unwrap() {
        check_invariants(simulation.world_mut()).unwrap();
    }
    let summary = simulation.finish().record.summarise();
    let fleets: Vec<_> = summary.regions.iter().map(|it| &it.fleet).collect();
    let refused: Vec<_> = fleets
        .iter()
        .map(|it| &it.refusals["scale_up_failed"])
        .collect();
    assert_eq!((refused[0]["quota"], refused[1]["power"]), (1, 1));
    assert_eq!(fleets[0].cost, Some(100.0));
    assert_eq!(fleets[1].cost, Some(20.0 + 10.0));
    assert_eq!(summary.fleet.cost, Some(130.0));
    assert_eq!(summary.fleet.cost_by_option["reserved"], 100.0);
    let alone = said_of(&regions(r#"quotas: [(name: "q", processors: 1)],"#));
    assert!(
        alone.contains("with `regions`, `quotas` are those of the regions"),
        "{alone}"
    );
    let lowered = regions("").replace("processors: 16", "processors: 7");
    let said = said_of(&lowered);
    assert!(
        said.contains(":3:64: error: the servers at time zero have 8"),
        "{said}"
    );
}
