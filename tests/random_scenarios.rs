//! Whole scenarios made at random: whatever hardware, scheduler, policy, delays, scripted actions and
//! faults, the invariants hold after every tick, no request is lost, and the same seed gives the same rows
//! in ticks of any length.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use fleetsim::autoscale::{PolicyKind, PolicyRegistry};
use fleetsim::fleet::{FleetsExt, Roster, ScalingEvent, Service, check_invariants};
use fleetsim::observe::Rows;
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::{Outcome, RequestRecord};
use fleetsim::simulation::{Finished, Simulation};
use proptest::prelude::*;

fn scheduler() -> impl Strategy<Value = (&'static str, &'static [&'static str])> {
    prop_oneof![
        Just(("RoundRobin", &["Mixed"][..])),
        Just(("Random", &["Mixed"][..])),
        Just(("Jsq", &["Mixed"][..])),
        Just(("TokenJsq", &["Mixed"][..])),
        Just(("KvRoundRobin()", &["Prompt", "Token"][..])),
        Just(("KvJsq(transfer_gib_per_s: 0.5)", &["Prompt", "Token"][..])),
        Just(("KvTokenJsq()", &["Prompt", "Token"][..])),
        Just((
            "MixedPool(prompt_max_pending_tokens: 2000, transfer_gib_per_s: 0.5)",
            &["Prompt", "Token", "Mixed"][..]
        )),
    ]
}

fn engine() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Fcfs".to_owned()),
        (1u32..40).prop_map(|size| format!("Orca(max_batch_size: {size})")),
        (1u32..40, 100u32..4000, 0u32..5).prop_map(|(size, tokens, preemptions)| format!(
            "Splitwise(max_batch_size: {size}, max_batch_tokens: {tokens}, max_preemptions: {preemptions})"
        )),
        vllm(),
        vllm(),
    ]
}

/// An engine of vLLM, often with too few blocks.
fn vllm() -> impl Strategy<Value = String> {
    let limits = (1u32..64, 64u32..4000, prop::option::of(200u32..4000));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let rare = (0u32..3, 0u32..200, 1u32..4);
    (limits, flags, rare).prop_map(|(limits, flags, rare)| {
        let (seqs, tokens, blocks) = limits;
        let (caching, pipelined, reserve, priority) = flags;
        let (watermark, threshold, interval) = rare;
        let blocks = blocks.map_or(String::new(), |blocks| format!("num_gpu_blocks: {blocks},"));
        let policy = if priority { "Priority" } else { "Fcfs" };
        let watermark = f64::from(watermark) / 20.0;
        format!(
            "Vllm(max_num_seqs: {seqs}, max_num_batched_tokens: {tokens}, {blocks}
              enable_prefix_caching: {caching}, async_scheduling: {pipelined},
              scheduler_reserve_full_isl: {reserve}, scheduling_policy: {policy}, watermark: {watermark:?},
              long_prefill_token_threshold: {threshold}, prefill_schedule_interval: {interval})"
        )
    })
}

fn delay() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Constant(0.0)".to_owned()),
        (0u32..20).prop_map(|seconds| format!("Constant({seconds})")),
        (0u32..10, 0u32..10)
            .prop_map(|(min, more)| format!("Uniform(min: {min}, max: {})", min + more)),
        (0u32..10).prop_map(|mean| format!("Exponential(mean: {mean})")),
    ]
}

fn scaling() -> impl Strategy<Value = String> {
    let drain = prop_oneof![
        (1u32..50).prop_map(|tenths| format!("Poll({:?})", f64::from(tenths) / 10.0)),
        Just("OnIdle".to_owned()),
        Just("Requeue".to_owned()),
        (1u32..40).prop_map(|tenths| format!(
            "Migrate(bandwidth_gib_per_s: {:?})",
            f64::from(tenths) / 10.0
        )),
    ];
    let check = prop_oneof![
        Just(String::new()),
        (1u32..20).prop_map(|s| format!("health_check: {s},"))
    ];
    let rules = (drain, stages(), failing(), check);
    (delay(), 0u32..15, rules, prop::option::of(0u32..20)).prop_map(
        |(spin_up, up, rules, timeout)| {
            let (drain, stages, failing, check) = rules;
            let timeout = timeout.map_or("None".to_owned(), |seconds| seconds.to_string());
            format!(
            "(spin_up: {spin_up}, scale_up_delay: {up}, drain: {drain}, drain_timeout: {timeout},
              stages: [{stages}], {check} {failing})"
        )
        },
    )
}

