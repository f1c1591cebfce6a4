//! The policies of the version that fleetsim carries over.

use fleetsim::autoscale::policies::{
    HeteroScale, HpaGpu, IndependentTps, LatencyBased, Periodic, PureLatency, Threshold,
};
use fleetsim::autoscale::{Desire, Load, Policy, RoleSnapshot};
use fleetsim::serving::Role::{Mixed, Prompt, Token};

use super::*;
use crate::support::*;

#[test]
fn threshold_moves_by_one_outside_its_band() {
    let by = |roles: Vec<RoleSnapshot>| {
        let of = roles[0].role;
        let desired = decide(&mut Threshold::default(), &seen(30.0, roles));
        desired.of(of).unwrap().0
    };
    // Two prompt instances are full at 20,000 tokens.
    for (tokens, wanted) in [
        (16_001, Desire::Change(1)),
        (16_000, Desire::Keep),
        (6_000, Desire::Keep),
        (5_999, Desire::Change(-1)),
    ] {
        assert_eq!(
            by(vec![role(Prompt, 2, pending(tokens))]),
            wanted,
            "{tokens}"
        );
    }
    for (used, wanted) in [
        (801, Desire::Change(1)),
        (800, Desire::Keep),
        (300, Desire::Keep),
        (299, Desire::Change(-1)),
    ] {
        assert_eq!(by(vec![role(Token, 2, memory(used))]), wanted, "{used}");
        assert_eq!(by(vec![role(Mixed, 2, memory(used))]), wanted, "{used}");
    }
    // Never below the minimum, never above the maximum, and up to the minimum from below.
    assert_eq!(by(vec![role(Prompt, 1, pending(0))]), Desire::Keep);
    assert_eq!(
        by(vec![role(Prompt, 100, pending(10_000_000))]),
        Desire::Keep
    );
    assert_eq!(by(vec![role(Prompt, 0, pending(0))]), Desire::Exactly(1));
}

#[test]
fn hetero_scale_follows_decode_throughput_at_its_ratio() {
    let wanted = |tokens_per_s: u64, prompt, token| {
        let tokens = RoleSnapshot {
            output_tokens: tokens_per_s * 30,
            ..role(Token, token, Load::ZERO)
        };
        let roles = vec![role(Prompt, prompt, Load::ZERO), tokens];
        decide(&mut HeteroScale::default(), &seen(600.0, roles))
    };
    // 4,000 tokens/s are 40 instances: 40 / 4.03 = 9.9 for prompts, 30.1 for tokens.
    assert_eq!(both(&wanted(4000, 8, 24)), (10, 30));
    assert_eq!(both(&wanted(4000, 20, 40)), (10, 30));
    // Within a tenth of the 36 or 44 that there are: kept.
    for (prompt, token) in [(9, 28), (10, 34)] {
        assert_eq!(
            wanted(4000, prompt, token).of(Prompt).unwrap().0,
            Desire::Keep
        );
    }
    assert_eq!(both(&wanted(4000, 9, 27)), (10, 30));
    assert_eq!(both(&wanted(4000, 11, 34)), (10, 30));
    assert_eq!(both(&wanted(0, 8, 24)), (1, 1));
    assert_eq!(both(&wanted(90_000, 8, 24)), (100, 100));
}

#[test]
fn hetero_scale_grows_by_a_fifth_when_tokens_are_slow() {
    let roles = |prompt, token| {
        let (prompt, token) = (
            role(Prompt, prompt, Load::ZERO),
            role(Token, token, Load::ZERO),
        );
        vec![prompt, token]
    };
    let mut policy = HeteroScale::default();
    let slow = with_latency(30.0, roles(1, 10), 0.1, 0.0481);
    assert_eq!(both(&decide(&mut policy, &slow)), (2, 12));
    // Cooling down: latency does not add, and throughput may not take away.
    let slow = with_latency(209.0, roles(2, 12), 0.1, 0.0481);
    assert_eq!(
        decide(&mut policy, &slow).of(Token).unwrap().0,
        Desire::Keep
    );
    let slow = with_latency(210.0, roles(2, 12), 0.1, 0.0481);
    assert_eq!(both(&decide(&mut policy, &slow)), (3, 15));
    // At the threshold it is not slow.
    let mut policy = HeteroScale::default();
    let fine = with_latency(30.0, roles(2, 12), 0.1, 0.048);
    assert_eq!(both(&decide(&mut policy, &fine)), (1, 1));
    let idle = with_latency(620.0, roles(2, 12), 0.1, 0.04);
    assert_eq!(
        decide(&mut policy, &idle).of(Token).unwrap().0,
        Desire::Keep
    );
    let idle = with_latency(630.0, roles(2, 12), 0.1, 0.04);
    assert_eq!(both(&decide(&mut policy, &idle)), (1, 1));
}

