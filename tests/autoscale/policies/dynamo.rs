use fleetsim::autoscale::policies::{Aim, DynamoLoad};

use super::*;
use crate::support::*;

fn aims(aim: Aim) -> DynamoLoad {
    tuned(DynamoLoad::default(), |it| {
        it.aim = aim;
    })
}

/// One request that waits with a prompt of so many tokens.
fn queue(tokens: u64) -> Load {
    Load {
        assigned: 1,
        queued: 1,
        pending_tokens: tokens,
        ..Load::ZERO
    }
}

/// So many of a thousand tokens in the KV cache.
fn kv(tokens: u64) -> Load {
    Load {
        kv_used: tokens,
        kv: 1000,
        ..Load::ZERO
    }
}

fn of(of: Role, loads: &[Load]) -> RoleSnapshot {
    RoleSnapshot {
        kv_bytes_per_token: 1,
        prompt_capacity: 10_000.0,
        ..with_instances(of, loads, 0)
    }
}

fn wanted(policy: &mut DynamoLoad, of: RoleSnapshot) -> u32 {
    let (role, current) = (of.role, of.current());
    let desired = decide(policy, &seen(30.0, vec![of]));
    match desired.of(role).unwrap().0 {
        Desire::Keep => current,
        _ => exactly(&desired, role),
    }
}

#[test]
fn any_prompt_queue_of_a_context_adds_and_only_all_below_a_tenth_remove() {
    let wanted = |aim, loads: &[Load]| wanted(&mut aims(aim), of(Prompt, loads));
    assert_eq!(wanted(Aim::Throughput, &[queue(4096), queue(0)]), 3);
    assert_eq!(wanted(Aim::Throughput, &[queue(4095), queue(0)]), 2);
    assert_eq!(wanted(Aim::Throughput, &[queue(410), queue(0)]), 2);
    assert_eq!(wanted(Aim::Throughput, &[queue(409), queue(409)]), 1);
    assert_eq!(wanted(Aim::Latency, &[queue(410), queue(0)]), 3);
    assert_eq!(wanted(Aim::Latency, &[queue(409), queue(0)]), 2);
    assert_eq!(wanted(Aim::Latency, &[queue(0), queue(0)]), 1);
    // What runs does not wait.
    let runs = Load {
        running: 1,
        queued: 0,
        ..queue(9000)
    };
    assert_eq!(wanted(Aim::Throughput, &[runs, runs]), 1);
}

#[test]
fn any_full_kv_cache_adds_and_only_all_far_from_full_remove() {
    let wanted = |aim, loads: &[Load]| wanted(&mut aims(aim), of(Token, loads));
    assert_eq!(wanted(Aim::Throughput, &[kv(1001), kv(0)]), 3);
    assert_eq!(wanted(Aim::Throughput, &[kv(1000), kv(0)]), 2);
    assert_eq!(wanted(Aim::Throughput, &[kv(600), kv(0)]), 2);
    // On one instance the load of two would be above the upper threshold.
    assert_eq!(wanted(Aim::Throughput, &[kv(599), kv(599)]), 2);
    assert_eq!(wanted(Aim::Throughput, &[kv(499), kv(499)]), 1);
    assert_eq!(wanted(Aim::Latency, &[kv(401), kv(0)]), 3);
    assert_eq!(wanted(Aim::Latency, &[kv(400), kv(0)]), 2);
    assert_eq!(wanted(Aim::Latency, &[kv(100), kv(0)]), 2);
    assert_eq!(wanted(Aim::Latency, &[kv(99), kv(99)]), 1);
    assert_eq!(wanted(Aim::Latency, &[kv(0)]), 1);
}

#[test]
fn a_prompt_that_waits_counts_for_a_mixed_instances_cache() {
    let waits = |tokens| {
        let load = Load {
            kv_used: 500,
            kv: 1000,
            ..queue(tokens)
        };
        wanted(&mut aims(Aim::Throughput), of(Mixed, &[load]))
    };
    assert_eq!(waits(500), 1);
    assert_eq!(waits(501), 2);
}

#[test]
fn nothing_changes_while_a_change_is_in_progress_anywhere() {
    let full = || of(Token, &[kv(1001); 2]);
    let with = |other: RoleSnapshot| {
        let signals = seen(30.0, vec![other, full()]);
        let desired = decide(&mut aims(Aim::Throughput), &signals);
        match desired.of(Token).unwrap().0 {
            Desire::Keep => 2,
            _ => exactly(&desired, Token),
        }
    };
    assert_eq!(with(of(Prompt, &[queue(9); 2])), 3);
    assert_eq!(with(with_instances(Prompt, &[queue(9); 2], 1)), 2);
    let drains = RoleSnapshot {
        draining: 1,
        ..of(Prompt, &[queue(9); 2])
    };
    assert_eq!(with(drains), 2);
}

#[test]
fn with_objectives_every_prompt_queue_must_be_too_long() {
    // A prompt of 1,000 tokens takes 0.1 s by itself, of 0.5.
    let wanted = |loads: &[Load]| {
        let signals = with_latency(30.0, vec![of(Prompt, loads)], 1.0, 0.1);
        exactly(&decide(&mut aims(Aim::Sla), &signals), Prompt)
    };
    assert_eq!(wanted(&[queue(4001), queue(4001)]), 3);
    assert_eq!(wanted(&[queue(4001), queue(3999)]), 2);
    // On one instance, the queue may add 0.8 × 0.4 s: 3,200 tokens.
    assert_eq!(wanted(&[queue(1599), queue(1599)]), 1);
    assert_eq!(wanted(&[queue(1601), queue(0)]), 2);
    assert_eq!(wanted(&[queue(0)]), 1);
}

/// Has it see six decisions in which tokens came 20 ms apart and 10 µs more for each token in the KV
/// cache of an instance, and returns what it wants of two that hold so many.
fn learnt(held: u64) -> u32 {
    let mut policy = aims(Aim::Sla);
    let mut signals = Signals::new(seconds(60.0), SimDuration::ZERO);
    let look = |signals: &mut Signals, policy: &mut DynamoLoad, step: u32, each: u64| {
        let load = Load {
            kv_used: each,
            kv: 10_000,
            running: (20 + each / 100) / 2,
            ..Load::ZERO
        };
        let time = at(5.0 * f64::from(step));
        signals.scrape(Snapshot {
            time,
            roles: vec![RoleSnapshot {
                output_tokens: 5000 * u64::from(step),
                ..of(Token, &[load; 2])
            }],
            ..Snapshot::default()
        });
        assert!(signals.look(time));
        exactly(&decide(policy, signals), Token)
    };
    for (step, each) in (0..6).zip([2000, 1000, 3000, 2000, 5000, 4000]) {
        // Of too little nothing is learnt.
        let wanted = look(&mut signals, &mut policy, step, each);
        assert!(step >= 5 || wanted == 2, "{step}");
    }
    // Nothing is generated here, so nothing more is learnt.
    let after = seen(100.0, vec![of(Token, &[kv_of(held); 2])]);
    exactly(&decide(&mut policy, &after), Token)
}

fn kv_of(tokens: u64) -> Load {
    Load {
        kv_used: tokens,
        kv: 10_000,
        ..Load::ZERO
    }
}

#[test]
fn with_objectives_the_time_between_tokens_is_learnt() {
    // 50 ms at 3,000 tokens.
    assert_eq!(learnt(3001), 3);
    assert_eq!(learnt(2999), 2);
    // 80 % of it at 2,000, which are 1,000 on each of two.
    assert_eq!(learnt(1001), 2);
    assert_eq!(learnt(999), 1);
}