/// Start-ups that fail or hang, or not.
fn failing() -> impl Strategy<Value = String> {
    let rules = (
        0u32..5,
        0u32..3,
        prop::option::of(40u32..120),
        0u32..10,
        prop::option::of(1u32..4),
    );
    let some = rules.prop_map(|(probability, hang, timeout, first, attempts)| {
        let timeout = if hang > 0 { timeout.or(Some(60)) } else { timeout };
        format!(
            "start_up_failure: (probability: {:?}, hang: {:?}, timeout: {}, back_off: (first: {first}), attempts: {})",
            f64::from(probability) / 10.0,
            f64::from(hang) / 10.0,
            optional(timeout),
            optional(attempts.or(Some(5)))
        )
    });
    prop_oneof![Just(String::new()), some]
}

/// Any policy, with signals that it sees late; `fitting` takes another where it does not suit the application.
fn policy() -> impl Strategy<Value = String> {
    let registry = PolicyRegistry::built_in();
    let of = |policy: &PolicyKind| {
        let has_interval = !policy.schema()["properties"]["interval"].is_null();
        (policy.name(), has_interval)
    };
    let names: Vec<(&'static str, bool)> = registry.policies().map(of).collect();
    let parts = (prop::sample::select(names), 1u32..200, 1u32..100, 0u32..50);
    prop_oneof![
        1 => Just(String::new()),
        4 => parts.prop_map(|((name, has_interval), interval, scrape, delay)| {
            let [interval, scrape, delay] =
                [interval, scrape, delay].map(|tenths| f64::from(tenths) / 10.0);
            let interval = if has_interval { format!("interval: {interval:?}") } else { String::new() };
            format!(
                "autoscaler: {name}({interval}),
                 signals: (scrape_interval: {scrape:?}, scrape_delay: {delay:?}),"
            )
        }),
    ]
}

/// The scenario with these policies in the places of `POLICY` and `OTHER`; with `LatencyBased` in the place of one
/// that does not suit its application.
fn fitting(text: &str, policy: &str, other: &str) -> String {
    let with = |policy: &str, other: &str| {
        text.replacen("POLICY", policy, 1)
            .replacen("OTHER", other, 1)
    };
    let suits = |text: &str| {
        let checked = CheckedScenario::from_ron(text, ".".as_ref());
        checked.is_ok_and(|it| PolicyRegistry::built_in().check(&it).is_ok())
    };
    const SAFE: &str = "autoscaler: LatencyBased(interval: 3.3),";
    let policy = if suits(&with(policy, SAFE)) {
        policy
    } else {
        SAFE
    };
    // Nothing else would ever add an instance.
    let has_one = !other.is_empty() && suits(&with(SAFE, other));
    let other = if has_one { other } else { SAFE };
    with(policy, other)
}

/// How the applications share servers, or that they do not.
fn pool() -> impl Strategy<Value = String> {
    let servers = prop_oneof![
        Just("WithInstances(retry: 3)".to_owned()),
        Just("Fixed".to_owned()),
        (1u32..10, 0u32..20, 0u32..20).prop_map(|(scan, unneeded, added)| format!(
            "ClusterAutoscaler(scan_interval: {scan}, unneeded_time: {unneeded}, delay_after_add: {added},
              max_provision_time: 12, initial_backoff: 5, max_backoff: 20, termination: 4)"
        )),
        (1u32..10, 0u32..9).prop_map(|(poll, after)| format!(
            "Karpenter(poll_interval: {poll}, consolidate_after: {after}, budget: Share(0.5))"
        )),
    ];
    let preemption = prop::sample::select(vec![
        "Never",
        "Drain()",
        "Drain(within: 0)",
        "Drain(within: 3)",
    ]);
    let budget = prop::option::of(8u32..40);
    prop_oneof![
        1 => Just(String::new()),
        2 => (servers, preemption, budget).prop_map(|(servers, preemption, budget)| format!(
            "pool: (servers: {servers}, preemption: {preemption}, budget: {}),",
            optional(budget)
        )),
    ]
}

