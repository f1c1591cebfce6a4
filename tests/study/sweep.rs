use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::desk::{BASE, Desk, column};

const SWEEP: &str = r#"(
    scenario: "base.ron",
    axes: [
        Grid(path: "applications[0].instances[0].start", values: [Servers(1), Servers(3)]),
        Zip([
            (path: "applications[0].scheduler", values: [TokenJsq, RoundRobin]),
            (path: "applications[0].workload.rate_scale", values: [1.0, 1.5]),
        ]),
        Seeds(3),
    ],
)"#;

const FILES: [&str; 3] = ["sweep.csv", "sweep.json", "sweep.jsonl"];

fn desk() -> Desk {
    Desk::with(&[("base.ron", BASE), ("sweep.ron", SWEEP)])
}

fn assert_same(desk: &Desk, one: &str, other: &str) {
    for file in FILES {
        let [one, other] = [one, other].map(|it| desk.read(&format!("{it}/{file}")));
        assert_eq!(one, other, "{file}");
    }
}

#[test]
fn each_value_is_run_with_every_other_the_last_axis_fastest() {
    let desk = desk();
    desk.done(&["sweep", "sweep.ron", "--out", "out", "--jobs", "1"]);
    let csv = desk.read("out/sweep.csv");
    let start = column(&csv, "applications[0].instances[0].start");
    let scheduler = column(&csv, "applications[0].scheduler");
    let rate = column(&csv, "applications[0].workload.rate_scale");
    let seed = column(&csv, "seed");
    let mut row = 0;
    for servers in ["Servers(1)", "Servers(3)"] {
        for (router, scale) in [("TokenJsq", "1.0"), ("RoundRobin", "1.5")] {
            for number in ["7", "8", "9"] {
                let found = [&start[row], &scheduler[row], &rate[row], &seed[row]];
                assert_eq!(found, [servers, router, scale, number]);
                row += 1;
            }
        }
    }
    assert_eq!(row, seed.len());

    // A row is what `run` says of the same scenario.
    desk.done(&[
        "run",
        "base.ron",
        "--set",
        "applications[0].instances[0].start=Servers(3)",
        "--set",
        "applications[0].scheduler=RoundRobin",
        "--set",
        "applications[0].workload.rate_scale=1.5",
        "--seed",
        "8",
        "--out",
        "one",
    ]);
    let summary = desk.json("one/summary.json");
    let ttft = &summary["applications"][0]["metrics"]["ttft_s"]["p99"];
    let row = column(&csv, "chat.metrics.ttft_s.p99")[10].clone();
    assert_eq!(row.parse::<f64>().unwrap(), ttft.as_f64().unwrap());
    let cost = summary["fleet"]["cost"].as_f64().unwrap();
    let row = column(&csv, "fleet.cost")[10].clone();
    assert_eq!(row.parse::<f64>().unwrap(), cost);
}

#[test]
fn the_files_do_not_depend_on_threads_or_shards() {
    let desk = desk();
    desk.done(&["sweep", "sweep.ron", "--out", "whole", "--jobs", "1", "-q"]);
    desk.done(&["sweep", "sweep.ron", "--out", "four", "--jobs", "4", "-q"]);
    assert_same(&desk, "whole", "four");
    for of in [2, 3, 7] {
        let shards = (1..=of).map(|part| {
            let (shard, out) = (format!("{part}/{of}"), format!("{part}-of-{of}"));
            desk.done(&["sweep", "sweep.ron", "--shard", &shard, "--out", &out, "-q"]);
            out
        });
        let mut shards: Vec<String> = shards.collect();
        shards.reverse();
        let out = format!("merged-{of}");
        let mut arguments = vec!["merge", "--out", &out, "-q"];
        arguments.extend(shards.iter().map(String::as_str));
        desk.done(&arguments);
        assert_same(&desk, "whole", &out);
    }
    let missing = desk.refused(2, &["merge", "1-of-3", "2-of-3", "--out", "some"]);
    assert!(missing.contains("4 of 12 runs are in none"), "{missing}");
    let twice = desk.refused(2, &["merge", "1-of-2", "1-of-2", "--out", "some"]);
    assert!(twice.contains("name each shard once"), "{twice}");
}

