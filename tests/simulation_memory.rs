//! What a run leaves in memory while it goes on.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use fleetsim::fleet::{FleetWorldExt, ScaleUpFull, ScalingExt};
use fleetsim::scenario::CheckedScenario;
use fleetsim::serving::Role;
use fleetsim::simulation::Simulation;

#[test]
fn removals_are_not_remembered_for_the_length_of_a_run() {
    let scenario = CheckedScenario::from_ron(
        r#"(
            name: "come and go",
            end: 3e5,
            fleet: [(sku: "dgx-h100", count: 2, limit: 50, provision_delay: Constant(5.0))],
            applications: [(
                name: "chat", model: "llama2-70b",
                instances: [(role: Mixed, start: AllServers)],
                scaling: (scale_up_delay: 2.0, drain: OnIdle),
                workload: Synthetic(
                    arrivals: Poisson(rate: 0.1), prompt_tokens: Constant(500), output_tokens: Constant(60),
                ),
            )],
        )"#,
        ".".as_ref(),
    )
    .unwrap();
    let mut simulation = Simulation::new(&scenario).unwrap();
    let chat = simulation.world().application("chat").unwrap();
    for _ in 0..5_000 {
        let world = simulation.world_mut();
        let up = world.scale_up_full(&ScaleUpFull::new(chat, Role::Mixed));
        let up = up.unwrap();
        let begun = world.now().seconds();
        while simulation.now().seconds() < begun + 10.0 {
            simulation.tick().unwrap();
        }
        simulation.world_mut().scale_down_full(up.instance).unwrap();
        simulation.take_news();
    }
    let removed = simulation.world().removed_components();
    let remembered: usize = removed.iter().map(|(_, messages)| messages.len()).sum();
    assert!(remembered < 1_000, "{remembered} removals");
}
