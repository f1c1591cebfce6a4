//! The policies of the version that fleetsim carries over.

use fleetsim::autoscale::policies::{
    HeteroScale, HpaGpu, Idle, IndependentTps, LatencyBased, Periodic, PureLatency, Threshold,
};
use fleetsim::autoscale::{Completion, Latency, Load, Policy, RoleSnapshot, Signals, Snapshot};
use fleetsim::serving::Role::{Prompt, Token};
use fleetsim::time::SimTime;

use super::*;
use crate::support::{decide, role, seconds, tuned};

const SOURCE: &str = "splitwise_drl";

/// Why a case or a step cannot be asked for, or differs.
type Choice = &'static str;

const NOT_A_NUMBER: Choice = "a rate or a share is a number";

/// Runs the cases of a policy: `make` has its parameters, `see` what it sees at a step, and `answers` what it
/// wants then beside what the original answered.
fn conforms<P: Policy, A: PartialEq + std::fmt::Debug>(
    name: &'static str,
    make: impl Fn(&Row) -> Result<P, Choice>,
    see: impl Fn(&P, &Row) -> Result<Signals, Choice>,
    answers: impl Fn(&DesiredInstances, &Row) -> (A, A),
) {
    let mut tally = Tally::new(name);
    for folder in sources(SOURCE) {
        let tables = (format!("{name}_cases.csv"), format!("{name}_steps.csv"));
        for (case, steps) in cases(&folder, &tables.0, &tables.1) {
            let mut policy = match make(&case) {
                Ok(policy) => policy,
                Err(choice) => {
                    steps.iter().for_each(|_| tally.by_choice(choice));
                    continue;
                }
            };
            assert!(policy.check().is_ok(), "{case:?}");
            for step in steps {
                match see(&policy, &step) {
                    Ok(signals) => {
                        let desired = decide(&mut policy, &signals);
                        let (ours, theirs) = answers(&desired, &step);
                        tally.compare(&step, ours, theirs);
                    }
                    Err(choice) => {
                        tally.by_choice(choice);
                        break;
                    }
                }
            }
        }
    }
    tally.finish();
}

/// The numbers of both roles, and those of the original.
fn numbers(desired: &DesiredInstances, step: &Row) -> ([u32; 2], [u32; 2]) {
    let of = |role, column| wanted(desired, role, step.whole(column));
    let ours = [of(Prompt, "current_prompt"), of(Token, "current_token")];
    let theirs = ["answer_prompt", "answer_token"].map(|it| step.whole(it));
    (ours, theirs)
}

/// When a step decides.
fn time(step: &Row) -> SimTime {
    instant(step.real("t_s"))
}

fn pair(step: &Row, prompt: RoleSnapshot, token: RoleSnapshot) -> Vec<RoleSnapshot> {
    let of = |it: RoleSnapshot, column| RoleSnapshot {
        active: step.whole(column),
        ..it
    };
    vec![of(prompt, "current_prompt"), of(token, "current_token")]
}

fn idle(of: Role) -> RoleSnapshot {
    role(of, 0, Load::ZERO)
}

/// What is seen with one request that was just completed, if it had latencies at all.
fn with_latencies(
    now: SimTime,
    roles: Vec<RoleSnapshot>,
    ttft: Option<f64>,
    tbt: Option<f64>,
) -> Signals {
    let some = |latency: Option<f64>| latency.is_some_and(|it| it != 0.0);
    let completion = Completion {
        end: now,
        ttft: ttft.unwrap_or(0.0),
        tbt: tbt.unwrap_or(0.0),
        e2e: 0.0,
        prompt_tokens: 1,
        output_tokens: 1,
    };
    let completions: &[_] = match some(ttft) || some(tbt) {
        true => &[completion],
        false => &[],
    };
    seen_with(now, roles, Snapshot::default(), completions)
}

/// Tokens generated in the window at this rate.
fn tokens(step: &Row, column: &str) -> Result<u64, Choice> {
    let rate = step.real(column);
    if rate.is_finite() {
        Ok(millionths(rate))
    } else {
        Err(NOT_A_NUMBER)
    }
}

/// What is seen at an instant of the vectors' own origin.
fn seen_once(step: &Row, roles: Vec<RoleSnapshot>) -> Signals {
    let mut signals = Signals::default();
    let now = at(step.real("t_s"));
    signals.scrape(Snapshot {
        time: now,
        roles,
        ..Snapshot::default()
    });
    assert!(signals.look(now));
    signals
}

#[test]
fn hetero_scale() {
    let make = |case: &Row| {
        Ok(tuned(HeteroScale::default(), |it| {
            it.target = case.real("target_decode_tps_per_instance");
            it.ratio = case.real("pd_ratio");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.panic_threshold = (case.text("enable_latency_trigger") == "True")
                .then(|| case.real("latency_panic_threshold"));
            it.panic_factor = case.real("latency_panic_scale_factor");
            it.tbt = case.real("tbt_slo");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
        }))
    };
    let see = |_: &_, step: &Row| {
        let token = RoleSnapshot {
            output_tokens: tokens(step, "decode_tps")?,
            ..idle(Token)
        };
        let roles = pair(step, idle(Prompt), token);
        Ok(with_latencies(time(step), roles, None, step.number("tbt")))
    };
    conforms("HeteroScale", make, see, numbers);
}

