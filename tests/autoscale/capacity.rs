//! What an instance can carry: by hand, and against an instance that is really loaded so much.

use std::sync::Arc;

use fleetsim::autoscale::{CapacityModel, Mix};
use fleetsim::catalog::Catalog;
use fleetsim::fleet::{FleetsExt, Ledger, ScalingExt, Service};
use fleetsim::scenario::{CheckedScenario, SkuChoice, Slo};
use fleetsim::serving::Role::{self, Mixed, Prompt, Token};
use fleetsim::simulation::Simulation;

use crate::support::*;

/// Requests of 1,000 and 150 tokens, on `instances` of servers of eight H100, for ten minutes.
fn application(fields: &str, rate: f64) -> CheckedScenario {
    let text = format!(
        r#"(
        name: "capacity", end: 600,
        fleet: [(sku: "dgx-h100", count: 9)],
        applications: [(
            name: "chat", model: "llama2-70b", {fields},
            workload: Synthetic(
                arrivals: Constant(rate: {rate}),
                prompt_tokens: Constant(1000), output_tokens: Constant(150),
            ),
        )],
    )"#
    );
    CheckedScenario::from_ron(&text, ".".as_ref()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn constant(role: &str, engine: &str) -> CapacityModel {
    let scheduler = if role == "Mixed" { "Jsq" } else { "KvJsq()" };
    let other = match role {
        "Prompt" => "(role: Token, start: Servers(1)),",
        "Token" => "(role: Prompt, start: Servers(1)),",
        _ => "",
    };
    let fields = format!(
        "performance: Constant(prompt_time: 0.1, token_time: 0.05), scheduler: {scheduler},
         instances: [(role: {role}, engine: {engine}, start: Servers(1)), {other}]"
    );
    CapacityModel::new(&application(&fields, 1.0), 0)
}

fn within(ttft: Option<f64>, tbt: Option<f64>) -> Slo {
    Slo {
        ttft: ttft.map(seconds),
        tbt: tbt.map(seconds),
        e2e: None,
    }
}

fn near(found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 1e-9,
        "{found}, not {expected}"
    );
}

#[test]
fn prompts_share_an_iteration_as_far_as_it_takes_them() {
    let rate = |engine, length| {
        let of = constant("Prompt", engine).of(Prompt, Mix::even(length, 11.0));
        of.unwrap().requests_per_s
    };
    // One, two, three and four prompts in an iteration of 2,048 tokens.
    near(rate("Splitwise()", 2000.0), 10.0);
    near(rate("Splitwise()", 1000.0), 20.0);
    near(rate("Splitwise()", 600.0), 30.0);
    near(rate("Splitwise()", 512.0), 40.0);
    near(rate("Fcfs", 512.0), 10.0);
    // Half of the tokens are in prompts of 4,000: then an iteration has room for one of those.
    let uneven = Mix {
        weighted_prompt_tokens: 2000.0,
        ..Mix::even(1000.0, 11.0)
    };
    let of = constant("Prompt", "Splitwise()").of(Prompt, uneven);
    near(of.unwrap().requests_per_s, 20.0);
}

#[test]
fn a_first_token_within_the_objective_leaves_the_queue_short() {
    let model = constant("Prompt", "Fcfs");
    let rate = |ttft| {
        let model = model.with_slo(within(Some(ttft), None));
        let of = model.of(Prompt, Mix::even(512.0, 11.0)).unwrap();
        of.requests_per_s
    };
    // A slack as long as the service: two thirds of 10 a second. M/D/1 then waits 0.1 s on average.
    near(rate(0.2), 20.0 / 3.0);
    near(rate(1.1), 10.0 * 2.0 / 2.1);
    // What cannot be kept at all does not count.
    near(rate(0.05), 10.0);
}