#[test]
fn a_journal_that_was_cut_off_anywhere_is_gone_on_with() {
    let desk = desk();
    desk.done(&["sweep", "sweep.ron", "--out", "whole", "-q"]);
    let journal = desk.read("whole/sweep.jsonl");
    fs::create_dir(desk.path("cut")).unwrap();
    let length = journal.len();
    for cut in [0, 5, length / 7, length / 2, length - 1, length] {
        fs::write(desk.path("cut/sweep.jsonl"), &journal[..cut]).unwrap();
        desk.done(&["sweep", "sweep.ron", "--out", "cut", "--resume", "-q"]);
        assert_same(&desk, "whole", "cut");
    }
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let long = SWEEP.replace("Seeds(3)", "Seeds(20)");
    let desk = Desk::with(&[("base.ron", BASE), ("sweep.ron", &long)]);
    let arguments = ["sweep", "sweep.ron", "--out", "killed", "--resume", "-q"];
    desk.done(&["sweep", "sweep.ron", "--out", "whole", "-q"]);
    for round in 0..10_u64 {
        let mut child = desk.command(&arguments).spawn().unwrap();
        sleep(Duration::from_millis(40 + 37 * (round % 5)));
        // It may be through already.
        _ = child.kill();
        child.wait().unwrap();
    }
    desk.done(&arguments);
    assert_same(&desk, "whole", "killed");
}

#[test]
fn a_sweep_goes_on_only_with_its_own_runs() {
    let desk = desk();
    desk.done(&["sweep", "sweep.ron", "--out", "out", "-q"]);
    let full = desk.refused(2, &["sweep", "sweep.ron", "--out", "out"]);
    assert!(full.contains("--overwrite"), "{full}");
    fs::write(desk.path("base.ron"), BASE.replace("rate: 4", "rate: 5")).unwrap();
    let other = desk.refused(2, &["sweep", "sweep.ron", "--out", "out", "--resume"]);
    assert!(other.contains("another sweep, scenario"), "{other}");
    desk.done(&["sweep", "sweep.ron", "--out", "out", "--overwrite", "-q"]);
}

#[test]
fn what_is_wrong_is_told_at_its_place_before_anything_runs() {
    let cases = [
        (
            r#"(scenario: "base.ron", axes: [Grid(path: "applications[0].schedule", values: [Jsq])])"#,
            "unknown field `schedule`",
        ),
        (
            r#"(scenario: "base.ron", axes: [Zip([(path: "seed", values: [1, 2]), (path: "end", values: [9])])])"#,
            "sweep.ron:1:",
        ),
        (
            r#"(scenario: "base.ron", axes: [Grid(path: "seed", values: [])])"#,
            "the axis has no values",
        ),
        (
            r#"(scenario: "base.ron", axes: [Seeds(2), Grid(path: "seed", values: [1])])"#,
            "another axis varies `seed`, too",
        ),
        (
            r#"(scenario: "base.ron", axes: [LatinHypercube(n: 3, ranges: [(path: "end", from: 9, to: 5)])])"#,
            "`from` (9) must be less than `to` (5)",
        ),
        (r#"(scenario: "base.ron", axes: [])"#, "there is no axis"),
        (
            r#"(scenario: "base.ron", axis: [])"#,
            "did you mean `axes`?",
        ),
        (r#"(scenario: "no.ron", axes: [Seeds(2)])"#, "cannot read"),
    ];
    for (sweep, told) in cases {
        let desk = Desk::with(&[("base.ron", BASE), ("sweep.ron", sweep)]);
        let message = desk.refused(2, &["sweep", "sweep.ron", "--out", "out"]);
        assert!(message.contains(told), "{sweep}\n{message}");
        assert!(!desk.path("out").exists(), "{sweep}");
    }
}

#[test]
fn values_that_do_not_go_together_make_a_row_that_says_so() {
    // Each value is fine with the base; three servers of a fleet of two are not.
    let sweep = r#"(
        scenario: "base.ron",
        axes: [
            Grid(path: "applications[0].instances[0].start", values: [Servers(1), Servers(3)]),
            Grid(path: "fleet[0].count", values: [4, 2]),
        ],
    )"#;
    let desk = Desk::with(&[("base.ron", BASE), ("sweep.ron", sweep)]);
    let message = desk.refused(1, &["sweep", "sweep.ron", "--out", "out"]);
    assert!(message.contains("1 runs failed"), "{message}");
    let errors = column(&desk.read("out/sweep.csv"), "error");
    let failed: Vec<bool> = errors.iter().map(|it| !it.is_empty()).collect();
    assert_eq!(failed, [false, false, false, true]);
    assert!(
        errors[3].contains("Servers(3)") || errors[3].contains("start"),
        "{}",
        errors[3]
    );
}

#[test]
fn settings_and_random_points_are_axes_too() {
    let sweep = r#"(
        scenario: "base.ron",
        seed: 3,
        axes: [
            List([
                (name: "small", set: ["fleet[0].count=1"]),
                (set: ["fleet[0].count=2", "applications[0].instances[0].start=Servers(2)"]),
            ]),
            LatinHypercube(n: 4, ranges: [
                (path: "applications[0].workload.rate_scale", from: 0.5, to: 2.0, log: true),
                (path: "applications[0].workload.requests", from: 10, to: 50, whole: true),
            ]),
        ],
    )"#;
    let desk = Desk::with(&[("base.ron", BASE), ("sweep.ron", sweep)]);
    desk.done(&["sweep", "sweep.ron", "--out", "out", "-q"]);
    let csv = desk.read("out/sweep.csv");
    let settings = column(&csv, "setting");
    assert_eq!(settings[..4], ["small"; 4]);
    assert!(settings[7].starts_with("fleet[0].count=2 applications[0]"));
    let asked = column(&csv, "applications[0].workload.requests");
    assert_eq!(asked, column(&csv, "chat.requests.arrived"));
    // One point in each quarter of the range, the same for every setting.
    let mut quarters: Vec<u32> = asked[..4]
        .iter()
        .map(|it| (it.parse::<u32>().unwrap() - 10).min(39) / 10)
        .collect();
    quarters.sort_unstable();
    assert_eq!(quarters, [0, 1, 2, 3]);
    assert_eq!(asked[..4], asked[4..]);
}

