//! One pool for several applications: timelines worked out by hand.

use fleetsim::autoscale::PendingInstances;
use fleetsim::fleet::{FleetsExt, Ledger, Target, check_invariants};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;

use crate::support::*;

/// An application whose instances of four processors are active 10 s after they were asked for.
struct App<'a> {
    name: &'a str,
    wants: &'a str,
    /// The servers that carry an instance of it at 10 s.
    start: &'a [u64],
    /// Further fields.
    rest: &'a str,
    /// One request that arrives at 5 s and takes this long.
    busy: u32,
    processors: u32,
}

impl Default for App<'_> {
    fn default() -> Self {
        Self {
            name: "app",
            wants: "[]",
            start: &[],
            rest: "",
            busy: 0,
            processors: 4,
        }
    }
}

impl App<'_> {
    fn text(&self) -> String {
        let Self {
            name,
            wants,
            rest,
            busy,
            processors,
            ..
        } = self;
        let requests = u32::from(*busy > 0);
        let tokens = (*busy).max(1);
        format!(
            r#"(
                name: "{name}", model: "llama2-70b", scheduler: Jsq,
                performance: Constant(prompt_time: 1, token_time: 1),
                instances: [(role: Mixed, engine: Fcfs, tensor_parallelism: {processors})],
                scaling: (scale_up_delay: 10, drain: OnIdle),
                autoscaler: Told(wants: {wants}), {rest}
                workload: Synthetic(
                    arrivals: Constant(rate: 0.2), prompt_tokens: Constant(1),
                    output_tokens: Constant({tokens}), requests: {requests},
                ),
            )"#
        )
    }
}

