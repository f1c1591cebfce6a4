use fleetsim::autoscale::policies::{
    Aim, DynamoLoad, DynamoSla, Prediction, RoleReports, StepReport,
};
use fleetsim::autoscale::{CapacityModel, EngineModel};
use fleetsim::serving::{Linear, Performance};

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

/// An engine whose steps take these seconds, for each prompt token, decoding request and KV token.
fn engine([base, prefill_token, decode_request, context_token]: [f64; 4]) -> EngineModel {
    EngineModel {
        performance: Performance::Linear(Linear {
            base,
            prefill_token,
            decode_request,
            context_token,
        }),
        max_batch_size: Some(64),
        max_batch_tokens: Some(2048),
        kv_tokens: Some(1_000_000),
        chunks_prompts: true,
        gpus: 8,
    }
}

fn with_engine(role: Role, coefficients: [f64; 4]) -> CapacityModel {
    CapacityModel::default().with_engine(role, engine(coefficients))
}

#[test]
fn with_objectives_every_prompt_queue_must_be_too_long() {
    // A prompt of 1,000 tokens takes 0.1 s by itself, of 0.5. Beside one that runs, these tokens wait.
    let waits = |tokens| Load {
        assigned: 2,
        queued: 1,
        running: 1,
        pending_tokens: 2 * tokens,
        ..Load::ZERO
    };
    let wanted = |loads: &[u64]| {
        let loads: Vec<Load> = loads.iter().map(|&it| waits(it)).collect();
        let signals = with_latency(30.0, vec![of(Prompt, &loads)], 1.0, 0.1);
        let signals = signals.with_capacity(with_engine(Prompt, [0.0, 1e-4, 0.0, 0.0]));
        wanted_of(&decide(&mut aims(Aim::Sla), &signals), Prompt, loads.len())
    };
    assert_eq!(wanted(&[4001, 4001]), 3);
    assert_eq!(wanted(&[4001, 3999]), 2);
    // On one instance, the queue may add 0.8 × 0.4 s: 3,200 tokens.
    assert_eq!(wanted(&[1599, 1599]), 1);
    assert_eq!(wanted(&[1601, 0]), 2);
    assert_eq!(wanted(&[0]), 1);
}

fn wanted_of(desired: &DesiredInstances, role: Role, current: usize) -> u32 {
    match desired.of(role).unwrap().0 {
        Desire::Keep => current as u32,
        _ => exactly(desired, role),
    }
}

#[test]
fn with_objectives_the_time_between_tokens_is_that_of_a_step() {
    // 20 ms and 10 µs for each token in the KV cache: of 100 requests, and of one more with the mean context.
    let wanted = |held| {
        let load = Load {
            kv_used: held,
            kv: 10_000,
            running: 100,
            ..Load::ZERO
        };
        let signals = seen(30.0, vec![of(Token, &[load; 2])]);
        let signals = signals.with_capacity(with_engine(Token, [0.02, 0.0, 0.0, 1e-5]));
        wanted_of(&decide(&mut aims(Aim::Sla), &signals), Token, 2)
    };
    // 50 ms at 3,000 tokens.
    assert_eq!(wanted(2980), 3);
    assert_eq!(wanted(2960), 2);
    // 80 % of it at 2,000, which are 1,000 on each of two.
    assert_eq!(wanted(1000), 2);
    assert_eq!(wanted(990), 1);
}

#[test]
fn an_engine_whose_steps_are_not_known_is_left_alone() {
    let signals = seen(30.0, vec![of(Token, &[kv(900); 2])]);
    let desired = decide(&mut aims(Aim::Sla), &signals);
    assert_eq!(desired.of(Token).unwrap().0, Desire::Keep);
}

/// Instances that are ready, and report that they have nothing to do.
fn ready(role: Role, count: u32) -> RoleReports {
    RoleReports {
        role,
        ready: count,
        pending: 0,
        moving: false,
        reports: vec![StepReport::default(); count as usize],
        kv_tokens: 1_000_000.0,
        hit_rate: None,
    }
}

fn expected(requests_per_s: f64, prompt_tokens: f64, output_tokens: f64) -> Prediction {
    Prediction {
        requests_per_s,
        prompt_tokens,
        output_tokens,
        hit_rate: None,
    }
}

/// What the throughput mode answers for a rate and a number of ready instances.
fn answered(policy: &DynamoSla, role: Role, count: u32, requests_per_s: f64) -> u32 {
    let mut desired = DesiredInstances::default();
    let next = expected(requests_per_s, 1000.0, 100.0);
    let capacity = with_engine(role, [0.0, 1e-4, 1e-3, 0.0]);
    policy.decide_for(&next, &[ready(role, count)], &capacity, &mut desired);
    wanted_of(&desired, role, count as usize)
}

