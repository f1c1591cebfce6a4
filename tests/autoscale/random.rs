//! Random policies under random loads: every invariant after every tick, and the same again with the
//! same seed.

use fleetsim::autoscale::Decision;
use fleetsim::fleet::ScalingExt;
use fleetsim::fleet::{FleetWorldExt, Service, check_invariants};
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use proptest::prelude::*;

use crate::support::*;

fn policy() -> impl Strategy<Value = String> {
    let interval = prop::sample::select(vec![1.0, 5.0, 7.5, 30.0]);
    let policy = prop::sample::select(vec![
        "Threshold(up: 0.1, down: 0.05",
        "HeteroScale(target: 30, out_cooldown: 10, in_cooldown: 20",
        "HpaGpu(target: 0.5",
        "IndependentTps(token_target: 60",
        "PureLatency(tbt: 0.03",
        "LatencyBased(target: 0.2",
        "KubernetesHpa(metrics: [(metric: Waiting, target: 2), (metric: Kv, target: 0.3, role: Token)], scale_down: (stabilization: 15)",
        "KubernetesHpa(metrics: [(metric: Latency(of: Ttft), target: 0.3)], starting: Missing, min: 0",
        "KnativeKpa(target: 10, stable_window: 20, scale_to_zero_grace: 5",
        "AibrixApa(target: 0.1, down_cooldown: 30",
        "AibrixKpa(metric: Requests, target: 2, window: 30, panic_window: 5, rules: Mended",
        "KubernetesHpa(metrics: [(metric: Waiting, target: 3, kind: AverageValue)], behaviour: false, min: 0",
        "Keda(target: 3, polling: 7.5, cooldown: 20, cron: [(from: 0, to: 0.02, replicas: 2)]",
        "RayServe(upscale_delay: 5, downscale_delay: 10, look_back: 5, min: 0",
        "SageServeLtI(plan_interval: 60, min: 1",
        "SageServeLtU(plan_interval: 60, min: 1, up: 0.3, down: 0.28",
        "SageServeLtUa(plan_interval: 60, min: 1, tokens_per_minute: 9000",
        "DynamoLoad(aim: Load, throughput: (interval: 20, predictor: Kalman())",
        "SaturationV1(kv_threshold: 0.2, kv_spare: 0.05, peak_window: 10",
        "SaturationV2(kv_threshold: 0.2, window: 20",
        "DynamoLoad(aim: Throughput, context_length: 500",
        "DynamoLoad(aim: Latency",
        "DynamoLoad(aim: Sla, ttft: 0.2, tbt: 0.03",
        "SageServeReactive(up: 0.3, down: 0.28, min: 1",
        "Chiron(min: 1",
        "DynamoSla(predictor: Holt()",
        "TokenVelocity(window: 10",
        "Forecast(method: HoltWinters(season: 40)",
        "Forecast(method: SeasonalNaive(season: 15)",
        "Clairvoyant(window: 10",
        "Told(wants: [(0, 3), (20, 0), (50, 9), (60, 1), (90, 5)]",
    ]);
    (policy, interval).prop_map(|(policy, interval)| match policy.starts_with("Told") {
        true => format!("{policy})"),
        false => format!("{policy}, interval: {interval})"),
    })
}

