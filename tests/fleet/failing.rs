//! Start-ups that fail or hang, against timelines worked out by hand and closed forms.

use bevy_ecs::prelude::*;
use fleetsim::fleet::*;
use fleetsim::scenario::StageKind;
use fleetsim::time::SimTime;

use crate::support::*;

/// A server takes 2 s to be there. An image takes 10 s, and so do the 1,000 bytes of weights.
const FLEET: &str =
    r#"[(sku: "big", limit: 2000, provision_delay: Constant(2)), (sku: "small", limit: 9)]"#;
const PULL: &str = "PullImage(bytes: 10737418240, bandwidth_gib_per_s: 1.0)";
const FETCH: &str = "LoadWeights(source: Remote, bandwidth_gib_per_s: 9.313225746154785e-8)";

fn failing(rules: &str, stages: &str, seed: u64) -> World {
    let scaling = format!(
        "(spin_up: Constant(1), scale_up_delay: 4, stages: [{stages}], start_up_failure: ({rules}))"
    );
    let rest = format!("seed: {seed},");
    Setup {
        fleet: FLEET,
        start: "None",
        scaling: &scaling,
        rest: &rest,
        ..Setup::default()
    }
    .world()
}

/// What is said of an instance, `time what`.
fn life(world: &World, number: u64) -> Vec<String> {
    let target = Target::Instance(number);
    let log = world.fleet::<ScalingLog>().events().iter();
    let own = log.filter(|it| it.target == target);
    own.map(|it| match it.action {
        ScalingAction::StartUpStage => format!("{} {}", it.time, it.status),
        action => format!("{} {}", it.time, action.name()),
    })
    .collect()
}

fn counts(world: &World) -> [u64; 4] {
    let of = world.get::<AttemptCounts>(world.app()).unwrap();
    [of.begun, of.failed, of.timed_out, of.given_up]
}

fn nothing_is_left(world: &World) {
    assert!(world.is_quiet());
    assert_eq!(world.resource::<Agenda>().next_due(), SimTime::MAX);
}

#[test]
fn an_attempt_fails_when_it_would_be_up_and_the_last_one_is_cancelled() {
    // Ready at 2, up at 6. The waits are 10 s, and 30 s cut to 20 s.
    let back_off = "back_off: (first: 10, factor: 3, most: 20)";
    let rules = format!("probability: 1, attempts: 3, {back_off}");
    let mut world = failing(&rules, "", 0);
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(10.0);
    let attempt = *world.get::<StartUpAttempt>(up.instance).unwrap();
    assert!(attempt.waits());
    assert_eq!((attempt.number(), attempt.since()), (1, at(6.0)));
    assert_eq!(world.status(up.instance), Some(InstanceStatus::ScalingUp));
    assert!(!world.is_quiet() && !world.is_stalled());
    world.entity_mut(up.instance).remove::<StartUpAttempt>();
    world.flush();
    world.until(17.0);
    let attempt = *world.get::<StartUpAttempt>(up.instance).unwrap();
    assert_eq!((attempt.number(), attempt.since()), (2, at(16.0)));
    assert!(!attempt.waits());
    world.until(100.0);
    assert_eq!(
        world.log(),
        [
            "0 scale_up_server server_0 scaling_up",
            "0 scale_up_start instance_0 scaling_up",
            "6 start_up_failed instance_0 scaling_up",
            "16 start_up_again instance_0 scaling_up",
            "20 start_up_failed instance_0 scaling_up",
            "40 start_up_again instance_0 scaling_up",
            "44 start_up_failed instance_0 scaling_up",
            "44 scale_up_cancelled instance_0 scaling_down",
            "44 scale_down_server server_0 scaling_down",
        ]
    );
    assert_eq!(counts(&world), [3, 3, 0, 1]);
    let faults = world.fleet::<FaultLog>().events().iter();
    let faults: Vec<_> = faults
        .map(|it| (it.time.seconds(), it.fault, it.until.map(SimTime::seconds)))
        .collect();
    let failed = "start_up_failed";
    let expected = [
        (6.0, failed, Some(16.0)),
        (20.0, failed, Some(40.0)),
        (44.0, failed, None),
    ];
    assert_eq!(faults, expected);
    let warnings = world.fleet::<RunWarnings>().all().to_string();
    assert!(
        warnings.contains("at 44 s: instance 0 is given up"),
        "{warnings}"
    );
    // It never had an engine.
    assert_eq!(world.fleet::<Ledger>().instances()[0].engine, None);
    nothing_is_left(&world);
}

