//! A row of the timeline is the state at the end of its instant, as a replay of the scaling log has it.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::BTreeMap;

use fleetsim::fleet::{ScalingAction, ScalingEvent, Target};
use fleetsim::observe::Sample;
use fleetsim::scenario::CheckedScenario;
use fleetsim::simulation::Simulation;
use proptest::prelude::*;

fn run(scaling: &str, actions: &str) -> (Vec<Sample>, Vec<ScalingEvent>) {
    let text = format!(
        r#"(
            name: "rows",
            end: 100,
            sample_interval: 10,
            fleet: [(sku: "dgx-h100", count: 2)],
            applications: [(
                name: "a",
                model: "llama2-70b",
                instances: [(role: Mixed, start: AllServers)],
                scaling: {scaling},
                workload: Synthetic(
                    arrivals: Constant(rate: 2), prompt_tokens: Constant(500), output_tokens: Constant(200),
                ),
            )],
            actions: [{actions}],
        )"#
    );
    let checked = CheckedScenario::from_ron(&text, ".".as_ref()).unwrap();
    let mut simulation = Simulation::new(&checked).unwrap();
    let (mut samples, mut events) = (Vec::new(), Vec::new());
    while simulation.tick().unwrap() {
        samples.append(&mut simulation.take_rows().samples);
        events.append(&mut simulation.take_scaling());
    }
    let finished = simulation.finish();
    samples.extend(finished.rows.samples);
    events.extend(finished.scaling);
    (samples, events)
}

/// Instances that start up, are active and drain at the end of an instant, by the log.
fn replayed(events: &[ScalingEvent], sample: &Sample) -> (u32, u32, u32) {
    let mut statuses: BTreeMap<u64, &str> = BTreeMap::from([(0, "active"), (1, "active")]);
    for event in events.iter().take_while(|it| it.time <= sample.time) {
        if let Target::Instance(number) = event.target {
            statuses.insert(number, event.status);
        }
    }
    let count = |name| statuses.values().filter(|it| **it == name).count() as u32;
    (count("scaling_up"), count("active"), count("draining"))
}

fn assert_agreement(samples: &[Sample], events: &[ScalingEvent]) {
    assert!(samples.len() >= 11);
    for sample in samples {
        let row = (sample.scaling_up, sample.active, sample.draining);
        assert_eq!(row, replayed(events, sample), "at {}", sample.time);
    }
}

#[test]
fn an_instance_that_is_up_at_once_is_active_in_the_row_of_that_instant() {
    let up = "(at: 40, action: ScaleUpFull(application: \"a\", role: Mixed))";
    let (samples, events) = run("(scale_up_delay: 0)", up);
    let row = samples.iter().find(|it| it.time.seconds() == 40.0).unwrap();
    assert_eq!((row.scaling_up, row.active), (0, 3));
    assert_agreement(&samples, &events);
}

#[test]
fn a_drain_without_time_is_over_in_the_row_of_that_instant() {
    let down = "(at: 40, action: ScaleDownFull(instance: 1))";
    let (samples, events) = run("(drain_timeout: 0)", down);
    let row = samples.iter().find(|it| it.time.seconds() == 40.0).unwrap();
    assert_eq!((row.active, row.draining, row.servers), (1, 0, 1));
    assert!(
        events
            .iter()
            .any(|it| it.action == ScalingAction::DrainTimeout)
    );
    assert_agreement(&samples, &events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_script_gives_rows_that_agree_with_the_log(
        delay in prop::sample::select(vec![0, 10, 20]),
        timeout in prop::sample::select(vec!["None", "0", "10"]),
        drain in prop::sample::select(vec!["OnIdle", "Poll(10)", "Poll(3)"]),
        steps in prop::collection::vec((0_u32..9, 0_u64..5, any::<bool>()), 1..8),
    ) {
        let action = |&(at, number, up): &(u32, u64, bool)| {
            let verb = match up {
                true => "ScaleUpFull(application: \"a\", role: Mixed)".to_owned(),
                false => format!("ScaleDownFull(instance: {number})"),
            };
            format!("(at: {}, action: {verb}), ", at * 10)
        };
        let actions: String = steps.iter().map(action).collect();
        let scaling = format!("(scale_up_delay: {delay}, drain: {drain}, drain_timeout: {timeout})");
        let (samples, events) = run(&scaling, &actions);
        assert_agreement(&samples, &events);
    }
}