fn placement() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["FirstFit", "FirstFit", "Pack", "Spread", "Dedicated"])
}

/// A second application, or none.
fn side() -> impl Strategy<Value = String> {
    let parts = (scaling(), placement(), -1i32..2, 1u32..8, 0u32..80);
    prop_oneof![
        Just(String::new()),
        parts.prop_map(
            |(scaling, placement, priority, processors, requests)| format!(
                "(name: \"side\", model: \"llama2-70b\", scheduler: Jsq, priority: {priority},
              performance: Constant(prompt_time: 0.1, token_time: 0.05),
              instances: [(role: Mixed, engine: Orca(), tensor_parallelism: {})],
              actuator: (placement: {placement}, mixed: (min: 0)), scaling: {scaling}, OTHER
              workload: Synthetic(arrivals: Poisson(rate: 2), requests: {requests},
                prompt_tokens: Constant(500), output_tokens: Geometric(mean: 40)))",
                // At least as many as hold the weights.
                processors.clamp(2, 8)
            )
        ),
    ]
}

/// The application, and how many servers its start takes.
fn application() -> impl Strategy<Value = (String, u32)> {
    let work = (1u32..12, 100u32..4000, 1u32..300, 20u32..120);
    let parts = (
        scheduler(),
        engine(),
        (
            scaling(),
            actuator(),
            prop::sample::select(vec!["Retry", "Retry", "Fail", "RetryAtMost(1)"]),
        ),
        prop::sample::select(vec![4u32, 8]),
        work,
    );
    parts.prop_map(move |((scheduler, roles), engine, (scaling, actuator, crash), parallelism, work)| {
        let (rate, prompt, output, requests) = work;
        let templates: Vec<String> = roles
            .iter()
            .map(|role| {
                format!(
                    "(role: {role}, engine: {engine}, tensor_parallelism: {parallelism}, start: Servers(1))"
                )
            })
            .collect();
        let text = format!(
            "(name: \"chat\", model: \"llama2-70b\", scheduler: {scheduler}, instances: [{}],
              scaling: {scaling}, POLICY {actuator} crash: {crash},
              workload: Synthetic(arrivals: Gamma(rate: {rate}, cv: 1.5), requests: {requests},
                prompt_tokens: LogNormal(median: {prompt}, sigma: 1.0, max: 100000),
                output_tokens: Geometric(mean: {output})))",
            templates.join(", "),
        );
        (text, u32::try_from(roles.len()).unwrap_or(1))
    })
}

fn action(role: &'static str) -> impl Strategy<Value = String> {
    let sku = prop::sample::select(vec!["\"dgx-h100\"", "None"]);
    prop_oneof![
        3 => sku.clone().prop_map(move |sku| format!(
            "ScaleUpFull(application: \"chat\", role: {role}, sku: {sku})")),
        3 => (0u32..8).prop_map(|instance| format!("ScaleDownFull(instance: {instance})")),
        1 => sku.prop_map(|sku| format!("ScaleUpServer(sku: {sku})")),
        1 => (0u32..8).prop_map(|server| format!("ScaleDownServer(server: {server})")),
        1 => (0u32..8).prop_map(move |server| format!(
            "ScaleUpInstance(application: \"chat\", role: {role}, server: {server})")),
        1 => (0u32..8).prop_map(|instance| format!("ScaleDownInstance(instance: {instance})")),
        1 => (0u32..8).prop_map(|instance| format!("CancelScaleUp(instance: {instance})")),
    ]
}

fn fault() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..30).prop_map(|seconds| format!("NoNewServers(duration: {seconds})")),
        (0u32..6, any::<bool>()).prop_map(|(instance, restart)| format!(
            "InstanceCrash(instance: {instance}, restart: {restart})"
        )),
        (0u32..6, prop::option::of(0u32..30)).prop_map(|(server, repair)| format!(
            "ServerCrash(server: {server}, repair: {})",
            optional(repair)
        )),
        (0u32..6, 0u32..8, prop::option::of(0u32..30)).prop_map(
            |(server, processor, repair)| format!(
                "ProcessorLost(server: {server}, processor: {processor}, repair: {})",
                optional(repair)
            )
        ),
        (0u32..6, 11u32..50, 0u32..30).prop_map(|(server, factor, duration)| format!(
            "SlowServer(server: {server}, factor: {:?}, duration: {duration})",
            f64::from(factor) / 10.0
        )),
        (0u32..6, 0u32..8, 11u32..50, 0u32..30).prop_map(
            |(server, processor, factor, duration)| format!(
                "SlowProcessor(server: {server}, processor: {processor}, factor: {:?}, duration: {duration})",
                f64::from(factor) / 10.0
            )
        ),
        (0u32..6, 0u32..30).prop_map(|(server, notice)| format!(
            "SpotReclaim(server: {server}, notice: {notice})"
        )),
        (any::<bool>(), 1u32..30).prop_map(|(zone, duration)| format!(
            "ZoneOutage(zone: \"{}\", duration: {duration})",
            if zone { "a" } else { "b" }
        )),
    ]
}

