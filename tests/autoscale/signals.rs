//! What a policy sees, and when.

use bevy_ecs::component::Component;
use fleetsim::autoscale::{
    Amount, Completion, DesiredInstances, Latency, Load, Policy, PolicyRegistry, RoleSnapshot,
    Signals, Snapshot,
};
use fleetsim::serving::Role;
use fleetsim::simulation::Simulation;
use fleetsim::time::SimDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::support::*;

/// Writes down when it was asked and when what it saw was so.
#[derive(Component, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Witness {
    #[serde(skip)]
    saw: Vec<(f64, f64, u64)>,
}

impl Policy for Witness {
    const NAME: &'static str = "Witness";
    const SUMMARY: &'static str = "sees and does nothing";

    fn interval(&self) -> SimDuration {
        seconds(30.0)
    }

    fn decide(&mut self, signals: &Signals, _: &mut DesiredInstances) {
        let (now, time) = (signals.now().seconds(), signals.time().seconds());
        self.saw.push((now, time, signals.snapshot().arrived));
        let arrived = signals.snapshot().arrived;
        assert!(signals.completed(SimDuration::MAX) as u64 <= arrived);
        assert_eq!(signals.snapshot().arrived_prompt_tokens, 500 * arrived);
    }
}

fn saw(signals: &str) -> Vec<(f64, f64, u64)> {
    let fields = format!("autoscaler: Witness, signals: ({signals})");
    let checked = scenario(r#"(sku: "dgx-h100", count: 1)"#, &fields).unwrap();
    let mut registry = PolicyRegistry::default();
    registry.register::<Witness>();
    let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
    while simulation.tick().unwrap() {}
    let world = simulation.world_mut();
    world.query::<&Witness>().single(world).unwrap().saw.clone()
}

#[test]
fn fresh_signals_are_those_of_the_decision() {
    let times: Vec<_> = saw("").iter().map(|it| (it.0, it.1)).collect();
    assert_eq!(
        times,
        [30.0, 60.0, 90.0, 120.0, 150.0, 180.0].map(|t| (t, t))
    );
}

#[test]
fn delayed_signals_show_the_past() {
    // Two requests a second arrive.
    let fresh = saw("");
    let late = saw("scrape_delay: 20");
    for (fresh, late) in fresh.iter().zip(&late).take(4) {
        assert_eq!((late.0, late.1), (fresh.0, fresh.0 - 20.0));
        assert_eq!(late.2, fresh.2 - 40);
    }
    // With a delay longer than the interval, the first decision sees nothing and is not taken.
    let later: Vec<_> = saw("scrape_delay: 40")
        .iter()
        .map(|it| (it.0, it.1))
        .collect();
    assert_eq!(
        later,
        [60.0, 90.0, 120.0, 150.0, 180.0].map(|t| (t, t - 40.0))
    );
}

#[test]
fn scraped_signals_are_as_old_as_the_last_scrape_that_arrived() {
    let times: Vec<_> = saw("scrape_interval: 25, scrape_delay: 10")
        .iter()
        .map(|it| (it.0, it.1))
        .collect();
    assert_eq!(
        times,
        [
            (30.0, 0.0),
            (60.0, 50.0),
            (90.0, 75.0),
            (120.0, 100.0),
            (150.0, 125.0),
            (180.0, 150.0)
        ]
    );
}

#[test]
fn stale_signals_make_a_policy_act_later() {
    // Nothing is there at the start, so requests wait until the policy sees it.
    let first = |signals: &str| {
        let fields = format!(
            "autoscaler: Threshold(interval: 10, up: 0.001, down: 0), signals: ({signals})"
        );
        let checked = scenario(r#"(sku: "dgx-h100", count: 1, limit: 5)"#, &fields).unwrap();
        let (decisions, _) = decisions(&checked);
        let start = decisions.iter().find(|it| it.started > 0);
        start.unwrap().time.seconds()
    };
    assert_eq!(first(""), 10.0);
    assert_eq!(first("scrape_delay: 25"), 30.0);
}

#[test]
fn windows_take_what_completed_in_them_and_no_more() {
    let mut signals = Signals::new(seconds(60.0), seconds(5.0));
    for (time, arrived) in [(0.0, 0), (30.0, 30), (60.0, 90), (90.0, 390)] {
        signals.scrape(Snapshot {
            time: at(time),
            arrived,
            ..Snapshot::default()
        });
    }
    for (end, ttft) in [
        (5.0, 9.0),
        (30.0, 1.0),
        (31.0, 2.0),
        (60.0, 4.0),
        (61.0, 8.0),
    ] {
        let (end, tbt, e2e) = (at(end), 0.0, 0.0);
        signals.complete(Completion {
            end,
            ttft,
            tbt,
            e2e,
            prompt_tokens: 10,
            output_tokens: end.seconds() as u32,
        });
    }
    assert!(!signals.clone().look(at(4.9)));
    assert!(signals.look(at(94.9)));
    assert_eq!(signals.time(), at(60.0));
    assert_eq!(signals.arrivals_per_s(seconds(30.0)), 2.0);
    assert_eq!(signals.arrivals_per_s(seconds(60.0)), 1.5);
    assert_eq!(signals.mean(Latency::Ttft, seconds(30.0)), Some(3.0));
    assert_eq!(
        signals.percentile(Latency::Ttft, 50.0, seconds(60.0)),
        Some(3.0)
    );
    assert_eq!(signals.completed(seconds(60.0)), 4);
    // A window is open at its begin: of 30 s, those at 31 s and at 60 s.
    assert_eq!(signals.mean_tokens(seconds(30.0)), Some((10.0, 45.5)));
    let arrived = |it: &Snapshot| it.arrived as f64;
    assert_eq!(signals.mean_over(seconds(30.0), arrived), 90.0);
    assert_eq!(signals.mean_over(seconds(31.0), arrived), 60.0);
    assert_eq!(signals.mean_over(seconds(0.0), arrived), 90.0);
    assert!(signals.look(at(95.0)));
    assert_eq!(signals.arrivals_per_s(seconds(30.0)), 10.0);
    assert_eq!(
        signals.percentile(Latency::Ttft, 100.0, seconds(30.0)),
        Some(8.0)
    );
    assert_eq!(signals.mean(Latency::Ttft, seconds(1.0)), None);
}

/// Requests with prompts of 1,000 tokens arrive; those completed had 100, and 50 output tokens each. So
/// many are in batches.
fn overloaded(running: u64) -> Signals {
    let mut signals = Signals::new(seconds(60.0), seconds(0.0));
    for (time, arrived, completed, output_tokens) in
        [(0.0, 0, 0, 0), (30.0, 4, 2, 400), (60.0, 14, 4, 1000)]
    {
        let mut before = Amount::default();
        (0..completed).for_each(|_| before += Amount::one(100, 50));
        let load = Load {
            running,
            ..Load::ZERO
        };
        signals.scrape(Snapshot {
            time: at(time),
            arrived,
            arrived_prompt_tokens: 1000 * arrived,
            completed: before,
            roles: vec![
                RoleSnapshot {
                    output_tokens: output_tokens / 10,
                    ..role(Role::Prompt, 1, Load::ZERO)
                },
                RoleSnapshot {
                    output_tokens: output_tokens - output_tokens / 10,
                    ..role(Role::Token, 1, load)
                },
            ],
            ..Snapshot::default()
        });
    }
    assert!(signals.look(at(60.0)));
    signals
}

#[test]
fn prompts_count_as_they_arrive_and_not_as_they_survive() {
    let signals = overloaded(0);
    assert_eq!(signals.mean_prompt_tokens(seconds(30.0)), Some(1000.0));
    let mix = signals.mix(seconds(30.0)).unwrap();
    assert_eq!((mix.prompt_tokens, mix.output_tokens), (1000.0, 50.0));
    // All alike, whatever their length.
    assert_eq!(mix.weighted_prompt_tokens, 1000.0);
    let demand = signals.demand(seconds(60.0)).unwrap();
    assert_eq!(demand.prompt_tokens_per_s, 14_000.0 / 60.0);
    let nothing = Signals::new(seconds(60.0), seconds(0.0));
    assert_eq!(nothing.mean_prompt_tokens(seconds(30.0)), None);
}

#[test]
fn outputs_under_way_count_with_what_they_have() {
    // 600 tokens for two requests in half a minute, 1,000 for four in all.
    let mean = |running, window| overloaded(running).mean_output_tokens(seconds(window));
    assert_eq!(mean(4, 30.0), Some(300.0));
    assert_eq!(mean(4, 60.0), Some(250.0));
    // None in no time: that of ever.
    assert_eq!(mean(4, 0.0), Some(250.0));
    // With more in batches than were ever completed, little is known.
    assert_eq!(mean(5, 30.0), None);
}

/// Keeps what it saw of its role.
#[derive(Component, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Onlooker {
    #[serde(skip)]
    saw: Vec<RoleSnapshot>,
}

impl Policy for Onlooker {
    const NAME: &'static str = "Onlooker";
    const SUMMARY: &'static str = "sees and does nothing";

    fn interval(&self) -> SimDuration {
        seconds(30.0)
    }

    fn decide(&mut self, signals: &Signals, _: &mut DesiredInstances) {
        self.saw.extend(signals.roles().cloned());
    }
}

/// Steps of 1 s; two run at once. Requests of 500 + 50 tokens come at ½, 1, 1½…
///
/// The first has its prompt in [½, 1½] and a token in each step after it. At 30, 29 of those steps have begun
/// and 28 have ended: 529 tokens in 34 blocks of 16, 29 outputs. The second is a step behind: 528 tokens in 33
/// blocks, 28 outputs. The other 58 wait in the engine.
#[test]
fn signals_of_an_engine_of_vllm_are_those_of_its_blocks_and_its_queue() {
    let fields = "performance: Constant(prompt_time: 1, token_time: 1), scheduler: Jsq, autoscaler: Onlooker";
    let template = "start: AllServers, engine: Vllm(
        num_gpu_blocks: 101, max_num_seqs: 2, max_num_batched_tokens: 600, max_model_len: 1000,
        enable_prefix_caching: false, async_scheduling: false)";
    let checked = scenario_of(r#"(sku: "dgx-h100", count: 1)"#, template, fields).unwrap();
    let mut registry = PolicyRegistry::default();
    registry.register::<Onlooker>();
    let mut simulation = Simulation::with_policies(&checked, &registry).unwrap();
    while simulation.tick().unwrap() {}
    let world = simulation.world_mut();
    let saw = &world.query::<&Onlooker>().single(world).unwrap().saw[0];
    let block = 16 * saw.kv_bytes_per_token;
    assert_eq!((saw.load.kv_used, saw.load.kv), (67 * block, 100 * block));
    let (queued, running) = (saw.load.queued, saw.load.running);
    assert_eq!((queued, running, saw.load.assigned), (58, 2, 60));
    assert_eq!((saw.prompt_tokens, saw.output_tokens), (1_000, 57));
    // The rest of the two that run, and all of the others.
    assert_eq!(saw.load.pending_tokens, (50 - 29) + (50 - 28) + 58 * 550);
    assert_eq!(
        (saw.max_batch_size, saw.max_batch_tokens),
        (Some(2), Some(600))
    );
    assert!((saw.busy_s - 29.5).abs() < 1e-9, "{}", saw.busy_s);
}