/// A scenario of these applications, and how many instances it begins with.
fn scenario_text(fleet: &str, end: u32, rest: &str, apps: &[App<'_>]) -> (String, u64) {
    let texts: Vec<String> = apps.iter().map(App::text).collect();
    let mut actions = Vec::new();
    for (app, server) in apps
        .iter()
        .flat_map(|app| app.start.iter().map(move |it| (app, it)))
    {
        let name = app.name;
        let verb =
            format!(r#"ScaleUpInstance(application: "{name}", role: Mixed, server: {server})"#);
        actions.push(format!("(at: 0, action: {verb})"));
    }
    let text = format!(
        r#"(name: "pool", end: {end}, fleet: [{fleet}], applications: [{}], actions: [{}], {rest})"#,
        texts.join(", "),
        actions.join(", ")
    );
    (text, actions.len() as u64)
}

/// `time action target` of each scaling event of a run, and how many instances wait in the end.
fn run(fleet: &str, end: u32, rest: &str, apps: &[App<'_>]) -> (Vec<String>, usize) {
    let (text, placed) = scenario_text(fleet, end, rest, apps);
    let mut simulation = Simulation::with_policies(&checked(&text), &registry()).unwrap();
    let mut log = Vec::new();
    loop {
        let more = simulation.tick().unwrap();
        check_invariants(simulation.world_mut()).unwrap();
        for event in simulation.take_scaling() {
            let action = event.action.name();
            // Those that are there from the start are told of in the log, too.
            let first = matches!(event.target, Target::Instance(number) if number < placed);
            if !(first && action.starts_with("scale_up")) {
                log.push(format!("{} {action} {}", event.time, event.target));
            }
        }
        if !more {
            break;
        }
    }
    let world = simulation.world();
    let fleet = world.only_fleet().unwrap();
    let pending = world.get::<PendingInstances>(fleet);
    (log, pending.map_or(0, |it| it.iter().count()))
}

fn only(log: &[String], word: &str) -> Vec<String> {
    let of = log.iter().filter(|it| it.contains(word));
    of.cloned().collect()
}

const TWO: &str = r#"(sku: "dgx-h100", count: 1)"#;
const FIXED: &str = "pool: (servers: Fixed)";

#[test]
fn an_instance_waits_for_a_place_and_the_higher_priority_gets_it() {
    let low = |wants| App {
        name: "low",
        wants,
        start: &[0, 1],
        rest: "actuator: (mixed: (min: 0)),",
        ..App::default()
    };
    let high = || App {
        name: "high",
        wants: "[(10, 0), (50, 1)]",
        rest: "priority: 1, actuator: (mixed: (min: 0)),",
        ..App::default()
    };
    let fleet = r#"(sku: "dgx-h100", count: 2)"#;
    // Four places: two are taken, `low` takes a third at 40 s, `high` the fourth at 50 s.
    let (log, waiting) = run(fleet, 100, FIXED, &[low("[(10, 2), (40, 3)]"), high()]);
    assert_eq!(
        log,
        [
            "40 scale_up_start instance_2",
            "50 scale_up_complete instance_2",
            "50 scale_up_start instance_3",
            "60 scale_up_complete instance_3",
        ]
    );
    assert_eq!(waiting, 0);
    // Six wanted at 40 s take both places, and two wait; `high` waits before them. At 80 s the two are given up, and
    // one that is active: it is idle and gone at once.
    let wants = "[(10, 2), (40, 6), (80, 3)]";
    let (log, waiting) = run(fleet, 200, FIXED, &[low(wants), high()]);
    let starts = only(&log, "scale_up_start");
    assert_eq!(
        starts,
        [
            "40 scale_up_start instance_2",
            "40 scale_up_start instance_3",
            "80 scale_up_start instance_4",
        ]
    );
    assert_eq!((only(&log, "scale_down_complete").len(), waiting), (1, 0));
}

#[test]
fn the_lower_priority_makes_room_at_once_or_when_it_has_drained() {
    let low = |busy| App {
        name: "low",
        wants: "[(10, 1)]",
        start: &[0],
        rest: "actuator: (mixed: (min: 0)),",
        busy,
        processors: 8,
    };
    let high = || App {
        name: "high",
        wants: "[(10, 0), (20, 1)]",
        rest: "priority: 1, actuator: (mixed: (min: 0)),",
        processors: 8,
        ..App::default()
    };
    let pool = |within| format!("pool: (servers: Fixed, preemption: Drain({within}))");
    // The request takes from 10 s, when there is an instance, until 110 s.
    let (log, waiting) = run(TWO, 300, &pool("within: 0"), &[low(100), high()]);
    assert_eq!(
        log,
        [
            "20 preempted instance_0",
            "20 scale_down_start instance_0",
            "20 drain_timeout instance_0",
            "20 scale_down_complete instance_0",
            "20 scale_up_start instance_1",
            "30 scale_up_complete instance_1",
        ]
    );
    // The policy of the lower one wants it back, and waits.
    assert_eq!(waiting, 1);
    let (log, _) = run(TWO, 300, &pool("within: 30"), &[low(100), high()]);
    assert!(
        log.contains(&"50 scale_up_start instance_1".to_owned()),
        "{log:?}"
    );
    let (log, _) = run(TWO, 300, &pool(""), &[low(100), high()]);
    assert!(
        log.contains(&"110 scale_up_start instance_1".to_owned()),
        "{log:?}"
    );
    // An idle one goes at once.
    let (log, _) = run(TWO, 300, &pool(""), &[low(0), high()]);
    assert!(
        log.contains(&"20 scale_up_start instance_1".to_owned()),
        "{log:?}"
    );
    // Equals make no room.
    let equal = App {
        rest: "actuator: (mixed: (min: 0)),",
        ..high()
    };
    let (log, waiting) = run(TWO, 300, &pool("within: 0"), &[low(100), equal]);
    assert_eq!((only(&log, "preempted").len(), waiting), (0, 1));
}

/// The servers of six instances of two processors, on three servers of which one carries another application's
/// instance of five.
fn servers_of(rule: &str, other: &str, occupied: &[u64]) -> Vec<u64> {
    let app = App {
        wants: "[(10, 6)]",
        rest: &format!("actuator: (placement: {rule}),"),
        processors: 2,
        ..App::default()
    };
    let other = App {
        name: "other",
        start: occupied,
        rest: &format!("actuator: (placement: {other}),"),
        processors: 5,
        ..App::default()
    };
    let fleet = r#"(sku: "dgx-h100", count: 3)"#;
    let (text, _) = scenario_text(fleet, 30, "", &[other, app]);
    let mut simulation = Simulation::with_policies(&checked(&text), &registry()).unwrap();
    while simulation.tick().unwrap() {}
    let ledger = simulation.world().fleet::<Ledger>();
    ledger.instances()[1..].iter().map(|it| it.server).collect()
}

#[test]
fn instances_are_packed_spread_or_kept_apart() {
    assert_eq!(servers_of("FirstFit", "FirstFit", &[2]), [0, 0, 0, 0, 1, 1]);
    assert_eq!(servers_of("Pack", "FirstFit", &[2]), [2, 0, 0, 0, 0, 1]);
    assert_eq!(servers_of("Spread", "FirstFit", &[0]), [1, 2, 1, 2, 1, 2]);
    assert_eq!(servers_of("FirstFit", "FirstFit", &[0]), [0, 1, 1, 1, 1, 2]);
    assert_eq!(
        servers_of("Dedicated", "FirstFit", &[0]),
        [1, 1, 1, 1, 2, 2]
    );
    assert_eq!(
        servers_of("FirstFit", "Dedicated", &[0]),
        [1, 1, 1, 1, 2, 2]
    );
}

#[test]
fn a_budget_is_shared_out_by_priority_and_in_proportion() {
    let app = |name, wants, rest| App {
        name,
        wants,
        rest,
        processors: 8,
        ..App::default()
    };
    let fleet = r#"(sku: "dgx-h100", limit: 9)"#;
    let pool = "pool: (budget: 48)";
    let count = |log: &[String]| only(log, "scale_up_complete").len();
    let both = "actuator: (mixed: (min: 1)),";
    let (log, waiting) = run(
        fleet,
        100,
        pool,
        &[app("a", "[(10, 3)]", both), app("b", "[(10, 6)]", both)],
    );
    assert_eq!((count(&log), waiting), (6, 0));
    // Five and the minimum of one. The one with the higher priority comes first, at 30 s: the other shrinks to its
    // minimum, and what it gives back is taken at the next decision.
    let high = "priority: 2, actuator: (mixed: (min: 1)),";
    let (log, _) = run(
        fleet,
        100,
        pool,
        &[
            app("a", "[(10, 6)]", both),
            app("b", "[(10, 0), (30, 5)]", high),
        ],
    );
    let starts = |second: &str| only(&log, &format!("{second} scale_up_start")).len();
    assert_eq!(
        (starts("10"), only(&log, "30 scale_down_start").len()),
        (6, 4)
    );
    assert_eq!((starts("30"), starts("40")), (0, 4), "{log:?}");
}

#[test]
fn the_cluster_autoscaler_keeps_its_delays() {
    let fleet = r#"(sku: "dgx-h100", count: 1, provision_delay: Constant(60))"#;
    let app = App {
        wants: "[(10, 1), (20, 2), (900, 1)]",
        start: &[0],
        processors: 8,
        ..App::default()
    };
    let pool = "pool: (servers: ClusterAutoscaler(scan_interval: 15))";
    // Wanted at 20 s, seen at 30 s, there at 90 s, active at 100 s. The instance goes at 900 s; its server is seen to
    // be empty then, a multiple of 15 s, and goes ten minutes later.
    let (log, _) = run(fleet, 2000, pool, &[app]);
    assert_eq!(
        log,
        [
            "30 scale_up_server server_1",
            "30 scale_up_start instance_1",
            "100 scale_up_complete instance_1",
            "900 scale_down_start instance_1",
            "900 scale_down_complete instance_1",
            "1500 scale_down_server server_1",
        ]
    );
    // An addition at 1110 s puts that off until 1710 s.
    let fleet = format!(r#"{fleet}, (sku: "dgx-a100", limit: 3)"#);
    let app = App {
        wants: "[(10, 1), (20, 2), (900, 1)]",
        start: &[0],
        processors: 8,
        ..App::default()
    };
    let other = App {
        name: "other",
        wants: "[(10, 0), (1100, 1)]",
        rest: r#"actuator: (mixed: (min: 0), sku: Named("dgx-a100")),"#,
        processors: 8,
        ..App::default()
    };
    let (log, _) = run(&fleet, 2500, pool, &[app, other]);
    assert_eq!(
        only(&log, "server_"),
        [
            "30 scale_up_server server_1",
            "1110 scale_up_server server_2",
            "1710 scale_down_server server_1",
        ],
        "{log:?}"
    );
}

#[test]
fn the_cluster_autoscaler_backs_off_and_tries_another_sku() {
    let fleet = r#"(sku: "dgx-h100", limit: 9), (sku: "dgx-a100", limit: 9)"#;
    let app = || App {
        wants: "[(10, 1)]",
        processors: 8,
        ..App::default()
    };
    let faults = |until: u32| {
        format!(
            r#"pool: (servers: ClusterAutoscaler()), faults: [(at: 0, fault: NoNewServers(duration: {until}))]"#
        )
    };
    // Both fail at 10 s; five minutes later, and ten after that; then after twenty.
    let (log, waiting) = run(fleet, 3000, &faults(1500), &[app()]);
    assert_eq!(waiting, 0);
    let failed = only(&log, "scale_up_failed");
    assert_eq!(failed.len(), 6, "{failed:?}");
    assert!(
        failed[2].starts_with("310 ") && failed[4].starts_with("910 "),
        "{failed:?}"
    );
    assert_eq!(
        only(&log, "scale_up_server server_0"),
        ["2110 scale_up_server server_0"]
    );
    let of_one = r#"pool: (servers: ClusterAutoscaler()),
        faults: [(at: 0, fault: NoNewServers(sku: "dgx-h100", duration: 100))]"#;
    let (log, _) = run(fleet, 100, of_one, &[app()]);
    assert_eq!(only(&log, "failed").len(), 1);
    assert_eq!(
        only(&log, "scale_up_complete"),
        ["20 scale_up_complete instance_0"]
    );
}

#[test]
fn the_cluster_autoscaler_gives_up_servers_that_never_come() {
    let fleet = r#"(sku: "dgx-h100", limit: 9, provision_delay: Constant(5000))"#;
    let app = App {
        wants: "[(10, 1)]",
        processors: 8,
        ..App::default()
    };
    let (log, waiting) = run(fleet, 1000, "pool: (servers: ClusterAutoscaler())", &[app]);
    assert_eq!(
        log,
        [
            "10 scale_up_server server_0",
            "10 scale_up_start instance_0",
            "910 scale_up_cancelled instance_0",
            "910 scale_down_server server_0",
        ]
    );
    assert_eq!(waiting, 1);
}

/// The example of the FAQ, "How does scale-down work": A, B and C are little used; what is on A and on B would fit on
/// X, what is on C on Y, but A and B do not fit on X together. A goes, then C; B stays.
#[test]
fn the_cluster_autoscaler_remembers_where_instances_would_go() {
    let app = |name, start, processors, rest| App {
        name,
        start,
        processors,
        rest,
        ..App::default()
    };
    let on_x = r#"actuator: (sku: Named("x")),"#;
    let on_y = r#"actuator: (sku: Named("y")),"#;
    let apps = [
        app("a", &[0], 2, on_x),
        app("b", &[1], 3, on_x),
        app("c", &[2], 2, on_y),
        app("x", &[3], 5, ""),
        app("y", &[4], 6, ""),
    ];
    let names = ["a", "b", "c", "x", "y"];
    let skus = names.map(|it| format!(r#"(name: "{it}", processor: "h100-80gb", processors: 8)"#));
    let catalog = catalog_file(&skus.join(", "));
    let fleet = names.map(|it| format!(r#"(sku: "{it}", count: 1)"#));
    let rest = format!(
        r#"catalog: ["{}"], pool: (servers: ClusterAutoscaler())"#,
        catalog.path().display()
    );
    let (log, _) = run(&fleet.join(", "), 1300, &rest, &apps);
    // Not needed at 10 s, for ten minutes at 610 s; C at the look after that.
    assert_eq!(
        only(&log, "scale_down_server"),
        [
            "610 scale_down_server server_0",
            "620 scale_down_server server_2"
        ]
    );
}

/// A catalog with these SKUs.
fn catalog_file(skus: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".ron").unwrap();
    std::fs::write(file.path(), format!("(skus: [{skus}])")).unwrap();
    file
}

#[test]
fn karpenter_waits_for_a_batch_and_removes_empty_servers_within_its_budget() {
    let fleet = r#"(sku: "dgx-h100", limit: 40)"#;
    let app = App {
        wants: "[(10, 12), (95, 1)]",
        processors: 8,
        ..App::default()
    };
    let (log, _) = run(fleet, 200, "pool: (servers: Karpenter())", &[app]);
    let added = only(&log, "scale_up_server");
    assert_eq!(added.len(), 12);
    // A second without another one.
    assert!(added.iter().all(|it| it.starts_with("11 ")), "{added:?}");
    // Eleven are empty from 100 s on. A tenth of 12, and of 11, is two, of 10 and fewer one.
    let removed = only(&log, "scale_down_server");
    let at = |second: &str| removed.iter().filter(|it| it.starts_with(second)).count();
    assert_eq!(
        (at("100 "), at("110 "), at("120 "), at("130 ")),
        (2, 1, 1, 1),
        "{removed:?}"
    );
}

#[test]
fn karpenter_consolidates_a_server_whose_instances_fit_elsewhere() {
    let fleet = r#"(sku: "dgx-h100", count: 2)"#;
    let app = |after: &str| {
        let app = App {
            start: &[0, 1],
            processors: 2,
            ..App::default()
        };
        run(
            fleet,
            60,
            &format!("pool: (servers: Karpenter({after}))"),
            &[app],
        )
    };
    let (log, waiting) = app("");
    assert_eq!(
        log,
        [
            "10 scale_down_start instance_0",
            "10 scale_down_complete instance_0",
            "10 scale_down_server server_0",
            "10 scale_up_start instance_2",
            "20 scale_up_complete instance_2",
        ]
    );
    assert_eq!(waiting, 0);
    let (log, _) = app("consolidation: WhenEmpty");
    assert!(log.is_empty());
    let (log, _) = app("consolidate_after: 30");
    assert_eq!(log[0], "40 scale_down_start instance_0");
    let (log, _) = app("budget: Servers(0)");
    assert!(log.is_empty());
}

#[test]
fn karpenter_replaces_a_server_by_a_cheaper_one_that_is_there_first() {
    let skus = r#"
        (name: "dear", processor: "h100-80gb", processors: 8, price_per_hour: 98),
        (name: "cheap", processor: "h100-80gb", processors: 2, price_per_hour: 20),
    "#;
    let catalog = catalog_file(skus);
    let fleet =
        r#"(sku: "dear", count: 1), (sku: "cheap", limit: 3, provision_delay: Constant(25))"#;
    let app = App {
        start: &[0],
        processors: 2,
        ..App::default()
    };
    let rest = format!(
        r#"catalog: ["{}"], pool: (servers: Karpenter())"#,
        catalog.path().display()
    );
    let (log, _) = run(fleet, 200, &rest, &[app]);
    assert_eq!(
        log,
        [
            "10 scale_up_server server_1",
            "40 scale_down_start instance_0",
            "40 scale_down_complete instance_0",
            "40 scale_down_server server_0",
            "40 scale_up_start instance_1",
            "50 scale_up_complete instance_1",
        ]
    );
}

#[test]
fn settings_that_cannot_be_or_have_no_effect_are_said() {
    let said = |pool: &str, entry: &str| {
        let application = App::default().text();
        let application = match pool {
            "budget: 7" => application.replace("engine:", "start: Servers(2), engine:"),
            _ => application,
        };
        let text = format!(
            r#"(name: "said", end: 100, fleet: [(sku: "dgx-h100", {entry})], pool: ({pool}),
                applications: [{application}])"#,
        );
        match CheckedScenario::from_ron(&text, ".".as_ref()) {
            Ok(checked) => checked.warnings().to_string(),
            Err(wrong) => wrong.to_string(),
        }
    };
    let fixed = "servers: Fixed";
    let drain = "preemption: Drain()";
    for (pool, entry, expected) in [
        ("", "count: 1", ""),
        ("budget: 4", "count: 1", ""),
        (
            "budget: 3",
            "count: 1",
            "no instance fits into a budget of 3 processors",
        ),
        (
            "budget: 7",
            "count: 2",
            "the instances at time zero use 16 processors, more than the budget of 7",
        ),
        (drain, "count: 1", "have the same priority"),
        (fixed, "count: 0", "nobody adds servers"),
        (fixed, "count: 1", ""),
        (
            fixed,
            "count: 1, stopped: (most: 1, resume: Constant(9))",
            "nobody stops one",
        ),
        (fixed, "count: 1, limit: 4", "nobody orders one"),
        (
            fixed,
            "count: 1, warm: 1",
            "one is ordered for each that is taken",
        ),
        (
            "servers: ClusterAutoscaler(initial_backoff: 20, max_backoff: 10)",
            "count: 1",
            "less than the first back-off",
        ),
        (
            "servers: Karpenter(batch_idle: 20, batch_max: 10)",
            "count: 1",
            "less than `batch_idle`",
        ),
    ] {
        let said = said(pool, entry);
        assert!(said.contains(expected), "{pool} {entry}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{pool}: {said}");
    }
}