fn optional(value: Option<u32>) -> String {
    value.map_or("None".to_owned(), |value| value.to_string())
}

/// Hazards, few or many.
fn hazards() -> impl Strategy<Value = String> {
    let strike = prop_oneof![
        delay().prop_map(|repair| format!("ServerCrash(repair: {repair})")),
        Just("ServerCrash()".to_owned()),
        delay().prop_map(|repair| format!("ProcessorLost(repair: {repair})")),
        any::<bool>().prop_map(|restart| format!("InstanceCrash(restart: {restart})")),
        delay().prop_map(|duration| format!("SlowServer(factor: 2.5, duration: {duration})")),
        delay().prop_map(|duration| format!("SlowProcessor(factor: 1.5, duration: {duration})")),
        (0u32..20).prop_map(|notice| format!("SpotReclaim(notice: {notice})")),
        delay().prop_map(|duration| format!("ZoneOutage(duration: {duration})")),
    ];
    let flags = (any::<bool>(), any::<bool>());
    let hazard = (strike, 10u32..200, flags).prop_map(|(strike, every, (some, spot))| {
        let zone = if some { "zone: \"b\"," } else { "" };
        let spot = spot && !strike.starts_with("ZoneOutage");
        let bought = if spot { ONLY_SPOT } else { "" };
        format!(
            "(strikes: {strike}, every: Exponential(mean: {every}), {zone} {bought} until: 200)"
        )
    });
    prop_oneof![
        Just(String::new()),
        prop::collection::vec(hazard, 1..4).prop_map(|hazards| hazards.join(", ")),
    ]
}

/// Of a hazard, where some servers are bought on the spot market.
const ONLY_SPOT: &str = "purchase: Spot,";

/// What may be bought of a SKU and how, and quotas of a fleet of this many servers at time zero.
#[derive(Clone, Debug)]
struct Market {
    entry: String,
    quotas: String,
    spot: bool,
}

fn market(servers: u32) -> impl Strategy<Value = Market> {
    let billing = (0u32..100, 0u32..40);
    let most = (
        any::<bool>(),
        1u32..4,
        prop::option::of(1u32..4),
        any::<bool>(),
    );
    let curve = || (0u32..40, 0u32..5);
    let curves = (
        prop::option::of(curve()),
        prop::option::of(curve()),
        prop::option::of(curve()),
    );
    let quotas = (prop::option::of(0u32..3), prop::option::of(0u32..3));
    (any::<bool>(), billing, most, curves, quotas).prop_map(
        move |(bought, (minimum, step), (reserved, first, spot, spot_first), curves, quotas)| {
            let mut entry = format!("minimum_billing: {minimum}, billing_step: {step},");
            if !bought {
                return Market {
                    entry,
                    quotas: String::new(),
                    spot: false,
                };
            }
            let mut options = Vec::new();
            if reserved {
                options.push(format!(
                    "(option: Reserved, most: {first}, price_per_hour: 20)"
                ));
            }
            if let Some(most) = spot {
                let minimum = if spot_first {
                    "minimum_billing: 60,"
                } else {
                    ""
                };
                options.push(format!(
                    "(option: Spot, most: {most}, {minimum} price_per_hour: 12.5)"
                ));
            }
            options.push("(option: OnDemand, price_per_hour: 98.3)".to_owned());
            if spot_first {
                options.reverse();
                // What is left is bought in the last way.
                options[0] = "(option: OnDemand, most: 2, price_per_hour: 98.3)".to_owned();
                options.retain(|it| !it.contains("Reserved") && !it.contains("Spot"));
                options.push("(option: Spot, price_per_hour: 35)".to_owned());
            }
            let has_spot = spot.is_some() || spot_first;
            let (of_zone, of_option, of_both) = curves;
            let mut parts = Vec::new();
            let steps = |(from, most): (u32, u32)| {
                format!("servers: [({from}, {most}), ({}, 9)]", from + 30)
            };
            parts.extend(of_zone.map(|it| format!("(zone: \"a\", {})", steps(it))));
            if has_spot {
                parts.extend(of_option.map(|it| format!("(purchase: Spot, {})", steps(it))));
                parts.extend(
                    of_both.map(|it| format!("(zone: \"b\", purchase: Spot, {})", steps(it))),
                );
            }
            entry += &format!(
                "purchase: [{}], available_of: [{}],",
                options.join(", "),
                parts.join(", ")
            );
            let (all, of_spot) = quotas;
            let processors = |more| 8 * (servers + more);
            let mut quotas = Vec::new();
            quotas.extend(
                all.map(|more| format!("(name: \"all\", processors: {})", processors(more))),
            );
            if has_spot {
                let of_spot = of_spot.map(processors);
                quotas.extend(
                    of_spot.map(|it| format!("(name: \"spot\", purchase: Spot, processors: {it})")),
                );
            }
            Market {
                entry,
                quotas: quotas.join(", "),
                spot: has_spot,
            }
        },
    )
}