#[test]
fn token_tasks_are_as_many_as_batch_memory_and_objective_allow() {
    let model = constant("Token", "Splitwise(max_batch_size: 300)");
    let of = |prompt, output| model.of(Token, Mix::even(prompt, output)).unwrap();
    assert_eq!(of(100.0, 11.0).token_tasks, 300);
    near(of(100.0, 11.0).requests_per_s, 300.0 / 0.5);
    near(of(100.0, 11.0).output_tokens_per_s, 300.0 / 0.05);
    // 552 GB beside the weights hold 210,645 tokens.
    assert_eq!(of(2000.0, 11.0).token_tasks, 104);
    assert_eq!(
        constant("Token", "Fcfs")
            .of(Token, Mix::even(9.0, 9.0))
            .unwrap()
            .token_tasks,
        1
    );
}

#[test]
fn an_instance_of_both_shares_its_time() {
    let model = constant("Mixed", "Splitwise()");
    // Prompts of 2,048 leave no place in their iteration: 0.1 s, then ten tokens among 101 tasks.
    let of = model.of(Mixed, Mix::even(2048.0, 11.0)).unwrap();
    assert_eq!(of.token_tasks, 101);
    near(of.requests_per_s, 1.0 / (0.1 + 10.0 * 0.05 / 101.0));
    // The mean TBT is tasks × that ÷ 10; 20 tasks have 0.25 s.
    let of = model.with_slo(within(None, Some(0.2501)));
    let of = of.of(Mixed, Mix::even(2048.0, 11.0)).unwrap();
    assert_eq!(of.token_tasks, 20);
    near(of.requests_per_s, 1.0 / (0.1 + 10.0 * 0.05 / 20.0));
    near(of.prompt_share, 0.8);
    // A prompt of 1,000 and its fellow leave 48 places, and those tasks get a token meanwhile.
    let of = model.of(Mixed, Mix::even(1000.0, 101.0)).unwrap();
    near(
        of.requests_per_s,
        1.0 / (0.05 + (100.0 - 24.0) * 0.05 / of.token_tasks as f64),
    );
}

#[test]
fn a_demand_takes_instances_by_its_requests() {
    let model = constant("Prompt", "Fcfs");
    let demand = Mix::even(512.0, 11.0).at(25.0);
    assert_eq!(model.instances(Prompt, &demand, 1.0), 3);
    assert_eq!(model.instances(Prompt, &demand, 0.5), 5);
    assert_eq!(
        model.instances(Mixed, &demand, 0.5),
        0,
        "there is no such role"
    );
    assert_eq!(
        model.instances(Prompt, &Mix::even(1.0, 1.0).at(0.0), 0.5),
        0
    );
    assert_eq!(model.instances(Token, &Mix::even(9.0, 1.0).at(9.0), 0.5), 0);
}

/// Requests left when an instance of a role has been asked for so much of its capacity for 600 s.
fn left(role: Role, fields: &str, load: f64) -> (f64, f64) {
    let model = CapacityModel::new(&application(fields, 1.0), 0);
    let capacity = model.of(role, Mix::even(1000.0, 150.0)).unwrap();
    let rate = capacity.requests_per_s * load;
    let mut simulation = Simulation::new(&application(fields, rate)).unwrap();
    while simulation.tick().unwrap() {}
    let world = simulation.world();
    let chat = world.application("chat").unwrap();
    let counts = world.get::<Service>(chat).unwrap().counts();
    ((counts.waiting + counts.in_flight) as f64, rate * 600.0)
}

