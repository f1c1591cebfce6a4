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

/// Runs the cases of a policy; `make` has its parameters, `see` what it sees at a step, none where that
/// cannot be seen.
fn conforms<P: Policy>(
    name: &'static str,
    make: impl Fn(&Row) -> P,
    see: impl Fn(&Row, SimTime) -> Option<Signals>,
) {
    let mut tally = Tally::new(name);
    for folder in sources(SOURCE) {
        let tables = (format!("{name}_cases.csv"), format!("{name}_steps.csv"));
        for (case, steps) in cases(&folder, &tables.0, &tables.1) {
            let mut policy = make(&case);
            assert!(policy.check().is_ok(), "{case:?}");
            for step in steps {
                let Some(signals) = see(&step, instant(step.real("t_s"))) else {
                    tally.by_choice("a rate or a share is a number");
                    break;
                };
                let desired = decide(&mut policy, &signals);
                let of = |role, column| wanted(&desired, role, step.whole(column));
                let ours = (of(Prompt, "current_prompt"), of(Token, "current_token"));
                let theirs = (step.whole("answer_prompt"), step.whole("answer_token"));
                tally.compare(&step, ours, theirs);
            }
        }
    }
    tally.finish();
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
fn tokens(step: &Row, column: &str) -> Option<u64> {
    let rate = step.real(column);
    rate.is_finite().then(|| millionths(rate))
}

#[test]
fn hetero_scale() {
    let make = |case: &Row| {
        tuned(HeteroScale::default(), |it| {
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
        })
    };
    conforms("HeteroScale", make, |step, now| {
        let token = RoleSnapshot {
            output_tokens: tokens(step, "decode_tps")?,
            ..idle(Token)
        };
        let roles = pair(step, idle(Prompt), token);
        Some(with_latencies(now, roles, None, step.number("tbt")))
    });
}

#[test]
fn hpa_gpu() {
    let make = |case: &Row| {
        tuned(HpaGpu::default(), |it| {
            it.target = case.real("target_decode_util");
            it.prompt_target = case.number("target_prefill_util");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
        })
    };
    conforms("HpaGpu", make, |step, now| {
        let of = |role, column, count| {
            let share = step.real(column);
            if !share.is_finite() {
                return None;
            }
            let load = Load {
                memory_used: millionths(share),
                memory: 1_000_000,
                ..Load::ZERO
            };
            // A role without instances counts as one there; here one has just gone.
            Some(RoleSnapshot {
                load,
                active: step.whole(count).max(1),
                ..idle(role)
            })
        };
        let prompt = of(Prompt, "prefill_gpu_util", "current_prompt")?;
        let token = of(Token, "decode_gpu_util", "current_token")?;
        let mut signals = seen(now, vec![prompt, token]);
        signals.count(counts(Prompt, 0, step.whole("current_prompt"), 0));
        signals.count(counts(Token, 0, step.whole("current_token"), 0));
        Some(signals)
    });
}

#[test]
fn independent_tps() {
    let make = |case: &Row| {
        tuned(IndependentTps::default(), |it| {
            it.prompt_target = case.number("target_prefill_tps");
            it.token_target = case.real("target_decode_tps");
            it.out_threshold = case.real("scale_out_threshold");
            it.in_threshold = case.real("scale_in_threshold");
            it.min = case.whole("min_instances");
            it.max = case.whole("max_instances");
            it.out_cooldown = seconds(case.real("scale_out_cooldown"));
            it.in_cooldown = seconds(case.real("scale_in_cooldown"));
        })
    };
    conforms("IndependentTps", make, |step, now| {
        let prompt = RoleSnapshot {
            prompt_tokens: tokens(step, "prefill_tps")?,
            ..idle(Prompt)
        };
        let token = RoleSnapshot {
            output_tokens: tokens(step, "decode_tps")?,
            ..idle(Token)
        };
        Some(seen(now, pair(step, prompt, token)))
    });
}

#[test]
fn pure_latency() {
    let make = |case: &Row| {
        tuned(PureLatency::default(), |it| {
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
        })
    };
    conforms("PureLatency", make, |step, now| {
        let roles = pair(step, idle(Prompt), idle(Token));
        Some(with_latencies(now, roles, None, step.number("tbt")))
    });
}

#[test]
fn latency_based() {
    let make = |case: &Row| {
        tuned(LatencyBased::default(), |it| {
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
        })
    };
    conforms("LatencyBased", make, |step, now| {
        let roles = pair(step, idle(Prompt), idle(Token));
        let (ttft, tbt) = (step.number("ttft"), step.number("tbt"));
        Some(with_latencies(now, roles, ttft, tbt))
    });
}

#[test]
fn periodic() {
    let mut tally = Tally::new("Periodic");
    for folder in sources(SOURCE) {
        for (_, steps) in cases(&folder, "Periodic_cases.csv", "Periodic_steps.csv") {
            for step in steps {
                // The time of day counts, so vectors keep their own origin.
                let roles = pair(&step, idle(Prompt), idle(Token));
                let mut signals = Signals::default();
                let now = at(step.real("t_s"));
                signals.scrape(Snapshot {
                    time: now,
                    roles,
                    ..Snapshot::default()
                });
                assert!(signals.look(now));
                let desired = decide(&mut Periodic::default(), &signals);
                let ours = (wanted(&desired, Prompt, 0), wanted(&desired, Token, 0));
                let theirs = (step.whole("answer_prompt"), step.whole("answer_token"));
                tally.compare(&step, ours, theirs);
            }
        }
    }
    tally.finish();
}

#[test]
fn threshold() {
    let mut tally = Tally::new("Threshold");
    for folder in sources(SOURCE) {
        for (case, steps) in cases(&folder, "Threshold_cases.csv", "Threshold_steps.csv") {
            // Each role has limits of its own there; a policy of this name has one pair.
            let make = |role: &str| {
                tuned(Threshold::default(), |it| {
                    it.up = case.real("up");
                    it.down = case.real("down");
                    it.min = case.whole(&format!("min_{role}"));
                    it.max = case.whole(&format!("max_{role}"));
                })
            };
            let same = |limit: &str| {
                case.whole(&format!("{limit}_prompt")) == case.whole(&format!("{limit}_token"))
            };
            if !same("min") || !same("max") {
                steps.iter().for_each(|_| {
                    tally.by_choice("one pair of limits, and those of a role at the actuator");
                });
                continue;
            }
            let mut policy = make("prompt");
            // The start counts as an action there, at time zero of the vectors.
            let begin = Signals::default();
            drop(decide(&mut policy, &begin));
            for step in steps {
                let prompt = loads(&step, "prompt_pending_tokens");
                let token = loads(&step, "token_memory_of_80");
                let prompt = RoleSnapshot {
                    active: step.whole("prompt_active"),
                    draining: step.whole("prompt_all") - step.whole("prompt_active"),
                    load: Load {
                        pending_tokens: prompt as u64,
                        ..Load::ZERO
                    },
                    ..idle(Prompt)
                };
                let active = step.whole("token_active");
                let token = RoleSnapshot {
                    active,
                    draining: step.whole("token_all") - active,
                    load: Load {
                        memory_used: (token * 1000.0).round() as u64,
                        memory: u64::from(active) * 80_000,
                        ..Load::ZERO
                    },
                    ..idle(Token)
                };
                let mut signals = Signals::default();
                let now = at(step.real("t_s"));
                signals.scrape(Snapshot {
                    time: now,
                    roles: vec![prompt, token],
                    ..Snapshot::default()
                });
                assert!(signals.look(now));
                let desired = decide(&mut policy, &signals);
                if step.whole("prompt_active") < policy.min || active < policy.min {
                    tally.by_choice("a minimum is restored");
                    break;
                }
                let by = |role| match wanted(&desired, role, 1000).cmp(&1000) {
                    std::cmp::Ordering::Greater => "up",
                    std::cmp::Ordering::Less => "down",
                    std::cmp::Ordering::Equal => "",
                };
                let ours = (by(Prompt), by(Token));
                let (mut prompt, mut token) = ("", "");
                for action in step.text("actions").split_whitespace() {
                    match action {
                        "up_prompt" => prompt = "up",
                        "up_token" => token = "up",
                        other if other.len() == "down_100".len() => token = "down",
                        _ => prompt = "down",
                    }
                }
                tally.compare(&step, ours, (prompt, token));
            }
        }
    }
    tally.finish();
}

/// The sum over the active instances.
fn loads(step: &Row, column: &str) -> f64 {
    let each = step.text(column).split_whitespace();
    let active = each.filter(|it| !it.ends_with('-'));
    active.map(|it| it.parse::<f64>().unwrap()).sum()
}