/// A cap on the power of a fleet of this many servers at time zero, or none.
fn power(servers: u32) -> impl Strategy<Value = String> {
    let wait = (0u32..3).prop_map(move |more| (10_200 * servers + 7_000 * more, "Wait"));
    let slow = (1u32..20).prop_map(|thousands| (4_000 * thousands, "Slow"));
    let cap = prop::option::of(prop_oneof![wait, slow]);
    cap.prop_map(|cap| {
        cap.map_or_else(String::new, |(watts, beyond)| {
            format!("power_cap: (watts: {watts}, beyond: {beyond})")
        })
    })
}

/// How the actuator chooses a SKU, and which servers it takes away.
fn actuator() -> impl Strategy<Value = String> {
    let sku = vec![
        "First",
        "Cheapest",
        "MostEfficient",
        "FallBack([\"dgx-h100\", \"dgx-a100\"])",
        "CheapestThatMeets()",
    ];
    let victim = vec!["LeastLoaded", "Costliest"];
    let parts = (
        prop::sample::select(sku),
        prop::sample::select(victim),
        placement(),
    );
    parts.prop_map(|(sku, victim, placement)| {
        format!(
            "slo: (ttft: 1000000, tbt: 1000000),
              actuator: (sku: {sku}, victim: {victim}, placement: {placement}),"
        )
    })
}

/// Stages of a start-up, or none.
fn stages() -> impl Strategy<Value = String> {
    let load = |source: &str| format!("LoadWeights(source: {source}, bandwidth_gib_per_s: 30)");
    let pairs = vec![
        "PullImage(bytes: 20000000000, bandwidth_gib_per_s: 4)".to_owned(),
        "PullImage(bytes: 9000000000, bandwidth_gib_per_s: 6, each_gib_per_s: 2)".to_owned(),
        format!("{}, {}", load("Peer"), load("Remote")),
        load("Remote"),
        load("Disk"),
    ];
    let stage = prop_oneof![
        prop::sample::select(pairs),
        delay().prop_map(|delay| format!("Boot({delay})")),
        delay().prop_map(|delay| format!("StartEngine(time: {delay})")),
        delay().prop_map(|delay| format!("Compile(time: {delay})")),
        delay().prop_map(|delay| format!("WarmUp({delay})")),
        (1u32..4).prop_map(|requests| format!(
            "WarmUpRequests(requests: {requests}, prompt_tokens: 500, output_tokens: 20)"
        )),
    ];
    prop_oneof![
        Just(String::new()),
        prop::collection::vec(stage, 1..5).prop_map(|stages| stages.join(", ")),
    ]
}

fn timed(
    what: impl Strategy<Value = String>,
    field: &'static str,
    most: usize,
) -> impl Strategy<Value = String> {
    prop::collection::vec((0u32..120, what), 0..most).prop_map(move |entries| {
        entries
            .iter()
            .fold(String::new(), |mut text, (halves, what)| {
                let _ = write!(
                    text,
                    "(at: {:?}, {field}: {what}), ",
                    f64::from(*halves) / 2.0
                );
                text
            })
    })
}

