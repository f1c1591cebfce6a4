//! KnativeKpa. Examples are those of Knative's own pages on concurrency and on KPA-specific settings, of
//! the comments in its `config-autoscaler` and of those in `autoscaler.go`.

use fleetsim::autoscale::policies::{KnativeKpa, Metric};

use super::*;
use crate::support::*;

/// So many requests for each instance, of which 70 % are aimed at.
fn concurrency(target: f64) -> KnativeKpa {
    tuned(KnativeKpa::default(), |it| {
        it.target = target;
    })
}

/// Ten instances, whatever it wants, after the panic in which it begins; each had its 70 requests.
fn calm() -> Run<KnativeKpa> {
    let mut run = Run::new(KnativeKpa::default(), 10);
    for _ in 0..40 {
        assert_eq!(hold(&mut run, 700), 10);
    }
    run
}

/// A decision after which there are ten again.
fn hold(run: &mut Run<KnativeKpa>, requested: u64) -> u32 {
    let count = run.step(requests(requested));
    run.count = 10;
    count
}

#[test]
fn ten_requests_at_seventy_percent_are_seven_for_each_instance() {
    let wanted = |count, requested| Run::new(concurrency(10.0), count).step(requests(requested));
    // "the Autoscaler will try to maintain 7 concurrent connections per pod on average"
    assert_eq!(wanted(1, 7), 1);
    assert_eq!(wanted(1, 8), 2);
    assert_eq!(wanted(10, 70), 10);
    assert_eq!(wanted(10, 71), 11);
    // 100 ÷ (10 × 0.7), rounded up.
    assert_eq!(wanted(1, 100), 15);
}

#[test]
fn a_number_grows_by_at_least_one_whatever_the_rate() {
    // "MSUR=1.1, OCC=3, RPC=2, TV=1 => OCC/TV=3, MSU=2.2": three pods, not two.
    let policy = tuned(concurrency(1.0), |it| {
        it.utilization = 1.0;
        it.max_scale_up_rate = 1.1;
    });
    assert_eq!(Run::new(policy.clone(), 2).step(requests(3)), 3);
    assert_eq!(Run::new(policy, 2).step(requests(30)), 3);
}

#[test]
fn twice_what_is_ready_within_six_seconds_is_a_panic() {
    // 1,330 requests are 19 instances, one more are 20: "panic mode will be entered if traffic is twice
    // as high as the current replica population can handle".
    for (requested, wanted) in [(1330, 11), (1331, 20)] {
        let mut run = calm();
        assert_eq!(hold(&mut run, requested), 11);
        assert_eq!(hold(&mut run, requested), 11);
        let count = hold(&mut run, requested);
        assert_eq!(count, wanted, "{requested}");
    }
}

#[test]
fn in_a_panic_the_number_never_falls_until_a_stable_window_has_passed() {
    let mut run = calm();
    (0..2).for_each(|_| assert_eq!(hold(&mut run, 1400), 11));
    assert_eq!(hold(&mut run, 1400), 20);
    // The last sample over the threshold; two later the short window is below.
    let last = run.now();
    while run.now() < last + 60.0 {
        assert_eq!(hold(&mut run, 700), 20, "{}", run.now());
    }
    assert_eq!(hold(&mut run, 700), 10);
}

#[test]
fn it_begins_in_a_panic_halves_at_most_and_goes_to_zero_after_its_grace() {
    let changes = Run::new(KnativeKpa::default(), 10).steps(60, Load::ZERO);
    assert_eq!(
        changes,
        [(62.0, 5), (64.0, 2), (66.0, 1), (96.0, 0)],
        "with two instances, from 66 s on, the activator is in the path"
    );
    let kept = tuned(KnativeKpa::default(), |it| {
        it.min = 1;
    });
    let changes = Run::new(kept, 10).steps(60, Load::ZERO);
    assert_eq!(changes.last(), Some(&(66.0, 1)));
    let retained = tuned(KnativeKpa::default(), |it| {
        it.scale_to_zero_retention = seconds(40.0);
    });
    let changes = Run::new(retained, 1).steps(60, Load::ZERO);
    assert_eq!(changes, [(100.0, 0)], "inactive from 60 s on");
}

#[test]
fn a_single_instance_does_not_begin_in_a_panic() {
    let mut run = Run::new(KnativeKpa::default(), 1);
    assert_eq!(run.step(requests(70)), 1);
    assert_eq!(run.step(requests(69)), 1);
    assert_eq!(run.steps(15, Load::ZERO), []);
    // The mean of the stable window is what counts: 139 requests in 30 samples.
    assert_eq!(run.steps(14, Load::ZERO), []);
    // At 64 s none is wanted, and the activator has been in the path all the time.
    assert_eq!(run.steps(2, Load::ZERO), [(66.0, 0)]);
}

#[test]
fn a_delay_holds_the_highest_number_wanted() {
    let policy = tuned(KnativeKpa::default(), |it| {
        it.scale_down_delay = seconds(20.0);
    });
    let changes = Run::new(policy, 8).steps(60, Load::ZERO);
    assert_eq!(changes[0], (80.0, 4), "wanted at 62 s; 8 last at 60 s");
}

#[test]
fn requests_that_wait_for_the_first_instance_count() {
    let roles = vec![role(Mixed, 0, Load::ZERO)];
    let desired = decide(&mut KnativeKpa::default(), &waiting(roles, 71));
    assert_eq!(exactly(&desired, Mixed), 2);
}

#[test]
fn requests_a_second_are_another_metric() {
    let mut policy = tuned(concurrency(200.0), |it| {
        it.metric = Metric::RequestsPerS;
    });
    // 281 a second, at 140 for each.
    let desired = decide(
        &mut policy,
        &arriving(vec![role(Mixed, 1, Load::ZERO)], 281),
    );
    assert_eq!(exactly(&desired, Mixed), 3);
}