#[test]
fn one_that_hangs_is_given_up_at_its_timeout() {
    // The engine would have started at 9. Attempts begin at 2 and, 5 s after the end of the first, at 22.
    let rules = "hang: 1, timeout: 15, attempts: 2, back_off: (first: 5)";
    let mut world = failing(rules, "StartEngine(time: Constant(6))", 0);
    let up = world.scale_up_full(&world.up()).unwrap();
    world.until(12.0);
    let stage = *world.get::<StartUpStage>(up.instance).unwrap();
    assert_eq!(
        (stage.kind(), stage.ends()),
        (StageKind::StartEngine, SimTime::MAX)
    );
    world.until(100.0);
    assert_eq!(
        life(&world, 0),
        [
            "0 scale_up_start",
            "3 start_engine",
            "17 start_up_failed",
            "22 start_up_again",
            "23 start_engine",
            "37 start_up_failed",
            "37 scale_up_cancelled",
        ]
    );
    assert_eq!(counts(&world), [2, 0, 2, 1]);
    let times = world.get::<StageTimes>(world.app()).unwrap();
    let engine = times.iter().find(|it| it.0 == StageKind::StartEngine);
    assert_eq!(engine.unwrap().1.abandoned, 2);
    // Without stages it is the timeout, too.
    let mut world = failing(rules, "", 0);
    world.scale_up_full(&world.up()).unwrap();
    world.until(100.0);
    let life = life(&world, 0);
    assert_eq!(life[1..3], ["17 start_up_failed", "22 start_up_again"]);
    nothing_is_left(&world);
}

#[test]
fn a_stage_that_fails_leaves_nothing_and_those_before_it_stay() {
    let rules = "probability: 1, attempts: 2";
    // The first attempt fails in the pull, or in the fetch; then the image is there, and is not pulled again.
    let in_pull = [
        "0 scale_up_start",
        "3 pull_image",
        "13 start_up_failed",
        "23 start_up_again",
    ];
    let again_in_pull = [
        "24 pull_image",
        "34 start_up_failed",
        "34 scale_up_cancelled",
    ];
    let then_in_fetch = [
        "24 pull_image",
        "34 fetch_weights",
        "44 start_up_failed",
        "44 scale_up_cancelled",
    ];
    let in_fetch = [
        "0 scale_up_start",
        "3 pull_image",
        "13 fetch_weights",
        "23 start_up_failed",
    ];
    let again_in_fetch = [
        "33 start_up_again",
        "34 fetch_weights",
        "44 start_up_failed",
        "44 scale_up_cancelled",
    ];
    let expected: [Vec<&str>; 3] = [
        [&in_pull[..], &again_in_pull[..]].concat(),
        [&in_pull[..], &then_in_fetch[..]].concat(),
        [&in_fetch[..], &again_in_fetch[..]].concat(),
    ];
    let mut seen = [0; 3];
    for seed in 0..16 {
        let mut world = failing(rules, &format!("Boot(Constant(0)), {PULL}, {FETCH}"), seed);
        world.scale_up_full(&world.up()).unwrap();
        world.until(100.0);
        let mut life = life(&world, 0);
        life.retain(|line| !line.contains("boot"));
        let which = expected.iter().position(|it| *it == life);
        seen[which.unwrap_or_else(|| panic!("{seed}: {life:?}"))] += 1;
        nothing_is_left(&world);
    }
    assert!(seen.iter().all(|it| *it > 0), "{seen:?}");
}

#[test]
fn what_times_out_leaves_its_share_of_the_bandwidth() {
    // Two pull from 3 on, at half a GiB/s each, and are given up at 17. The third begins then, and has all of it.
    let mut world = failing("timeout: 15, attempts: 1", PULL, 0);
    world.scale_up_full(&world.up()).unwrap();
    world.scale_up_full(&world.up()).unwrap();
    world.until(14.0);
    world.scale_up_full(&world.up()).unwrap();
    world.until(100.0);
    let end = |number| life(&world, number).pop().unwrap();
    let ends = [0, 1, 2].map(end);
    let expected = [
        "17 scale_up_cancelled",
        "17 scale_up_cancelled",
        "27 scale_up_complete",
    ];
    assert_eq!(ends, expected);
    assert_eq!(counts(&world), [3, 0, 2, 2]);
    nothing_is_left(&world);
}

#[test]
fn an_instance_that_waits_can_be_cancelled_or_set_up_by_a_host() {
    let mut world = failing("probability: 1, attempts: 9", "WarmUp(Constant(1))", 0);
    let one = world.scale_up_full(&world.up()).unwrap();
    let two = world.scale_up_full(&world.up()).unwrap();
    let three = world.scale_up_full(&world.up()).unwrap();
    world.until(7.0);
    world.cancel_scale_up(one.instance).unwrap();
    world.entity_mut(two.instance).insert(StartUp {
        joins: at(8.0),
        activates: at(9.0),
    });
    world.despawn(three.server);
    world.until(200.0);
    assert_eq!(life(&world, 0).last().unwrap(), "7 scale_up_cancelled");
    assert_eq!(life(&world, 1).last().unwrap(), "9 scale_up_complete");
    assert_eq!(life(&world, 2).last().unwrap(), "7 crash");
    assert_eq!(world.count::<StartUpAttempt>(), 0);
    nothing_is_left(&world);
}