/// Servers that are kept for later, or none.
fn pools() -> impl Strategy<Value = String> {
    let stopped = prop_oneof![
        Just(String::new()),
        (1u32..3, delay())
            .prop_map(|(most, resume)| format!("stopped: (most: {most}, resume: {resume}),")),
    ];
    (0u32..3, stopped).prop_map(|(warm, stopped)| format!("warm: {warm}, {stopped}"))
}

fn scenario() -> impl Strategy<Value = String> {
    let applications = (application(), side(), pool(), policy(), policy());
    let servers = (0u32..3, delay(), pools());
    (applications, any::<u64>(), servers).prop_flat_map(
        |(((application, servers), side, pool, policy, other), seed, (spare, provision, pools))| {
            let role = if application.contains("role: Mixed") {
                "Mixed"
            } else {
                "Token"
            };
            let end = prop::option::of(20u32..60);
            (
                (
                    timed(action(role), "action", 12),
                    timed(fault(), "fault", 4),
                ),
                (hazards(), market(servers + spare), (0u32..3, power(servers + spare))),
                end,
            )
                .prop_map(move |((actions, faults), (hazards, market, (others, power)), end)| {
                    // Where instances wait for servers that never come, a run without an end takes a day.
                    let end = end.or((!pool.is_empty()).then_some(200));
                    let end = optional(end);
                    let hazards = match market.spot {
                        true => hazards,
                        false => hazards.replace(ONLY_SPOT, ""),
                    };
                    let Market { entry, quotas, .. } = market;
                    let text = format!(
                        "(name: \"random\", seed: {seed}, end: {end}, sample_interval: 7,
                          {pool}
                          fleet: [(sku: \"dgx-h100\", count: {}, limit: {}, zones: [\"a\", \"b\"], {entry} {pools}
                            provision_delay: {provision}), (sku: \"dgx-a100\", limit: {others})],
                          applications: [{application}, {side}], actions: [{actions}], faults: [{faults}],
                          hazards: [{hazards}], quotas: [{quotas}], {power})",
                        servers + spare,
                        servers + spare + 3,
                    );
                    fitting(&text, &policy, &other)
                })
        },
    )
}

struct Outcomes {
    requests: Vec<(usize, RequestRecord)>,
    everything: String,
}

fn run(text: &str, checks: bool) -> Result<Outcomes, TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(format!("{error}\n{text}"));
    let checked = CheckedScenario::from_ron(text, ".".as_ref()).map_err(|e| fail(&e))?;
    let simulation = Simulation::new(&checked).map_err(|e| fail(&e))?;
    finish(simulation, text, checks)
}

