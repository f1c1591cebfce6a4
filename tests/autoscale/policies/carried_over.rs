//! The policies of the version that fleetsim carries over.

use fleetsim::autoscale::policies::{
    HeteroScale, HpaGpu, Idle, IndependentTps, LatencyBased, Periodic, PureLatency, Rules,
    Threshold,
};
use fleetsim::autoscale::{Desire, Latency, Load, Policy, RoleSnapshot};
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
        assert_eq!(both(&wanted(4000, prompt, token)), (prompt, token));
    }
    assert_eq!(both(&wanted(4000, 9, 27)), (10, 30));
    assert_eq!(both(&wanted(4000, 11, 34)), (10, 30));
    // As published, only token instances have a minimum.
    assert_eq!(both(&wanted(0, 8, 24)), (0, 1));
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
    // As published, × 1.2 is truncated, and a single instance never grows.
    let slow = with_latency(30.0, roles(1, 10), 0.1, 0.0481);
    assert_eq!(both(&decide(&mut HeteroScale::default(), &slow)), (1, 12));
    let mut policy = tuned(HeteroScale::default(), |it| {
        it.rules = Rules::Mended;
    });
    assert_eq!(both(&decide(&mut policy, &slow)), (2, 12));
    // Cooling down: latency does not add, and throughput may take away.
    let slow = with_latency(209.0, roles(2, 12), 0.1, 0.0481);
    assert_eq!(both(&decide(&mut policy, &slow)), (1, 1));
    let slow = with_latency(210.0, roles(2, 12), 0.1, 0.0481);
    assert_eq!(both(&decide(&mut policy, &slow)), (3, 15));
    // At the threshold it is not slow.
    let mut policy = HeteroScale::default();
    let fine = with_latency(30.0, roles(2, 12), 0.1, 0.048);
    assert_eq!(both(&decide(&mut policy, &fine)), (0, 1));
    let idle = with_latency(620.0, roles(2, 12), 0.1, 0.04);
    assert_eq!(both(&decide(&mut policy, &idle)), (2, 12));
    let idle = with_latency(630.0, roles(2, 12), 0.1, 0.04);
    assert_eq!(both(&decide(&mut policy, &idle)), (0, 1));
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
    assert_eq!(wanted(771, 700), (11, 10));
    assert_eq!(wanted(769, 700), (10, 10));
    // Both are set: one shrinks as the other grows.
    assert_eq!(wanted(771, 100), (11, 1));
    assert_eq!(wanted(629, 630), (10, 10));
    assert_eq!(wanted(629, 350), (9, 5));
    assert_eq!(wanted(0, 0), (0, 1));
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
    assert_eq!(wanted(77_001, 1000), (11, 10));
    assert_eq!(wanted(0, 1101), (0, 11));
    assert_eq!(wanted(0, 900), (10, 10));
    assert_eq!(wanted(62_999, 899), (9, 9));
    assert_eq!(wanted(0, 0), (0, 1));
}

#[test]
fn pure_latency_adds_two_or_takes_one() {
    let wanted = |current, tbt| {
        let roles = vec![
            role(Prompt, current, Load::ZERO),
            role(Token, 10, Load::ZERO),
        ];
        let signals = with_latency(30.0, roles, 0.1, tbt);
        let desired = decide(&mut PureLatency::default(), &signals);
        let of = |role, current| match desired.of(role).unwrap().0 {
            Desire::Keep => current,
            _ => exactly(&desired, role),
        };
        (of(Prompt, current), of(Token, 10))
    };
    assert_eq!(wanted(10, 0.0441), (12, 12));
    assert_eq!(wanted(10, 0.044), (10, 10));
    assert_eq!(wanted(10, 0.032), (10, 10));
    assert_eq!(wanted(10, 0.0319), (9, 9));
    assert_eq!(wanted(1, 0.0319), (0, 9));
}

#[test]
fn without_traffic_latency_is_unknown() {
    let silent = || seen(30.0, vec![role(Mixed, 30, Load::ZERO)]);
    let busy = || seen(30.0, vec![role(Mixed, 30, requests(1))]);
    assert_eq!(
        exactly(&decide(&mut PureLatency::default(), &silent()), Mixed),
        1
    );
    assert_eq!(
        exactly(&decide(&mut LatencyBased::default(), &silent()), Mixed),
        1
    );
    // A request that runs may be slow.
    let kept = decide(&mut PureLatency::default(), &busy());
    assert_eq!(kept.of(Mixed).unwrap().0, Desire::Keep);
    let kept = decide(&mut LatencyBased::default(), &busy());
    assert_eq!(kept.of(Mixed).unwrap().0, Desire::Keep);
    // As published, one stays as it is, and for the other no request is a fast one.
    let mut stays = tuned(PureLatency::default(), |it| it.idle = Idle::AsPublished);
    assert_eq!(
        decide(&mut stays, &silent()).of(Mixed).unwrap().0,
        Desire::Keep
    );
    let mut fast = tuned(LatencyBased::default(), |it| it.idle = Idle::AsPublished);
    assert_eq!(exactly(&decide(&mut fast, &silent()), Mixed), 28);
}

#[test]
fn latency_based_multiplies() {
    let wanted = |policy: &mut LatencyBased, count, ttft| {
        let signals = with_latency(30.0, vec![role(Mixed, count, Load::ZERO)], ttft, 0.1);
        let desired = decide(policy, &signals);
        match desired.of(Mixed).unwrap().0 {
            Desire::Keep => count,
            _ => exactly(&desired, Mixed),
        }
    };
    for (ttft, published, mended) in [
        (1.2, 12, 12),
        (1.19, 11, 11),
        (1.1, 11, 11),
        (1.09, 10, 10),
        (0.91, 10, 10),
        // 9.5 is rounded to 10.
        (0.9, 10, 9),
    ] {
        let count = wanted(&mut LatencyBased::default(), 10, ttft);
        assert_eq!(count, published, "{ttft}");
        let mut policy = tuned(LatencyBased::default(), |it| it.rules = Rules::Mended);
        assert_eq!(wanted(&mut policy, 10, ttft), mended, "{ttft}");
    }
    // As published, one and two never grow.
    assert_eq!(wanted(&mut LatencyBased::default(), 2, 9.0), 2);
}

#[test]
fn latency_based_moves_the_role_that_its_metric_is_of() {
    let roles = || vec![role(Prompt, 10, Load::ZERO), role(Token, 10, Load::ZERO)];
    for (metric, moved, kept) in [
        (Latency::Ttft, Prompt, Token),
        (Latency::Tbt, Token, Prompt),
    ] {
        let mut policy = tuned(LatencyBased::default(), |it| it.metric = metric);
        let desired = decide(&mut policy, &with_latency(30.0, roles(), 2.0, 2.0));
        assert_eq!(exactly(&desired, moved), 12);
        assert_eq!(desired.of(kept).unwrap().0, Desire::Keep);
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