prop_compose! {
    fn text()(
        policy in policy(),
        seed in 0_u64..1000,
        min in 0_u32..3,
        step in prop::sample::select(vec!["None", "1", "3"]),
        cooldown in prop::sample::select(vec!["0", "12"]),
        victim in prop::sample::select(vec!["LeastLoaded", "Newest"]),
        sku in prop::sample::select(vec!["First", "Fastest", "MostEfficient"]),
        scrape in prop::sample::select(vec!["0", "4"]),
        delay in prop::sample::select(vec!["0", "9"]),
        drain in prop::sample::select(vec!["Poll(1)", "OnIdle"]),
        rate in 1.0..20.0_f64,
        parallelism in prop::sample::select(vec![4, 8]),
    ) -> String {
        format!(r#"(
            name: "test", seed: {seed}, end: 150,
            fleet: [(sku: "dgx-a100", count: 1, limit: 3), (sku: "dgx-h100", count: 2, limit: 5, provision_delay: Constant(5))],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: MixedPool(),
                instances: [
                    (role: Prompt, start: Servers(1), tensor_parallelism: {parallelism}),
                    (role: Token, start: Servers(2), tensor_parallelism: {parallelism}),
                ],
                scaling: (spin_up: Uniform(min: 0, max: 9), scale_up_delay: 3, drain: {drain}),
                autoscaler: {policy},
                signals: (scrape_interval: {scrape}, scrape_delay: {delay}),
                actuator: (
                    prompt: (min: {min}), token: (min: {min}, max: 6), max_up: {step}, max_down: {step},
                    up_cooldown: {cooldown}, down_cooldown: {cooldown}, victim: {victim}, sku: {sku},
                ),
                workload: Synthetic(
                    arrivals: Poisson(rate: {rate}), window: (0, 100),
                    shape: Piecewise([(0, 1), (30, 3), (60, 0.1)]),
                    prompt_tokens: LogNormal(median: 500, sigma: 1, max: 4000),
                    output_tokens: Geometric(mean: 60),
                ),
            )],
        )"#)
    }
}

fn begin(text: &str) -> (CheckedScenario, Simulation) {
    let checked = CheckedScenario::from_ron(text, ".".as_ref()).unwrap();
    let simulation = Simulation::with_policies(&checked, &registry()).unwrap();
    (checked, simulation)
}

/// Runs it to its end.
fn run(text: &str) -> Vec<Decision> {
    let (checked, simulation) = begin(text);
    finish(&checked, simulation)
}

/// Saves it after these ticks, and runs what was saved to its end.
fn run_on(text: &str, ticks: usize) -> Vec<Decision> {
    let (checked, mut simulation) = begin(text);
    for _ in 0..ticks {
        simulation.tick().unwrap();
    }
    let mut bytes = Vec::new();
    simulation.save(&mut bytes).unwrap();
    let restored = Simulation::restore_with_policies(&checked, &registry(), &*bytes);
    finish(&checked, restored.unwrap())
}

fn finish(checked: &CheckedScenario, mut simulation: Simulation) -> Vec<Decision> {
    let min = checked.scenario().applications[0].actuator.prompt.min;
    loop {
        check_invariants(simulation.world_mut()).unwrap();
        if !simulation.tick().unwrap() {
            break;
        }
    }
    let world = simulation.world();
    assert_eq!(world.now(), at(150.0));
    let chat = world.application("chat").unwrap();
    let counts = world.get::<Service>(chat).unwrap().counts();
    let ended = counts.completed + counts.rejected;
    assert_eq!(counts.arrived, ended + counts.waiting + counts.in_flight);
    let decisions = simulation.take_decisions();
    for row in &decisions {
        let before = row.scaling_up + row.active;
        // These say how many are wanted on each SKU, and may have some go on one while others come on another.
        let by_sku = row.policy.starts_with("Saturation");
        let taken = row.cancelled + row.drained;
        assert!(by_sku || row.started == 0 || taken == 0, "{row:?}");
        let after = before + row.started - taken;
        assert!(after >= min.min(before), "{row:?}");
        assert!(
            row.desired >= min.min(before + 1) || before >= min,
            "{row:?}"
        );
        let asked = row.desired.abs_diff(before);
        let changes = row.started + taken + row.refused;
        assert!(changes >= asked && (changes - asked) % 2 == 0, "{row:?}");
        assert!(by_sku || changes == asked, "{row:?}");
    }
    decisions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_policy_keeps_every_invariant_and_decides_the_same_again(text in text(), ticks in 0_usize..1500) {
        let decisions = run(&text);
        prop_assert!(!decisions.is_empty());
        // The tests' own policy says nothing of its memory.
        let again = if text.contains("Told(") { run(&text) } else { run_on(&text, ticks) };
        prop_assert_eq!(again, decisions);
    }
}
