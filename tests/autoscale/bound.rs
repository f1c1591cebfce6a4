//! What serving costs at the very least: by hand, and below what runs cost.

use std::sync::Arc;

use fleetsim::autoscale::CostBound;
use fleetsim::catalog::Catalog;
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use proptest::prelude::*;

use crate::support::*;

fn priced(text: &str) -> CheckedScenario {
    let scenario = CheckedScenario::from_ron(text, ".".as_ref());
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let mut catalog = Catalog::built_in();
    for (name, price) in [("dgx-a100", 12.0), ("dgx-h100", 30.0)] {
        Arc::make_mut(catalog.skus.get_mut(name).unwrap()).price_per_hour = Some(price);
    }
    CheckedScenario::new(scenario.scenario().clone(), catalog, ".").unwrap()
}

#[test]
fn one_request_at_a_time_is_counted_exactly() {
    let text = r#"(
        name: "bound", fleet: [(sku: "dgx-h100", count: 1)],
        applications: [(
            name: "chat", model: "llama2-70b", scheduler: Jsq,
            performance: Constant(prompt_time: 0.5, token_time: 0.05),
            instances: [(role: Mixed, engine: Fcfs, start: AllServers)],
            workload: Synthetic(
                arrivals: Constant(rate: 1), requests: 3600,
                prompt_tokens: Constant(100), output_tokens: Constant(11),
            ),
        )],
    )"#;
    let bound = CostBound::of_application(&priced(text), 0).unwrap();
    // A second each.
    assert!((bound.gpu_hours - 8.0).abs() < 1e-9, "{bound:?}");
    assert!((bound.cost.unwrap() - 30.0).abs() < 1e-9, "{bound:?}");
}

prop_compose! {
    fn text()(
        policy in prop::sample::select(vec![
            "Threshold(up: 0.1, down: 0.05)",
            "HeteroScale(target: 30, out_cooldown: 10, in_cooldown: 20)",
            "IndependentTps(token_target: 60)",
            "DynamoSla(interval: 20)",
            "TokenVelocity()",
            "Forecast(interval: 10)",
            "Clairvoyant(utilisation: 1)",
        ]),
        seed in 0_u64..1000,
        engine in prop::sample::select(vec!["Splitwise()", "Orca()", "Splitwise(max_batch_size: 4)", "Fcfs"]),
        split in any::<bool>(),
        rate in 0.5..30.0_f64,
        prompt in prop::sample::select(vec![30, 500, 2500]),
        output in prop::sample::select(vec![1, 8, 100]),
    ) -> String {
        let hetero = policy.starts_with("HeteroScale");
        // The load of token instances is a share of their memory.
        let engine = match policy.starts_with("Threshold") && engine == "Fcfs" {
            true => "Orca()",
            false => engine,
        };
        let (scheduler, instances) = match split || hetero {
            true => ("MixedPool()", format!(
                "(role: Prompt, engine: {engine}, start: Servers(1)), (role: Token, engine: {engine}, start: Servers(1))",
            )),
            false => ("TokenJsq", format!("(role: Mixed, engine: {engine}, start: AllServers)")),
        };
        format!(r#"(
            name: "bound", seed: {seed},
            fleet: [(sku: "dgx-a100", count: 1, limit: 3), (sku: "dgx-h100", count: 1, limit: 5)],
            applications: [(
                name: "chat", model: "llama2-70b", scheduler: {scheduler}, instances: [{instances}],
                scaling: (scale_up_delay: 3), autoscaler: {policy},
                actuator: (sku: Fastest),
                workload: Synthetic(
                    arrivals: Poisson(rate: {rate}), window: (0, 60),
                    prompt_tokens: LogNormal(median: {prompt}, sigma: 1, max: 6000),
                    output_tokens: Geometric(mean: {output}),
                ),
            )],
        )"#)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_run_costs_less(text in text()) {
        let checked = priced(&text);
        let bound = CostBound::of_application(&checked, 0).unwrap();
        let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
        while simulation.tick().unwrap() {}
        let summary = simulation.finish().record.summarise();
        let counts = &summary.applications[0].requests;
        prop_assert_eq!(counts.completed, counts.arrived);
        prop_assert!(bound.gpu_hours > 0.0);
        prop_assert!(bound.gpu_hours <= summary.fleet.gpu_hours, "{:?}", bound);
        prop_assert!(bound.cost.unwrap() <= summary.fleet.cost.unwrap(), "{:?}", bound);
    }
}