#[test]
fn attempts_are_as_many_as_the_geometric_law_says() {
    let starts = 1500;
    let up_all = |rules: &str, stages: &str| {
        let mut world = failing(rules, stages, 5);
        for _ in 0..starts {
            world.scale_up_full(&world.up()).unwrap();
        }
        world.run_until(at(1e6)).unwrap();
        nothing_is_left(&world);
        counts(&world).map(|it| it as f64)
    };
    let n = f64::from(starts);
    let near = |found: f64, expected: f64, deviation: f64| {
        let text = format!("{found}, expected {expected} +- {deviation}");
        assert!((found - expected).abs() < 4.0 * deviation, "{text}");
    };
    let rules = "probability: 0.3, hang: 0.1, timeout: 50, back_off: (first: 1, factor: 1)";
    for stages in ["", "StartEngine(time: Constant(3)), WarmUp(Constant(1))"] {
        // Each attempt comes to nothing with 0.4: the mean of the geometric law is 1 / 0.6, its variance 0.4 / 0.36.
        let [begun, failed, timed_out, given_up] = up_all(rules, stages);
        near(begun, n / 0.6, (n * 0.4 / 0.36).sqrt());
        assert_eq!((begun - failed - timed_out, given_up), (n, 0.0));
        let lost = failed + timed_out;
        near(failed, lost * 0.75, (lost * 0.75 * 0.25).sqrt());
    }
    // Of three attempts none comes through with 0.4³.
    let [begun, failed, timed_out, given_up] = up_all(&format!("attempts: 3, {rules}"), "");
    near(given_up, n * 0.064, (n * 0.064 * 0.936).sqrt());
    assert_eq!(begun - failed - timed_out, n - given_up);
}

#[test]
fn a_fork_and_a_snapshot_go_on_among_attempts() {
    let scaling = format!(
        "(spin_up: Constant(1), stages: [{PULL}, WarmUp(Exponential(mean: 9))], start_up_failure:
            (probability: 0.3, hang: 0.2, timeout: 100, attempts: 4))"
    );
    let setup = Setup {
        fleet: FLEET,
        start: "None",
        scaling: &scaling,
        rest: "seed: 3,",
        ..Setup::default()
    };
    let rest = |world: &mut World| {
        world.scale_up_full(&world.up()).unwrap();
        world.until(2000.0);
        (world.log(), counts(world))
    };
    for time in [2.0, 17.0, 50.0, 65.0, 90.0] {
        let mut world = setup.world();
        for _ in 0..6 {
            world.scale_up_full(&world.up()).unwrap();
        }
        world.until(time);
        let copies = setup.copies_of(&world);
        let whole = rest(&mut world);
        assert!(whole.1[1] > 0 && whole.1[2] > 0);
        for mut copy in copies {
            assert_eq!(rest(&mut copy), whole);
        }
    }
}

#[test]
fn a_warm_up_takes_as_long_as_its_requests() {
    // Three requests of five steps of a second each.
    let warm = "WarmUpRequests(requests: 3, prompt_tokens: 10, output_tokens: 5)";
    let mut world = failing("timeout: 1000", warm, 0);
    world.scale_up_full(&world.up()).unwrap();
    world.until(100.0);
    let expected = ["0 scale_up_start", "3 warm_up", "18 scale_up_complete"];
    assert_eq!(life(&world, 0), expected);
}

#[test]
fn what_is_wrong_with_failing_start_ups_is_said() {
    let said = |rules: &str, rest: &str| {
        said_of(&format!(
            r#"(
                name: "said", fleet: [(sku: "dgx-h100", count: 1)],
                applications: [(
                    name: "chat", model: "llama2-70b", instances: [(role: Mixed, start: AllServers)],
                    scaling: (start_up_failure: ({rules})), {rest}
                )],
            )"#
        ))
    };
    let host = "workload: Host,";
    let closed = "workload: Synthetic(arrivals: Poisson(rate: 1), requests: 9,
        prompt_tokens: Constant(9), output_tokens: Constant(9)),";
    for (rules, rest, expected) in [
        ("probability: 0.5", host, ""),
        (
            "probability: 0.5",
            closed,
            "no instance of `chat` ever starts up",
        ),
        ("", host, "no attempt fails, hangs or is given up"),
        ("probability: 1.5", host, "probability"),
        (
            "probability: 0.6, hang: 0.6, timeout: 9, attempts: 2",
            host,
            "more than all",
        ),
        ("probability: 1", host, "no attempt ever comes through"),
        ("probability: 1, attempts: 3", host, ""),
        ("hang: 0.1", host, "never given up"),
        ("hang: 0.1, timeout: 0", host, "timeout"),
        ("timeout: 9", host, "that takes 10 s at least"),
        ("timeout: 10", host, ""),
        ("timeout: 1e12", host, "years"),
        (
            "probability: 0.1, back_off: (first: 600)",
            host,
            "is longer than the longest",
        ),
        ("probability: 0.1, back_off: (factor: 0.5)", host, "factor"),
        ("probability: 0.1, attempts: 0", host, "attempts"),
    ] {
        let said = said(rules, rest);
        assert!(said.contains(expected), "{rules}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{rules}: {said}");
    }
}
