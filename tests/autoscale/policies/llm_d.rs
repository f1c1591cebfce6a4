//! SaturationV1 and SaturationV2.

use fleetsim::autoscale::policies::{SaturationV1, SaturationV2};

use super::*;
use crate::support::*;

/// So many of a hundred thousand tokens in the KV cache, and so many requests waiting.
fn holds(tokens: u64, waiting: u64) -> Load {
    Load {
        kv_used: tokens,
        kv: 100_000,
        queued: waiting,
        assigned: waiting,
        ..Load::ZERO
    }
}

fn first(loads: &[Load], starting: usize) -> u32 {
    let signals = seen(30.0, vec![with_instances(Mixed, loads, starting)]);
    exactly(&decide(&mut SaturationV1::default(), &signals), Mixed)
}

#[test]
fn one_more_where_the_unsaturated_have_too_little_to_spare() {
    assert_eq!(first(&[holds(70_000, 0)], 0), 1);
    assert_eq!(first(&[holds(70_001, 0)], 0), 2);
    assert_eq!(first(&[holds(0, 2)], 0), 1);
    assert_eq!(first(&[holds(0, 3)], 0), 2);
    // The mean of two: 0.05 and 0.15; one saturated does not count, by its cache or by its queue.
    assert_eq!(first(&[holds(75_000, 0), holds(65_000, 0)], 0), 2);
    assert_eq!(first(&[holds(80_000, 0), holds(65_000, 0)], 0), 2);
    assert_eq!(first(&[holds(79_999, 0), holds(65_000, 0)], 0), 3);
    assert_eq!(first(&[holds(0, 5), holds(65_000, 0)], 0), 2);
    // None left.
    assert_eq!(first(&[holds(80_000, 0), holds(0, 5)], 0), 3);
}

#[test]
fn one_fewer_where_the_rest_would_still_have_enough() {
    assert_eq!(first(&[holds(35_000, 0); 2], 0), 1);
    assert_eq!(first(&[holds(35_100, 0); 2], 0), 2);
    assert_eq!(first(&[holds(0, 1); 2], 0), 1);
    assert_eq!(first(&[holds(0, 1), holds(0, 2)], 0), 2);
    assert_eq!(first(&[holds(46_600, 0); 3], 0), 2);
    assert_eq!(first(&[holds(46_700, 0); 3], 0), 3);
    // The last one stays, and so does one beside a saturated one.
    assert_eq!(first(&[holds(0, 0)], 0), 1);
    assert_eq!(first(&[holds(0, 0), holds(90_000, 0)], 0), 2);
}

#[test]
fn while_one_starts_up_nothing_changes() {
    assert_eq!(first(&[holds(90_000, 9); 2], 1), 3);
    assert_eq!(first(&[holds(0, 0); 2], 1), 3);
}

#[test]
fn the_peak_of_a_minute_counts() {
    let mut policy = SaturationV1::default();
    let mut wanted = |now, count, tokens| {
        let loads = vec![holds(tokens, 0); count];
        let signals = seen(now, vec![with_instances(Mixed, &loads, 0)]);
        exactly(&decide(&mut policy, &signals), Mixed)
    };
    assert_eq!(wanted(30.0, 2, 75_000), 3);
    // Until there are as many as it asked for, it asks for them again.
    assert_eq!(wanted(40.0, 2, 0), 3);
    assert_eq!(wanted(60.0, 3, 0), 3);
    assert_eq!(wanted(90.0, 3, 0), 2);
}

/// Instances of an engine with batches of 2,048 tokens and 512 requests, one byte a token.
fn engines(loads: &[Load], starting: usize) -> RoleSnapshot {
    RoleSnapshot {
        kv_bytes_per_token: 1,
        max_batch_size: Some(512),
        max_batch_tokens: Some(2048),
        ..with_instances(Mixed, loads, starting)
    }
}

/// What is wanted where requests have 1,000 prompt tokens and 200 output tokens.
fn second(policy: &mut SaturationV2, of: RoleSnapshot) -> u32 {
    let signals = with_latency(30.0, vec![of], 1.0, 0.1);
    exactly(&decide(policy, &signals), Mixed)
}

#[test]
fn supply_is_bound_by_memory_and_demand_kept_between_two_shares_of_it() {
    let wanted = |each, starting| {
        let of = engines(&[holds(each, 0); 2], starting);
        second(&mut SaturationV2::default(), of)
    };
    // 80,000 tokens each; 85 % of two are 136,000 tokens, and of the three with one that starts up
    // 204,000.
    assert_eq!(wanted(68_000, 0), 2);
    assert_eq!(wanted(68_001, 0), 3);
    assert_eq!(wanted(100_000, 0), 3);
    assert_eq!(wanted(100_000, 1), 3);
    assert_eq!(wanted(102_001, 1), 4);
    // 56,000 tokens are 70 % of one.
    assert_eq!(wanted(28_000, 0), 1);
    assert_eq!(wanted(28_001, 0), 2);
    assert_eq!(wanted(0, 0), 1);
}

#[test]
fn each_request_that_waits_is_a_mean_prompt_of_demand() {
    let wanted = |waiting| {
        let of = engines(&[holds(66_000, waiting), holds(66_000, 0)], 0);
        second(&mut SaturationV2::default(), of)
    };
    assert_eq!(wanted(4), 2);
    // The fifth also says that 66,000 tokens are all that an instance can compute, and 137,000 are more
    // than 85 % of 132,000.
    assert_eq!(wanted(5), 3);
}

#[test]
fn what_a_queue_showed_an_instance_to_bear_is_remembered() {
    let mut policy = SaturationV2::default();
    let mut wanted = |loads: &[Load]| second(&mut policy, engines(loads, 0));
    assert_eq!(wanted(&[holds(45_000, 0); 2]), 2);
    // 50,000 each, 110,000 in demand.
    assert_eq!(wanted(&[holds(50_000, 5); 2]), 3);
    // 90,000 are above 85 % of 100,000 now.
    assert_eq!(wanted(&[holds(45_000, 0); 2]), 3);
    // Ten observations count: two of 50,000 and eight of 60,000 have a mean of 58,000. Two instances bear
    // 98,600 tokens.
    for _ in 0..4 {
        wanted(&[holds(60_000, 5); 2]);
    }
    assert_eq!(wanted(&[holds(49_000, 0); 2]), 2);
    assert_eq!(wanted(&[holds(49_301, 0); 2]), 3);
}

#[test]
fn an_engines_limits_bound_what_it_can_compute() {
    // 256 × 200 ÷ 1,200 requests of 1,100 tokens: 46,933.
    let by_tokens = RoleSnapshot {
        max_batch_tokens: Some(256),
        ..engines(&[holds(39_894, 0); 2], 0)
    };
    assert_eq!(second(&mut SaturationV2::default(), by_tokens), 3);
    let by_tokens = RoleSnapshot {
        max_batch_tokens: Some(256),
        ..engines(&[holds(39_893, 0); 2], 0)
    };
    assert_eq!(second(&mut SaturationV2::default(), by_tokens), 2);
    // 40 requests of 1,100 tokens: 44,000.
    let by_size = |each| RoleSnapshot {
        max_batch_size: Some(40),
        max_batch_tokens: None,
        ..engines(&[holds(each, 0); 2], 0)
    };
    assert_eq!(second(&mut SaturationV2::default(), by_size(37_400)), 2);
    assert_eq!(second(&mut SaturationV2::default(), by_size(37_401)), 3);
}