#[test]
fn the_studies_of_the_repository_can_be_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/studies");
    let registry = fleetsim::autoscale::PolicyRegistry::built_in();
    for (name, runs) in [("how_many.ron", 21), ("room.ron", 12)] {
        let path = std::path::Path::new(folder).join(name);
        let plan = fleetsim::study::sweep::Plan::load(&path, &registry);
        let plan = plan.unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(plan.runs(), runs, "{name}");
    }
}

/// Scripts that are alike up to 5 s, with another policy and another seed each.
#[test]
fn runs_that_share_their_start_leave_what_each_leaves_by_itself() {
    let sweep = r#"(
        scenario: "base.ron",
        set: ["applications[0].workload.arrivals=Poisson(rate: 8)"],
        axes: [
            Grid(path: "actions", values: [
                [(at: 2, action: ScaleUpFull(application: "chat", role: Mixed))],
                [
                    (at: 2, action: ScaleUpFull(application: "chat", role: Mixed)),
                    (at: 5, action: ScaleUpFull(application: "chat", role: Mixed)),
                ],
                [
                    (at: 2, action: ScaleUpFull(application: "chat", role: Mixed)),
                    (at: 5, action: ScaleDownFull(instance: 0)),
                    (at: 7, action: ScaleUpFull(application: "chat", role: Mixed)),
                ],
            ]),
            Grid(path: "applications[0].autoscaler", values: [None, Threshold(interval: 1, cooldown: 1)]),
            Grid(path: "faults", values: [[], [(at: 6, fault: InstanceCrash(instance: 1))]]),
            Seeds(2),
        ],
    )"#;
    let desk = Desk::with(&[("base.ron", BASE), ("sweep.ron", sweep)]);
    let output = desk.run(&["sweep", "sweep.ron", "--out", "shared"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    // Eight groups of three runs, each with another policy or seed, with or without a fault: all but one a group go
    // on from another.
    let expected = "16 runs went on from the start of another: ";
    assert!(told.contains(expected), "{told}");
    let mut alone = vec!["merge", "--out", "merged"];
    let shards: Vec<String> = (1..=24).map(|part| format!("{part}-of-24")).collect();
    for (part, out) in (1..=24).zip(&shards) {
        let shard = format!("{part}/24");
        let output = desk.run(&["sweep", "sweep.ron", "--shard", &shard, "--out", out]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && !told.contains("went on"),
            "{told}"
        );
    }
    alone.extend(shards.iter().map(String::as_str));
    desk.done(&alone);
    for file in FILES {
        let [shared, merged] = ["shared", "merged"].map(|it| desk.read(&format!("{it}/{file}")));
        assert_eq!(shared, merged, "{file}");
    }
    let hours = column(&desk.read("shared/sweep.csv"), "fleet.gpu_hours");
    assert_ne!(hours[0], hours[8], "the scripts do nothing");
}