#[test]
fn a_real_instance_carries_what_the_model_says_and_not_much_more() {
    for (role, fields) in [
        (
            Mixed,
            "scheduler: TokenJsq, instances: [(role: Mixed, start: Servers(1))]",
        ),
        (
            Prompt,
            "scheduler: KvJsq(), instances: [(role: Prompt, start: Servers(1)), (role: Token, start: Servers(8))]",
        ),
        (
            Token,
            "scheduler: KvJsq(), instances: [(role: Token, start: Servers(1)), (role: Prompt, start: Servers(8))]",
        ),
        (
            Mixed,
            "scheduler: Jsq, performance: Linear(base: 0.012, prefill_token: 4.5e-5, decode_request: 6e-5, context_token: 8e-8),
             instances: [(role: Mixed, engine: Vllm(), start: Servers(1))]",
        ),
        (
            Token,
            "scheduler: KvJsq(), performance: Linear(base: 0.012, prefill_token: 4.5e-5, decode_request: 6e-5, context_token: 8e-8),
             instances: [(role: Token, engine: Vllm(num_gpu_blocks: 8000), start: Servers(1)),
                         (role: Prompt, engine: Vllm(), start: Servers(8))]",
        ),
    ] {
        let (stable, arrived) = left(role, fields, 0.95);
        assert!(
            stable < 0.05 * arrived,
            "{role:?}: {stable} of {arrived} left at 95 %"
        );
        let (unstable, arrived) = left(role, fields, 1.15);
        assert!(
            unstable > 0.08 * arrived,
            "{role:?}: {unstable} of {arrived} left at 115 %"
        );
    }
}

/// 1,000 blocks of 16 tokens hold 15 requests of 1,000 + 100 ÷ 2 + 8 tokens.
#[test]
fn an_engine_of_vllm_is_limited_by_its_blocks_and_its_batch() {
    let tasks = |engine: &str| {
        let of = constant("Token", engine).of(Token, Mix::even(1000.0, 100.0));
        of.unwrap().token_tasks
    };
    let blocks = "num_gpu_blocks: 1001";
    assert_eq!(tasks(&format!("Vllm({blocks}, max_model_len: 4096)")), 15);
    assert_eq!(
        tasks(&format!(
            "Vllm({blocks}, max_model_len: 4096, max_num_seqs: 8)"
        )),
        8
    );
    // What is in the KV cache takes time: a step of 10 tasks of 1,050 tokens.
    let fields = "performance: Linear(base: 0.01, prefill_token: 0.0, decode_request: 0.0, context_token: 1e-6),
                  scheduler: KvJsq(), instances: [
                      (role: Token, engine: Vllm(num_gpu_blocks: 1001, max_num_seqs: 10), start: Servers(1)),
                      (role: Prompt, engine: Vllm(), start: Servers(1))]";
    let of = CapacityModel::new(&application(fields, 1.0), 0).of(Token, Mix::even(1000.0, 100.0));
    near(
        of.unwrap().requests_per_s,
        10.0 / ((0.01 + 10.0 * 1050.0 * 1e-6) * 99.0),
    );
}

#[test]
fn the_most_efficient_sku_is_chosen_by_price_or_by_power() {
    let added = |prices: Option<[f64; 2]>| {
        let mut catalog = Catalog::built_in();
        for (place, name) in ["dgx-a100", "dgx-h100"].into_iter().enumerate() {
            let sku = Arc::make_mut(catalog.skus.get_mut(name).unwrap());
            sku.price_per_hour = prices.map(|prices| prices[place]);
        }
        let fleet = r#"(sku: "dgx-a100", count: 1), (sku: "dgx-h100")"#;
        let mut scenario = scenario(fleet, "autoscaler: Told(wants: [(10, 2)])")
            .unwrap()
            .scenario()
            .clone();
        scenario.applications[0].actuator.sku = SkuChoice::MostEfficient;
        let checked = CheckedScenario::new(scenario, catalog, ".").unwrap();
        let mut simulation = Simulation::with_policies(&checked, &registry()).unwrap();
        while simulation.tick().unwrap() {}
        simulation.world().fleet::<Ledger>().instances()[1].sku
    };
    // An H100 server does about twice as much.
    assert_eq!(added(Some([1.0, 1.5])), 1);
    assert_eq!(added(Some([1.0, 3.0])), 0);
    assert_eq!(added(None), 1, "8 kW for twice as much as with 5 kW");
}