#[test]
fn hpa_grows_if_any_role_is_above_and_shrinks_only_if_all_are_below() {
    let wanted = |prompt, token| {
        let roles = vec![
            role(Prompt, 10, memory(prompt)),
            role(Token, 10, memory(token)),
        ];
        both(&decide(&mut HpaGpu::default(), &seen(30.0, roles)))
    };
    assert_eq!(wanted(771, 700), (12, 10));
    assert_eq!(wanted(769, 700), (10, 10));
    assert_eq!(wanted(771, 100), (12, 10));
    assert_eq!(wanted(629, 630), (10, 10));
    assert_eq!(wanted(629, 350), (9, 5));
    assert_eq!(wanted(0, 0), (1, 1));
    // What starts up counts, with a utilisation of 0.
    let starting = RoleSnapshot {
        starting: vec![at(40.0), at(40.0)],
        ..role(Mixed, 8, memory(900))
    };
    let desired = decide(&mut HpaGpu::default(), &seen(30.0, vec![starting]));
    assert_eq!(exactly(&desired, Mixed), 10);
}

#[test]
fn independent_tps_counts_each_roles_own_tokens() {
    let wanted = |prompt_tps: u64, token_tps: u64| {
        let prompt = RoleSnapshot {
            prompt_tokens: prompt_tps * 30,
            prompt_capacity: 10_000.0,
            ..role(Prompt, 10, Load::ZERO)
        };
        let token = RoleSnapshot {
            output_tokens: token_tps * 30,
            ..role(Token, 10, Load::ZERO)
        };
        both(&decide(
            &mut IndependentTps::default(),
            &seen(30.0, vec![prompt, token]),
        ))
    };
    // A prompt instance is worth 70 % of 10,000 tokens/s.
    assert_eq!(wanted(77_000, 1000), (10, 10));
    assert_eq!(wanted(77_001, 1000), (12, 10));
    assert_eq!(wanted(0, 1101), (10, 12));
    assert_eq!(wanted(0, 900), (10, 10));
    assert_eq!(wanted(62_999, 899), (9, 9));
    assert_eq!(wanted(0, 0), (1, 1));
}

#[test]
fn pure_latency_adds_two_or_takes_one() {
    let wanted = |current, tbt| {
        let roles = vec![
            role(Prompt, current, Load::ZERO),
            role(Token, 10, Load::ZERO),
        ];
        both(&decide(
            &mut PureLatency::default(),
            &with_latency(30.0, roles, 0.1, tbt),
        ))
    };
    assert_eq!(wanted(10, 0.0441), (12, 12));
    assert_eq!(wanted(10, 0.044), (10, 10));
    assert_eq!(wanted(10, 0.032), (10, 10));
    assert_eq!(wanted(10, 0.0319), (9, 9));
    assert_eq!(wanted(1, 0.0319), (1, 9));
    let silent = seen(30.0, vec![role(Mixed, 3, Load::ZERO)]);
    assert_eq!(
        exactly(&decide(&mut PureLatency::default(), &silent), Mixed),
        3
    );
}

#[test]
fn latency_based_multiplies() {
    let wanted = |ttft| {
        let signals = with_latency(30.0, vec![role(Mixed, 10, Load::ZERO)], ttft, 0.1);
        exactly(&decide(&mut LatencyBased::default(), &signals), Mixed)
    };
    for (ttft, count) in [
        (1.21, 12),
        (1.2, 11),
        (1.11, 11),
        (1.1, 10),
        (0.9, 10),
        (0.89, 9),
    ] {
        assert_eq!(wanted(ttft), count, "{ttft}");
    }
}

#[test]
fn periodic_follows_its_table() {
    let wanted = |policy: &mut Periodic, hour: f64| {
        let roles = vec![role(Prompt, 1, Load::ZERO), role(Token, 1, Load::ZERO)];
        both(&decide(policy, &seen(hour * 3600.0, roles)))
    };
    let mut policy = Periodic::default();
    for (hour, counts) in [
        (8.99, (10, 20)),
        (9.0, (30, 100)),
        (22.99, (30, 100)),
        (23.0, (10, 20)),
    ] {
        assert_eq!(wanted(&mut policy, hour), counts, "{hour}");
        assert_eq!(wanted(&mut policy, hour + 48.0), counts, "{hour}");
    }
    // A night that ends on the next day, seen by a run that begins at noon.
    policy.start_hour = 12.0;
    (policy.periods[0].from, policy.periods[0].to) = (22.0, 6.0);
    for (hour, counts) in [
        (9.9, (10, 20)),
        (10.0, (30, 100)),
        (17.9, (30, 100)),
        (18.0, (10, 20)),
    ] {
        assert_eq!(wanted(&mut policy, hour), counts, "{hour}");
    }
    assert!(policy.check().is_ok());
}