/// Runs it to its end.
fn finish(mut simulation: Simulation, text: &str, checks: bool) -> Result<Outcomes, TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(format!("{error}\n{text}"));
    let (mut rows, mut scaling) = (Rows::default(), Vec::<ScalingEvent>::new());
    let (mut decisions, mut faults) = (Vec::new(), Vec::new());
    loop {
        let more = simulation.tick().map_err(|e| fail(&e))?;
        let new = simulation.take_rows();
        rows.requests.extend(new.requests);
        rows.samples.extend(new.samples);
        scaling.extend(simulation.take_scaling());
        decisions.extend(simulation.take_decisions());
        faults.extend(simulation.take_faults());
        if checks {
            check_invariants(simulation.world_mut()).map_err(|e| fail(&e))?;
            let world = simulation.world();
            for &application in world.fleet::<Roster>().applications() {
                let service = world
                    .get::<Service>(application)
                    .expect("an application serves");
                service.recount().map_err(|e| fail(&e))?;
            }
        }
        if !more {
            break;
        }
    }
    let Finished {
        rows: last,
        scaling: more,
        mut record,
        ..
    } = simulation.finish();
    rows.requests.extend(last.requests);
    rows.samples.extend(last.samples);
    scaling.extend(more);
    record.hash.clear();
    let everything = format!(
        "{:?}\n{:?}\n{scaling:?}\n{decisions:?}\n{record:?}",
        rows.requests, rows.samples
    );
    Ok(Outcomes {
        requests: rows.requests,
        everything,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak_cases(), failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_nothing_is_lost(text in scenario(), longest in 1u32..300) {
        kept(&text, || whole(&text, longest))?;
    }
}

/// The rows of a run are complete, and the same again and in other ticks.
fn whole(text: &str, longest: u32) -> Result<(), TestCaseError> {
    let outcomes = run(text, true)?;
    let ids: BTreeSet<(usize, u64)> = outcomes
        .requests
        .iter()
        .map(|(application, request)| (*application, request.id))
        .collect();
    prop_assert_eq!(
        ids.len(),
        outcomes.requests.len(),
        "a request is reported once\n{}",
        text
    );
    for (_, request) in &outcomes.requests {
        let done = request.outcome == Outcome::Completed;
        let failed = request.outcome == Outcome::Failed;
        prop_assert_eq!(done || failed, request.end.is_some());
        if done && request.restarts == 0 {
            prop_assert!(request.ttft() <= request.e2e() && request.queue() <= request.ttft());
        }
    }
    let again = run(text, false)?;
    same(&again, &outcomes, text)?;
    let max_tick = format!("max_tick: {:?}, seed", f64::from(longest) / 10.0);
    let stepped = run(&text.replacen("seed", &max_tick, 1), false)?;
    same(&stepped, &outcomes, text)
}

/// Two runs end alike; or where they first differ.
fn same(one: &Outcomes, other: &Outcomes, text: &str) -> Result<(), TestCaseError> {
    let (left, right) = (one.everything.as_bytes(), other.everything.as_bytes());
    if left == right {
        return Ok(());
    }
    let equal = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let around = |it: &[u8]| {
        let from = equal.saturating_sub(200);
        String::from_utf8_lossy(&it[from..(equal + 200).min(it.len())]).into_owned()
    };
    let (left, right) = (around(left), around(right));
    Err(TestCaseError::fail(format!(
        "one run:\n{left}\nanother:\n{right}\n{text}"
    )))
}

/// Keeps the scenario of a case that fails in a file: the last one is the smallest.
fn kept(text: &str, case: impl FnOnce() -> Result<(), TestCaseError>) -> Result<(), TestCaseError> {
    let result = catch_unwind(AssertUnwindSafe(case));
    if matches!(result, Ok(Ok(()) | Err(TestCaseError::Reject(_)))) {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failing_scenario.ron");
    std::fs::write(&path, text).map_err(|e| TestCaseError::fail(e.to_string()))?;
    match result {
        Ok(Err(TestCaseError::Fail(why))) => {
            let told = format!("{}\nThe scenario is in {}.", why.message(), path.display());
            Err(TestCaseError::fail(told))
        }
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}

/// Whole scenarios: 400, or what `FLEETSIM_SOAK_CASES` says. The seed is `PROPTEST_RNG_SEED`.
fn soak_cases() -> u32 {
    let cases = std::env::var("FLEETSIM_SOAK_CASES");
    cases.ok().and_then(|it| it.parse().ok()).unwrap_or(400)
}

/// Random instants at which a run is copied and saved: 100, or what `FLEETSIM_FORK_CASES` says.
fn fork_cases() -> u32 {
    let cases = std::env::var("FLEETSIM_FORK_CASES");
    cases.ok().and_then(|it| it.parse().ok()).unwrap_or(100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: fork_cases(), failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn forks_and_snapshots_end_as_the_run_that_they_were_made_of(text in scenario(), share in 0.0..1.0_f64, again in 1usize..9) {
        kept(&text, || forked(&text, share, again))?;
    }
}

/// Copies of a run, and what is restored of it, end as it does.
fn forked(text: &str, share: f64, again: usize) -> Result<(), TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(format!("{error}\n{text}"));
    let undisturbed = run(text, false)?;
    let checked = CheckedScenario::from_ron(text, ".".as_ref()).map_err(|e| fail(&e))?;
    let mut ticks = 0;
    let mut simulation = Simulation::new(&checked).map_err(|e| fail(&e))?;
    while simulation.tick().map_err(|e| fail(&e))? {
        ticks += 1;
    }
    let mut simulation = Simulation::new(&checked).map_err(|e| fail(&e))?;
    for _ in 0..(f64::from(ticks) * share) as u32 {
        simulation.tick().map_err(|e| fail(&e))?;
    }
    let mut fork = simulation.fork();
    // A fork of a fork is one, too, and what happens to one does not touch the others.
    for _ in 0..again {
        fork.tick().map_err(|e| fail(&e))?;
    }
    let mut other = fork.fork();
    let first = other.world().fleet::<Roster>().instances().next();
    if let Some(instance) = first {
        other.world_mut().despawn(instance);
    }
    for _ in 0..200 {
        other.tick().map_err(|e| fail(&e))?;
        check_invariants(other.world_mut()).map_err(|e| fail(&e))?;
    }
    let mut bytes = Vec::new();
    simulation.save(&mut bytes).map_err(|e| fail(&e))?;
    let mut restored = Simulation::restore(&checked, &*bytes).map_err(|e| fail(&e))?;
    check_invariants(restored.world_mut()).map_err(|e| fail(&e))?;
    for _ in 0..again {
        restored.tick().map_err(|e| fail(&e))?;
    }
    // A run that was restored can be saved, too.
    bytes.clear();
    restored.save(&mut bytes).map_err(|e| fail(&e))?;
    let once_more = Simulation::restore(&checked, &*bytes).map_err(|e| fail(&e))?;
    for simulation in [fork, simulation, restored, once_more] {
        let ended = finish(simulation, text, false)?;
        same(&ended, &undisturbed, text)?;
    }
    Ok(())
}

/// Two applications on servers of their own: each gets what it gets alone, instance numbers aside.
#[test]
fn independent_applications_do_not_disturb_each_other() {
    let application = |name: &str, scheduler: &str, roles: [&str; 2]| {
        let template = |role| format!("(role: {role}, tensor_parallelism: 4, start: Servers(1))");
        format!(
            "(name: \"{name}\", model: \"llama2-70b\", scheduler: {scheduler}, instances: [{}, {}],
              workload: Synthetic(arrivals: Poisson(rate: 5), requests: 400,
                prompt_tokens: LogNormal(median: 900, sigma: 1.0),
                output_tokens: Geometric(mean: 120)))",
            template(roles[0]),
            template(roles[1]),
        )
    };
    let scenario = |applications: &[&str], fleet: &[&str]| {
        let (applications, fleet) = (applications.join(", "), fleet.join(", "));
        format!("(name: \"pair\", seed: 3, applications: [{applications}], fleet: [{fleet}])")
    };
    let servers = [
        "(sku: \"dgx-h100\", count: 2)",
        "(sku: \"dgx-a100\", count: 2)",
    ];
    let latencies = |outcomes: &Outcomes, application: usize| -> Vec<_> {
        let of = outcomes
            .requests
            .iter()
            .filter(|(index, _)| *index == application);
        of.map(|(_, r)| {
            (
                r.id,
                r.arrival,
                r.prompt_start,
                r.first_token,
                r.token_start,
                r.end,
            )
        })
        .collect()
    };
    let pools = [
        ("TokenJsq", ["Mixed", "Mixed"]),
        ("Random", ["Mixed", "Mixed"]),
        ("KvJsq()", ["Prompt", "Token"]),
        ("MixedPool()", ["Prompt", "Token"]),
    ];
    for ((one, one_roles), (other, other_roles)) in pools.into_iter().zip(pools.into_iter().rev()) {
        let chat = application("chat", one, one_roles);
        let code = application("code", other, other_roles);
        let alone = [0, 1].map(|of| {
            let text = scenario(&[[&*chat, &*code][of]], &[servers[of]]);
            run(&text, true).expect("runs alone")
        });
        let together = run(&scenario(&[&chat, &code], &servers), true).expect("runs together");
        for (position, alone) in alone.iter().enumerate() {
            assert_eq!(
                latencies(&together, position),
                latencies(alone, 0),
                "{one} with {other}"
            );
        }
    }
}

/// The scenario in the file that `FLEETSIM_SOAK_CASE` names, such as one that has failed.
#[test]
fn a_scenario_that_has_failed_before() {
    if let Ok(path) = std::env::var("FLEETSIM_SOAK_CASE") {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        whole(&text, 10).unwrap_or_else(|e| panic!("{path}: {e}"));
        for share in 0..10 {
            let result = forked(&text, f64::from(share) / 10.0, 3);
            result.unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }
}