#[test]
fn hpa_gpu() {
    let make = |case: &Row| {
        Ok(tuned(HpaGpu::default(), |it| {
            it.target = case.real("target_decode_util");
            it.prompt_target = case.number("target_prefill_util");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
        }))
    };
    let see = |_: &_, step: &Row| {
        let of = |role, column, count| {
            let share = step.real(column);
            if !share.is_finite() {
                return Err(NOT_A_NUMBER);
            }
            let load = Load {
                memory_used: millionths(share),
                memory: 1_000_000,
                ..Load::ZERO
            };
            // A role without instances counts as one there; here one has just gone.
            Ok(RoleSnapshot {
                load,
                active: step.whole(count).max(1),
                ..idle(role)
            })
        };
        let prompt = of(Prompt, "prefill_gpu_util", "current_prompt")?;
        let token = of(Token, "decode_gpu_util", "current_token")?;
        let mut signals = seen(time(step), vec![prompt, token]);
        signals.count(counts(Prompt, 0, step.whole("current_prompt"), 0));
        signals.count(counts(Token, 0, step.whole("current_token"), 0));
        Ok(signals)
    };
    conforms("HpaGpu", make, see, numbers);
}

#[test]
fn independent_tps() {
    let make = |case: &Row| {
        Ok(tuned(IndependentTps::default(), |it| {
            it.prompt_target = case.number("target_prefill_tps");
            it.token_target = case.real("target_decode_tps");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
        }))
    };
    let see = |_: &_, step: &Row| {
        let prompt = RoleSnapshot {
            prompt_tokens: tokens(step, "prefill_tps")?,
            ..idle(Prompt)
        };
        let token = RoleSnapshot {
            output_tokens: tokens(step, "decode_tps")?,
            ..idle(Token)
        };
        Ok(seen(time(step), pair(step, prompt, token)))
    };
    conforms("IndependentTps", make, see, numbers);
}

#[test]
fn pure_latency() {
    let make = |case: &Row| {
        Ok(tuned(PureLatency::default(), |it| {
            it.tbt = case.real("tbt_slo");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.out_step = case.whole("scale_out_step");
            it.in_step = case.whole("scale_in_step");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
            it.idle = Idle::AsPublished;
        }))
    };
    let see = |_: &_, step: &Row| {
        let roles = pair(step, idle(Prompt), idle(Token));
        Ok(with_latencies(time(step), roles, None, step.number("tbt")))
    };
    conforms("PureLatency", make, see, numbers);
}

#[test]
fn latency_based() {
    let make = |case: &Row| {
        Ok(tuned(LatencyBased::default(), |it| {
            it.metric = match case.text("latency_type") {
                "ttft" => Latency::Ttft,
                _ => Latency::Tbt,
            };
            it.target = case.real("target_latency");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
            it.idle = Idle::AsPublished;
        }))
    };
    let see = |_: &_, step: &Row| {
        let roles = pair(step, idle(Prompt), idle(Token));
        let (ttft, tbt) = (step.number("ttft"), step.number("tbt"));
        Ok(with_latencies(time(step), roles, ttft, tbt))
    };
    conforms("LatencyBased", make, see, numbers);
}

#[test]
fn periodic() {
    // The time of day counts, so vectors keep their own origin.
    let see = |_: &_, step: &Row| Ok(seen_once(step, pair(step, idle(Prompt), idle(Token))));
    conforms("Periodic", |_| Ok(Periodic::default()), see, numbers);
}

#[test]
fn threshold() {
    let make = |case: &Row| {
        // Each role has limits of its own there; a policy of this name has one pair.
        let same = |limit: &str| {
            case.whole(&format!("{limit}_prompt")) == case.whole(&format!("{limit}_token"))
        };
        if !same("min") || !same("max") {
            return Err("one pair of limits, and those of a role at the actuator");
        }
        Ok(tuned(Threshold::default(), |it| {
            it.up = case.real("up");
            it.down = case.real("down");
            it.min = case.whole("min_prompt");
            it.max = case.whole("max_prompt");
        }))
    };
    let see = |policy: &Threshold, step: &Row| {
        let of = |role, name: &str, load| {
            let active = step.whole(&format!("{name}_active"));
            RoleSnapshot {
                active,
                draining: step.whole(&format!("{name}_all")) - active,
                load,
                ..idle(role)
            }
        };
        let prompt = Load {
            pending_tokens: loads(step, "prompt_pending_tokens") as u64,
            ..Load::ZERO
        };
        let token = Load {
            memory_used: (loads(step, "token_memory_of_80") * 1000.0).round() as u64,
            memory: u64::from(step.whole("token_active")) * 80_000,
            ..Load::ZERO
        };
        let roles = vec![of(Prompt, "prompt", prompt), of(Token, "token", token)];
        if roles.iter().any(|it| it.active < policy.min) {
            return Err("a minimum is restored");
        }
        Ok(seen_once(step, roles))
    };
    conforms("Threshold", make, see, |desired, step| {
        let by = |role| match wanted(desired, role, 1000).cmp(&1000) {
            std::cmp::Ordering::Greater => "up",
            std::cmp::Ordering::Less => "down",
            std::cmp::Ordering::Equal => "",
        };
        let (mut prompt, mut token) = ("", "");
        for action in step.text("actions").split_whitespace() {
            match action {
                "up_prompt" => prompt = "up",
                "up_token" => token = "up",
                other if other.len() == "down_100".len() => token = "down",
                _ => prompt = "down",
            }
        }
        ((by(Prompt), by(Token)), (prompt, token))
    });
}

/// The sum over the active instances.
fn loads(step: &Row, column: &str) -> f64 {
    let each = step.text(column).split_whitespace();
    let active = each.filter(|it| !it.ends_with('-'));
    active.map(|it| it.parse::<f64>().unwrap()).sum()
}