#[test]
fn the_throughput_mode_changes_at_most_eight_at_a_time() {
    // A prompt takes 0.1 s, so one instance does ten a second.
    let policy = DynamoSla::default();
    assert_eq!(answered(&policy, Prompt, 3, 100.0), 10);
    assert_eq!(answered(&policy, Prompt, 3, 111.0), 11);
    assert_eq!(answered(&policy, Prompt, 3, 1000.0), 11);
    assert_eq!(answered(&policy, Prompt, 20, 1.0), 12);
    assert_eq!(answered(&policy, Prompt, 9, 1.0), 1);
    let two = tuned(DynamoSla::default(), |it| it.max_change = 2);
    assert_eq!(answered(&two, Prompt, 3, 1000.0), 5);
    assert_eq!(answered(&two, Prompt, 9, 1.0), 7);
}

#[test]
fn a_budget_of_gpus_shortens_a_move_and_brings_back_what_is_beyond_it() {
    // Eight GPUs an instance.
    let within = |most, least| {
        tuned(DynamoSla::default(), |it| {
            it.max_gpu_budget = most;
            it.min_gpu_budget = least;
        })
    };
    assert_eq!(answered(&within(Some(47), None), Prompt, 3, 100.0), 5);
    assert_eq!(answered(&within(Some(24), None), Prompt, 3, 100.0), 3);
    assert_eq!(answered(&within(Some(16), None), Prompt, 3, 30.0), 2);
    assert_eq!(answered(&within(None, Some(16)), Prompt, 3, 1.0), 2);
    assert_eq!(answered(&within(Some(4), None), Prompt, 3, 1.0), 0);
    // The load mode keeps to it as well.
    let mut load = tuned(aims(Aim::Throughput), |it| it.max_gpu_budget = Some(16));
    assert_eq!(wanted_with(&mut load, of(Token, &[kv(1001); 2])), 2);
    assert_eq!(
        wanted_with(&mut aims(Aim::Throughput), of(Token, &[kv(1001); 2])),
        3
    );
}

/// What is wanted of a role whose instances have eight GPUs each.
fn wanted_with(policy: &mut DynamoLoad, of: RoleSnapshot) -> u32 {
    let (role, current) = (of.role, of.current() as usize);
    let signals = seen(30.0, vec![of]).with_capacity(with_engine(role, [0.01, 0.0, 0.0, 0.0]));
    wanted_of(&decide(policy, &signals), role, current)
}

#[test]
fn mean_lengths_are_rounded_up_to_whole_tokens() {
    let rate = |role, prompt, output| {
        let capacity = with_engine(role, [0.001, 1e-4, 1e-3, 1e-6]);
        let next = expected(1.0, prompt, output);
        DynamoSla::default().rate(role, &next, &capacity).unwrap()
    };
    for role in [Prompt, Token, Mixed] {
        assert_eq!(rate(role, 100.2, 50.0), rate(role, 101.0, 50.0), "{role:?}");
        assert_ne!(rate(role, 100.2, 50.0), rate(role, 100.0, 50.0), "{role:?}");
    }
    for role in [Token, Mixed] {
        assert_eq!(rate(role, 100.0, 50.1), rate(role, 100.0, 51.0), "{role:?}");
    }
}

#[test]
fn the_time_to_first_token_bounds_the_batch_of_mixed_instances() {
    // A step of k requests carries k prompt tokens and takes 10 + 1.1 k ms; a first token takes a step with 100
    // more of them.
    let rate = |ttft| {
        let policy = tuned(DynamoSla::default(), |it| {
            it.ttft = seconds(ttft);
            it.tbt = seconds(10.0);
        });
        let capacity = with_engine(Mixed, [0.01, 1e-4, 1e-3, 0.0]);
        let next = expected(1.0, 100.0, 100.0);
        policy.rate(Mixed, &next, &capacity).unwrap()
    };
    // 42 ms allow a batch of 20, ten seconds the 64 of the engine.
    assert!((rate(0.0421) - 20.0 / (100.0 * 0.032)).abs() < 1e-9);
    assert!((rate(10.0) - 64.0 / (100.0 * 0.0804)).abs() < 1e-9);
    // One that cannot be met is left out of account.
    assert_eq!(rate(0.001), rate(10.0));
}

#[test]
fn the_answer_of_the_throughput_mode_is_the_floor_of_the_load_mode() {
    let capacity = with_engine(Prompt, [0.0, 1e-4, 0.0, 0.0]);
    let mut policy = tuned(aims(Aim::Throughput), |it| {
        it.throughput = Some(DynamoSla::default());
    });
    let mut wanted = |count: u32, requests_per_s: Option<f64>| {
        let roles = [ready(Prompt, count)];
        if let Some(rate) = requests_per_s {
            policy.expect(&expected(rate, 1000.0, 100.0), &roles, &capacity);
        }
        let mut desired = DesiredInstances::default();
        policy.decide_by(&roles, &capacity, &mut desired);
        wanted_of(&desired, Prompt, count as usize)
    };
    // Nothing waits anywhere, so that load alone takes one away after the other.
    assert_eq!(wanted(4, None), 3);
    assert_eq!(wanted(4, Some(60.0)), 6);
    assert_eq!(wanted(6, None), 6);
    assert_eq!(wanted(7, None), 6);
    assert_eq!(wanted(7, Some(15.0)), 6);
    assert_eq!(wanted(6, None), 5);
    assert_eq!(wanted(2, None), 2);
}
